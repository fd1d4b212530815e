import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { checkInvariants } from "./check-invariants.ts";
import { BUDGET, ended, hold, MINUTE, newTenant, START, USD, verdict, windows, write } from "./fixture.ts";
import { HOUR, resized, run, spend } from "./money-fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** A change of `resource` that makes it cost `resultUsd` as a whole; the control plane says it costs `currentUsd` now. */
const change = (resource: string, resultUsd: number, currentUsd: number): ReturnType<typeof write> =>
  spend(0, { resource, cost: resized(resultUsd * USD, currentUsd * USD) });

/** What a change holds, in USD; it is then answered with `outcome`, if any. */
async function make(
  ledger: LedgerPort,
  request: ReturnType<typeof write>,
  outcome: "succeeded" | "failed" | "unknown" | null = "succeeded",
): Promise<number> {
  expect(verdict(await ledger.admit(request))).toBe("admitted");
  const held = (await ledger.operation(request.requestId))?.reservation?.ceilingMicros ?? Number.NaN;
  if (outcome !== null) await ledger.conclude(ended(request.requestId, outcome));
  return held / USD;
}

/** What the day holds now, in USD. */
const heldUsd = async (ledger: LedgerPort): Promise<number> => (await ledger.budgetReport(BUDGET, [])).daily.held_usd;

describe("a change of something that runs", () => {
  it.each([
    ["grows: what it will cost less what is committed", 40, 30, 30, 10],
    ["grows beyond a larger looked-up cost", 40, 30, 35, 5],
    ["stays as it is", 40, 40, 40, 0],
    ["shrinks", 20, 30, 30, 0],
    ["shrinks below a larger looked-up cost", 32, 30, 35, 0],
  ])("%s", async (_, result, committed, current, held) => {
    const { tenant, ledger } = await newTenant();
    await run(ledger, committed * USD, "job-1");
    expect(await make(ledger, change("job-1", result, current), null)).toBe(held);
    expect(await heldUsd(ledger)).toBe(committed + held);
    await checkInvariants(tenant, CAPS);
  });

  it("without a record here counts whole, whatever the control plane says that it costs", async () => {
    const { ledger } = await newTenant();
    await run(ledger, 10 * USD, "job-1");
    expect(await make(ledger, change("job-2", 40, 39), null)).toBe(40);
  });

  it("that nobody sized against what runs counts whole", async () => {
    const { ledger } = await newTenant();
    await run(ledger, 10 * USD, "job-1");
    expect(await make(ledger, spend(40 * USD, { resource: "job-1" }), null)).toBe(40);
  });

  it("counts all that was committed to it, however many changes that were", async () => {
    const { ledger } = await newTenant();
    await run(ledger, 10 * USD, "job-1");
    expect(await make(ledger, change("job-1", 25, 10))).toBe(15);
    expect(await make(ledger, change("job-1", 40, 10))).toBe(15);
    expect(await heldUsd(ledger)).toBe(40);
  });

  it("is one at a time", async () => {
    const { ledger } = await newTenant();
    await run(ledger, 10 * USD, "job-1");
    await make(ledger, change("job-1", 20, 10), "unknown");
    expect(verdict(await ledger.admit(change("job-1", 30, 10)))).toBe("resource-busy");
  });

  it("that no cap has room for is refused with what it would add", async () => {
    const { tenant, ledger } = await newTenant();
    await run(ledger, 60 * USD, "job-1");
    expect(await ledger.admit(change("job-1", 101, 60))).toMatchObject({
      refusal: { windows: [{ period: "daily", requested_micros: 41 * USD, short_micros: 1 * USD }] },
    });
    expect(verdict(await ledger.admit(change("job-1", 100, 60)))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it("is planned as it would be admitted", async () => {
    const { ledger } = await newTenant();
    await run(ledger, 60 * USD, "job-1");
    expect(await ledger.plan(change("job-1", 90, 60), false)).toMatchObject({
      addsMicros: 30 * USD,
      after: { daily: { held_micros: 90 * USD } },
    });
  });
});

describe("what a smaller size saves", () => {
  it.each([
    ["dispatched", null],
    ["of unknown outcome", "unknown"],
    ["refused", "failed"],
  ] as const)("is not given back while the change is %s", async (_, outcome) => {
    const { ledger } = await newTenant();
    await run(ledger, 100 * USD, "job-1");
    await make(ledger, change("job-1", 10, 100), outcome);
    expect(await heldUsd(ledger)).toBe(100);
  });

  it.each([
    ["at once", 0, 20, 20],
    ["after a tenth of the time: that much was used", HOUR, 20, 30],
    ["half-way: half was used, and all that the new size costs is kept", 5 * HOUR, 20, 70],
    ["too late to save anything", 9 * HOUR, 20, 100],
  ])("is given back %s", async (_, after, result, left) => {
    const { tenant, ledger } = await newTenant();
    const id = await run(ledger, 100 * USD, "job-1");
    vi.setSystemTime(START + after);
    await make(ledger, change("job-1", result, 100));
    expect(await hold(tenant, id)).toBe(`committed ${left * USD}`);
    expect(await windows(tenant)).toEqual({ "2031-11-20": [left * USD, 0], "2031-11": [left * USD, 0] });
    await checkInvariants(tenant, CAPS);
  });

  it("is given back once: making the same thing small again and again saves nothing more", async () => {
    const { tenant, ledger } = await newTenant();
    await run(ledger, 100 * USD, "job-1");
    vi.setSystemTime(START + 5 * HOUR);
    for (let n = 0; n < 5; n++) await make(ledger, change("job-1", 10, 10));
    expect(await heldUsd(ledger)).toBe(60);
    await checkInvariants(tenant, CAPS);
  });

  it("comes from the newest commitments first, and from none below what it has cost", async () => {
    const { tenant, ledger } = await newTenant();
    const first = await run(ledger, 40 * USD, "job-1");
    vi.setSystemTime(START + HOUR);
    const growth = change("job-1", 90, 40);
    await make(ledger, growth);
    vi.setSystemTime(START + 2 * HOUR);
    await make(ledger, change("job-1", 10, 90));
    // Used: 8 of 40 in two hours and 5 of 50 in one; 10 more are kept, the other 67 return.
    expect([await hold(tenant, growth.requestId), await hold(tenant, first)]).toEqual([
      `committed ${5 * USD}`,
      `committed ${18 * USD}`,
    ]);
    await checkInvariants(tenant, CAPS);
  });

  it("stays in the window that it came from", async () => {
    const { tenant, ledger } = await newTenant();
    await run(ledger, 100 * USD, "job-1", 100 * HOUR);
    vi.setSystemTime(START + 20 * HOUR);
    await make(ledger, change("job-1", 10, 100));
    expect(await windows(tenant)).toEqual({ "2031-11-20": [30 * USD, 0], "2031-11": [30 * USD, 0] });
    expect((await ledger.budgetReport(BUDGET, [])).daily).toMatchObject({ window: "2031-11-21", held_micros: 0 });
  });
});

describe("small and large in turn", () => {
  it("costs what the large times cost: growing again finds what they used up", async () => {
    const { tenant, ledger } = await newTenant();
    await run(ledger, 60 * USD, "job-1");
    vi.setSystemTime(START + 5 * HOUR);
    await make(ledger, change("job-1", 2, 60));
    expect(await heldUsd(ledger)).toBe(32);
    // 30 were used in five hours at 6 an hour; five more at 3 an hour are 15, of which 2 are committed.
    expect(await make(ledger, change("job-1", 30, 2))).toBe(13);
    expect(await heldUsd(ledger)).toBe(45);
    await checkInvariants(tenant, CAPS);
  });

  it("ends at no less than both sizes cost", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await run(ledger, 100 * USD, "job-1");
    vi.setSystemTime(START + HOUR);
    await make(ledger, change("job-1", 20, 100));
    vi.setSystemTime(START + 2 * HOUR + 30 * MINUTE);
    await ledger.settleByStatus({ requestId: id, verdict: "ended", actualMicros: null, ranMs: null });
    // 10 in the first hour; a sixth of the 20 that were kept for the nine hours after it.
    expect(await hold(tenant, id)).toBe(`settled ${30 * USD}/${Math.ceil(10 * USD + (20 * USD) / 6)}`);
    await checkInvariants(tenant, CAPS);
  });
});
