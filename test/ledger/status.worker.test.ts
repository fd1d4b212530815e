import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StatusFinding } from "../../src/ledger/money/finance-port.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  BUDGET,
  ended,
  hold,
  MINUTE,
  newTenant,
  priced,
  rowsOf,
  runAlarm,
  START,
  USD,
  verdict,
  windows,
} from "./fixture.ts";
import { alerts, BILLING, DAY, HOUR, journaled, report, reportOne, resized, run, spend } from "./money-fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const found = (ledger: LedgerPort, requestId: string, over: Partial<StatusFinding> = {}): Promise<void> =>
  ledger.settleByStatus({ requestId, verdict: "ended", actualMicros: null, ranMs: null, ...over });

/** When the status of an operation is to be read, after START; of one job kind. */
const planned = async (tenant: string, job: string, id: string): Promise<readonly number[]> =>
  (await rowsOf(tenant, "SELECT at FROM due WHERE job = ? AND ref = ? ORDER BY at", job, id)).map(
    (row) => Number(row["at"]) - START,
  );

describe("an end that the control plane reports", () => {
  it("returns what is left to the window that it came from, the next day too", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await run(ledger, 50 * USD, "job-1", 100 * HOUR);
    vi.setSystemTime(START + DAY);
    await ledger.admit(spend(USD));
    await found(ledger, id, { actualMicros: 7 * USD });
    expect(await hold(tenant, id)).toBe(`settled ${50 * USD}/${7 * USD}`);
    expect(await windows(tenant)).toEqual({
      "2031-11-20": [0, 7 * USD],
      "2031-11-21": [USD, 0],
      "2031-11": [USD, 7 * USD],
    });
    expect(await journaled(tenant, "settlement", "ended")).toEqual(["null agent:trainer ended"]);
    await checkInvariants(tenant, CAPS);
  });

  it.each([
    ["stated by the control plane", { actualMicros: 3 * USD }, 5 * HOUR, 3 * USD],
    ["its share of the time that it ran", { ranMs: 2 * HOUR }, 5 * HOUR, 20 * USD],
    ["rounded up", { ranMs: 1 }, 5 * HOUR, 3],
    ["its share of all the time since, where nothing is stated", {}, 5 * HOUR, 50 * USD],
    ["no more than the ceiling, however long it ran", { ranMs: 11 * HOUR }, 12 * MINUTE, 100 * USD],
    ["the ceiling, where the clock has stepped back behind it", {}, -HOUR, 100 * USD],
    ["nothing, where it never ran", { ranMs: 0 }, 5 * HOUR, 0],
  ])("costs %s", async (_, finding, after, cost) => {
    const { tenant, ledger } = await newTenant();
    const id = await run(ledger, 100 * USD, "job-1");
    vi.setSystemTime(START + after);
    await found(ledger, id, finding);
    expect(await hold(tenant, id)).toBe(`settled ${100 * USD}/${cost}`);
    await checkInvariants(tenant, CAPS);
  });

  it("above the ceiling is booked and alarmed, once", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await run(ledger, 10 * USD, "job-1");
    await found(ledger, id, { actualMicros: 15 * USD });
    await found(ledger, id, { actualMicros: 90 * USD });
    expect(await hold(tenant, id)).toBe(`settled ${10 * USD}/${15 * USD}`);
    expect(await alerts(tenant, "budget-overrun")).toEqual([`budget-overrun/${id}`]);
    expect(await ledger.booksOf("2031-11")).toMatchObject({ overrunMicros: 5 * USD });
    await checkInvariants(tenant, CAPS);
  });

  it.each([
    ["the older commitments are used up first", 12, [10, 2]],
    ["the last bears what is left", 40, [10, 30]],
    ["of little the last one pays nothing", 4, [4, 0]],
  ])("settles all that was committed to the resource: %s", async (_, stated, paid) => {
    const { tenant, ledger } = await newTenant();
    const first = await run(ledger, 10 * USD, "job-1");
    const growth = await grow(ledger, "job-1", 25);
    await found(ledger, growth, { actualMicros: stated * USD });
    expect([await hold(tenant, first), await hold(tenant, growth)]).toEqual([
      `settled ${10 * USD}/${(paid[0] ?? 0) * USD}`,
      `settled ${15 * USD}/${(paid[1] ?? 0) * USD}`,
    ]);
    await checkInvariants(tenant, CAPS);
  });

  it.each([0, 1])("and what billing reported of one commitment (%i) is not charged to the other", async (which) => {
    const { tenant, ledger } = await newTenant();
    const ids = [await run(ledger, 10 * USD, "job-1"), await grow(ledger, "job-1", 20)];
    await reportOne(ledger, BILLING, report(ids[which] ?? "", 8 * USD));
    await found(ledger, ids[0] ?? "", { actualMicros: 12 * USD });
    expect(await windows(tenant)).toEqual({ "2031-11-20": [0, 12 * USD], "2031-11": [0, 12 * USD] });
    expect(await hold(tenant, ids[1 - which] ?? "")).toBe(`settled ${10 * USD}/${4 * USD}`);
    await checkInvariants(tenant, CAPS);
  });

  it.each([
    ["running", "running"],
    ["a status that could not be read", "unknown"],
  ] as const)("is no %s: it changes nothing", async (_, said) => {
    const { tenant, ledger } = await newTenant();
    const id = await run(ledger, 10 * USD, "job-1");
    await found(ledger, id, { verdict: said, actualMicros: 0, ranMs: 0 });
    expect(await hold(tenant, id)).toBe(`committed ${10 * USD}`);
    expect(await rowsOf(tenant, "SELECT id FROM reservations WHERE ended_at IS NOT NULL")).toEqual([]);
  });

  it("changes nothing of what is another's, unknown, not dispatched, or settled", async () => {
    const { tenant, ledger } = await newTenant();
    const unknown = spend(10 * USD);
    await ledger.admit(unknown);
    await ledger.conclude(ended(unknown.requestId, "unknown"));
    const other = await newTenant();
    const theirs = await run(other.ledger, 10 * USD, "job-1");
    for (const id of [unknown.requestId, theirs, "req_none"]) await found(ledger, id, { actualMicros: 0 });
    expect(await hold(tenant, unknown.requestId)).toBe(`unknown ${10 * USD}`);
    expect(await hold(other.tenant, theirs)).toBe(`committed ${10 * USD}`);
    await checkInvariants(tenant, CAPS);
  });
});

/** Makes `resource` cost `resultUsd` as a whole, a minute later; the request id of the change. */
async function grow(ledger: LedgerPort, resource: string, resultUsd: number): Promise<string> {
  vi.setSystemTime(Date.now() + MINUTE);
  const request = spend(0, { resource, cost: resized(resultUsd * USD, 0) });
  expect(verdict(await ledger.admit(request))).toBe("admitted");
  await ledger.conclude(ended(request.requestId, "succeeded"));
  return request.requestId;
}

describe("the status of what runs", () => {
  it.each([
    ["a fiftieth of its run time", 10 * HOUR, 12 * MINUTE],
    ["a minute at least", 10 * MINUTE, MINUTE],
    ["a quarter of an hour at most", 1_000 * HOUR, 15 * MINUTE],
  ])("is read every %s", async (_, durationMs, every) => {
    const { tenant, ledger } = await newTenant();
    const id = await run(ledger, USD, "job-1", durationMs);
    for (let n = 1; n <= 3; n++) {
      expect(await planned(tenant, "status-poll", id)).toEqual([n * every]);
      vi.setSystemTime(START + n * every);
      await runAlarm(tenant);
    }
    expect(await hold(tenant, id)).toBe(`committed ${USD}`);
  });

  it("is read no more once its end is known, or its run time over", async () => {
    const { tenant, ledger } = await newTenant();
    const [one, other] = [await run(ledger, USD, "job-1"), await run(ledger, USD, "job-2", 30 * MINUTE)];
    await found(ledger, one, { actualMicros: 0 });
    for (let n = 1; n <= 4; n++) {
      vi.setSystemTime(START + n * 15 * MINUTE);
      await runAlarm(tenant);
    }
    expect(await planned(tenant, "status-poll", one)).toEqual([]);
    expect(await planned(tenant, "status-poll", other)).toEqual([]);
    expect(await hold(tenant, other)).toBe(`settled ${USD}/${USD}`);
  });

  it.each([
    ["the control plane's answer names nothing to ask about", { resource: null }],
    ["the catalogue declares no read for its route", { route: null }],
  ])("is not read where %s", async (_, over) => {
    const { tenant, ledger } = await newTenant();
    const request = spend(USD, { cost: priced(USD, HOUR), ...("route" in over ? { route: null } : {}) });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "succeeded", { resource: "route" in over ? "job-1" : null }));
    expect(await planned(tenant, "status-poll", request.requestId)).toEqual([]);
    vi.setSystemTime(START + HOUR);
    await runAlarm(tenant);
    expect(await hold(tenant, request.requestId)).toBe(`settled ${USD}/${USD}`);
  });

  it("is read at once after a change of it: a cancellation is confirmed by what runs, not by its answer", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await run(ledger, 10 * USD, "job-1");
    const cancel = spend(0, { resource: "job-1", cost: { kind: "none" }, action: "workloads.cancel" });
    await ledger.admit(cancel);
    vi.setSystemTime(START + MINUTE);
    await ledger.conclude(ended(cancel.requestId, "succeeded"));
    expect(await hold(tenant, id)).toBe(`committed ${10 * USD}`);
    expect(await planned(tenant, "status-check", id)).toEqual([MINUTE + 1_000]);
    expect(await planned(tenant, "status-poll", id)).toHaveLength(1);
    await checkInvariants(tenant, CAPS);
  });
});

describe("what nobody heard of", () => {
  it("is listed until somebody says what it cost: settled at the ceiling, and of unknown outcome", async () => {
    const { tenant, ledger } = await newTenant();
    const lost = await run(ledger, 10 * USD, "job-1", HOUR);
    vi.setSystemTime(START + MINUTE);
    const unknown = spend(5 * USD);
    await ledger.admit(unknown);
    await ledger.conclude(ended(unknown.requestId, "unknown"));
    vi.setSystemTime(START + HOUR);
    await runAlarm(tenant);
    expect(await ledger.unresolvedHolds(10)).toMatchObject([
      { id: lost, state: "settled", settledMicros: 10 * USD, since: START },
      { id: unknown.requestId, state: "unknown", ceilingMicros: 5 * USD, settledMicros: null },
    ]);
    expect(await ledger.unresolvedHolds(1)).toHaveLength(1);
    expect(await journaled(tenant, "settlement", "ceiling")).toEqual(["null agent:trainer ceiling-unresolved"]);
    await checkInvariants(tenant, CAPS);
  });
});
