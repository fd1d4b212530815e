import { describeError } from "../platform/describe-error.ts";
import type { EpochMs } from "../vocabulary.ts";
import { dropOldest } from "../platform/drop-oldest.ts";
import { isLease } from "./lease.ts";
import type { Lease } from "./lease.ts";
import { leasePouch } from "./lease-pouch.ts";
import type { LeasePouch } from "./lease-pouch.ts";
import type { QuotaLimiter, QuotaOutcome, QuotaRule } from "./port.ts";
import { rateKey } from "./quota-key.ts";
import { refusalMemo } from "./refusal-memo.ts";
import { LIMITER_TIMEOUT_MS, withDeadline } from "./with-deadline.ts";

/** Largest lease, whatever the limit: 50 requests spread the cost of one hop to 2 % of it. */
const LEASE_MAX = 50;

/** Pouches an isolate keeps. The oldest is dropped with its unused leases: that only makes the bucket refuse sooner. */
const POUCHES_MAX = 4_096;

/** What a tenant's `QuotaBucket` can be asked. */
export interface LeasePort {
  /** Leases up to `want` ≥ 1 requests. RPC checks no types: read the answer with `isLease`. Rejects when out of reach. */
  lease(rule: QuotaRule, want: number): Promise<unknown>;
}

/** The buckets of all tenants. Each call gives a stub of its own: one that failed stays broken. */
export type QuotaBuckets = { readonly getByName: (tenant: string) => LeasePort };

/** The buckets behind the `QUOTA` binding. */
export const quotaBuckets = (namespace: DurableObjectNamespace): QuotaBuckets => ({
  // The one place where the untyped RPC stub gets its type: quota-bucket.do.ts `implements LeasePort`.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  getByName: (tenant) => namespace.getByName(tenant) as unknown as LeasePort,
});

/** What this isolate holds of one bucket: plain values only, so that any request may use them. */
type Pouch = {
  readonly tenant: string;
  readonly rule: QuotaRule;
  readonly key: string;
  readonly held: LeasePouch;
  /** A call that leases ahead is under way until then. A time, not a flag: the request behind it may die and never clear it. */
  fillingUntilMs: EpochMs;
  /** What the bucket said last. */
  bucketRemaining: number;
  bucketResetMs: number;
};

/**
 * Requests leased at once. 1 % of the limit keeps what idle isolates hold small against the whole; below a limit of 200 it
 * is 1, and every request asks the bucket.
 */
export const leaseSize = (limit: number): number => Math.min(LEASE_MAX, Math.max(1, Math.floor(limit / 100)));

/**
 * The default adapter: the tenant's `QuotaBucket` grants, and this isolate leases a few requests ahead, so that most
 * requests take no hop. The bound stays global and strict, because what is spent here was taken there before: any span of
 * t ms grants at most `limit + (t + LEASE_LIFETIME_MS) × limit / windowMs`. Leases that run out are lost, which the bucket
 * allows only from its upper half.
 *
 * Create it once per isolate. It keeps no promise between requests: in production a promise begun by one request dies with
 * that request's client, so every request that finds nothing on hand makes its own call.
 */
export function durableObjectLimiter(buckets: QuotaBuckets, timeoutMs: number = LIMITER_TIMEOUT_MS): QuotaLimiter {
  const pouches = new Map<string, Pouch>();
  const memo = refusalMemo();

  /** Leases from the bucket. Throws when the bucket fails, is late or answers nonsense; then nothing was granted. */
  const lease = async (pouch: Pouch, keepForCaller: 0 | 1, now: EpochMs): Promise<Lease> => {
    const leasesAhead = !isFilling(pouch, now);
    // Only one call at a time leases ahead; its neighbours take just their own request. Otherwise a cold burst would
    // hoard a full lease per request, and other isolates would be refused although nothing was used.
    const want = leasesAhead ? leaseSize(pouch.rule.limit) : 1;
    if (leasesAhead) pouch.fillingUntilMs = now + timeoutMs;
    try {
      const call = buckets.getByName(pouch.tenant).lease(pouch.rule, want);
      const answer = await withDeadline(call, timeoutMs);
      if (!isLease(answer) || answer.granted > want) throw new Error("answered something that is not a lease");
      // Dated from before the call, so a slow answer shortens the lease instead of prolonging it.
      pouch.held.store(answer.granted - Math.min(answer.granted, keepForCaller), now);
      pouch.bucketRemaining = answer.remaining;
      pouch.bucketResetMs = answer.resetMs;
      if (answer.granted === 0) memo.note(pouch.key, now, answer.retryAfterMs);
      return answer;
    } finally {
      if (leasesAhead) pouch.fillingUntilMs = 0;
    }
  };

  const isRunningLow = (pouch: Pouch, now: EpochMs): boolean =>
    leaseSize(pouch.rule.limit) > 1 &&
    !isFilling(pouch, now) &&
    pouch.held.onHand(now) <= leaseSize(pouch.rule.limit) / 2 &&
    memo.recall(pouch.key, now) === null;

  return {
    take: async (tenant, rule, now, background) => {
      const pouch = pouchOf(pouches, tenant, rule);
      if (pouch.held.spend(now)) {
        if (isRunningLow(pouch, now)) background(lease(pouch, 0, now).catch(() => undefined));
        return granted(pouch, now);
      }
      const knownWaitMs = memo.recall(pouch.key, now);
      if (knownWaitMs !== null) return limited(rule, knownWaitMs);
      try {
        const answer = await lease(pouch, 1, now);
        // Refused, but a neighbour's larger lease may have emptied the bucket into this very pouch meanwhile.
        if (answer.granted > 0 || pouch.held.spend(now)) return granted(pouch, now);
        return limited(rule, answer.retryAfterMs);
      } catch (error) {
        return { kind: "unavailable", cause: `quota bucket: ${describeError(error)}` };
      }
    },
  };
}

function pouchOf(pouches: Map<string, Pouch>, tenant: string, rule: QuotaRule): Pouch {
  const key = rateKey(tenant, rule);
  const known = pouches.get(key);
  if (known !== undefined) return known;
  const fresh = { tenant, rule, key, held: leasePouch(), fillingUntilMs: 0, bucketRemaining: 0, bucketResetMs: 0 };
  pouches.set(key, fresh);
  dropOldest(pouches, POUCHES_MAX);
  return fresh;
}

const isFilling = (pouch: Pouch, now: EpochMs): boolean => now < pouch.fillingUntilMs;

function granted(pouch: Pouch, now: EpochMs): QuotaOutcome {
  const limit = pouch.rule.limit;
  const remaining = Math.min(limit - 1, pouch.bucketRemaining + pouch.held.onHand(now));
  return { kind: "granted", limit, remaining, resetMs: pouch.bucketResetMs, degraded: false };
}

const limited = (rule: QuotaRule, retryAfterMs: number): QuotaOutcome => ({
  kind: "limited",
  limit: rule.limit,
  retryAfterMs,
  degraded: false,
});
