import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MoneyActor, Resolution } from "../../src/ledger/money/finance-port.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { checkInvariants } from "./check-invariants.ts";
import { BUDGET, ended, hold, newTenant, priced, runAlarm, START, USD, verdict, windows } from "./fixture.ts";
import { actor, alerts, FIONA, FRANK, HOUR, journaled, OLGA, spend } from "./money-fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };
const OSCAR = actor("oscar", { roles: ["operator"] });
const BOTH = actor("bo", { roles: ["operator", "finance"] });

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** A write of 10 USD whose outcome nobody saw. */
async function unknown(durationMs: number | null = null, resource: string | null = "job-1") {
  const { tenant, ledger } = await newTenant();
  const request = spend(0, { cost: priced(10 * USD, durationMs), resource });
  expect(verdict(await ledger.admit(request))).toBe("admitted");
  await ledger.conclude(ended(request.requestId, "unknown"));
  return { tenant, ledger, id: request.requestId };
}

/** What came of one person's word: `pending`, `resolved`, or the refusal's kind. */
async function word(
  ledger: LedgerPort,
  who: MoneyActor,
  id: string,
  outcome: Resolution["outcome"],
  actualMicros: number | null = null,
): Promise<string> {
  const told = await ledger.resolveOperation(who, {
    requestId: newId("req"),
    operation: id,
    outcome,
    actualMicros,
    evidence: "console of the control plane",
  });
  return told.kind === "recorded" ? told.state : told.refusal.kind;
}

describe("an outcome that nobody saw", () => {
  it.each([
    ["operator first", OLGA, FIONA],
    ["finance first", FIONA, OLGA],
    ["with somebody who has both roles", BOTH, FIONA],
    ["with somebody who has both roles, second", OLGA, BOTH],
  ])("failed when an operator and a person of finance say so (%s): the hold is given back", async (_, one, other) => {
    const { tenant, ledger, id } = await unknown();
    expect(await word(ledger, one, id, "failed")).toBe("pending");
    expect(await hold(tenant, id)).toBe(`unknown ${10 * USD}`);
    expect(await word(ledger, other, id, "failed")).toBe("resolved");
    expect(await hold(tenant, id)).toBe(`released ${10 * USD}/0`);
    expect(await windows(tenant)).toEqual({});
    expect((await ledger.operation(id))?.state).toBe("failed");
    expect(verdict(await ledger.admit(spend(USD, { resource: "job-1" })))).toBe("admitted");
    expect(await journaled(tenant, "admin", "resolution")).toEqual([
      `allow ${one.subject} resolution`,
      `allow ${other.subject} resolution`,
    ]);
    await checkInvariants(tenant, CAPS);
  });

  it("succeeded, and cost what both say", async () => {
    const { tenant, ledger, id } = await unknown(HOUR);
    await word(ledger, OLGA, id, "succeeded", 4 * USD);
    expect(await word(ledger, FIONA, id, "succeeded", 4 * USD)).toBe("resolved");
    expect(await hold(tenant, id)).toBe(`settled ${10 * USD}/${4 * USD}`);
    expect(await windows(tenant)).toEqual({ "2031-11-20": [0, 4 * USD], "2031-11": [0, 4 * USD] });
    await checkInvariants(tenant, CAPS);
  });

  it("succeeded for more than was held: booked and alarmed", async () => {
    const { tenant, ledger, id } = await unknown();
    await word(ledger, OLGA, id, "succeeded", 14 * USD);
    await word(ledger, FIONA, id, "succeeded", 14 * USD);
    expect(await hold(tenant, id)).toBe(`settled ${10 * USD}/${14 * USD}`);
    expect(await alerts(tenant, "budget-overrun")).toEqual([`budget-overrun/${id}`]);
    await checkInvariants(tenant, CAPS);
  });

  it.each([
    ["settled at its price where nothing runs", null, `settled ${10 * USD}/${10 * USD}`],
    ["committed for its run time where something may run", HOUR, `committed ${10 * USD}`],
  ])("succeeded without an amount: %s", async (_, durationMs, left) => {
    const { tenant, ledger, id } = await unknown(durationMs);
    await word(ledger, OLGA, id, "succeeded");
    await word(ledger, FIONA, id, "succeeded");
    expect(await hold(tenant, id)).toBe(left);
    await checkInvariants(tenant, CAPS);
    vi.setSystemTime(START + HOUR);
    await runAlarm(tenant);
    expect(await hold(tenant, id)).toBe(`settled ${10 * USD}/${10 * USD}`);
  });

  it.each<[string, MoneyActor, MoneyActor]>([
    ["one person twice", OLGA, OLGA],
    ["one person with both roles, twice", BOTH, BOTH],
    ["two operators", OLGA, OSCAR],
    ["two people of finance", FIONA, FRANK],
    ["an operator's key in the name of one with both roles", OLGA, { ...BOTH, fault: "minted by another person" }],
  ])("is not resolved by %s", async (_, one, other) => {
    const { tenant, ledger, id } = await unknown();
    for (const who of [one, other, one, other]) expect(await word(ledger, who, id, "failed")).toBe("pending");
    expect(await hold(tenant, id)).toBe(`unknown ${10 * USD}`);
    await checkInvariants(tenant, CAPS);
  });

  it.each<[string, MoneyActor]>([
    ["an agent", actor("x", { class: "agent", roles: ["operator", "finance"] })],
    ["a service", actor("x", { class: "service", roles: ["finance"] })],
    ["security", actor("x", { roles: ["security"] })],
    ["billing", actor("x", { roles: ["billing"] })],
    ["a key that an operator minted for a person of finance", { ...FIONA, fault: "minted by another person" }],
  ])("is none of the business of %s", async (_, who) => {
    const { tenant, ledger, id } = await unknown();
    expect(await word(ledger, who, id, "failed")).toBe("not-eligible");
    expect(await word(ledger, OLGA, id, "failed")).toBe("pending");
    expect(await word(ledger, who, id, "failed")).toBe("not-eligible");
    expect(await hold(tenant, id)).toBe(`unknown ${10 * USD}`);
  });

  it.each([
    ["another outcome", "failed", null, "succeeded", null],
    ["another amount", "succeeded", 3 * USD, "succeeded", 4 * USD],
    ["an amount and none", "succeeded", 3 * USD, "succeeded", null],
  ] as const)(
    "stays open while they say different things (%s), and ends when one changes its word",
    async (...words) => {
      const [, outcome, amount, otherOutcome, otherAmount] = words;
      const { tenant, ledger, id } = await unknown();
      expect(await word(ledger, OLGA, id, outcome, amount)).toBe("pending");
      expect(await word(ledger, FIONA, id, otherOutcome, otherAmount)).toBe("pending");
      expect(await hold(tenant, id)).toBe(`unknown ${10 * USD}`);
      expect(await word(ledger, OLGA, id, otherOutcome, otherAmount)).toBe("resolved");
      await checkInvariants(tenant, CAPS);
    },
  );

  it("failed for nothing, whether or not the nothing is written down; never for something", async () => {
    const { tenant, ledger, id } = await unknown();
    expect(await word(ledger, OLGA, id, "failed", 1)).toBe("not-eligible");
    expect(await word(ledger, OLGA, id, "failed", 0)).toBe("pending");
    expect(await word(ledger, FIONA, id, "failed")).toBe("resolved");
    expect(await hold(tenant, id)).toBe(`released ${10 * USD}/0`);
  });
});

it("an outcome that is known, or awaited, is nobody's to resolve", async () => {
  const { tenant, ledger } = await newTenant();
  for (const outcome of ["succeeded", "failed", "not-sent", null] as const) {
    const request = spend(USD);
    await ledger.admit(request);
    if (outcome !== null) await ledger.conclude(ended(request.requestId, outcome));
    expect(await word(ledger, OLGA, request.requestId, "failed")).toBe("already-decided");
  }
  expect(await word(ledger, OLGA, "req_none", "failed")).toBe("not-found");
  expect(await word((await newTenant()).ledger, OLGA, (await unknown()).id, "failed")).toBe("not-found");
  await checkInvariants(tenant, CAPS);
});

it("a look-up that answers after two people did changes nothing", async () => {
  const { tenant, ledger, id } = await unknown();
  await word(ledger, OLGA, id, "failed");
  await word(ledger, FIONA, id, "failed");
  await ledger.reconcile({ requestId: id, verdict: "happened", resource: "job-1" });
  expect(await hold(tenant, id)).toBe(`released ${10 * USD}/0`);
  await checkInvariants(tenant, CAPS);
});
