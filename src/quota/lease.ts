import type { EpochMs } from "../vocabulary.ts";
import { take } from "./gcra.ts";
import type { BucketState, Rate, Taken } from "./gcra.ts";

/** The bucket's answer, a plain object so that it crosses RPC. `retryAfterMs` is 0 unless nothing was granted. */
export type Lease = {
  readonly granted: number;
  readonly remaining: number;
  readonly retryAfterMs: number;
  readonly resetMs: number;
};

/**
 * Takes up to `want` ≥ 1 requests, but those beyond the first from the upper half of the bucket only. What is leased
 * ahead may expire unused. While the bucket is more than half full that costs nobody anything; below, each request pays
 * for itself alone, so slow traffic over many isolates is not refused under its limit.
 *
 * Taking unused leases back instead would be unsound: the bucket may have refilled to the brim meanwhile, and the same
 * tokens would be there twice.
 */
export function leaseFrom(state: BucketState | null, rate: Rate, want: number, now: EpochMs): Taken {
  const free = take(state, rate, 0, now).remaining;
  const leasable = Math.max(1, free - Math.ceil(rate.limit / 2));
  return take(state, rate, Math.min(want, leasable), now);
}

/** Whether an answer that came over RPC is a lease: whole numbers, and a refusal says how long it lasts. */
export function isLease(answer: unknown): answer is Lease {
  return (
    typeof answer === "object" &&
    answer !== null &&
    "granted" in answer &&
    "remaining" in answer &&
    "retryAfterMs" in answer &&
    "resetMs" in answer &&
    isCount(answer.granted) &&
    isCount(answer.remaining) &&
    isCount(answer.retryAfterMs) &&
    isCount(answer.resetMs) &&
    (answer.granted > 0 || answer.retryAfterMs > 0)
  );
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
