import { errors, jwtVerify } from "jose";
import type { JsonObject, JsonValue } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { EpochMs } from "../vocabulary.ts";
import { readCompactJws } from "./compact-jws.ts";
import type { IssuerDirectory, IssuerRegistration } from "./issuers.ts";
import type { VerificationKey } from "./jwks-document.ts";
import type { JwksSource } from "./jwks-cache.ts";
import { principalOfToken } from "./jwt-principal.ts";
import { CLOCK_TOLERANCE_S, readDates } from "./numeric-dates.ts";
import type { AuthOutcome } from "./principal.ts";

/** RFC 9068, section 4: these two and nothing else; lower case, although media types would allow any. */
const ACCESS_TOKEN_TYPES: ReadonlySet<string> = new Set(["at+jwt", "application/at+jwt"]);
const REQUIRED_CLAIMS = ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"];
/** Longest `iss` that a registration may have. */
const MAX_ISSUER_CHARS = 256;

/**
 * Verifies an access token (RFC 9068, RFC 8725) of a registered issuer. Nothing in it is believed before the form is
 * strict, the issuer is registered, the key is the issuer's for exactly this algorithm, and the signature verifies. The
 * tenant comes from the registration; no claim can name one. No address in a token is ever fetched.
 */
export async function verifyJwt(
  token: string,
  issuers: IssuerDirectory,
  jwks: JwksSource,
  now: EpochMs,
): Promise<AuthOutcome> {
  const jws = readCompactJws(token);
  if (!jws.ok) return unauthenticated(jws.error);
  const { alg, kid, typ, payload } = jws.value;
  if (typ === null || !ACCESS_TOKEN_TYPES.has(typ)) return unauthenticated("token: typ is not at+jwt");
  const { iss } = payload;
  if (typeof iss !== "string" || iss.length > MAX_ISSUER_CHARS) return unauthenticated("token: no iss");
  const issuer = await issuers(iss);
  if (!issuer.ok) return { kind: "unavailable", dependency: "issuers", cause: issuer.error };
  if (issuer.value?.issuer !== iss) return unauthenticated("token: issuer is not registered");
  if (!issuer.value.algorithms.some((known) => known === alg)) return unauthenticated("token: alg is not the issuer's");
  const found = await jwks(issuer.value, kid, now);
  if (found.kind === "unavailable") return { kind: "unavailable", dependency: "jwks", cause: found.cause };
  if (found.kind === "unknown") return unauthenticated("token: kid is not the issuer's");
  if (found.key.alg !== alg) return unauthenticated("token: key is for another alg");
  return verifiedPrincipal(token, { typ, payload }, issuer.value, found.key, now);
}

async function verifiedPrincipal(
  token: string,
  { typ, payload }: { readonly typ: string; readonly payload: JsonObject },
  issuer: IssuerRegistration,
  key: VerificationKey,
  now: EpochMs,
): Promise<AuthOutcome> {
  const signature = await signatureProblem(token, typ, issuer, key, now);
  if (signature !== null) return unauthenticated(signature);
  const dates = readDates(payload, issuer.max_lifetime_s, now);
  if (!dates.ok) return unauthenticated(`token: ${dates.error.reason}`);
  const scopes = readScopeClaim(payload["scope"]);
  if (!scopes.ok) return unauthenticated(scopes.error);
  const principal = principalOfToken(payload, issuer, scopes.value, dates.value.expiresAt);
  return principal.ok ? { kind: "verified", principal: principal.value } : unauthenticated(principal.error);
}

/** Every option of jose is given: its defaults accept tokens without expiry, issuer or audience, and any fitting algorithm. */
async function signatureProblem(
  token: string,
  typ: string,
  issuer: IssuerRegistration,
  key: VerificationKey,
  now: EpochMs,
): Promise<string | null> {
  try {
    await jwtVerify(token, key.key, {
      algorithms: [key.alg],
      issuer: issuer.issuer,
      audience: issuer.audience,
      typ,
      requiredClaims: REQUIRED_CLAIMS,
      maxTokenAge: issuer.max_lifetime_s,
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(now),
      crit: {},
    });
    return null;
  } catch (error) {
    return `token: ${error instanceof errors.JOSEError ? error.code : "does not verify"}`;
  }
}

/** RFC 6749, section 3.3: tokens separated by single spaces. Null where the claim is absent. */
const SCOPE_CLAIM = /^[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*$/;

function readScopeClaim(claim: JsonValue | undefined): Result<readonly string[] | null, string> {
  if (claim === undefined) return ok(null);
  if (typeof claim !== "string" || !SCOPE_CLAIM.test(claim)) return err("token: scope is not a list of scopes");
  return ok(claim.split(" "));
}

const unauthenticated = (cause: string): AuthOutcome => ({ kind: "unauthenticated", cause });
