import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { take } from "../../src/quota/gcra.ts";
import type { BucketState, Rate } from "../../src/quota/gcra.ts";
import { leaseFrom } from "../../src/quota/lease.ts";

const START = Date.UTC(2026, 10, 20);

/** Half of them small enough that the demand below drains them. */
const rates = fc.oneof(
  fc.record({ limit: fc.integer({ min: 1, max: 200 }), windowMs: fc.integer({ min: 1_000, max: 60_000 }) }),
  fc.record({ limit: fc.integer({ min: 1, max: 100_000 }), windowMs: fc.integer({ min: 1, max: 86_400_000 }) }),
);
/** Steps of time and demand; the clock may step back. */
const steps = fc.array(
  fc.record({ stepMs: fc.integer({ min: -5_000, max: 20_000 }), count: fc.integer({ min: 0, max: 500 }) }),
  { minLength: 1, maxLength: 60 },
);

describe("take", () => {
  it("grants at most limit + floor(span × limit / window) over every span, even when the clock steps back", () => {
    fc.assert(
      fc.property(rates, steps, (rate, demand) => {
        let state: BucketState | null = null;
        let now = START;
        let furthestMs = Number.NEGATIVE_INFINITY;
        const granted: { atMs: number; count: number }[] = [];
        for (const { stepMs, count } of demand) {
          now += stepMs;
          // Time that was already paid for does not count twice, so spans are measured on the furthest time seen.
          furthestMs = Math.max(furthestMs, now);
          const taken = take(state, rate, count, now);
          state = taken.state;
          granted.push({ atMs: furthestMs, count: taken.granted });
        }
        for (const [from, first] of granted.entries()) {
          let total = 0n;
          for (const later of granted.slice(from)) {
            total += BigInt(later.count);
            const spanMs = BigInt(later.atMs - first.atMs);
            expect(total <= BigInt(rate.limit) + (spanMs * BigInt(rate.limit)) / BigInt(rate.windowMs)).toBe(true);
          }
        }
      }),
    );
  });

  it("loses nothing to rounding: a bucket asked every millisecond grants exactly its rate", () => {
    const rate: Rate = { limit: 7, windowMs: 1_000 };
    let state = take(null, rate, 7, START).state;
    let granted = 0;
    for (let elapsedMs = 1; elapsedMs <= 60_000; elapsedMs++) {
      const taken = take(state, rate, 1, START + elapsedMs);
      state = taken.state;
      granted += taken.granted;
    }
    expect(granted).toBe(420);
  });

  it("states the exact wait: refused one millisecond before, granted then", () => {
    fc.assert(
      fc.property(rates, fc.integer({ min: 0, max: 10_000 }), (rate, laterMs) => {
        const drained = take(null, rate, rate.limit, START).state;
        const refused = take(drained, rate, rate.limit + 1, START + laterMs);
        if (refused.granted > 0) return;
        const at = START + laterMs + refused.retryAfterMs;
        expect(take(drained, rate, 1, at - 1).granted).toBe(0);
        expect(take(drained, rate, 1, at).granted).toBe(1);
      }),
    );
  });

  it("stays in exact integers between empty and full", () => {
    fc.assert(
      fc.property(rates, steps, (rate, demand) => {
        let state: BucketState | null = null;
        let now = START;
        for (const { stepMs, count } of demand) {
          now += stepMs;
          const taken = take(state, rate, count, now);
          state = taken.state;
          for (const whole of [state.debt, state.paidAtMs, taken.remaining, taken.resetMs, taken.retryAfterMs]) {
            expect(Number.isSafeInteger(whole) && whole >= 0).toBe(true);
          }
          expect(state.debt).toBeLessThanOrEqual(rate.limit * rate.windowMs);
          expect(taken.remaining).toBeLessThanOrEqual(rate.limit);
          expect(taken.resetMs).toBeLessThanOrEqual(rate.windowMs);
        }
      }),
    );
  });

  it.each([
    { change: "raising the limit keeps a drained bucket drained", from: 600, to: 6_000, free: 0 },
    { change: "lowering the limit keeps a drained bucket drained", from: 6_000, to: 600, free: 0 },
    { change: "the same limit changes nothing", from: 600, to: 600, free: 0 },
  ])("$change", ({ from, to, free }) => {
    const drained = take(null, { limit: from, windowMs: 60_000 }, from, START).state;
    expect(take(drained, { limit: to, windowMs: 60_000 }, to, START).granted).toBe(free);
  });

  it("mints nothing when a policy is flipped to and fro", () => {
    const limits = fc.array(fc.integer({ min: 1, max: 10_000 }), { minLength: 1, maxLength: 20 });
    fc.assert(
      fc.property(limits, (flips) => {
        const original: Rate = { limit: 600, windowMs: 60_000 };
        let state = take(null, original, 600, START).state;
        for (const limit of flips) state = take(state, { limit, windowMs: 60_000 }, 0, START).state;
        expect(take(state, original, 600, START).granted).toBe(0);
      }),
    );
  });

  it.each([
    { limit: 0, windowMs: 1_000 },
    { limit: 1.5, windowMs: 1_000 },
    { limit: -1, windowMs: 1_000 },
    { limit: 1, windowMs: 0 },
    { limit: NaN, windowMs: 1_000 },
    { limit: Number.MAX_SAFE_INTEGER, windowMs: 1_000 },
  ])("stops on a rate that is no rate: $limit per $windowMs ms", (rate) => {
    expect(() => take(null, rate, 1, START)).toThrow("invariant");
  });

  it.each([-1, 0.5, NaN])("stops on a count that is no count: %d", (count) => {
    expect(() => take(null, { limit: 5, windowMs: 1_000 }, count, START)).toThrow("invariant");
  });
});

describe("leaseFrom", () => {
  it("grants what is asked from the upper half, singles below, nothing when empty", () => {
    fc.assert(
      fc.property(rates, fc.nat({ max: 100_000 }), fc.integer({ min: 1, max: 50 }), (rate, used, want) => {
        const before = take(null, rate, used, START);
        const lease = leaseFrom(before.state, rate, want, START);
        expect(lease.granted).toBeLessThanOrEqual(want);
        expect(lease.granted > 0).toBe(before.remaining > 0);
        if (lease.granted > 1) expect(lease.remaining).toBeGreaterThanOrEqual(rate.limit / 2);
        expect(lease.remaining).toBe(before.remaining - lease.granted);
      }),
    );
  });
});
