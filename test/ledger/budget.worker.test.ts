import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { BudgetTerms } from "../../src/ledger/contract.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  BUDGET,
  decideAs,
  digest,
  ended,
  hold,
  MINUTE,
  needing,
  newTenant,
  person,
  priced,
  propose,
  rowsOf,
  runAlarm,
  START,
  USD,
  verdict,
  windows,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };
const caps = (daily: number, monthly: number, timezone = "UTC"): BudgetTerms => ({
  ...BUDGET,
  timezone,
  dailyCapMicros: daily,
  monthlyCapMicros: monthly,
});

let serial = 0;
/** A write of `micros` unlike any other. */
const spend = (micros: number, budget: BudgetTerms = BUDGET): ReturnType<typeof write> =>
  write({ cost: priced(micros), budget, requestDigest: digest(`spend ${(serial += 1)}`) });

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

describe("a window", () => {
  it("takes an exact fit and refuses one micro-dollar more", async () => {
    const { tenant, ledger } = await newTenant();
    expect(verdict(await ledger.admit(spend(99_999_999)))).toBe("admitted");
    expect(verdict(await ledger.admit(spend(2)))).toBe("budget-exceeded");
    expect(verdict(await ledger.admit(spend(1)))).toBe("admitted");
    expect(await ledger.admit(spend(1))).toMatchObject({
      refusal: {
        windows: [
          { period: "daily", window: "2031-11-20", held_micros: 100 * USD, requested_micros: 1, short_micros: 1 },
        ],
      },
      budget: { daily: { remaining_micros: 0 } },
    });
    await checkInvariants(tenant, CAPS);
  });

  it.each([
    ["the day has room and the month has none", caps(100, 50), ["monthly"]],
    ["the month has room and the day has none", caps(50, 100), ["daily"]],
    ["neither has room", caps(50, 50), ["daily", "monthly"]],
  ])("is left alone, like the other one, when %s", async (_, budget, short) => {
    const { tenant, ledger } = await newTenant();
    const outcome = await ledger.admit(spend(60, budget));
    const named =
      outcome.kind === "refused" && outcome.refusal.kind === "budget-exceeded" ? outcome.refusal.windows : [];
    expect(named.map((window) => window.period)).toEqual(short);
    expect(await windows(tenant)).toEqual({});
  });

  it("of cap 0 denies whatever costs money and allows what is free", async () => {
    const { ledger } = await newTenant();
    expect(verdict(await ledger.admit(spend(1, caps(0, 0))))).toBe("budget-exceeded");
    expect(verdict(await ledger.admit(spend(0, caps(0, 0))))).toBe("admitted");
    expect(verdict(await ledger.admit(write({ cost: { kind: "none" }, budget: caps(0, 0) })))).toBe("admitted");
  });

  it("counts proposals, dispatches, running and unknown ones as held", async () => {
    const { tenant, ledger } = await newTenant();
    const terms = caps(10, 1_000);
    const proposal = write({ cost: priced(1), budget: terms, requirement: needing(1) });
    await propose(ledger, proposal);
    const running = write({ cost: priced(2, 60 * MINUTE), budget: terms });
    const unknown = spend(3, terms);
    const dispatching = spend(4, terms);
    for (const request of [running, unknown, dispatching])
      expect(verdict(await ledger.admit(request))).toBe("admitted");
    await ledger.conclude(ended(running.requestId, "succeeded"));
    await ledger.conclude(ended(unknown.requestId, "unknown"));
    expect(verdict(await ledger.admit(spend(1, terms)))).toBe("budget-exceeded");
    expect((await ledger.budgetReport(terms, [])).daily).toMatchObject({
      held_micros: 10,
      settled_micros: 0,
      remaining_micros: 0,
    });
    await checkInvariants(tenant, CAPS);
  });

  it("whose cap was lowered below its use denies, and shows nothing as negative", async () => {
    const { ledger } = await newTenant();
    await ledger.admit(spend(50));
    const lowered = caps(20, 1_000);
    expect(verdict(await ledger.admit(spend(1, lowered)))).toBe("budget-exceeded");
    expect((await ledger.budgetReport(lowered, [])).daily).toMatchObject({
      held_micros: 50,
      remaining_micros: 0,
      remaining_usd: 0,
    });
  });

  it("keeps exact sums at the largest exact amounts", async () => {
    const { ledger } = await newTenant();
    const terms = caps(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    expect(verdict(await ledger.admit(spend(Number.MAX_SAFE_INTEGER - 1, terms)))).toBe("admitted");
    expect(verdict(await ledger.admit(spend(2, terms)))).toBe("budget-exceeded");
    expect(verdict(await ledger.admit(spend(1, terms)))).toBe("admitted");
    expect((await ledger.budgetReport(terms, [])).monthly.held_micros).toBe(Number.MAX_SAFE_INTEGER);
  });

  it.each([-1, 0.5, Number.NaN, 2 ** 53])("never holds %d", async (micros) => {
    const { tenant, ledger } = await newTenant();
    const terms = caps(Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER);
    const outcome = await ledger.admit(spend(micros, terms)).then(verdict, () => "threw");
    expect(outcome).not.toBe("admitted");
    expect(await rowsOf(tenant, "SELECT * FROM reservations")).toEqual([]);
  });

  it("is the tenant's own day, and a hold stays in the one it was admitted in", async () => {
    const { tenant, ledger } = await newTenant();
    const tokyo = caps(100, 1_000, "Asia/Tokyo");
    vi.setSystemTime(Date.UTC(2031, 10, 30, 14, 59, 59, 999));
    const late = spend(60, tokyo);
    expect(verdict(await ledger.admit(late))).toBe("admitted");
    expect(verdict(await ledger.admit(spend(60, tokyo)))).toBe("budget-exceeded");
    vi.setSystemTime(Date.UTC(2031, 10, 30, 15));
    expect(verdict(await ledger.admit(spend(60, tokyo)))).toBe("admitted");
    await ledger.conclude(ended(late.requestId, "succeeded"));
    expect(await windows(tenant)).toEqual({
      "2031-11-30": [0, 60],
      "2031-11": [0, 60],
      "2031-12-01": [60, 0],
      "2031-12": [60, 0],
    });
    await checkInvariants(tenant, CAPS);
  });
});

describe("the hold of a proposal", () => {
  it("moves to the windows of the moment of execution, in one transaction, across midnight and month", async () => {
    const { tenant, ledger } = await newTenant();
    vi.setSystemTime(Date.UTC(2031, 10, 30, 23, 50));
    const request = write({ cost: priced(60 * USD), requirement: needing(1) });
    const id = await propose(ledger, request);
    await decideAs(ledger, id, person("alice"), "approve");
    expect(await windows(tenant)).toEqual({ "2031-11-30": [60 * USD, 0], "2031-11": [60 * USD, 0] });
    vi.setSystemTime(Date.UTC(2031, 11, 1, 0, 5));
    const execution = again(request);
    expect(verdict(await ledger.admit(execution))).toBe("admitted");
    expect(await windows(tenant)).toEqual({ "2031-12-01": [60 * USD, 0], "2031-12": [60 * USD, 0] });
    expect(await hold(tenant, id)).toBe("released 60000000/0");
    expect(await hold(tenant, execution.requestId)).toBe("dispatching 60000000");
    await checkInvariants(tenant, CAPS);
  });

  it("stays where it is, and the grant is kept, when the new day has no room", async () => {
    const { tenant, ledger } = await newTenant();
    vi.setSystemTime(Date.UTC(2031, 10, 20, 23, 50));
    const request = write({ cost: priced(60 * USD), requirement: needing(1) });
    const id = await propose(ledger, request);
    await decideAs(ledger, id, person("alice"), "approve");
    vi.setSystemTime(Date.UTC(2031, 10, 21, 0, 5));
    const blocker = spend(60 * USD);
    await ledger.admit(blocker);
    expect(verdict(await ledger.admit(again(request)))).toBe("budget-exceeded");
    expect((await ledger.approval(id))?.approval.state).toBe("approved");
    expect(await hold(tenant, id)).toBe("held 60000000");
    await ledger.conclude(ended(blocker.requestId, "failed"));
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it("does not stand in its own way when the window is full with it", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ cost: priced(100 * USD), requirement: needing(1) });
    await decideAs(ledger, await propose(ledger, request), person("alice"), "approve");
    expect(verdict(await ledger.admit(spend(1)))).toBe("budget-exceeded");
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });
});

describe("a committed hold", () => {
  it("stays for as long as the resource may run, and is then settled at its ceiling", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ cost: priced(10 * USD, 30 * MINUTE) });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "succeeded"));
    expect(await hold(tenant, request.requestId)).toBe("committed 10000000");
    vi.setSystemTime(START + 30 * MINUTE - 1);
    await runAlarm(tenant);
    expect(await hold(tenant, request.requestId)).toBe("committed 10000000");
    vi.setSystemTime(START + 30 * MINUTE);
    await runAlarm(tenant);
    expect(await hold(tenant, request.requestId)).toBe("settled 10000000/10000000");
    await runAlarm(tenant);
    expect(await windows(tenant)).toEqual({ "2031-11-20": [0, 10 * USD], "2031-11": [0, 10 * USD] });
    await checkInvariants(tenant, CAPS);
  });
});
