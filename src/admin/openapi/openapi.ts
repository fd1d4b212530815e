import { z } from "zod";
import { REQUEST_HEADERS } from "../../gateway/gate-headers.ts";
import type { JsonObject, JsonValue } from "../../platform/json.ts";
import { plainJson } from "../../platform/plain-json.ts";
import { PROBLEMS } from "../../problem.ts";
import type { RefusalKind } from "../../refusal.ts";
import { approvalIssuerSchema } from "../../approval/approval-issuers.ts";
import { registrationSchema } from "../../identity/issuers.ts";
import { bootstrapBody } from "../bootstrap.ts";
import type { AdminRoute } from "../call.ts";
import { ANSWER, ANSWERS } from "./openapi-answers.ts";
import { deploymentOperations } from "./openapi-deployment.ts";
import { pageOperations } from "./openapi-pages.ts";
import { ASKED_TO_REGISTER } from "./openapi-registrations.ts";
import { PATH_PARAMETERS, RESPONSE_HEADERS, ROUTE_DESCRIPTIONS } from "./openapi-routes.ts";

const SLUGS = Object.keys(PROBLEMS);
const PROBLEM = { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } };

/** What strict reading and authentication may refuse on every route of the gate's own API. */
const ALWAYS: readonly RefusalKind[] = [
  "malformed-request",
  "unauthenticated",
  "uri-too-long",
  "expectation-failed",
  "upgrade-refused",
  "headers-too-large",
  "unavailable",
];
/** On routes for everybody: credentials with role billing are not let in. */
const ROLE: readonly RefusalKind[] = ["out-of-scope"];
const WITH_BODY: readonly RefusalKind[] = ["request-timeout", "payload-too-large", "unsupported-media-type"];

const documents = new WeakMap<readonly AdminRoute[], JsonObject>();

/**
 * The OpenAPI 3.1 document of the gate's own API, made from its route table, the schemas that its handlers read bodies
 * with, and the problem table. Made once per isolate and table: the route that serves it is public.
 */
export function openApiDocument(routes: readonly AdminRoute[]): JsonObject {
  const known = documents.get(routes);
  if (known !== undefined) return known;
  const document = {
    openapi: "3.1.0",
    info: {
      title: "Portcullis",
      version: "1",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      description:
        "The gate's own API. Every path outside /_gate/ is the data plane: it belongs to the upstream's catalogue and is not " +
        "listed here. components.parameters are the request headers that the gate reads there, components.headers the " +
        "response headers that it adds.",
    },
    servers: [{ url: "/" }],
    paths: pathsOf([
      ...publicOperations(),
      ...deploymentOperations(PARTS),
      ...pageOperations(PARTS),
      ...routes.map(adminOperation),
    ]),
    components: {
      securitySchemes: {
        credential: {
          type: "http",
          scheme: "bearer",
          description:
            "An API key (pcl_…) or an access token (at+jwt) of a registered issuer. The tenant is the credential's.",
        },
        bootstrapSecret: { type: "http", scheme: "bearer", description: "The deployment's BOOTSTRAP_SECRET." },
      },
      parameters: Object.fromEntries(
        REQUEST_HEADERS.map(({ name, expected }) => [
          name,
          { name, in: "header", description: `Expects ${expected}.`, schema: { type: "string" } },
        ]),
      ),
      headers: Object.fromEntries(
        Object.entries(RESPONSE_HEADERS).map(([name, description]) => [
          name,
          { description, schema: { type: "string" } },
        ]),
      ),
      schemas: { ...answerSchemas(), Problem: problemSchema() },
    },
  };
  documents.set(routes, document);
  return document;
}

type Operation = { readonly method: string; readonly path: string; readonly operation: JsonObject };

function pathsOf(operations: readonly Operation[]): JsonObject {
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const { method, path, operation } of operations) {
    const key = path.replaceAll(/:([a-zA-Z]+)/g, "{$1}");
    paths[key] = { ...paths[key], [method.toLowerCase()]: operation };
  }
  return paths;
}

function adminOperation({ method, path, roles, body, bodyForms, billing }: AdminRoute): Operation {
  const described = ROUTE_DESCRIPTIONS[`${method} ${path}`];
  const status = described?.status ?? 200;
  const refusals = [
    ...ALWAYS,
    ...(body === undefined ? [] : WITH_BODY),
    ...(roles === null && billing ? [] : ROLE),
    ...(described?.refusals ?? []),
  ];
  const operation: JsonObject = {
    ...(described === undefined ? {} : { operationId: described.operationId, summary: described.summary }),
    description: whoMay(roles, billing),
    tags: [path.split("/")[3] ?? ""],
    // One requirement per role: any of them suffices.
    security: (roles ?? [null]).map((role) => ({ credential: role === null ? [] : [role] })),
    parameters: [
      ...[...path.matchAll(/([a-z]+)\/:([a-zA-Z]+)/g)].map(([, parent = "", name = ""]) =>
        parameter("path", name, PATH_PARAMETERS[parent] ?? z.string()),
      ),
      ...Object.entries(described?.query ?? {}).map(([name, schema]) => parameter("query", name, schema)),
    ],
    ...(body === undefined ? {} : { requestBody: requestBody(body, bodyForms?.textTypes) }),
    responses: {
      [status]: answered(described?.answer, described?.summary ?? "JSON", described?.text, described?.file),
      ...(described?.also === undefined
        ? {}
        : { [described.also]: answered(described.answer, "Recorded; it waits for somebody else") }),
      ...problemResponses(refusals),
    },
  };
  return { method, path, operation };
}

function whoMay(roles: AdminRoute["roles"], billing: AdminRoute["billing"]): string {
  if (roles === null) return `Any credential of the tenant${billing ? "" : ", except those of role billing"}.`;
  const people = `People with role ${roles.join(" or ")}`;
  return billing ? `${people}, and services with role billing.` : `${people}.`;
}

function publicOperations(): readonly Operation[] {
  const get = (
    path: string,
    operationId: string,
    summary: string,
    answer: z.ZodType,
    more: JsonObject = {},
  ): Operation => ({
    method: "GET",
    path,
    operation: {
      operationId,
      summary,
      tags: ["public"],
      security: [],
      responses: { 200: answered(answer, summary) },
      ...more,
    },
  });
  const summary =
    "Creates a tenant: its documents, its sealed upstream credential and its first operator; once per tenant";
  const ready = "Whether each dependency answers";
  const page = "What a refusal means and what to do about it";
  const slug = parameter("path", "slug", z.string().meta({ enum: SLUGS }));
  return [
    get("/_gate/health", "health", "Liveness", ANSWER.health),
    get("/_gate/ready", "ready", ready, ANSWER.readiness, {
      responses: {
        200: answered(ANSWER.readiness, ready),
        503: answered(ANSWER.readiness, "A dependency does not answer"),
      },
    }),
    get("/_gate/openapi.json", "openapi", "This document", z.record(z.string(), z.unknown())),
    get("/_gate/problems/:slug", "problem", page, ANSWER.problemPage, {
      parameters: [slug],
      responses: { 200: answered(ANSWER.problemPage, page), 404: { description: "Not a slug: lists those there are" } },
    }),
    {
      method: "POST",
      path: "/_gate/v1/bootstrap",
      operation: {
        operationId: "bootstrap",
        summary,
        description: "Needs the deployment's bootstrap secret; refused while none is set.",
        tags: ["bootstrap"],
        security: [{ bootstrapSecret: [] }],
        requestBody: requestBody(bootstrapBody),
        responses: {
          201: answered(ANSWER.bootstrapped, summary),
          ...problemResponses([...ALWAYS, ...WITH_BODY, "already-decided", "policy-invalid"]),
        },
      },
    },
    {
      method: "POST",
      path: "/_gate/v1/issuers",
      operation: {
        operationId: "registerIssuer",
        summary: "Asks for an issuer of access tokens for a tenant",
        description:
          "Needs the deployment's bootstrap secret, and then a person of the tenant with role security who confirms it: whoever signs tokens speaks for people.",
        tags: ["bootstrap"],
        security: [{ bootstrapSecret: [] }],
        requestBody: requestBody(registrationSchema),
        responses: {
          202: answered(ASKED_TO_REGISTER, "Waits for a person with role security"),
          ...problemResponses([...ALWAYS, ...WITH_BODY, "not-found"]),
        },
      },
    },
    {
      method: "POST",
      path: "/_gate/v1/approval-issuers",
      operation: {
        operationId: "registerApprovalIssuer",
        summary: "Asks for an approval authority of a tenant: a system whose signed decisions count as its people's",
        description:
          "Needs the deployment's bootstrap secret, and then a person of the tenant with role security who confirms it: whoever signs decisions speaks for people.",
        tags: ["bootstrap"],
        security: [{ bootstrapSecret: [] }],
        requestBody: requestBody(approvalIssuerSchema),
        responses: {
          202: answered(ASKED_TO_REGISTER, "Waits for a person with role security"),
          ...problemResponses([...ALWAYS, ...WITH_BODY, "not-found"]),
        },
      },
    },
    {
      method: "POST",
      path: "/_gate/slack/interactions",
      operation: {
        operationId: "slackInteraction",
        summary: "A person's click or submission in Slack",
        description: "Called by Slack and nobody else: X-Slack-Signature over the raw bytes is the credential.",
        tags: ["slack"],
        security: [],
        requestBody: { required: true, content: { "application/x-www-form-urlencoded": { schema: SLACK_FORM } } },
        responses: {
          200: {
            description: "It counted, or goes on in the background; for a form that stays open: why, as Slack reads it",
          },
          ...problemResponses(SLACK_REFUSALS),
        },
      },
    },
  ];
}

const SLACK_FORM = { type: "object", required: ["payload"], properties: { payload: { type: "string" } } };
const SLACK_REFUSALS: readonly RefusalKind[] = [
  "malformed-request",
  "unauthenticated",
  "approval-invalid",
  "not-eligible",
  "approval-expired",
  "request-timeout",
  "already-decided",
  "unavailable",
];

const parameter = (place: "path" | "query", name: string, schema: z.ZodType): JsonObject => ({
  name,
  in: place,
  required: place === "path",
  schema: jsonSchema(schema),
});

const requestBody = (body: z.ZodType, textTypes: readonly string[] = []): JsonObject => ({
  required: true,
  content: { "application/json": { schema: jsonSchema(body) }, ...asText(textTypes) },
});

const asText = (types: readonly string[]): JsonObject =>
  Object.fromEntries(types.map((type) => [type, { schema: { type: "string" } }]));

function answered(
  answer: z.ZodType | undefined,
  description: string,
  textType?: string,
  fileTypes: readonly string[] = [],
): JsonObject {
  const id = answer === undefined ? undefined : ANSWERS.get(answer)?.id;
  const schema = id === undefined ? { type: "object" } : { $ref: `#/components/schemas/${id}` };
  const [type = "application/json", ...others] = fileTypes;
  const text = asText(textType === undefined ? others : [textType]);
  return { description, content: { [type]: { schema }, ...text } };
}

/** One response per status: several refusals may share it, and `slug` tells them apart. */
function problemResponses(refusals: readonly RefusalKind[]): JsonObject {
  const byStatus = Map.groupBy(new Set(refusals), (kind) => PROBLEMS[kind].status);
  return Object.fromEntries(
    [...byStatus].map(([status, kinds]) => [
      String(status),
      { description: kinds.map((kind) => `${kind}: ${PROBLEMS[kind].title}`).join("; "), content: PROBLEM },
    ]),
  );
}

const PARTS = { requestBody, answered, problemResponses, parameter, always: ALWAYS, withBody: WITH_BODY };

const problemSchema = (): JsonObject => ({
  type: "object",
  description: "RFC 9457 problem details. Each slug adds members of its own; GET /_gate/problems/{slug} explains it.",
  required: ["type", "title", "status", "detail", "instance", "slug", "request_id"],
  properties: {
    type: { type: "string", description: "/_gate/problems/<slug>" },
    title: { type: "string" },
    status: { type: "integer", enum: [...new Set(Object.values(PROBLEMS).map(({ status }) => status))] },
    detail: { type: "string" },
    instance: { type: "string" },
    slug: { type: "string", enum: SLUGS },
    request_id: { type: "string" },
    action: { type: "string" },
    tier: { type: "integer", minimum: 0, maximum: 5 },
  },
});

function answerSchemas(): JsonObject {
  const { schemas } = z.toJSONSchema(ANSWERS, { ...GENERATOR, uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(Object.entries(schemas).map(([id, schema]) => [id, withoutIdentity(plainJson(schema))]));
}

const jsonSchema = (schema: z.ZodType): JsonValue => withoutIdentity(plainJson(z.toJSONSchema(schema, GENERATOR)));

const GENERATOR = {
  target: "draft-2020-12",
  io: "input",
  unrepresentable: "any",
  // "At most 2^53 - 1" is what every JSON number already says.
  override: ({ jsonSchema: made }: { jsonSchema: { minimum?: number; maximum?: number } }) => {
    if (made.minimum === Number.MIN_SAFE_INTEGER) delete made.minimum;
    if (made.maximum === Number.MAX_SAFE_INTEGER) delete made.maximum;
  },
} as const;

/** OpenAPI 3.1 has the dialect already, and a component's place is its identity. */
function withoutIdentity(schema: JsonValue): JsonValue {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema)) return schema;
  return Object.fromEntries(Object.entries(schema).filter(([name]) => name !== "$schema" && name !== "$id"));
}
