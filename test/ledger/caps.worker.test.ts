import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AdmissionOutcome, BudgetTerms } from "../../src/ledger/contract.ts";
import type { ScopeCap } from "../../src/ledger/money/finance-port.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  agent,
  again,
  BUDGET,
  decideAs,
  ended,
  needing,
  newTenant,
  person,
  propose,
  rowsOf,
  START,
  USD,
  verdict,
  windows,
} from "./fixture.ts";
import { alerts, asking, caps, DAY, FIONA, HOUR, innerCap, run, spend } from "./money-fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const under = (...per: readonly ScopeCap[]): BudgetTerms => ({ ...BUDGET, team: "vision", per });

/** Scope, period and numbers of every cap that a refusal names. */
const shortIn = (outcome: AdmissionOutcome): unknown =>
  outcome.kind === "refused" && outcome.refusal.kind === "budget-exceeded"
    ? outcome.refusal.windows.map((one) => {
        expect(one.settled_micros + one.held_micros + one.requested_micros - one.cap_micros).toBe(one.short_micros);
        return [one.scope, one.period, one.cap_usd, one.settled_usd, one.held_usd, one.short_usd];
      })
    : outcome.kind;

/** Ids of the holds that a refusal lists. */
const holdsIn = (outcome: AdmissionOutcome): readonly string[] =>
  outcome.kind === "refused" && outcome.refusal.kind === "budget-exceeded"
    ? outcome.refusal.holds.map(({ id }) => id)
    : [];

describe("caps inside the tenant's", () => {
  const PRINCIPAL = innerCap("principal:agent:trainer", 10, 40);
  const TEAM = innerCap("team:vision", 30, 60);
  const ACTION = innerCap("action:workloads.submit", 20, null);

  it("are met together: whatever does not fit one of them is refused, and names all that are short", async () => {
    const { tenant, ledger } = await newTenant();
    const budget = under(PRINCIPAL, TEAM, ACTION);
    expect(shortIn(await ledger.admit(spend(101 * USD, { budget })))).toEqual([
      ["window", "daily", 100, 0, 0, 1],
      ["principal:agent:trainer", "daily", 10, 0, 0, 91],
      ["principal:agent:trainer", "monthly", 40, 0, 0, 61],
      ["team:vision", "daily", 30, 0, 0, 71],
      ["team:vision", "monthly", 60, 0, 0, 41],
      ["action:workloads.submit", "daily", 20, 0, 0, 81],
    ]);
    expect(verdict(await ledger.admit(spend(10 * USD, { budget })))).toBe("admitted");
    expect(shortIn(await ledger.admit(spend(1, { budget })))).toEqual([
      ["principal:agent:trainer", "daily", 10, 0, 10, 0.000001],
    ]);
    expect(await windows(tenant)).toMatchObject({ "2031-11-20": [10 * USD, 0] });
    await checkInvariants(tenant, CAPS);
  });

  it("of one principal leave another alone; of a team and an action they are everybody's", async () => {
    const { tenant, ledger } = await newTenant();
    const budget = under(PRINCIPAL, ACTION);
    const other = under(innerCap("principal:agent:tuner", 15), ACTION);
    expect(verdict(await ledger.admit(spend(10 * USD, { budget })))).toBe("admitted");
    const tuner = { requester: agent("tuner"), budget: other };
    expect(shortIn(await ledger.admit(spend(11 * USD, tuner)))).toEqual([
      ["action:workloads.submit", "daily", 20, 0, 10, 1],
    ]);
    expect(verdict(await ledger.admit(spend(10 * USD, tuner)))).toBe("admitted");
    const elsewhere = { ...tuner, action: "volumes.create", budget: under(innerCap("principal:agent:tuner", 15)) };
    expect(verdict(await ledger.admit(spend(5 * USD, elsewhere)))).toBe("admitted");
    expect(shortIn(await ledger.admit(spend(1, elsewhere)))).toEqual([
      ["principal:agent:tuner", "daily", 15, 0, 15, 0.000001],
    ]);
    await checkInvariants(tenant, CAPS);
  });

  it.each([
    ["a principal", innerCap("principal:agent:trainer", 30, 70), 30, 70],
    ["a team", innerCap("team:vision", 30, 70), 30, 70],
    ["an action", innerCap("action:workloads.submit", 35, 75), 35, 75],
  ])("that are new in mid-month count what %s has spent before", async (_, cap, daily, monthly) => {
    const { tenant, ledger } = await newTenant();
    const before = { budget: { ...BUDGET, team: "vision" } };
    const settled = spend(40 * USD, before);
    await ledger.admit(settled);
    await ledger.conclude(ended(settled.requestId, "succeeded"));
    const failed = spend(9 * USD, before);
    await ledger.admit(failed);
    await ledger.conclude(ended(failed.requestId, "failed"));
    vi.setSystemTime(START + DAY);
    await run(ledger, 20 * USD, "job-1", HOUR, before);
    await ledger.admit(spend(3 * USD, { ...before, action: "volumes.create", requester: agent("pruner") }));
    await ledger.admit(spend(5 * USD, { requester: agent("tuner"), budget: BUDGET }));
    // Of the day: trainer 20 for the team; the team 3 more, the action 5 more.
    const held = { principal: 20, team: 23, action: 25 }[cap.scope.split(":")[0] ?? ""] ?? Number.NaN;
    const over = 1_000_000 * USD;
    const refused = shortIn(await ledger.admit(spend(over, { budget: under(cap) })));
    expect(refused).toEqual(
      expect.arrayContaining([
        [cap.scope, "daily", daily, 0, held, 1_000_000 + held - daily],
        [cap.scope, "monthly", monthly, 40, held, 1_000_000 + held + 40 - monthly],
      ]),
    );
    const room = daily - held;
    expect(verdict(await ledger.admit(spend(room * USD + 1, { budget: under(cap) })))).toBe("budget-exceeded");
    expect(verdict(await ledger.admit(spend(room * USD, { budget: under(cap) })))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it("that nobody has begun are read from the book once, not for each of a flood of refusals", async () => {
    const { tenant, ledger } = await newTenant();
    for (let n = 0; n < 3; n++) await ledger.admit(spend(11 * USD, { budget: under(PRINCIPAL) }));
    expect(
      await rowsOf(tenant, 'SELECT window, held_micros FROM "windows" WHERE window LIKE ?', "% principal:%"),
    ).toEqual([
      { window: "2031-11 principal:agent:trainer", held_micros: 0 },
      { window: "2031-11-20 principal:agent:trainer", held_micros: 0 },
    ]);
    expect(await windows(tenant)).toEqual({});
    await checkInvariants(tenant, CAPS);
  });

  it("count a proposal once, and let its own execution through", async () => {
    const { tenant, ledger } = await newTenant();
    const request = spend(10 * USD, { budget: under(PRINCIPAL, TEAM, ACTION), requirement: needing(1) });
    await decideAs(ledger, await propose(ledger, request), person("alice"), "approve");
    expect(verdict(await ledger.admit(spend(1, { budget: under(PRINCIPAL) })))).toBe("budget-exceeded");
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it("do not take a requester without a team for one of the team `null`", async () => {
    const { ledger } = await newTenant();
    const without = { ...BUDGET, team: null };
    const request = spend(10 * USD, { budget: without, requirement: needing(1) });
    await decideAs(ledger, await propose(ledger, request), person("alice"), "approve");
    const full = { ...BUDGET, team: "null", per: [innerCap("team:null", 10)] };
    const others = spend(10 * USD, { requester: agent("tuner"), budget: full });
    expect(verdict(await ledger.admit(others))).toBe("admitted");
    const refused = await ledger.admit(again(request, { budget: full }));
    expect(shortIn(refused)).toEqual([["team:null", "daily", 10, 0, 10, 10]]);
    expect(holdsIn(refused)).toEqual([others.requestId]);
  });

  it("list in their refusal only the holds that count in them", async () => {
    const { ledger } = await newTenant();
    const one = spend(6 * USD, { budget: under() });
    const other = spend(5 * USD, { budget: { ...BUDGET, team: "audio" }, requester: agent("tuner") });
    const third = spend(4 * USD, { budget: under(), requester: agent("pruner"), action: "volumes.create" });
    for (const request of [one, other, third]) await ledger.admit(request);
    const listed = async (cap: ScopeCap): Promise<readonly string[]> =>
      holdsIn(await ledger.admit(spend(60 * USD, { budget: under(cap) })));
    expect(await listed(innerCap("principal:agent:trainer", 10))).toEqual([one.requestId]);
    expect(await listed(innerCap("team:vision", 10))).toEqual([one.requestId, third.requestId]);
    expect(await listed(innerCap("action:workloads.submit", 10))).toEqual([one.requestId, other.requestId]);
  });
});

/** A day of 100 USD in which so many may be submitted. */
const gross = (usd: number): BudgetTerms => caps(100, 1_000, { grossDailyCapMicros: usd * USD });

describe("what is submitted in a day", () => {
  it("is bounded: cancelling gives a cap back, but not for ever", async () => {
    const { tenant, ledger } = await newTenant();
    const budget = gross(250);
    for (let n = 0; n < 2; n++) {
      const id = await run(ledger, 100 * USD, `job-${n}`, HOUR, { budget });
      await ledger.settleByStatus({ requestId: id, verdict: "ended", actualMicros: 0, ranMs: null });
    }
    expect((await ledger.budgetReport(budget, [])).daily).toMatchObject({ held_micros: 0, settled_micros: 0 });
    const refused = await ledger.admit(spend(51 * USD, { budget }));
    expect(shortIn(refused)).toEqual([["gross", "daily", 250, 0, 200, 1]]);
    expect(holdsIn(refused)).toEqual([]);
    expect(verdict(await ledger.admit(spend(50 * USD, { budget })))).toBe("admitted");
    vi.setSystemTime(START + DAY);
    expect(verdict(await ledger.admit(spend(100 * USD, { budget })))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it.each(["failed", "not-sent"] as const)("does not count what was %s", async (outcome) => {
    const { ledger } = await newTenant();
    const budget = gross(100);
    for (let n = 0; n < 3; n++) {
      const request = spend(100 * USD, { budget });
      expect(verdict(await ledger.admit(request))).toBe("admitted");
      await ledger.conclude(ended(request.requestId, outcome));
    }
  });

  it("counts proposals when they are carried out, not when they are asked for", async () => {
    const { tenant, ledger } = await newTenant();
    const budget = gross(100);
    const request = spend(60 * USD, { budget, requirement: needing(1) });
    const proposal = await propose(ledger, request);
    const direct = spend(40 * USD, { budget });
    expect(verdict(await ledger.admit(direct))).toBe("admitted");
    await ledger.conclude(ended(direct.requestId, "unknown"));
    await decideAs(ledger, proposal, person("alice"), "approve");
    const refused = await ledger.admit(spend(61 * USD, { budget: { ...budget, dailyCapMicros: 999 * USD } }));
    expect(shortIn(refused)).toEqual([["gross", "daily", 100, 0, 40, 1]]);
    expect(holdsIn(refused)).toEqual([direct.requestId]);
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    expect(shortIn(await ledger.admit(spend(1, { budget: { ...budget, dailyCapMicros: 999 * USD } })))).toEqual([
      ["gross", "daily", 100, 0, 100, 0.000001],
    ]);
    await checkInvariants(tenant, CAPS);
  });

  it("is twice the daily cap in force where the policy says nothing, and follows a lowered one", async () => {
    const { ledger } = await newTenant();
    const budget = caps(100, 1_000, { grossDailyCapMicros: null });
    const id = await run(ledger, 90 * USD, "job-1", HOUR, { budget });
    await ledger.settleByStatus({ requestId: id, verdict: "ended", actualMicros: 0, ranMs: null });
    expect((await ledger.budgetReport(budget, [])).gross).toMatchObject({ cap_usd: 200, held_usd: 90, settled_usd: 0 });
    await ledger.changeBudget(FIONA, budget, asking(50));
    expect((await ledger.budgetReport(budget, [])).gross).toMatchObject({ cap_usd: 100, remaining_usd: 10 });
    expect(shortIn(await ledger.admit(spend(11 * USD, { budget })))).toEqual([["gross", "daily", 100, 0, 90, 1]]);
  });
});

it("people are told of a principal's refusals once per window, however many there are", async () => {
  const { tenant, ledger } = await newTenant();
  for (let n = 0; n < 5; n++) await ledger.admit(spend(101 * USD));
  await ledger.admit(spend(101 * USD, { requester: agent("tuner") }));
  vi.setSystemTime(START + DAY);
  await ledger.admit(spend(101 * USD));
  expect(await alerts(tenant, "budget-refused")).toEqual([
    "budget-refused/2031-11-20/agent:trainer",
    "budget-refused/2031-11-20/agent:tuner",
    "budget-refused/2031-11-21/agent:trainer",
  ]);
});
