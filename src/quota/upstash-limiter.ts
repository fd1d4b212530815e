import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis/cloudflare";
import type { EpochMs } from "../vocabulary.ts";
import type { QuotaLimiter, QuotaOutcome, QuotaRule } from "./port.ts";
import { bucketKey, rateKey } from "./quota-key.ts";
import { refusalMemo } from "./refusal-memo.ts";
import { LIMITER_TIMEOUT_MS } from "./with-deadline.ts";

/** Everything that Portcullis writes to Redis begins with this. */
export const UPSTASH_PREFIX = "portcullis:quota";

/** Where the Redis REST endpoint is, and the token that opens it. */
export type UpstashConfig = { readonly url: string; readonly token: string };

/** Distinct rates kept per isolate. Policies use a handful; past this all are built again, which costs microseconds. */
const RATES_MAX = 256;

type Answer = Awaited<ReturnType<Ratelimit["limit"]>>;

/**
 * The limiter over Upstash Redis, single region: its multi-region variant does not guarantee the limit. Token bucket, not
 * sliding window, because it is the same arithmetic as `QuotaBucket` (burst `limit`, even refill), one key per bucket
 * instead of two, and its `reset` is when the next request passes. The sliding window assumes that the previous window was
 * evenly filled, so real bursts can exceed it, and it can only say when the window ends.
 *
 * Create it once per isolate. Redis paces requests; money is bounded by the ledger alone.
 */
export function upstashLimiter(config: UpstashConfig, timeoutMs: number = LIMITER_TIMEOUT_MS): QuotaLimiter {
  const redis = connect(config, timeoutMs);
  const ratelimits = new Map<string, Ratelimit>();
  const memo = refusalMemo();

  const ratelimitFor = (rule: QuotaRule): Ratelimit => {
    const key = `${rule.limit}/${rule.windowMs}`;
    const known = ratelimits.get(key);
    if (known !== undefined) return known;
    if (ratelimits.size >= RATES_MAX) ratelimits.clear();
    const fresh = ratelimitOf(redis, rule, timeoutMs);
    ratelimits.set(key, fresh);
    return fresh;
  };

  return {
    take: async (tenant, rule, now, background) => {
      const key = rateKey(tenant, rule);
      const knownWaitMs = memo.recall(key, now);
      if (knownWaitMs !== null) return limited(rule, knownWaitMs);
      try {
        const answer = await ratelimitFor(rule).limit(bucketKey(tenant, rule));
        background(answer.pending.catch(() => undefined));
        const outcome = outcomeOf(answer, rule, now);
        if (outcome.kind === "limited") memo.note(key, now, outcome.retryAfterMs);
        return outcome;
      } catch (error) {
        // The message of an Upstash error repeats the whole command; its name is enough to tell the causes apart.
        return { kind: "unavailable", cause: `upstash: ${error instanceof Error ? error.name : "failed"}` };
      }
    },
  };
}

/**
 * The one place that reads the library's answer. **It fails open**: past its timeout it resolves with `success: true,
 * reason: "timeout"`. So the reason is looked at first, and any reason at all means that Redis did not decide (deny
 * lists and the local cache are off). Then every number is checked: the library computes them from whatever JSON came back.
 */
function outcomeOf(answer: Answer, rule: QuotaRule, now: EpochMs): QuotaOutcome {
  if (answer.reason !== undefined) return { kind: "unavailable", cause: `upstash: ${answer.reason}` };
  const numbersHold =
    answer.limit === rule.limit &&
    Number.isSafeInteger(answer.remaining) &&
    answer.remaining >= 0 &&
    Number.isSafeInteger(answer.reset) &&
    answer.reset > 0;
  if (!numbersHold) return { kind: "unavailable", cause: "upstash: answered something that is not a token bucket" };
  if (!answer.success) {
    // `reset` stems from the clock of whichever isolate refilled last; no wait is longer than a window.
    return limited(rule, Math.min(rule.windowMs, Math.max(1, answer.reset - now)));
  }
  const remaining = Math.min(rule.limit - 1, answer.remaining);
  const resetMs = Math.ceil(((rule.limit - remaining) * rule.windowMs) / rule.limit);
  return { kind: "granted", limit: rule.limit, remaining, resetMs, degraded: false };
}

function ratelimitOf(redis: Redis, rule: QuotaRule, timeoutMs: number): Ratelimit {
  // One token per `intervalMs`, rounded so that the rate is never above the rule's; whole milliseconds are all it takes.
  const intervalMs = Math.ceil(rule.windowMs / rule.limit);
  const tokensPerInterval = Math.floor((rule.limit * intervalMs) / rule.windowMs);
  return new Ratelimit({
    redis,
    limiter: Ratelimit.tokenBucket(tokensPerInterval, `${intervalMs} ms`, rule.limit),
    prefix: UPSTASH_PREFIX,
    timeout: timeoutMs,
    // Each request would cost further commands, and tell Upstash which tenants are busy.
    analytics: false,
    enableTelemetry: false,
    // Its map never forgets a tenant and believes any `reset` it is told. `refusalMemo` does the same job bounded.
    ephemeralCache: false,
  });
}

function connect(config: UpstashConfig, timeoutMs: number): Redis {
  return new Redis({
    url: config.url,
    token: config.token,
    // Not one repeat: a take whose answer was lost may have happened, and repeating it would charge the tenant twice.
    // (`retry: false` would still try twice.)
    retry: { retries: 0 },
    // Ends the connection of an abandoned call. A function, because a bare signal turns an abort into a fake answer 200;
    // later than the limiter's own timeout, which speaks first.
    signal: () => AbortSignal.timeout(2 * timeoutMs),
    // On by default. It would send takes of several requests as one promise, begun by the first of them: in production
    // that dies with the first one's client and takes the others along.
    enableAutoPipelining: false,
    // Every take is one script on the primary; nothing is read back, so no token needs to travel between requests.
    readYourWrites: false,
    enableTelemetry: false,
  });
}

const limited = (rule: QuotaRule, retryAfterMs: number): QuotaOutcome => ({
  kind: "limited",
  limit: rule.limit,
  retryAfterMs,
  degraded: false,
});
