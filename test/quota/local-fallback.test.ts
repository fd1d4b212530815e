import { describe, expect, it } from "vitest";
import { withLocalFallback } from "../../src/quota/local-fallback.ts";
import type { QuotaClass, QuotaLimiter, QuotaOutcome, QuotaRule } from "../../src/quota/port.ts";
import { tally } from "./contract.ts";

const START = Date.UTC(2026, 10, 20);
const rule = (quotaClass: QuotaClass, limit = 100): QuotaRule => ({ class: quotaClass, limit, windowMs: 60_000 });
const ignore = (): void => undefined;

/** A limiter that answers what the test says and counts how often it is asked. */
class Scripted implements QuotaLimiter {
  asked = 0;
  answer: QuotaOutcome;
  constructor(answer: QuotaOutcome) {
    this.answer = answer;
  }
  take = async (): Promise<QuotaOutcome> => {
    this.asked += 1;
    return this.answer;
  };
}

const down: QuotaOutcome = { kind: "unavailable", cause: "down" };
const granted: QuotaOutcome = { kind: "granted", limit: 100, remaining: 9, resetMs: 1, degraded: false };
const limited: QuotaOutcome = { kind: "limited", limit: 100, retryAfterMs: 5, degraded: false };

const takeMany = async (
  limiter: QuotaLimiter,
  asked: QuotaRule,
  count: number,
  now = START,
): Promise<QuotaOutcome[]> => {
  const outcomes: QuotaOutcome[] = [];
  for (let index = 0; index < count; index++) outcomes.push(await limiter.take("acme", asked, now, ignore));
  return outcomes;
};

describe("CF1: while the limiter is unavailable", () => {
  it("no write passes", async () => {
    const outcomes = await takeMany(withLocalFallback(new Scripted(down)), rule("write"), 20);
    expect(tally(outcomes)).toEqual({ granted: 0, limited: 0, unavailable: 20 });
  });

  it("reads pass up to a tenth of the limit, flagged as degraded", async () => {
    const outcomes = await takeMany(withLocalFallback(new Scripted(down)), rule("read"), 30);
    expect(tally(outcomes)).toEqual({ granted: 10, limited: 20, unavailable: 0 });
    for (const outcome of outcomes) expect(outcome).toMatchObject({ degraded: true, limit: 10 });
  });

  it.each([1, 5, 9, 10, 19])("a limit of %d still lets a single read pass", async (limit) => {
    expect(tally(await takeMany(withLocalFallback(new Scripted(down)), rule("read", limit), 5)).granted).toBe(1);
  });

  it("one tenant's reads do not use up another's", async () => {
    const limiter = withLocalFallback(new Scripted(down));
    await takeMany(limiter, rule("read"), 30);
    expect(await limiter.take("other", rule("read"), START, ignore)).toMatchObject({ kind: "granted" });
  });

  it("a hanging limiter delays one read per second, not each", async () => {
    const limiter = new Scripted(down);
    const reads = withLocalFallback(limiter);
    await takeMany(reads, rule("read"), 30, START);
    await takeMany(reads, rule("read"), 30, START + 999);
    expect(limiter.asked).toBe(1);
    await takeMany(reads, rule("read"), 1, START + 1_000);
    expect(limiter.asked).toBe(2);
  });

  it("reads do not make a write skip the limiter", async () => {
    const limiter = new Scripted(down);
    const both = withLocalFallback(limiter);
    await takeMany(both, rule("read"), 1);
    limiter.answer = granted;
    expect(await both.take("acme", rule("write"), START, ignore)).toEqual(granted);
  });
});

describe("the limiter's own answer", () => {
  it.each([
    { answer: granted, quotaClass: "read" as const },
    { answer: granted, quotaClass: "write" as const },
    { answer: limited, quotaClass: "read" as const },
    { answer: limited, quotaClass: "write" as const },
  ])("is passed on as it is: $answer.kind $quotaClass", async ({ answer, quotaClass }) => {
    const outcomes = await takeMany(withLocalFallback(new Scripted(answer)), rule(quotaClass), 3);
    expect(outcomes).toEqual([answer, answer, answer]);
  });

  it("counts again as soon as the limiter is back", async () => {
    const limiter = new Scripted(down);
    const reads = withLocalFallback(limiter);
    await takeMany(reads, rule("read"), 1);
    limiter.answer = granted;
    expect(await takeMany(reads, rule("read"), 2, START + 1_000)).toEqual([granted, granted]);
  });

  it("is asked at once when the clock steps back", async () => {
    const limiter = new Scripted(down);
    const reads = withLocalFallback(limiter);
    await takeMany(reads, rule("read"), 1);
    await takeMany(reads, rule("read"), 1, START - 1);
    expect(limiter.asked).toBe(2);
  });
});
