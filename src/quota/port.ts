import type { EpochMs } from "../vocabulary.ts";

/** Which of the two rate limits a request draws on: "read" for tiers 0–1, "write" from tier 2. */
export type QuotaClass = "read" | "write";

/**
 * One tenant-wide limit, a token bucket: it holds `limit` tokens (the largest burst) and refills `limit` per `windowMs`,
 * evenly. So any span of `t` ms grants at most `limit + t × limit / windowMs` requests; no window edge doubles that.
 * Both numbers are positive integers.
 */
export type QuotaRule = { readonly class: QuotaClass; readonly limit: number; readonly windowMs: number };

/**
 * `remaining` is a close estimate (other isolates draw on the same bucket), `resetMs` the time until the bucket would be
 * full again, `retryAfterMs` the time until the next request would pass (at least 1). `degraded` marks an answer that the
 * local cap gave while the limiter was unavailable: it alerts as an outage, not as a caller over its limit.
 */
export type QuotaOutcome =
  | {
      readonly kind: "granted";
      readonly limit: number;
      readonly remaining: number;
      readonly resetMs: number;
      readonly degraded: boolean;
    }
  | { readonly kind: "limited"; readonly limit: number; readonly retryAfterMs: number; readonly degraded: boolean }
  /** The limiter could not say. Tier ≥ 2 refuses with 503; tiers 0–1 use `withLocalFallback`. */
  | { readonly kind: "unavailable"; readonly cause: string };

/**
 * The one port for rate limits. Keys derive from the authenticated tenant. Never throws: an adapter's failure is
 * `unavailable`. Only `reason`-checked answers count: a limiter that timed out has not granted anything.
 * `background` keeps a promise alive past the response (`ctx.waitUntil`); what it receives never rejects.
 */
export type QuotaLimiter = {
  readonly take: (
    tenant: string,
    rule: QuotaRule,
    now: EpochMs,
    background: (work: Promise<unknown>) => void,
  ) => Promise<QuotaOutcome>;
};
