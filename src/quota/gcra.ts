import { assert } from "../platform/assert.ts";
import type { EpochMs } from "../vocabulary.ts";

/** What the arithmetic needs of a rule: `limit` requests per `windowMs`, both positive integers. */
export type Rate = { readonly limit: number; readonly windowMs: number };

/**
 * A bucket as GCRA sees it: not tokens but debt, in exact integers. A granted request adds `windowMs` units; every
 * elapsed millisecond pays `limit` units back; the bucket is empty at `limit × windowMs`. No rounding can drift.
 * The rate is stored with the debt, because the debt's unit depends on it.
 */
export type BucketState = Rate & {
  readonly debt: number;
  /** Up to when debt has been paid back. Never moves backwards. */
  readonly paidAtMs: EpochMs;
};

/** `granted` ≤ the count asked for. `retryAfterMs` is 0 unless nothing was granted; then one request passes after it. */
export type Taken = {
  readonly granted: number;
  readonly state: BucketState;
  readonly retryAfterMs: number;
  readonly remaining: number;
  readonly resetMs: number;
};

/**
 * Takes up to `count` requests from the bucket. Largest burst: `limit`. Over any span of t milliseconds at most
 * `limit + floor(t × limit / windowMs)` are granted. A clock that steps back pays nothing and, when it returns to where it
 * was, has paid nothing twice. `state: null` is a bucket never used before, or lost: it is full, which is one burst.
 */
export function take(state: BucketState | null, rate: Rate, count: number, now: EpochMs): Taken {
  assert(Number.isSafeInteger(count) && count >= 0, "a whole number of requests is taken");
  const paid = payBack(state, rate, now);
  const free = Math.floor((capacityOf(rate) - paid.debt) / rate.windowMs);
  const granted = Math.min(count, free);
  const after = { ...paid, debt: paid.debt + granted * rate.windowMs };
  return {
    granted,
    state: after,
    retryAfterMs: granted > 0 || count === 0 ? 0 : untilOneIsFreeMs(after, now),
    remaining: free - granted,
    resetMs: Math.ceil(after.debt / rate.limit),
  };
}

/** The bucket at `now` under `rate`, before anything is taken. */
function payBack(state: BucketState | null, rate: Rate, now: EpochMs): BucketState {
  assert(Number.isSafeInteger(now), "time in whole milliseconds");
  const capacity = capacityOf(rate);
  if (state === null) return { limit: rate.limit, windowMs: rate.windowMs, debt: 0, paidAtMs: now };
  const debt = convertDebt(state, rate, capacity);
  const elapsedMs = Math.max(0, now - state.paidAtMs);
  return {
    limit: rate.limit,
    windowMs: rate.windowMs,
    // Exact within a window. Beyond it the product may round, but not below the capacity, so the result is 0 all the same.
    debt: Math.max(0, debt - elapsedMs * rate.limit),
    paidAtMs: Math.max(state.paidAtMs, now),
  };
}

/**
 * A new policy may change the rate. The used *share* of the bucket is kept: a raised limit does not hand out a fresh burst,
 * a lowered one does not lock a tenant out for longer than one window, and flipping between two mints nothing.
 */
function convertDebt(state: BucketState, rate: Rate, capacity: number): number {
  if (state.limit === rate.limit && state.windowMs === rate.windowMs) return state.debt;
  return Math.min(capacity, Math.ceil((state.debt / capacityOf(state)) * capacity));
}

/** Time until the debt leaves room for one request, seen from `now` (which may lie before `paidAtMs`). */
function untilOneIsFreeMs(state: BucketState, now: EpochMs): number {
  const excess = state.debt + state.windowMs - capacityOf(state);
  return Math.ceil(excess / state.limit) + Math.max(0, state.paidAtMs - now);
}

/** The debt of an empty bucket. Exact up to 9 × 10^15: a million requests in one day are 8.64 × 10^13. */
function capacityOf(rate: Rate): number {
  const capacity = rate.limit * rate.windowMs;
  assert(
    Number.isSafeInteger(rate.limit) && rate.limit > 0 && Number.isSafeInteger(rate.windowMs) && rate.windowMs > 0,
    "a rate is two positive integers",
  );
  assert(Number.isSafeInteger(capacity), "limit × windowMs stays an exact integer");
  return capacity;
}
