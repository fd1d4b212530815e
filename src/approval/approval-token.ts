import { SignJWT } from "jose";
import { readCompactJws } from "../identity/compact-jws.ts";
import { readDates } from "../identity/numeric-dates.ts";
import { assert } from "../platform/assert.ts";
import type { JsonObject, JsonValue } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { SUBJECT, type Digest, type EpochMs } from "../vocabulary.ts";
import type { ApprovalKey } from "./approval-key.ts";
import { APPROVAL_TYP, signatureProblem } from "./approval-signature.ts";

/**
 * What an approval token says. It proves that the gate issued it, for whom and for what; whether the approval still
 * stands, and has not been used, only the ledger's record under `jti` can say.
 */
export type ApprovalClaims = {
  /** Key of single use. Never the token's bytes: those have twins. */
  readonly jti: string;
  readonly tenant: string;
  readonly principalSubject: string;
  readonly approvalId: string;
  readonly requestDigest: Digest;
  readonly approvalDigest: Digest;
  /** Subjects of the people who approved. */
  readonly approvers: readonly string[];
  /** Whole seconds, as milliseconds. */
  readonly issuedAt: EpochMs;
  readonly expiresAt: EpochMs;
};

export type ApprovalTokenRefusal = Extract<Refusal, { kind: "approval-invalid" | "approval-expired" }>;

/** A grant ends 30 minutes after the last decision (a policy may say earlier, never later). */
export const MAX_APPROVAL_LIFETIME_S = 1_800;
/** Tier 4 needs two; ten leaves room for stricter policies. */
const MAX_APPROVERS = 10;

const ISSUER = "portcullis";
const ALG = "EdDSA";
const audienceOf = (tenant: string): string => `portcullis:${tenant}`;

const CLAIM_NAMES = [
  "iss",
  "aud",
  "sub",
  "jti",
  "iat",
  "exp",
  "approval_id",
  "request_digest",
  "approval_digest",
  "approvers",
] as const;
const ID = /^[a-z]+_[0-9a-z]{26}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;

/**
 * Whether a token says that the gate itself issued it, or has no form at all. Believes nothing: it says by whose rules the token
 * is judged.
 */
export function isOwnToken(token: string): boolean {
  const jws = readCompactJws(token);
  return !jws.ok || jws.value.payload["iss"] === ISSUER;
}

/** Signs an approval token. Claims that `verifyApprovalToken` would refuse are a bug of the caller. */
export async function mintApprovalToken(claims: ApprovalClaims, key: ApprovalKey): Promise<string> {
  const payload = {
    iss: ISSUER,
    aud: audienceOf(claims.tenant),
    sub: claims.principalSubject,
    jti: claims.jti,
    iat: claims.issuedAt / 1000,
    exp: claims.expiresAt / 1000,
    approval_id: claims.approvalId,
    request_digest: claims.requestDigest,
    approval_digest: claims.approvalDigest,
    approvers: [...claims.approvers],
  };
  const dates = readDates(payload, MAX_APPROVAL_LIFETIME_S, claims.issuedAt);
  assert(dates.ok && readClaims(payload, claims.tenant, dates.value) !== null, "approval claims are well-formed");
  return new SignJWT(payload).setProtectedHeader({ alg: ALG, typ: APPROVAL_TYP, kid: key.kid }).sign(key.privateKey);
}

/**
 * The claims of a genuine, unexpired approval token of this tenant. `approval-expired` only for a token that is
 * otherwise genuine; everything else is `approval-invalid` with the reason. Strict form as for access tokens, whose
 * `typ`, issuer and keys are others: neither kind is ever accepted as the other.
 */
export async function verifyApprovalToken(
  token: string,
  tenant: string,
  key: ApprovalKey,
  now: EpochMs,
): Promise<Result<ApprovalClaims, ApprovalTokenRefusal>> {
  const jws = readCompactJws(token);
  if (!jws.ok) return invalid(jws.error);
  const { alg, kid, typ, payload } = jws.value;
  if (typ !== APPROVAL_TYP) return invalid("token: typ is not approval+jwt");
  if (alg !== ALG || kid !== key.kid) return invalid("token: not signed with the approval key");
  const expected = {
    key: key.publicKey,
    alg: ALG,
    issuer: ISSUER,
    audience: audienceOf(tenant),
    requiredClaims: CLAIM_NAMES,
    maxLifetimeS: MAX_APPROVAL_LIFETIME_S,
  };
  const problem = await signatureProblem(token, expected, now);
  if (problem !== null) return problem.expired ? expired() : invalid(problem.reason);
  const dates = readDates(payload, MAX_APPROVAL_LIFETIME_S, now);
  if (!dates.ok) return dates.error.expired ? expired() : invalid(`token: ${dates.error.reason}`);
  const claims = readClaims(payload, tenant, dates.value);
  return claims === null ? invalid("token: claims do not have their form") : ok(claims);
}

function readClaims(
  payload: JsonObject,
  tenant: string,
  dates: Pick<ApprovalClaims, "issuedAt" | "expiresAt">,
): ApprovalClaims | null {
  const { aud, sub, jti, approval_id: approvalId, request_digest: request, approval_digest: approval } = payload;
  const approvers = readApprovers(payload["approvers"]);
  if (Object.keys(payload).length !== CLAIM_NAMES.length || aud !== audienceOf(tenant) || approvers === null)
    return null;
  if (!isText(sub, SUBJECT) || !isText(jti, ID) || !isText(approvalId, ID)) return null;
  if (!isDigest(request) || !isDigest(approval)) return null;
  return {
    jti,
    tenant,
    principalSubject: sub,
    approvalId,
    requestDigest: request,
    approvalDigest: approval,
    approvers,
    ...dates,
  };
}

function readApprovers(value: JsonValue | undefined): readonly string[] | null {
  if (!Array.isArray(value) || value.length === 0 || value.length > MAX_APPROVERS) return null;
  const subjects = value.filter((item) => isText(item, SUBJECT));
  return subjects.length === value.length && new Set(subjects).size === subjects.length ? subjects : null;
}

const isText = (value: JsonValue | undefined, form: RegExp): value is string =>
  typeof value === "string" && form.test(value);
const isDigest = (value: JsonValue | undefined): value is Digest => isText(value, DIGEST);

const invalid = (reason: string) => err({ kind: "approval-invalid", reason } as const);
const expired = () => err({ kind: "approval-expired", reason: "the approval's time is over" } as const);
