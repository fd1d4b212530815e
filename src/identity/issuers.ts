import { z } from "zod";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { parseStrictJson } from "../platform/strict-json.ts";
import { placedIssues, reticentMessage } from "../platform/zod-problems.ts";
import { jsonPointer } from "../platform/json-pointer.ts";
import { SUBJECT, TENANT_ID } from "../vocabulary.ts";
import type { Environment } from "./api-key.ts";
import { MAX_SCOPES, parseScope } from "./scopes.ts";
import { isSubjectOf } from "./subject-class.ts";

/**
 * Signature algorithms that an issuer may be registered with. Asymmetric only: with no HMAC in the verifier at all, a
 * public key can never be taken for a shared secret. `EdDSA` stands for Ed25519 here; RFC 9864 prefers the new name.
 */
export const SIGNATURE_ALGORITHMS = ["Ed25519", "EdDSA", "ES256", "PS256", "RS256"] as const;
export type SignatureAlgorithm = (typeof SIGNATURE_ALGORITHMS)[number];

/** 15 minutes, as RFC 9068 deployments use; some providers cannot go below an hour, so a registration may say up to 60. */
const DEFAULT_LIFETIME_S = 900;
const MAX_LIFETIME_S = 3_600;

const subjectPrefix = z
  .string()
  .max(64)
  .regex(/^(?:[A-Za-z0-9][A-Za-z0-9._:@/|-]*)?$/);
const claimName = z.string().regex(/^[a-z][a-z0-9_]{0,63}$/);

/** Form of a registration, as stored and as the gate's own API takes it. */
export const registrationSchema = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
  /** Compared with `iss` character by character. */
  issuer: z.string().max(256),
  tenant: z.string().regex(TENANT_ID),
  jwks_uri: z.string().max(512),
  algorithms: z.array(z.enum(SIGNATURE_ALGORITHMS)).min(1).max(SIGNATURE_ALGORITHMS.length),
  /** Must be among the token's `aud`. */
  audience: z.string().min(1).max(256),
  class: z.enum(["agent", "service", "person"]),
  /** Put before `sub`: keeps the subjects of two issuers apart. */
  subject_prefix: subjectPrefix,
  /** Who answers for the credentials: one person, or the person that a claim names. Null for people, who own themselves. */
  owner: z
    .union([z.strictObject({ subject: z.string().regex(SUBJECT) }), z.strictObject({ claim: claimName })])
    .nullable(),
  /** Action patterns that its tokens may reach; a token's `scope` narrows them. */
  actions: z.array(z.string()).max(MAX_SCOPES),
  max_tier: z.int().min(0).max(4),
  max_lifetime_s: z.int().min(60).max(MAX_LIFETIME_S).default(DEFAULT_LIFETIME_S),
});

/** A registered issuer of access tokens. It belongs to exactly one tenant, and its tokens speak for that tenant alone. */
export type IssuerRegistration = Readonly<z.infer<typeof registrationSchema>>;

/**
 * Finds the registration whose `issuer` is exactly `iss`; null where there is none. The error is for a store that could
 * not be asked. Whoever implements it has checked the row's MAC.
 */
export type IssuerDirectory = (iss: string) => Promise<Result<IssuerRegistration | null, string>>;

/** Reads the stored text of a registration. The error names the place and what is wrong with it. */
export function readIssuer(text: string, environment: Environment): Result<IssuerRegistration, string> {
  const json = parseStrictJson(text);
  if (!json.ok) return err(`issuer ${json.error.pointer}: ${json.error.reason}`);
  const parsed = registrationSchema.safeParse(json.value, { error: reticentMessage });
  if (!parsed.success) {
    const [issue] = placedIssues(parsed.error.issues);
    return err(
      `issuer ${jsonPointer(issue?.path ?? [])}: ${issue?.message ?? "does not have the form of a registration"}`,
    );
  }
  const problem = brokenRule(parsed.data, environment);
  return problem === null ? ok(parsed.data) : err(`issuer ${problem}`);
}

function brokenRule(issuer: IssuerRegistration, environment: Environment): string | null {
  for (const scope of issuer.actions.map(parseScope)) if (!scope.ok) return `/actions: ${scope.error}`;
  if (!isSubjectOf(issuer.class, `${issuer.subject_prefix}x`)) {
    return `/subject_prefix: must make subjects of class ${issuer.class}`;
  }
  if (issuer.class === "person") {
    if (issuer.owner !== null) return "/owner: people own their credentials, so it must be null";
    if (issuer.actions.length > 0) return "/actions: people have no data-plane scope, so it must be empty";
  } else {
    if (issuer.owner === null) return `/owner: a ${issuer.class} needs a person who answers for it`;
    if ("subject" in issuer.owner && !isSubjectOf("person", issuer.owner.subject)) return "/owner: must be a person";
  }
  if (!isFetchable(issuer.jwks_uri, environment)) return "/jwks_uri: must be an https address of a public host name";
  return isFetchable(issuer.issuer, environment) ? null : "/issuer: must be an https address of a public host name";
}

/** Names that are not public hosts, whatever they resolve to. */
const PRIVATE_SUFFIX = /\.(?:local|localhost|internal|intranet|lan|home|corp|arpa|test|invalid)$/;
const LOOPBACK = new Set(["127.0.0.1", "localhost", "[::1]"]);

/**
 * Whether the gate may fetch the address: https on the default port of a dotted host name, no user, no fragment. No IP
 * address in any spelling passes (the URL parser has already turned `0x7f.1` into digits and dots). A local deployment
 * may also use http on loopback.
 */
export function isFetchable(address: string, environment: Environment): boolean {
  const url = URL.parse(address);
  if (url === null || url.username !== "" || url.password !== "" || address.includes("#")) return false;
  const { hostname } = url;
  if (environment === "local" && url.protocol === "http:" && LOOPBACK.has(hostname)) return true;
  if (url.protocol !== "https:" || url.port !== "" || PRIVATE_SUFFIX.test(hostname)) return false;
  return /^(?:[a-z0-9-]+\.)+[a-z][a-z0-9-]*$/.test(hostname);
}
