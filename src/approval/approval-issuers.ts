import { z } from "zod";
import type { Environment } from "../identity/api-key.ts";
import { isFetchable, SIGNATURE_ALGORITHMS } from "../identity/issuers.ts";
import type { KeyOrigin } from "../identity/jwks-cache.ts";
import { isSubjectOf } from "../identity/subject-class.ts";
import { jsonPointer } from "../platform/json-pointer.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { parseStrictJson } from "../platform/strict-json.ts";
import { placedIssues, reticentMessage } from "../platform/zod-problems.ts";
import { TENANT_ID } from "../vocabulary.ts";

/** A signed decision lives no longer than the grant that it may become. */
export const MAX_SIGNED_LIFETIME_S = 1_800;

/** Form of a registration, as stored and as the gate's own API takes it. */
export const approvalIssuerSchema = z.strictObject({
  id: z.string().regex(/^[a-z][a-z0-9-]{0,62}$/),
  /** Compared with `iss` character by character. */
  issuer: z.string().max(256),
  tenant: z.string().regex(TENANT_ID),
  jwks_uri: z.string().max(512),
  algorithms: z.array(z.enum(SIGNATURE_ALGORITHMS)).min(1).max(SIGNATURE_ALGORITHMS.length),
  /** Put before `sub`; together they are the subject that the people document gives a handle. */
  subject_prefix: z
    .string()
    .max(64)
    .regex(/^(?:[A-Za-z0-9][A-Za-z0-9._:@/|-]*)?$/),
  max_lifetime_s: z.int().min(60).max(MAX_SIGNED_LIFETIME_S).default(MAX_SIGNED_LIFETIME_S),
});

/**
 * A registered approval authority of one tenant: a system of its own (a chat bot, a change board) that signs what people
 * decided there. It says who decided; whether that person may is the policy's, as for every decision.
 */
export type ApprovalIssuer = Readonly<z.infer<typeof approvalIssuerSchema>>;

/**
 * Finds this tenant's registration whose `issuer` is exactly `iss`; null where there is none. The error is for a store that
 * could not be asked. Whoever implements it has checked the row's MAC.
 */
export type ApprovalIssuerDirectory = (tenant: string, iss: string) => Promise<Result<ApprovalIssuer | null, string>>;

/** Reads the stored text of a registration. The error names the place and what is wrong with it. */
export function readApprovalIssuer(text: string, environment: Environment): Result<ApprovalIssuer, string> {
  const json = parseStrictJson(text);
  if (!json.ok) return err(`approval issuer ${json.error.pointer}: ${json.error.reason}`);
  const parsed = approvalIssuerSchema.safeParse(json.value, { error: reticentMessage });
  if (!parsed.success) {
    const [issue] = placedIssues(parsed.error.issues);
    return err(`approval issuer ${jsonPointer(issue?.path ?? [])}: ${issue?.message ?? "has another form"}`);
  }
  const { subject_prefix: prefix, jwks_uri: jwks, issuer } = parsed.data;
  if (!isSubjectOf("person", `${prefix}x`)) return wrong("/subject_prefix", "must make subjects of people");
  if (!isFetchable(jwks, environment)) return wrong("/jwks_uri", PUBLIC);
  return isFetchable(issuer, environment) ? ok(parsed.data) : wrong("/issuer", PUBLIC);
}

const wrong = (place: string, message: string) => err(`approval issuer ${place}: ${message}`);
const PUBLIC = "must be an https address of a public host name";

/** Who must be named as the audience of a signed decision: this tenant of this gate, and nobody else. */
export const signedAudience = (tenant: string): string => `portcullis:${tenant}`;

/** Where its keys come from. Two tenants may register one authority, and it may sign access tokens too: neither shares keys. */
export const keysOf = ({ tenant, issuer, jwks_uri, algorithms }: ApprovalIssuer): KeyOrigin => ({
  issuer: `approvals of ${tenant}: ${issuer}`,
  jwks_uri,
  algorithms,
});
