import { afterEach, describe, expect, it } from "vitest";
import type { QuotaClass, QuotaLimiter, QuotaOutcome, QuotaRule } from "../../src/quota/port.ts";

/** What an adapter has to offer to be held to the contract. */
export type QuotaHarness = {
  /** A limiter as a fresh isolate would create it. All share one store. */
  readonly isolate: () => QuotaLimiter;
  /** Holds `check` to be true once `ms` have passed: by moving the clock, or by polling where time is real. */
  readonly after: (ms: number, check: () => Promise<void>) => Promise<void>;
};

/** Ways in which the adapter's store fails, each as a limiter that meets it. */
export type Troubles = Readonly<Record<string, () => QuotaLimiter | Promise<QuotaLimiter>>>;

const HOUR_MS = 3_600_000;

/** What every limiter must do, whatever stores its buckets. `harness` is called inside each test. */
export function quotaContract(name: string, harness: () => QuotaHarness, troubles: Troubles): void {
  describe(`${name}: the quota contract`, () => {
    const pending: Promise<unknown>[] = [];
    const background = (work: Promise<unknown>): void => void pending.push(work);
    const take = (limiter: QuotaLimiter, tenant: string, rule: QuotaRule): Promise<QuotaOutcome> =>
      limiter.take(tenant, rule, Date.now(), background);
    const takeMany = (limiter: QuotaLimiter, tenant: string, rule: QuotaRule, count: number): Promise<QuotaOutcome[]> =>
      Promise.all(Array.from({ length: count }, () => take(limiter, tenant, rule)));

    afterEach(async () => {
      // Nothing that an adapter hands to the background may reject: nobody is there to catch it.
      const settled = await Promise.allSettled(pending.splice(0));
      expect(settled.filter((work) => work.status === "rejected")).toEqual([]);
    });

    it.each([{ limit: 1 }, { limit: 50 }, { limit: 199 }, { limit: 400 }])(
      "grants exactly the limit under parallel takes from one isolate: $limit",
      async ({ limit }) => {
        const limiter = harness().isolate();
        const outcomes = await takeMany(limiter, freshTenant(), hourly(limit), limit + 200);
        expect(tally(outcomes)).toEqual({ granted: limit, limited: 200, unavailable: 0 });
      },
    );

    it("grants no more than the limit, and hardly less, when four isolates race for it", async () => {
      const tenant = freshTenant();
      const isolates = Array.from({ length: 4 }, () => harness().isolate());
      const outcomes = await Promise.all(isolates.map((limiter) => takeMany(limiter, tenant, hourly(400), 200)));
      const { granted, unavailable } = tally(outcomes.flat());
      expect(unavailable).toBe(0);
      expect(granted).toBeLessThanOrEqual(400);
      expect(granted).toBeGreaterThanOrEqual(360);
    });

    it("keeps tenants and classes apart", async () => {
      const limiter = harness().isolate();
      const [drained, other] = [freshTenant(), freshTenant()];
      await takeMany(limiter, drained, hourly(3, "write"), 3);
      expect(await take(limiter, drained, hourly(3, "write"))).toMatchObject({ kind: "limited" });
      expect(await take(limiter, drained, hourly(3, "read"))).toMatchObject({ kind: "granted" });
      expect(await take(limiter, other, hourly(3, "write"))).toMatchObject({ kind: "granted" });
    });

    it("TEN-03: no tenant id reaches another tenant's bucket through delimiters", async () => {
      const limiter = harness().isolate();
      const tenant = freshTenant();
      const lookAlikes = ["", ":read", ":write", ":", ":read:read", ":write:read"].flatMap((tail) => [
        `${tenant}${tail}`,
        `${tenant.length}:${tenant}${tail}`,
      ]);
      for (const lookAlike of lookAlikes) {
        for (const quotaClass of ["read", "write"] as const) {
          const outcomes = await takeMany(limiter, lookAlike, hourly(2, quotaClass), 3);
          expect({ lookAlike, quotaClass, ...tally(outcomes) }).toMatchObject({ lookAlike, granted: 2, limited: 1 });
        }
      }
    });

    it("BUD-13: a fresh isolate does not bring a fresh limit", async () => {
      const tenant = freshTenant();
      await takeMany(harness().isolate(), tenant, hourly(5), 5);
      expect(await take(harness().isolate(), tenant, hourly(5))).toMatchObject({ kind: "limited" });
    });

    it("says how long to wait, and a request passes after that", async () => {
      const { isolate, after } = harness();
      const [limiter, tenant] = [isolate(), freshTenant()];
      const rule: QuotaRule = { class: "write", limit: 4, windowMs: 2_000 };
      const refused = (await takeMany(limiter, tenant, rule, 5)).find((outcome) => outcome.kind === "limited");
      if (refused?.kind !== "limited") throw new Error("the fifth request should have been limited");
      expect(refused.retryAfterMs).toBeGreaterThanOrEqual(1);
      expect(refused.retryAfterMs).toBeLessThanOrEqual(rule.windowMs);
      expect(Number.isInteger(refused.retryAfterMs)).toBe(true);
      await after(refused.retryAfterMs, async () => {
        expect(await take(limiter, tenant, rule)).toMatchObject({ kind: "granted" });
      });
    });

    it("BUD-14: gives tokens back evenly, not all at a window's edge", async () => {
      const { isolate, after } = harness();
      const tenant = freshTenant();
      const rule: QuotaRule = { class: "write", limit: 4, windowMs: 2_000 };
      await takeMany(isolate(), tenant, rule, 4);
      await after(rule.windowMs / rule.limit, async () => {
        const outcomes = await takeMany(isolate(), tenant, rule, 4);
        const { granted } = tally(outcomes);
        expect(granted).toBeGreaterThanOrEqual(1);
        expect(granted).toBeLessThan(4);
      });
    });

    it("reports what remains: whole, falling, below the limit", async () => {
      const limiter = harness().isolate();
      const [tenant, rule] = [freshTenant(), hourly(3)];
      for (const remaining of [2, 1, 0]) {
        const outcome = await take(limiter, tenant, rule);
        expect(outcome).toMatchObject({ kind: "granted", limit: 3, remaining, degraded: false });
        if (outcome.kind === "granted") expect(outcome.resetMs).toBeLessThanOrEqual(HOUR_MS);
      }
    });

    it.each(Object.entries(troubles))("CF1: grants nothing when the store is in trouble: %s", async (_, inTrouble) => {
      const limiter = await inTrouble();
      const outcomes = await takeMany(limiter, freshTenant(), hourly(100), 5);
      expect(tally(outcomes)).toEqual({ granted: 0, limited: 0, unavailable: 5 });
      for (const outcome of outcomes) if (outcome.kind === "unavailable") expect(outcome.cause).not.toBe("");
    });
  });
}

let tenants = 0;
const freshTenant = (): string => `tenant-${++tenants}-${crypto.randomUUID().slice(0, 8)}`;

const hourly = (limit: number, quotaClass: QuotaClass = "write"): QuotaRule => ({
  class: quotaClass,
  limit,
  windowMs: HOUR_MS,
});

/** How many outcomes there are of each kind. */
export function tally(outcomes: readonly QuotaOutcome[]): { granted: number; limited: number; unavailable: number } {
  const counts = { granted: 0, limited: 0, unavailable: 0 };
  for (const outcome of outcomes) counts[outcome.kind] += 1;
  return counts;
}
