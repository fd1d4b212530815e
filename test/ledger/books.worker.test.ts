import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { EntryRow } from "../../src/ledger/money/finance-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  agent,
  BUDGET,
  decideAs,
  ended,
  needing,
  newTenant,
  person,
  propose,
  runAlarm,
  START,
  USD,
  windows,
} from "./fixture.ts";
import { BILLING, DAY, FIONA, FRANK, HOUR, OLGA, report, reportOne, resized, run, spend } from "./money-fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

type Ledger = Awaited<ReturnType<typeof newTenant>>["ledger"];

/** A day with every way that money moves. */
async function mixedDay(tenant: string, ledger: Ledger): Promise<void> {
  const proposal = spend(5 * USD, { requirement: needing(1), budget: { ...BUDGET, team: "vision" } });
  await decideAs(ledger, await propose(ledger, proposal), person("alice"), "approve");
  const withdrawn = await propose(ledger, spend(3 * USD, { requirement: needing(1) }));
  const by = { ...person("x"), subject: "agent:trainer" };
  await ledger.withdraw({ requestId: newId("req"), approvalId: withdrawn, by });
  const execution = again(proposal);
  await ledger.admit(execution);
  await ledger.conclude(ended(execution.requestId, "succeeded"));
  const lost = spend(2 * USD, { requester: agent("tuner") });
  await ledger.admit(lost);
  await ledger.conclude(ended(lost.requestId, "failed"));
  await reportOne(ledger, BILLING, report(lost.requestId, USD));
  const unknown = spend(4 * USD);
  await ledger.admit(unknown);
  await ledger.conclude(ended(unknown.requestId, "unknown"));
  for (const who of [OLGA, FIONA]) {
    const { requestId: operation } = unknown;
    const word = { outcome: "succeeded", actualMicros: 3 * USD, evidence: "console" } as const;
    await ledger.resolveOperation(who, { requestId: newId("req"), operation, ...word });
  }
  const ran = await run(ledger, 20 * USD, "job-1");
  const shrunk = spend(0, { resource: "job-1", cost: resized(8 * USD, 20 * USD) });
  await ledger.admit(shrunk);
  await ledger.conclude(ended(shrunk.requestId, "succeeded"));
  await ledger.settleByStatus({ requestId: ran, verdict: "ended", actualMicros: 6 * USD, ranMs: null });
  const silent = await run(ledger, 7 * USD, "job-2", HOUR);
  vi.setSystemTime(START + HOUR);
  await runAlarm(tenant);
  await reportOne(ledger, BILLING, report(silent, 2 * USD));
  await reportOne(ledger, FRANK, report(silent, 2 * USD));
  await run(ledger, 9 * USD, "job-3", 3 * DAY);
}

it("the books of a mixed day agree three times over", async () => {
  const { tenant, ledger } = await newTenant();
  await mixedDay(tenant, ledger);
  const sums = { heldMicros: 9 * USD, settledMicros: (5 + 1 + 3 + 6 + 2) * USD };
  expect(await ledger.booksOf("2031-11")).toEqual({
    window: "2031-11",
    windows: sums,
    reservations: sums,
    entries: sums,
    usage: { reports: 2, reportedMicros: 3 * USD, settledMicros: 3 * USD },
    unresolved: { count: 0, settledMicros: 0 },
    overrunMicros: USD,
  });
  expect(await windows(tenant)).toEqual({
    "2031-11-20": [sums.heldMicros, sums.settledMicros],
    "2031-11": [sums.heldMicros, sums.settledMicros],
  });
  await checkInvariants(tenant, CAPS);
});

it("the lines of a month are numbered without gaps, page by page, and say what they are", async () => {
  const { tenant, ledger } = await newTenant();
  await mixedDay(tenant, ledger);
  const all = await ledger.budgetEntries("2031-11", 0, 1_000);
  const pages: EntryRow[] = [];
  for (;;) {
    const page = await ledger.budgetEntries("2031-11", pages.at(-1)?.number ?? 0, 3);
    pages.push(...page);
    if (page.length < 3) break;
  }
  expect(pages).toEqual(all);
  expect(all.map(({ number }) => number)).toEqual(all.map((_, index) => index + 1));
  expect(all.map((line) => [line.kind, line.heldMicros / USD, line.settledMicros / USD, line.basis])).toEqual([
    ["hold", 5, 0, "proposal"],
    ["hold", 3, 0, "proposal"],
    ["release", -3, 0, "proposal withdrawn"],
    ["release", -5, 0, expect.stringMatching(/^moved to req_/)],
    ["hold", 5, 0, "dispatch"],
    ["settle", -5, 5, "ceiling"],
    ["hold", 2, 0, "dispatch"],
    ["release", -2, 0, "refused by the control plane"],
    ["adjust", 0, 1, "usage inv-1"],
    ["hold", 4, 0, "dispatch"],
    ["settle", -4, 3, "resolved by person:fiona and person:olga"],
    ["hold", 20, 0, "dispatch"],
    ["release", -12, 0, "made smaller"],
    ["settle", -8, 6, "stated by the control plane"],
    ["hold", 7, 0, "dispatch"],
    ["settle", -7, 7, "run time over, nothing heard"],
    ["adjust", 0, -5, "usage inv-1"],
    ["hold", 9, 0, "dispatch"],
  ]);
  expect(all[0]).toMatchObject({ principal: "agent:trainer", team: "vision", priceVersion: "2031-11" });
  expect(all[6]).toMatchObject({ principal: "agent:tuner", team: null });
  expect(all.every(({ dailyWindow }) => dailyWindow === "2031-11-20")).toBe(true);
});

it("each month's lines begin at one, and what is free leaves none", async () => {
  const { ledger } = await newTenant();
  await ledger.admit(spend(USD));
  await ledger.admit(spend(0));
  vi.setSystemTime(START + 30 * DAY);
  await ledger.admit(spend(2 * USD));
  expect((await ledger.budgetEntries("2031-11", 0, 10)).map(({ number }) => number)).toEqual([1]);
  expect((await ledger.budgetEntries("2031-12", 0, 10)).map(({ number }) => number)).toEqual([1]);
  expect(await ledger.windowUse("daily", 10)).toEqual([
    { window: "2031-12-20", heldMicros: 2 * USD, settledMicros: 0, grossMicros: 2 * USD },
    { window: "2031-11-20", heldMicros: USD, settledMicros: 0, grossMicros: USD },
  ]);
  expect((await ledger.windowUse("monthly", 1)).map(({ window }) => window)).toEqual(["2031-12"]);
});

it("holds are listed largest first, of one window or of all, with what they wait for", async () => {
  const { ledger } = await newTenant();
  const running = await run(ledger, 2 * USD, "job-1", 2 * DAY);
  const proposal = await propose(ledger, spend(3 * USD, { requirement: needing(1) }));
  vi.setSystemTime(START + DAY);
  const next = spend(USD);
  await ledger.admit(next);
  expect(await ledger.budgetHolds(null, 10)).toMatchObject([
    { id: proposal, state: "held", until: null },
    { id: running, state: "committed", until: START + 2 * DAY, resource: "job-1", since: START },
    { id: next.requestId, state: "dispatching", until: null, resource: null },
  ]);
  expect((await ledger.budgetHolds("2031-11-21", 10)).map(({ id }) => id)).toEqual([next.requestId]);
  expect(await ledger.budgetHolds("2031-11", 2)).toHaveLength(2);
  expect(await ledger.budgetReport(BUDGET, [])).toMatchObject({
    monthly: { heldByState: { held: 3 * USD, dispatching: USD, committed: 2 * USD, unknown: 0 } },
  });
});
