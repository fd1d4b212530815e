import { errors, jwtVerify } from "jose";
import type { JsonObject } from "../platform/json.ts";
import type { EpochMs } from "../vocabulary.ts";
import { readCompactJws } from "./compact-jws.ts";
import type { KeyOrigin, JwksSource } from "./jwks-cache.ts";
import type { VerificationKey } from "./jwks-document.ts";
import { CLOCK_TOLERANCE_S, readDates } from "./numeric-dates.ts";

/** What a statement about a person has to be to count. Every member is asked for: jose's defaults ask for none of them. */
export type AssertionRules = {
  /** Compared with `iss` character by character. */
  readonly issuer: string;
  /** Must be among the statement's `aud`. */
  readonly audience: string;
  /** Whose keys verify it, and under which algorithms. */
  readonly keys: KeyOrigin;
  readonly maxLifetimeS: number;
  /** How long ago it may have been issued, in seconds. */
  readonly maxAgeS: number;
};

/** `cause` is for the audit record only. `unavailable`: the keys could not be had, so nothing is known about it. */
export type AssertionOutcome =
  | { readonly kind: "verified"; readonly claims: JsonObject }
  | { readonly kind: "unauthenticated"; readonly cause: string }
  | { readonly kind: "unavailable"; readonly cause: string };

/** Some providers state no type. An access token and an approval token state theirs, and so can never be taken for one of these. */
const TYPES: ReadonlySet<string | null> = new Set(["JWT", null]);
const REQUIRED_CLAIMS = ["iss", "exp", "aud", "sub", "iat"];

/**
 * Verifies what an identity provider says about a person: an OpenID Connect ID token or a Cloudflare Access assertion. Strict
 * form, the provider's own key for exactly this algorithm, signature, issuer, audience and dates. What the claims mean is the
 * caller's to judge. Never throws.
 */
export async function verifyAssertion(
  token: string,
  rules: AssertionRules,
  jwks: JwksSource,
  now: EpochMs,
): Promise<AssertionOutcome> {
  const jws = readCompactJws(token);
  if (!jws.ok) return unauthenticated(jws.error);
  const { alg, kid, typ, payload } = jws.value;
  if (!TYPES.has(typ)) return unauthenticated("token: typ is not JWT");
  if (!rules.keys.algorithms.some((known) => known === alg)) return unauthenticated("token: alg is not the provider's");
  const found = await jwks(rules.keys, kid, now);
  if (found.kind === "unavailable") return found;
  if (found.kind === "unknown") return unauthenticated("token: kid is not the provider's");
  if (found.key.alg !== alg) return unauthenticated("token: key is for another alg");
  const problem = await signatureProblem(token, rules, found.key, now);
  if (problem !== null) return unauthenticated(problem);
  const dates = readDates(payload, rules.maxLifetimeS, now);
  return dates.ok ? { kind: "verified", claims: payload } : unauthenticated(`token: ${dates.error.reason}`);
}

async function signatureProblem(
  token: string,
  { issuer, audience, maxAgeS }: AssertionRules,
  key: VerificationKey,
  now: EpochMs,
): Promise<string | null> {
  try {
    await jwtVerify(token, key.key, {
      algorithms: [key.alg],
      issuer,
      audience,
      requiredClaims: REQUIRED_CLAIMS,
      maxTokenAge: maxAgeS,
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(now),
      crit: {},
    });
    return null;
  } catch (error) {
    return `token: ${error instanceof errors.JOSEError ? error.code : "does not verify"}`;
  }
}

const unauthenticated = (cause: string): AssertionOutcome => ({ kind: "unauthenticated", cause });
