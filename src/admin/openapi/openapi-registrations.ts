import { z } from "zod";
import type { JsonValue } from "../../platform/json.ts";
import { listOf, named, text, textOrNull, timeOrNull } from "./openapi-answers.ts";
import type { RouteDescription } from "./openapi-routes.ts";

const audience = text.meta({
  description: "What the tokens of an approval authority must name as their `aud`, alone.",
});

const record = z.object({
  id: text,
  issuer: text,
  state: z.enum(["in-force", "waiting"]),
  digest: textOrNull.meta({ description: "Of one that waits: what a confirmation names." }),
  asked_by: textOrNull,
  asked_at: timeOrNull,
  registration: z.record(text, z.custom<JsonValue>()).meta({ description: "As it was asked for; no secret." }),
});

/** Of all three kinds. */
const LIST = listOf("Registrations", record);
const CONFIRMED = named(
  "Registered",
  z.object({ registered: z.literal(true), tenant: text, id: text, issuer: text, audience: audience.optional() }),
);
const REMOVED = named("RegistrationRemoved", z.object({ id: text, removed: z.literal(true) }));

/** The answer to whoever asks with the deployment's secret. */
export const ASKED_TO_REGISTER = named(
  "AskedToRegister",
  z.object({
    registered: z.literal(false),
    tenant: text,
    id: text,
    issuer: text,
    digest: text.meta({ description: "What the confirmation has to name." }),
    waits_for: z.literal("security"),
    audience: audience.optional(),
  }),
);

/** The three routes of one kind; `one` is the path of a single registration. */
const routesOf = (
  path: string,
  one: string,
  name: string,
  what: string,
): Readonly<Record<string, RouteDescription>> => ({
  [`GET ${path}`]: {
    operationId: `list${name}s`,
    summary: `${what} of the tenant: those that count and those that wait for a second person`,
    answer: LIST,
  },
  [`POST ${one}/confirm`]: {
    operationId: `confirm${name}`,
    summary: "Confirms one that was asked for with the deployment's secret: from then on what it signs counts",
    answer: CONFIRMED,
    refusals: ["not-found", "not-eligible", "resource-changed"],
  },
  [`DELETE ${one}`]: {
    operationId: `remove${name}`,
    summary: "Removes one, or takes back one that waits: from the next admission on it vouches for nothing",
    answer: REMOVED,
    refusals: ["not-found"],
  },
});

/** Descriptions of the tenant's routes about who may say who people are, by `METHOD path`. */
export const REGISTRATION_ROUTES: Readonly<Record<string, RouteDescription>> = {
  ...routesOf("/_gate/v1/issuers", "/_gate/v1/issuers/:id", "Issuer", "Issuers of access tokens"),
  ...routesOf("/_gate/v1/approval-issuers", "/_gate/v1/approval-issuers/:id", "ApprovalIssuer", "Approval authorities"),
  ...routesOf("/_gate/v1/sign-in", "/_gate/v1/sign-in", "SignIn", "The way of signing in to the approval page"),
};
