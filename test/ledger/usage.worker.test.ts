import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MoneyActor } from "../../src/ledger/money/finance-port.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { checkInvariants } from "./check-invariants.ts";
import { BUDGET, ended, hold, needing, newTenant, propose, rowsOf, runAlarm, START, USD, windows } from "./fixture.ts";
import {
  actor,
  alerts,
  BILLING,
  DAY,
  FIONA,
  FRANK,
  HOUR,
  journaled,
  OLGA,
  report,
  reportOne,
  run,
  spend,
} from "./money-fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** Something that runs for ten hours and holds 10 USD. */
async function running(): Promise<{ readonly tenant: string; readonly ledger: LedgerPort; readonly id: string }> {
  const { tenant, ledger } = await newTenant();
  return { tenant, ledger, id: await run(ledger, 10 * USD, "job-1") };
}

const endedNow = (ledger: LedgerPort, id: string, actualMicros: number | null = null): Promise<void> =>
  ledger.settleByStatus({ requestId: id, verdict: "ended", actualMicros, ranMs: null });

describe("a usage report", () => {
  it("at the ceiling settles what runs, once", async () => {
    const { tenant, ledger, id } = await running();
    expect(await reportOne(ledger, BILLING, report(id, 10 * USD))).toEqual({
      requestId: id,
      evidence: "inv-1",
      state: "settled",
      reason: null,
      heldMicros: 10 * USD,
      settledMicros: 10 * USD,
    });
    expect(await reportOne(ledger, BILLING, report(id, 10 * USD))).toMatchObject({
      state: "duplicate",
      settledMicros: 10 * USD,
    });
    expect(await windows(tenant)).toEqual({ "2031-11-20": [0, 10 * USD], "2031-11": [0, 10 * USD] });
    expect(await journaled(tenant, "settlement", "usage")).toEqual(["null service:meter usage"]);
    await checkInvariants(tenant, CAPS);
  });

  it("above the ceiling is booked as it is, and alarmed once", async () => {
    const { tenant, ledger, id } = await running();
    expect(await reportOne(ledger, BILLING, report(id, 12 * USD))).toMatchObject({
      state: "overrun",
      heldMicros: 10 * USD,
      settledMicros: 12 * USD,
    });
    expect(await reportOne(ledger, BILLING, report(id, 12 * USD))).toMatchObject({ state: "duplicate" });
    expect(await alerts(tenant, "budget-overrun")).toEqual([`budget-overrun/${id}`]);
    expect(await windows(tenant)).toEqual({ "2031-11-20": [0, 12 * USD], "2031-11": [0, 12 * USD] });
    expect((await ledger.booksOf("2031-11")).overrunMicros).toBe(2 * USD);
    await checkInvariants(tenant, CAPS);
  });

  it("below the ceiling waits, and settles with the end that the control plane reports", async () => {
    const { tenant, ledger, id } = await running();
    expect(await reportOne(ledger, BILLING, report(id, 3 * USD))).toMatchObject({
      state: "waiting",
      heldMicros: 10 * USD,
      settledMicros: null,
    });
    expect(await reportOne(ledger, BILLING, report(id, 3 * USD))).toMatchObject({ state: "duplicate" });
    expect(await hold(tenant, id)).toBe(`committed ${10 * USD}`);
    expect(await rowsOf(tenant, "SELECT ref FROM due WHERE job = 'status-check'")).toEqual([{ ref: id }]);
    await endedNow(ledger, id, 4 * USD);
    expect(await hold(tenant, id)).toBe(`settled ${10 * USD}/${3 * USD}`);
    expect(await journaled(tenant, "settlement", "usage")).toEqual([
      "null service:meter usage-waiting",
      "null agent:trainer usage",
    ]);
    await checkInvariants(tenant, CAPS);
  });

  it("below what it settled at settles at once where the control plane has reported an end", async () => {
    const { tenant, ledger, id } = await running();
    await endedNow(ledger, id, 4 * USD);
    expect(await hold(tenant, id)).toBe(`settled ${10 * USD}/${4 * USD}`);
    expect(await reportOne(ledger, BILLING, report(id, 3 * USD))).toMatchObject({ state: "settled" });
    expect(await windows(tenant)).toEqual({ "2031-11-20": [0, 3 * USD], "2031-11": [0, 3 * USD] });
    await checkInvariants(tenant, CAPS);
  });

  it.each<[string, MoneyActor, "settled" | "duplicate"]>([
    ["a person of finance", FRANK, "settled"],
    ["the owner of the credential that reported it", FIONA, "duplicate"],
    ["its issuer, though of finance", actor("olga"), "duplicate"],
    ["an operator", OLGA, "duplicate"],
    ["the reporter", BILLING, "duplicate"],
    ["another billing credential", { ...BILLING, subject: "service:other" }, "duplicate"],
    ["an agent with the role", actor("x", { class: "agent" }), "duplicate"],
    ["a key that an operator minted", actor("frank", { fault: "minted" }), "duplicate"],
  ])("below the ceiling that %s repeats is %s", async (_, who, state) => {
    const { tenant, ledger, id } = await running();
    await reportOne(ledger, BILLING, report(id, 3 * USD));
    expect(await reportOne(ledger, who, report(id, 3 * USD))).toMatchObject({ state });
    const left = state === "settled" ? `settled ${10 * USD}/${3 * USD}` : `committed ${10 * USD}`;
    expect(await hold(tenant, id)).toBe(left);
    await checkInvariants(tenant, CAPS);
  });

  it("of a person of finance that the same person repeats is not confirmed by it", async () => {
    const { ledger, id } = await running();
    expect(await reportOne(ledger, FIONA, report(id, 0))).toMatchObject({ state: "waiting" });
    expect(await reportOne(ledger, FIONA, report(id, 0))).toMatchObject({ state: "duplicate" });
    expect(await reportOne(ledger, FIONA, report(id, 0, "inv-2"))).toMatchObject({ state: "waiting" });
    expect(await reportOne(ledger, FRANK, report(id, 0))).toMatchObject({ state: "settled", settledMicros: 0 });
  });

  it("that contradicts an earlier one is refused, and journaled", async () => {
    const { tenant, ledger, id } = await running();
    await reportOne(ledger, BILLING, report(id, 10 * USD));
    expect(await reportOne(ledger, BILLING, report(id, 9 * USD))).toMatchObject({
      state: "rejected",
      reason: "this evidence was reported before with another amount",
    });
    expect(await reportOne(ledger, BILLING, report(id, 9 * USD, "inv-2"))).toMatchObject({
      state: "rejected",
      reason: "it was settled by an earlier usage report already",
    });
    expect(await hold(tenant, id)).toBe(`settled ${10 * USD}/${10 * USD}`);
    expect(await journaled(tenant, "settlement", "usage-rejected")).toHaveLength(2);
  });

  it("for anything that is no operation of this tenant is refused", async () => {
    const { tenant, ledger } = await newTenant();
    const other = await running();
    const proposal = await propose(ledger, spend(USD, { requirement: needing(1) }));
    for (const id of [other.id, proposal, "req_none", "'; DROP TABLE entries; --"]) {
      expect(await reportOne(ledger, BILLING, report(id, 10 * USD))).toEqual({
        requestId: id,
        evidence: "inv-1",
        state: "rejected",
        reason: "no operation has this request id",
        heldMicros: null,
        settledMicros: null,
      });
    }
    expect(await hold(other.tenant, other.id)).toBe(`committed ${10 * USD}`);
    expect(await hold(tenant, proposal)).toBe(`held ${USD}`);
    await checkInvariants(tenant, CAPS);
  });

  it.each([
    ["dispatched", null, "its outcome is still awaited"],
    ["unknown", "unknown", "its outcome is unknown"],
  ] as const)("for what is %s is refused: nobody knows whether there is anything to bill", async (_, outcome, why) => {
    const { tenant, ledger } = await newTenant();
    const request = spend(10 * USD);
    await ledger.admit(request);
    if (outcome !== null) await ledger.conclude(ended(request.requestId, outcome));
    const told = await reportOne(ledger, BILLING, report(request.requestId, 10 * USD));
    expect(told.state).toBe("rejected");
    expect(told.reason).toContain(why);
    expect((await windows(tenant))["2031-11-20"]).toEqual([10 * USD, 0]);
  });

  it.each(["failed", "not-sent"] as const)(
    "for what was given back (%s) is all overrun: booked, alarmed, once",
    async (outcome) => {
      const { tenant, ledger } = await newTenant();
      const request = spend(10 * USD);
      await ledger.admit(request);
      await ledger.conclude(ended(request.requestId, outcome));
      expect(await reportOne(ledger, BILLING, report(request.requestId, 2 * USD))).toMatchObject({
        state: "overrun",
        heldMicros: 0,
        settledMicros: 2 * USD,
      });
      expect(await reportOne(ledger, BILLING, report(request.requestId, 2 * USD, "inv-2"))).toMatchObject({
        state: "rejected",
      });
      expect(await windows(tenant)).toEqual({ "2031-11-20": [0, 2 * USD], "2031-11": [0, 2 * USD] });
      expect(await alerts(tenant, "budget-overrun")).toHaveLength(1);
    },
  );

  it("for what cost its price is confirmed by a second person, like any that says less", async () => {
    const { tenant, ledger } = await newTenant();
    const request = spend(10 * USD);
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "succeeded"));
    expect(await reportOne(ledger, BILLING, report(request.requestId, USD))).toMatchObject({ state: "waiting" });
    expect(await reportOne(ledger, FRANK, report(request.requestId, USD))).toMatchObject({ state: "settled" });
    expect(await windows(tenant)).toEqual({ "2031-11-20": [0, USD], "2031-11": [0, USD] });
    await checkInvariants(tenant, CAPS);
  });

  it("adjusts what settled at its ceiling, in the window that it came from, and ends `unresolved`", async () => {
    const { tenant, ledger, id } = await running();
    await reportOne(ledger, BILLING, report(id, 3 * USD));
    vi.setSystemTime(START + 20 * HOUR);
    await runAlarm(tenant);
    expect(await hold(tenant, id)).toBe(`settled ${10 * USD}/${10 * USD}`);
    expect((await ledger.unresolvedHolds(10)).map((one) => one.id)).toEqual([id]);
    expect((await ledger.booksOf("2031-11")).unresolved).toEqual({ count: 1, settledMicros: 10 * USD });
    vi.setSystemTime(START + 3 * DAY);
    expect(await reportOne(ledger, FRANK, report(id, 3 * USD))).toMatchObject({ state: "settled" });
    expect(await windows(tenant)).toEqual({ "2031-11-20": [0, 3 * USD], "2031-11": [0, 3 * USD] });
    expect(await ledger.unresolvedHolds(10)).toEqual([]);
    await checkInvariants(tenant, CAPS);
  });

  it("never takes a window beyond exact integers: later requests must be judged", async () => {
    const { ledger, id } = await running();
    const second = await run(ledger, USD, "job-2");
    expect(await reportOne(ledger, BILLING, report(id, Number.MAX_SAFE_INTEGER))).toMatchObject({ state: "overrun" });
    expect(await reportOne(ledger, BILLING, report(second, 2 * USD))).toMatchObject({ state: "rejected" });
    expect((await ledger.admit(spend(1))).kind).toBe("refused");
  });

  it("stands alone in its batch", async () => {
    const { tenant, ledger, id } = await running();
    const second = await run(ledger, USD, "job-2");
    const results = await ledger.reportUsage(BILLING, newId("req"), [
      report(id, 11 * USD),
      report("req_none", USD),
      report(second, USD),
      report(id, 11 * USD),
      report(second, 0, "inv-2"),
    ]);
    expect(results.map(({ state }) => state)).toEqual(["overrun", "rejected", "settled", "duplicate", "rejected"]);
    expect(await ledger.booksOf("2031-11")).toMatchObject({
      usage: { reports: 2, reportedMicros: 12 * USD, settledMicros: 12 * USD },
    });
    await checkInvariants(tenant, CAPS);
  });
});
