import { readCompactJws } from "../identity/compact-jws.ts";
import type { JwksSource } from "../identity/jwks-cache.ts";
import { readDates } from "../identity/numeric-dates.ts";
import { isSubjectOf } from "../identity/subject-class.ts";
import type { JsonObject, JsonValue } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { Digest, EpochMs } from "../vocabulary.ts";
import { keysOf, signedAudience, type ApprovalIssuer, type ApprovalIssuerDirectory } from "./approval-issuers.ts";
import { APPROVAL_TYP, signatureProblem } from "./approval-signature.ts";

/**
 * One person's approval of one proposal, as an approval authority of the tenant has signed it. Genuine and unexpired, no
 * more: whether the person may decide, and whether this was counted before, only the ledger can say.
 */
export type SignedDecisionClaims = {
  /** The registration's own id. */
  readonly authority: string;
  readonly issuer: string;
  /** With the issuer the key of single use. Never the token's bytes: those have twins. */
  readonly jti: string;
  /** Subject of the person who decided. */
  readonly subject: string;
  readonly approvalId: string;
  readonly approvalDigest: Digest;
  /** What the person typed to confirm; null where the authority does not say. */
  readonly confirm: string | null;
  readonly expiresAt: EpochMs;
};

export type SignedDecisionRefusal = Extract<Refusal, { kind: "approval-invalid" | "approval-expired" | "unavailable" }>;

/** What verification asks: who is registered, and for which keys. */
export type SignedDecisionSources = { readonly issuers: ApprovalIssuerDirectory; readonly jwks: JwksSource };

const REQUIRED = ["iss", "aud", "sub", "jti", "iat", "exp", "approval_id", "approval_digest"];
/** Whatever else a token says might change what it means (`decision: deny`), so it says nothing else. */
const KNOWN: ReadonlySet<string> = new Set([...REQUIRED, "nbf", "confirm"]);
const MAX_ISSUER_CHARS = 256;
const ID = /^[a-z]+_[0-9a-z]{26}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** As for access tokens: UUIDs, ULIDs, base64 and URNs. */
const JTI = /^[A-Za-z0-9._~:|/+=@-]{1,128}$/;
const MAX_CONFIRM_CHARS = 256;

/**
 * Verifies a token of a registered approval authority of `tenant`: strict compact form, the authority's own key for exactly
 * this algorithm, signature, issuer, audience, dates, and no claim that this version does not know. `approval-expired` only
 * for a token that is otherwise genuine. Whether `sub` is one of the tenant's people is the caller's to ask.
 */
export async function verifySignedDecision(
  token: string,
  tenant: string,
  { issuers, jwks }: SignedDecisionSources,
  now: EpochMs,
): Promise<Result<SignedDecisionClaims, SignedDecisionRefusal>> {
  const jws = readCompactJws(token);
  if (!jws.ok) return invalid(jws.error);
  const { alg, kid, typ, payload } = jws.value;
  if (typ !== APPROVAL_TYP) return invalid("token: typ is not approval+jwt");
  const { iss } = payload;
  if (typeof iss !== "string" || iss.length > MAX_ISSUER_CHARS) return invalid("token: no iss");
  const found = await issuers(tenant, iss);
  if (!found.ok) return err({ kind: "unavailable", dependency: "issuers", cause: found.error });
  const issuer = found.value;
  if (issuer?.issuer !== iss || issuer.tenant !== tenant) return invalid("token: issuer is no approval authority here");
  if (!issuer.algorithms.some((known) => known === alg)) return invalid("token: alg is not the authority's");
  const key = await jwks(keysOf(issuer), kid, now);
  if (key.kind === "unavailable") return err({ kind: "unavailable", dependency: "jwks", cause: key.cause });
  if (key.kind === "unknown") return invalid("token: kid is not the authority's");
  if (key.key.alg !== alg) return invalid("token: key is for another alg");
  const expected = {
    ...key.key,
    issuer: issuer.issuer,
    audience: signedAudience(tenant),
    requiredClaims: REQUIRED,
    maxLifetimeS: issuer.max_lifetime_s,
  };
  const problem = await signatureProblem(token, expected, now);
  if (problem !== null) return problem.expired ? expired() : invalid(problem.reason);
  const dates = readDates(payload, issuer.max_lifetime_s, now);
  if (!dates.ok) return dates.error.expired ? expired() : invalid(`token: ${dates.error.reason}`);
  return readClaims(payload, issuer, dates.value.expiresAt);
}

function readClaims(
  payload: JsonObject,
  issuer: ApprovalIssuer,
  expiresAt: EpochMs,
): Result<SignedDecisionClaims, SignedDecisionRefusal> {
  const unknown = Object.keys(payload).find((name) => !KNOWN.has(name));
  if (unknown !== undefined)
    return invalid(
      `token: claim ${unknown.length > 32 ? `of ${unknown.length} characters` : JSON.stringify(unknown)} is not accepted`,
    );
  const { aud, sub, jti, approval_id: approvalId, approval_digest: digest, confirm } = payload;
  // One audience: a token that also speaks to somebody else could be taken from there.
  if (aud !== signedAudience(issuer.tenant)) return invalid("token: aud names others too");
  if (!isText(jti, JTI)) return invalid("token: jti is not an id");
  const subject = `${issuer.subject_prefix}${typeof sub === "string" ? sub : ""}`;
  if (typeof sub !== "string" || sub === "" || !isSubjectOf("person", subject))
    return invalid("token: sub is no person");
  if (!isText(approvalId, ID)) return invalid("token: approval_id is not the id of a proposal");
  if (!isDigest(digest)) return invalid("token: approval_digest is not a digest");
  if (confirm !== undefined && (typeof confirm !== "string" || confirm.length > MAX_CONFIRM_CHARS))
    return invalid("token: confirm is not a short text");
  return ok({
    authority: issuer.id,
    issuer: issuer.issuer,
    jti,
    subject,
    approvalId,
    approvalDigest: digest,
    confirm: confirm ?? null,
    expiresAt,
  });
}

const isText = (value: JsonValue | undefined, form: RegExp): value is string =>
  typeof value === "string" && form.test(value);
const isDigest = (value: JsonValue | undefined): value is Digest => isText(value, DIGEST);

const invalid = (reason: string) => err({ kind: "approval-invalid", reason } as const);
const expired = () => err({ kind: "approval-expired", reason: "The signed decision's time is over." } as const);
