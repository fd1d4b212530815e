import type { JsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { EpochMs } from "../vocabulary.ts";

/** Issuers' clocks may run ahead by this much (RFC 9068 deployments: at most 60 s). Expiry gets no tolerance at all. */
export const CLOCK_TOLERANCE_S = 60;

/** 9999-12-31T23:59:59Z: the last second that an ISO 8601 timestamp of four year digits can name. */
const LATEST_S = 253_402_300_799;

export type TokenDates = { readonly issuedAt: EpochMs; readonly expiresAt: EpochMs };

/** Why a token's dates are refused. `expired` is its own case because callers may tell the bearer. */
export type DateProblem = { readonly expired: boolean; readonly reason: string };

/**
 * Checks `iat`, `exp` and, where present, `nbf`: whole seconds, issued before they expire, living at most `maxLifetimeS`,
 * neither expired at `now` nor from further in the future than the tolerance. jose takes `1e300` and fractions for dates.
 */
export function readDates(claims: JsonObject, maxLifetimeS: number, now: EpochMs): Result<TokenDates, DateProblem> {
  const { iat, exp, nbf } = claims;
  if (!isSeconds(iat) || !isSeconds(exp) || (nbf !== undefined && !isSeconds(nbf))) {
    return refused("iat, exp and nbf must be whole seconds");
  }
  if (exp <= iat) return refused("exp is not after iat");
  if (exp - iat > maxLifetimeS) return refused(`lives longer than ${maxLifetimeS} s`);
  const latestStart = now + CLOCK_TOLERANCE_S * 1000;
  if (iat * 1000 > latestStart || (nbf ?? 0) * 1000 > latestStart) return refused("iat or nbf lies in the future");
  if (now >= exp * 1000) return err({ expired: true, reason: "expired" });
  return ok({ issuedAt: iat * 1000, expiresAt: exp * 1000 });
}

const isSeconds = (value: unknown): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= LATEST_S;

const refused = (reason: string): { readonly ok: false; readonly error: DateProblem } =>
  err({ expired: false, reason });
