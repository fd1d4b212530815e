import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { Env } from "../../src/env.ts";
import { durableObjectLimiter, quotaBuckets } from "../../src/quota/durable-object-limiter.ts";
import type { QuotaBuckets } from "../../src/quota/durable-object-limiter.ts";
import { isLease } from "../../src/quota/lease.ts";
import type { QuotaRule } from "../../src/quota/port.ts";
import { QuotaBucket } from "../../src/quota/quota-bucket.do.ts";
import { quotaContract } from "./contract.ts";

// What wrangler.toml binds; the test runner leaves it untyped.
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const { QUOTA } = env as unknown as Env;
const quota = quotaBuckets(QUOTA);

const START = Date.UTC(2026, 10, 20, 12);
const RULE: QuotaRule = { class: "write", limit: 10, windowMs: 60_000 };

const answering = (lease: () => Promise<unknown>): QuotaBuckets => ({ getByName: () => ({ lease }) });
const saying = (answer: unknown): QuotaBuckets => answering(async () => answer);

/** Takes until nothing is left; how many that were. */
async function drain(tenant: string): Promise<number> {
  for (let granted = 0; ;) {
    const lease = await quota.getByName(tenant).lease(RULE, 1_000);
    if (!isLease(lease)) throw new Error("the bucket answered something that is not a lease");
    if (lease.granted === 0) return granted;
    granted += lease.granted;
  }
}

/** Rows that one lease call writes, by SQLite's own count. */
async function rowsWritten(tenant: string): Promise<number> {
  return await runInDurableObject(QUOTA.getByName(tenant), async (instance, state) => {
    if (!(instance instanceof QuotaBucket)) throw new Error("the binding leads elsewhere");
    let rows = 0;
    const execute = state.storage.sql.exec.bind(state.storage.sql);
    const spy = vi.spyOn(state.storage.sql, "exec").mockImplementation((query: string, ...bindings: unknown[]) => {
      const cursor = execute(query, ...bindings);
      rows += cursor.rowsWritten;
      return cursor;
    });
    await instance.lease(RULE, 1);
    spy.mockRestore();
    return rows;
  });
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["Date"], now: START });
});

afterEach(() => {
  vi.useRealTimers();
});

quotaContract(
  "durable object",
  () => ({
    isolate: () => durableObjectLimiter(quota),
    after: async (ms, check) => {
      vi.setSystemTime(Date.now() + ms);
      await check();
    },
  }),
  {
    "the call throws": () => durableObjectLimiter(answering(async () => Promise.reject(new Error("network lost")))),
    "no stub can be had": () =>
      durableObjectLimiter({
        getByName: () => {
          throw new Error("no such namespace");
        },
      }),
    "no answer in time": () =>
      durableObjectLimiter(
        answering(() => new Promise(() => undefined)),
        20,
      ),
    "answers nothing": () => durableObjectLimiter(saying(undefined)),
    "answers a string": () => durableObjectLimiter(saying("granted")),
    "answers more than was asked for": () =>
      durableObjectLimiter(saying({ granted: 1e9, remaining: 1, retryAfterMs: 0, resetMs: 0 })),
    "answers a fraction": () =>
      durableObjectLimiter(saying({ granted: 0.5, remaining: 1, retryAfterMs: 0, resetMs: 0 })),
    "answers NaN": () => durableObjectLimiter(saying({ granted: NaN, remaining: 1, retryAfterMs: 0, resetMs: 0 })),
    "refuses without saying until when": () =>
      durableObjectLimiter(saying({ granted: 0, remaining: 0, retryAfterMs: 0, resetMs: 0 })),
  },
);

describe("QuotaBucket", () => {
  it("says to the millisecond when the next request passes", async () => {
    const bucket = quota.getByName("precise");
    expect(await drain("precise")).toBe(10);
    expect(await bucket.lease(RULE, 1)).toEqual({ granted: 0, remaining: 0, retryAfterMs: 6_000, resetMs: 60_000 });
    vi.setSystemTime(START + 5_999);
    expect(await bucket.lease(RULE, 1)).toMatchObject({ granted: 0, retryAfterMs: 1 });
    vi.setSystemTime(START + 6_000);
    expect(await bucket.lease(RULE, 1)).toMatchObject({ granted: 1, remaining: 0, retryAfterMs: 0 });
  });

  it("never holds more than one burst, however long it was idle", async () => {
    await drain("idle");
    vi.setSystemTime(START + 365 * 86_400_000);
    expect(await drain("idle")).toBe(10);
  });

  it("grants nothing more when the clock steps back and returns", async () => {
    await drain("backwards");
    vi.setSystemTime(START - 3_600_000);
    expect(await quota.getByName("backwards").lease(RULE, 1)).toMatchObject({ granted: 0, retryAfterMs: 3_606_000 });
    vi.setSystemTime(START);
    expect(await quota.getByName("backwards").lease(RULE, 1)).toMatchObject({ granted: 0, retryAfterMs: 6_000 });
  });

  it("remembers what it granted when it is evicted", async () => {
    await quota.getByName("evicted").lease(RULE, 4);
    await evictDurableObject(QUOTA.getByName("evicted"));
    expect(await drain("evicted")).toBe(6);
  });

  it("grants one burst and no more when its rows are lost", async () => {
    await drain("wiped");
    await runInDurableObject(QUOTA.getByName("wiped"), (_, state) => void state.storage.sql.exec("DELETE FROM bucket"));
    expect(await drain("wiped")).toBe(10);
    expect(await drain("wiped")).toBe(0);
  });

  it("leases ahead from its upper half only; below, each call gets one request", async () => {
    const bucket = quota.getByName("halves");
    expect(await bucket.lease(RULE, 3)).toMatchObject({ granted: 3 });
    expect(await bucket.lease(RULE, 3)).toMatchObject({ granted: 2 });
    expect(await bucket.lease(RULE, 3)).toMatchObject({ granted: 1, remaining: 4 });
  });

  it("writes one row per lease and none per refusal", async () => {
    expect(await rowsWritten("frugal")).toBe(1);
    await drain("frugal");
    expect(await rowsWritten("frugal")).toBe(0);
  });

  it("answers a broken rule with an error, which the limiter reports as unavailable", async () => {
    const broken: QuotaRule = { class: "write", limit: 0, windowMs: 60_000 };
    const outcome = await durableObjectLimiter(quota).take("broken", broken, Date.now(), () => undefined);
    expect(outcome).toMatchObject({ kind: "unavailable", cause: expect.stringContaining("two positive integers") });
  });
});

describe("leases over the real object", () => {
  it("keep the bound while five isolates race through moving time", async () => {
    const rule: QuotaRule = { class: "read", limit: 1_000, windowMs: 10_000 };
    const isolates = Array.from({ length: 5 }, () => durableObjectLimiter(quota));
    const background: Promise<unknown>[] = [];
    let granted = 0;
    for (let round = 0; round < 8; round++) {
      const outcomes = await Promise.all(
        isolates.flatMap((limiter) =>
          Array.from({ length: 200 }, () =>
            limiter.take("racing", rule, Date.now(), (work) => void background.push(work)),
          ),
        ),
      );
      granted += outcomes.filter((outcome) => outcome.kind === "granted").length;
      await Promise.all(background.splice(0));
      vi.setSystemTime(Date.now() + 250);
    }
    // 7 × 250 ms passed between the first and the last take: 1,000 at once and 100 per second after.
    expect(granted).toBeLessThanOrEqual(1_000 + 175);
    expect(granted).toBeGreaterThanOrEqual(1_000);
  });
});
