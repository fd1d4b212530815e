import type { EpochMs } from "../vocabulary.ts";
import { dropOldest } from "../platform/drop-oldest.ts";
import { take } from "./gcra.ts";
import type { BucketState } from "./gcra.ts";
import type { QuotaLimiter, QuotaOutcome, QuotaRule } from "./port.ts";
import { rateKey } from "./quota-key.ts";

/**
 * Share of the limit that one isolate allows on its own. Isolates do not see each other then: up to ten busy ones stay
 * within the tenant's limit, and reads change nothing upstream.
 */
const LOCAL_SHARE = 0.1;

/** After an outage was seen, this bucket's reads do not ask again for so long. A limiter that hangs would delay every one. */
const ASK_AGAIN_MS = 1_000;

/** Buckets kept per isolate. When full, the oldest is dropped. */
const BUCKETS_MAX = 4_096;

/**
 * The failure table's limiter row: while `limiter` is unavailable, reads (tiers 0–1) go on under a conservative cap of
 * this isolate alone, flagged `degraded`; writes stay `unavailable`, which the gate answers with 503. Create it once per
 * isolate.
 */
export function withLocalFallback(limiter: QuotaLimiter): QuotaLimiter {
  const buckets = new Map<string, BucketState>();
  const outageSeenMs = new Map<string, EpochMs>();

  const takeLocally = (key: string, rule: QuotaRule, now: EpochMs): QuotaOutcome => {
    const limit = Math.max(1, Math.floor(rule.limit * LOCAL_SHARE));
    const taken = take(buckets.get(key) ?? null, { limit, windowMs: rule.windowMs }, 1, now);
    buckets.set(key, taken.state);
    dropOldest(buckets, BUCKETS_MAX);
    return taken.granted === 1
      ? { kind: "granted", limit, remaining: taken.remaining, resetMs: taken.resetMs, degraded: true }
      : { kind: "limited", limit, retryAfterMs: taken.retryAfterMs, degraded: true };
  };

  return {
    take: async (tenant, rule, now, background) => {
      if (rule.class === "write") return await limiter.take(tenant, rule, now, background);
      const key = rateKey(tenant, rule);
      const seenMs = outageSeenMs.get(key);
      // Bounded on both sides: a clock that steps back must not keep the limiter unasked.
      if (seenMs !== undefined && now >= seenMs && now < seenMs + ASK_AGAIN_MS) return takeLocally(key, rule, now);
      const outcome = await limiter.take(tenant, rule, now, background);
      if (outcome.kind !== "unavailable") {
        outageSeenMs.delete(key);
        return outcome;
      }
      outageSeenMs.set(key, now);
      dropOldest(outageSeenMs, BUCKETS_MAX);
      return takeLocally(key, rule, now);
    },
  };
}
