import { z } from "zod";
import { PAGE_ROUTES } from "../../page/routes.ts";
import { signInBody } from "../../page/sign-in/settings.ts";
import type { JsonObject } from "../../platform/json.ts";
import type { RefusalKind } from "../../refusal.ts";
import { ANSWER } from "./openapi-answers.ts";
import { ASKED_TO_REGISTER } from "./openapi-registrations.ts";

type Operation = { readonly method: string; readonly path: string; readonly operation: JsonObject };

/** How the document writes bodies, answers and refusals (openapi.ts). */
export type Parts = {
  readonly requestBody: (body: z.ZodType) => JsonObject;
  readonly answered: (answer: z.ZodType, description: string) => JsonObject;
  readonly problemResponses: (refusals: readonly RefusalKind[]) => JsonObject;
  readonly parameter: (place: "path" | "query", name: string, schema: z.ZodType) => JsonObject;
  readonly always: readonly RefusalKind[];
  readonly withBody: readonly RefusalKind[];
};

/** By `METHOD path`. A page without an entry has no operation id, and a test fails. */
const PAGES: Readonly<Record<string, { readonly operationId: string; readonly summary: string }>> = {
  "GET /_gate/approvals": { operationId: "listPage", summary: "Page: what waits for the person who is signed in" },
  "GET /_gate/approvals/:id": {
    operationId: "proposalPage",
    summary: "Page: one proposal, for those who may decide it",
  },
  "POST /_gate/approvals/:id/decisions": {
    operationId: "decideByForm",
    summary: "A decision by the form of the proposal's page",
  },
  "GET /_gate/sign-in": { operationId: "chooseTenantPage", summary: "Page: leads to the tenant's way of signing in" },
  "GET /_gate/sign-in/callback": {
    operationId: "signInCallback",
    summary: "Where the tenant's identity provider sends the browser back to",
  },
  "GET /_gate/sign-in/link/:token": {
    operationId: "linkPage",
    summary: "Page: a one-time link; looking uses nothing up",
  },
  "POST /_gate/sign-in/link/:token": {
    operationId: "useLink",
    summary: "Signs in by a one-time link (local gates only)",
  },
  "GET /_gate/sign-in/:tenant": { operationId: "signInPage", summary: "Page: how the people of a tenant sign in" },
  "GET /_gate/sign-in/:tenant/start": {
    operationId: "startSignIn",
    summary: "Sends the browser to the tenant's identity provider",
  },
  "POST /_gate/sign-out": { operationId: "signOut", summary: "Ends the session that the form was made for" },
};

const PARAMETERS: Readonly<Record<string, z.ZodType>> = {
  id: z.string().regex(/^apr_[0-9a-z]{26}$/),
  tenant: z.string(),
  token: z.string(),
};

/** The pages for people, and the two calls by which they come to be signed in. */
export function pageOperations(parts: Parts): readonly Operation[] {
  const { requestBody, answered, problemResponses, always, withBody } = parts;
  return [
    ...PAGE_ROUTES.map(({ method, path, fields }) => ({
      method,
      path,
      operation: {
        ...PAGES[`${method} ${path}`],
        description:
          "HTML for browsers: a session cookie of the gate's own, or an assertion of Cloudflare Access. Refusals have the status that they have elsewhere, and say in words what to do.",
        tags: ["pages"],
        security: [],
        parameters: [...path.matchAll(/:([a-z]+)/g)].map(([, name = ""]) =>
          parts.parameter("path", name, PARAMETERS[name] ?? z.string()),
        ),
        ...(fields === undefined ? {} : { requestBody: formOf(fields) }),
        responses: {
          200: { description: "A page", content: { "text/html": { schema: { type: "string" } } } },
          303: { description: "Goes on elsewhere" },
        },
      },
    })),
    {
      method: "POST",
      path: "/_gate/v1/sign-in",
      operation: {
        operationId: "registerSignIn",
        summary:
          "Asks for a way in which a tenant's people sign in to the approval page; replaces what was said before",
        description:
          "Needs the deployment's bootstrap secret, and then a person of the tenant with role security who confirms it: whoever says who people are speaks for them.",
        tags: ["bootstrap"],
        security: [{ bootstrapSecret: [] }],
        requestBody: requestBody(signInBody),
        responses: {
          202: answered(ASKED_TO_REGISTER, "Waits for a person with role security"),
          ...problemResponses([...always, ...withBody, "not-found"]),
        },
      },
    },
    {
      method: "POST",
      path: "/_gate/v1/sign-in/links",
      operation: {
        operationId: "makeSignInLink",
        summary: "A one-time link to the approval page for the person whose demonstration key asks",
        description: "Local gates only; everywhere else it does not exist.",
        tags: ["bootstrap"],
        security: [{ credential: [] }],
        responses: {
          201: answered(ANSWER.signInLink, "Good once, for twelve hours"),
          ...problemResponses([...always, "out-of-scope", "not-found"]),
        },
      },
    },
  ];
}

const formOf = (fields: readonly string[]): JsonObject => ({
  required: true,
  content: {
    "application/x-www-form-urlencoded": {
      schema: { type: "object", properties: Object.fromEntries(fields.map((name) => [name, { type: "string" }])) },
    },
  },
});
