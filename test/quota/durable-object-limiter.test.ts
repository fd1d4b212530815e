import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { durableObjectLimiter, leaseSize } from "../../src/quota/durable-object-limiter.ts";
import type { LeasePort, QuotaBuckets } from "../../src/quota/durable-object-limiter.ts";
import type { BucketState } from "../../src/quota/gcra.ts";
import { leaseFrom } from "../../src/quota/lease.ts";
import type { Lease } from "../../src/quota/lease.ts";
import { LEASE_LIFETIME_MS } from "../../src/quota/lease-pouch.ts";
import type { QuotaOutcome, QuotaRule } from "../../src/quota/port.ts";
import { tally } from "./contract.ts";

const START = Date.UTC(2026, 10, 20);
const MINUTE_MS = 60_000;
const rule = (limit: number): QuotaRule => ({ class: "write", limit, windowMs: MINUTE_MS });

/** One tenant's bucket in memory, with a clock of its own and calls that the test answers when it likes. */
class Bucket implements QuotaBuckets {
  now = START;
  calls: number[] = [];
  /** What becomes of the next answers after the bucket has granted; beyond the list they arrive. */
  fates: ("arrives" | "lost" | "hangs")[] = [];
  #state: BucketState | null = null;

  getByName(): LeasePort {
    return { lease: (asked, want) => this.#lease(asked, want) };
  }

  async #lease(asked: QuotaRule, want: number): Promise<Lease> {
    this.calls.push(want);
    const { state, ...lease } = leaseFrom(this.#state, asked, want, this.now);
    this.#state = state;
    const fate = this.fates.shift() ?? "arrives";
    if (fate === "lost") throw new Error("network connection lost");
    if (fate === "hangs") return await new Promise(() => undefined);
    return lease;
  }
}

const ignore = (): void => undefined;

describe("leaseSize", () => {
  it.each([
    [1, 1],
    [199, 1],
    [200, 2],
    [600, 6],
    [6_000, 50],
    [1_000_000, 50],
  ])("of a limit of %d is %d", (limit, size) => {
    expect(leaseSize(limit)).toBe(size);
  });
});

describe("a lease on hand", () => {
  it("serves without asking the bucket", async () => {
    const bucket = new Bucket();
    const limiter = durableObjectLimiter(bucket);
    await limiter.take("acme", rule(6_000), START, ignore);
    // From here on no answer ever arrives: whatever is granted did not wait for the bucket.
    bucket.fates = Array.from({ length: 100 }, () => "hangs");
    const outcomes: QuotaOutcome[] = [];
    for (let used = 1; used < 50; used++) outcomes.push(await limiter.take("acme", rule(6_000), START, ignore));
    expect(tally(outcomes)).toEqual({ granted: 49, limited: 0, unavailable: 0 });
  });

  it("is renewed in the background once half of it is used, so that a steady stream waits once", async () => {
    const bucket = new Bucket();
    const limiter = durableObjectLimiter(bucket);
    let waited = 0;
    for (let count = 0; count < 1_000; count++) {
      bucket.now = START + count * 20;
      const callsBefore = bucket.calls.length;
      let renewal: Promise<unknown> | undefined;
      const outcome = await limiter.take("acme", rule(6_000), bucket.now, (work) => {
        renewal = work;
      });
      expect(outcome.kind).toBe("granted");
      if (bucket.calls.length > callsBefore && renewal === undefined) waited += 1;
      await renewal;
    }
    expect(waited).toBe(1);
    // 50 requests per lease: the hop costs a fiftieth.
    expect(bucket.calls.length).toBeLessThanOrEqual(1_000 / 50 + 2);
  });

  it.each([
    { how: "grew old", laterMs: LEASE_LIFETIME_MS },
    { how: "began in the future, because the clock stepped back", laterMs: -1 },
  ])("is not spent when it $how", async ({ laterMs }) => {
    const bucket = new Bucket();
    const limiter = durableObjectLimiter(bucket);
    await limiter.take("acme", rule(600), START, ignore);
    await limiter.take("acme", rule(600), START + laterMs, ignore);
    expect(bucket.calls).toEqual([6, 6]);
  });

  it("of one rate says nothing under another: a changed policy asks the bucket", async () => {
    const bucket = new Bucket();
    const limiter = durableObjectLimiter(bucket);
    await limiter.take("acme", rule(600), START, ignore);
    await limiter.take("acme", rule(601), START, ignore);
    expect(bucket.calls).toHaveLength(2);
  });
});

describe("requests that find nothing on hand", () => {
  it("each make a call of their own, so that none waits on another's promise", async () => {
    const bucket = new Bucket();
    bucket.fates = ["hangs"];
    const limiter = durableObjectLimiter(bucket, 60_000);
    void limiter.take("acme", rule(600), START, ignore);
    expect(await limiter.take("acme", rule(600), START, ignore)).toMatchObject({ kind: "granted" });
    expect(bucket.calls).toEqual([6, 1]);
  });

  it("lease ahead again after a call died silently", async () => {
    const bucket = new Bucket();
    bucket.fates = ["hangs"];
    const limiter = durableObjectLimiter(bucket, 1_000);
    void limiter.take("acme", rule(600), START, ignore);
    await limiter.take("acme", rule(600), START + 1_000, ignore);
    expect(bucket.calls).toEqual([6, 6]);
  });
});

describe("an empty bucket", () => {
  it("is not asked again before it can have a token: a flood of refusals costs no hops", async () => {
    const bucket = new Bucket();
    const limiter = durableObjectLimiter(bucket);
    for (let count = 0; count < 10; count++) await limiter.take("acme", rule(10), START, ignore);
    const waits: number[] = [];
    for (let laterMs = 0; laterMs < 6_000; laterMs += 100) {
      bucket.now = START + laterMs;
      const outcome = await limiter.take("acme", rule(10), bucket.now, ignore);
      if (outcome.kind === "limited") waits.push(outcome.retryAfterMs);
    }
    expect(bucket.calls).toHaveLength(11);
    expect(waits).toEqual(Array.from({ length: 60 }, (_, index) => 6_000 - index * 100));
    bucket.now = START + 6_000;
    expect(await limiter.take("acme", rule(10), bucket.now, ignore)).toMatchObject({ kind: "granted" });
  });

  it("is asked at once when the clock steps back: an old note must not lock anybody out", async () => {
    const bucket = new Bucket();
    const limiter = durableObjectLimiter(bucket);
    for (let count = 0; count < 11; count++) await limiter.take("acme", rule(10), START, ignore);
    await limiter.take("acme", rule(10), START - 3_600_000, ignore);
    expect(bucket.calls).toHaveLength(12);
  });
});

describe("the bound over all isolates", () => {
  it("holds for every span, whatever is delayed, lost or left to expire", async () => {
    const step = fc.record({
      isolate: fc.nat({ max: 4 }),
      stepMs: fc.integer({ min: 0, max: 1_500 }),
      count: fc.integer({ min: 1, max: 30 }),
      fate: fc.constantFrom("arrives" as const, "lost" as const),
    });
    const demand = fc.array(step, { minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 2_000 }), demand, async (limit, steps) => {
        const bucket = new Bucket();
        const isolates = Array.from({ length: 5 }, () => durableObjectLimiter(bucket));
        const granted: { atMs: number; count: number }[] = [];
        for (const { isolate, stepMs, count, fate } of steps) {
          bucket.now += stepMs;
          bucket.fates = [fate];
          const limiter = isolates[isolate];
          if (limiter === undefined) throw new Error("no such isolate");
          const background: Promise<unknown>[] = [];
          const takes = Array.from({ length: count }, () =>
            limiter.take("acme", rule(limit), bucket.now, (work) => void background.push(work)),
          );
          granted.push({ atMs: bucket.now, count: tally(await Promise.all(takes)).granted });
          await Promise.all(background);
        }
        for (const [from, first] of granted.entries()) {
          let total = 0;
          for (const later of granted.slice(from)) {
            total += later.count;
            const spanMs = later.atMs - first.atMs + LEASE_LIFETIME_MS;
            expect(total).toBeLessThanOrEqual(limit + Math.floor((spanMs * limit) / MINUTE_MS));
          }
        }
      }),
    );
  });

  it("does not refuse slow traffic over many isolates below the limit", async () => {
    const bucket = new Bucket();
    const isolates = Array.from({ length: 20 }, () => durableObjectLimiter(bucket));
    const outcomes: QuotaOutcome[] = [];
    // 20 isolates × one request each 3 s = 400 per minute, two thirds of the limit, for ten minutes.
    for (let elapsedMs = 0; elapsedMs < 600_000; elapsedMs += 3_000) {
      bucket.now = START + elapsedMs;
      for (const limiter of isolates) outcomes.push(await limiter.take("acme", rule(600), bucket.now, ignore));
    }
    expect(tally(outcomes)).toEqual({ granted: 4_000, limited: 0, unavailable: 0 });
  });
});
