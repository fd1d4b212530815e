import { errors, jwtVerify } from "jose";
import { CLOCK_TOLERANCE_S } from "../identity/numeric-dates.ts";
import type { EpochMs } from "../vocabulary.ts";

/** `typ` of the gate's own approval tokens and of signed decisions: never that of an access token. */
export const APPROVAL_TYP = "approval+jwt";

/** What a token about an approval has to be signed with, by and for. */
export type ExpectedSignature = {
  readonly key: CryptoKey;
  readonly alg: string;
  readonly issuer: string;
  readonly audience: string;
  readonly requiredClaims: readonly string[];
  readonly maxLifetimeS: number;
};

/**
 * Why a token's signature, issuer, audience, type or dates do not hold; null when all do. `expired` only for a token that is
 * otherwise genuine. Every option of jose is given: its defaults accept tokens without expiry, issuer or audience, and any
 * fitting algorithm.
 */
export async function signatureProblem(
  token: string,
  expected: ExpectedSignature,
  now: EpochMs,
): Promise<{ readonly expired: true } | { readonly expired: false; readonly reason: string } | null> {
  try {
    await jwtVerify(token, expected.key, {
      algorithms: [expected.alg],
      issuer: expected.issuer,
      audience: expected.audience,
      typ: APPROVAL_TYP,
      requiredClaims: [...expected.requiredClaims],
      maxTokenAge: expected.maxLifetimeS,
      clockTolerance: CLOCK_TOLERANCE_S,
      currentDate: new Date(now),
      crit: {},
    });
    return null;
  } catch (error) {
    // jose verifies the signature, issuer and audience before it looks at dates.
    if (error instanceof errors.JWTExpired) return { expired: true };
    return { expired: false, reason: `token: ${error instanceof errors.JOSEError ? error.code : "does not verify"}` };
  }
}
