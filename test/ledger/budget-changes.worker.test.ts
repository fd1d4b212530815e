import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MoneyActor } from "../../src/ledger/money/finance-port.ts";
import { checkInvariants } from "./check-invariants.ts";
import { BUDGET, hold, newTenant, START, USD, verdict } from "./fixture.ts";
import {
  actor,
  alerts,
  asking,
  caps,
  DAY,
  FIONA,
  FRANK,
  FRIDA,
  HOUR,
  idOf,
  journaled,
  run,
  said,
  say,
  spend,
  TRAINER,
} from "./money-fixture.ts";

const TERMS = caps(100, 1_000);
const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

type Ledger = Awaited<ReturnType<typeof newTenant>>["ledger"];

/** The daily cap in force, in USD. */
const capOf = async (ledger: Ledger): Promise<number> => (await ledger.budgetReport(TERMS, [])).daily.cap_usd;

/** Finance's cap stands at so many USD, set by fiona. */
async function lowered(capUsd: number): Promise<Awaited<ReturnType<typeof newTenant>>> {
  const made = await newTenant();
  expect(said(await made.ledger.changeBudget(FIONA, TERMS, asking(capUsd)))).toBe("approved");
  return made;
}

describe("a lower cap", () => {
  it("is in force at once: the next write is refused, nothing that runs is touched", async () => {
    const { tenant, ledger } = await newTenant();
    const running = await run(ledger, 60 * USD, "job-1");
    const change = await ledger.changeBudget(FIONA, TERMS, asking(20));
    expect(change).toMatchObject({
      change: { kind: "lower", state: "approved", fromMicros: 100 * USD, needed: 0, effectiveAt: START },
    });
    const refused = await ledger.admit(spend(1));
    expect(refused).toMatchObject({
      kind: "refused",
      refusal: {
        kind: "budget-exceeded",
        windows: [{ scope: "window", cap_micros: 20 * USD, held_micros: 60 * USD, short_micros: 40 * USD + 1 }],
      },
      budget: { daily: { cap_usd: 20, remaining_micros: 0 } },
    });
    expect(await hold(tenant, running)).toBe(`committed ${60 * USD}`);
    expect(await ledger.budgetReport(TERMS, [])).toMatchObject({
      daily: { cap_micros: 20 * USD, policyCapMicros: 100 * USD, financeCapMicros: 20 * USD },
      monthly: { financeCapMicros: null },
    });
    await checkInvariants(tenant, CAPS);
  });

  it.each<[string, Partial<MoneyActor>]>([
    ["an agent", { class: "agent", roles: ["finance"] }],
    ["a service", { class: "service", roles: ["finance"] }],
    ["an operator", { roles: ["operator"] }],
    ["billing", { roles: ["billing"] }],
  ])("is not for %s", async (_, over) => {
    const { ledger } = await newTenant();
    expect(said(await ledger.changeBudget(actor("somebody", over), TERMS, asking(20)))).toBe("malformed-request");
    expect(await capOf(ledger)).toBe(100);
  });

  it("may come from a key that somebody minted for a person of finance: it narrows", async () => {
    const { ledger } = await newTenant();
    expect(said(await ledger.changeBudget(actor("fiona", { fault: "minted" }), TERMS, asking(20)))).toBe("approved");
    expect(await capOf(ledger)).toBe(20);
  });

  it("is never taken for a word on a request for the same cap that waits", async () => {
    const { ledger } = await lowered(50);
    await ledger.changeBudget(TRAINER, TERMS, asking(80));
    const raise = idOf(await ledger.changeBudget(FIONA, TERMS, asking(100)));
    await say(ledger, FRANK, raise, "approve");
    expect(await capOf(ledger)).toBe(100);
    expect(await ledger.changeBudget(FRIDA, TERMS, asking(80))).toMatchObject({
      change: { kind: "lower", state: "approved", askedBy: FRIDA.subject },
    });
    expect(await capOf(ledger)).toBe(80);
  });

  it("holds although the clock steps back behind it", async () => {
    const { ledger } = await lowered(20);
    vi.setSystemTime(START - HOUR);
    expect(await capOf(ledger)).toBe(20);
  });
});

describe("a higher cap", () => {
  it("waits for a second person of finance, and begins when that one confirms it", async () => {
    const { tenant, ledger } = await lowered(50);
    const asked = await ledger.changeBudget(FIONA, TERMS, asking(80));
    expect(asked).toMatchObject({
      change: { kind: "raise", state: "pending", fromMicros: 50 * USD, needed: 1, decisions: [] },
    });
    expect(await capOf(ledger)).toBe(50);
    vi.setSystemTime(START + HOUR);
    expect(await say(ledger, FRANK, idOf(asked), "approve")).toMatchObject({
      change: { state: "approved", effectiveAt: START + HOUR, decisions: [{ subject: FRANK.subject }] },
    });
    expect(await capOf(ledger)).toBe(80);
    expect(await journaled(tenant, "admin", "budget-")).toEqual([
      "allow person:fiona budget-lowered",
      "allow person:fiona budget-asked",
      "allow person:frank budget-approved",
    ]);
    expect((await alerts(tenant, "bud_")).map((id) => id.split("/")[1])).toEqual(
      expect.arrayContaining(["lowered", "asked", "approved"]),
    );
  });

  it("is confirmed by the same ask of a second person, and asked once however often one asks", async () => {
    const { ledger } = await lowered(50);
    const first = idOf(await ledger.changeBudget(FIONA, TERMS, asking(80)));
    expect(idOf(await ledger.changeBudget(FIONA, TERMS, asking(80)))).toBe(first);
    expect(await ledger.changeBudget(FRANK, TERMS, asking(80, { reason: "agreed" }))).toMatchObject({
      change: { id: first, state: "approved", decisions: [{ comment: "agreed" }] },
    });
  });

  it.each([
    ["another cap", asking(81), asking(80)],
    ["another period", asking(2_000, { period: "monthly" }), asking(2_000)],
    ["another end", asking(80, { endsAt: START + DAY }), asking(80)],
    ["a later beginning", asking(80), asking(80, { effectiveAt: START + DAY })],
    ["an earlier beginning", asking(80, { effectiveAt: START + DAY }), asking(80)],
  ])("that a second person wants with %s is an ask of its own", async (_, one, other) => {
    const { ledger } = await lowered(50);
    const first = idOf(await ledger.changeBudget(FIONA, TERMS, one));
    const second = await ledger.changeBudget(FRANK, TERMS, other);
    expect(second).toMatchObject({ change: { state: "pending", decisions: [] } });
    expect(idOf(second)).not.toBe(first);
    expect(await capOf(ledger)).toBe(50);
  });

  it("that was to begin meanwhile is confirmed by the same ask for now", async () => {
    const { ledger } = await lowered(50);
    const first = idOf(await ledger.changeBudget(FIONA, TERMS, asking(80, { effectiveAt: START + HOUR })));
    vi.setSystemTime(START + 2 * HOUR);
    expect(await ledger.changeBudget(FRANK, TERMS, asking(80))).toMatchObject({
      change: { id: first, state: "approved", effectiveAt: START + 2 * HOUR },
    });
  });

  it("asked for by an agent needs two people of finance, and two words of one are one", async () => {
    const { tenant, ledger } = await lowered(50);
    const asked = await ledger.changeBudget({ ...TRAINER, owner: "person:dana", issuer: "person:olga" }, TERMS, {
      ...asking(80),
      incident: "INC-1",
    });
    expect(asked).toMatchObject({
      change: { kind: "request", needed: 2, askedBy: "agent:trainer", incident: "INC-1" },
    });
    expect(said(await say(ledger, FRANK, idOf(asked), "approve"))).toBe("pending");
    expect(said(await say(ledger, FRANK, idOf(asked), "approve"))).toBe("pending");
    expect(await capOf(ledger)).toBe(50);
    expect(said(await say(ledger, FIONA, idOf(asked), "approve"))).toBe("approved");
    expect(await capOf(ledger)).toBe(80);
    expect(await journaled(tenant, "admin", "budget-decision")).toEqual(["allow person:frank budget-decision"]);
  });

  it("asked for with a key that somebody minted for a person of finance needs two others", async () => {
    const { ledger } = await lowered(50);
    const minted = actor("fiona", { issuer: "person:frank", fault: "minted by another person" });
    const asked = await ledger.changeBudget(minted, TERMS, asking(80));
    expect(asked).toMatchObject({ change: { kind: "request", needed: 2 } });
    expect(said(await say(ledger, FIONA, idOf(asked), "approve"))).toBe("not-eligible");
    expect(said(await say(ledger, FRANK, idOf(asked), "approve"))).toBe("not-eligible");
    expect(said(await say(ledger, FRIDA, idOf(asked), "approve"))).toBe("pending");
    expect(await capOf(ledger)).toBe(50);
  });

  it.each<[string, MoneyActor]>([
    ["whoever asked", { ...FRIDA, subject: "agent:trainer" }],
    ["the owner of the credential that asked", FIONA],
    ["its issuer", FRANK],
    ["an operator", actor("olga", { roles: ["operator"] })],
    ["billing", actor("bill", { roles: ["billing"] })],
    ["an agent with the role", actor("x", { class: "agent" })],
    ["a service with the role", actor("x", { class: "service" })],
    ["a key that an operator minted", actor("frida", { fault: "minted" })],
  ])("is not decided by %s; the try is journaled as refused", async (_, who) => {
    const { tenant, ledger } = await lowered(50);
    const id = idOf(await ledger.changeBudget(TRAINER, TERMS, asking(80)));
    for (const decision of ["approve", "deny"] as const)
      expect(said(await say(ledger, who, id, decision))).toBe("not-eligible");
    expect(await ledger.budgetChange(id)).toMatchObject({ state: "pending", decisions: [] });
    expect(await journaled(tenant, "admin", "budget-decision")).toEqual(
      Array(2).fill(`refuse ${who.subject} budget-decision`),
    );
  });

  it("that may not be confirmed by a person of finance can still be asked for by that one", async () => {
    const { ledger } = await lowered(50);
    const first = idOf(await ledger.changeBudget(TRAINER, TERMS, asking(80)));
    const own = await ledger.changeBudget(FIONA, TERMS, asking(80));
    expect(own).toMatchObject({ change: { kind: "raise", state: "pending", askedBy: FIONA.subject } });
    expect(idOf(own)).not.toBe(first);
  });

  it("is denied by one, for good, and decided once", async () => {
    const { tenant, ledger } = await lowered(50);
    const id = idOf(await ledger.changeBudget(FIONA, TERMS, asking(80)));
    expect(said(await say(ledger, FRANK, id, "deny"))).toBe("denied");
    expect(await say(ledger, FRIDA, id, "approve")).toMatchObject({
      refusal: { kind: "already-decided", state: "denied", decided_by: [FRANK.subject] },
    });
    expect(await capOf(ledger)).toBe(50);
    expect(await journaled(tenant, "admin", "budget-denied")).toEqual(["allow person:frank budget-denied"]);
    expect(said(await ledger.changeBudget(FIONA, TERMS, asking(80)))).toBe("pending");
  });

  it("of nobody: an unknown id is not found, what lies in the past or ends first is refused", async () => {
    const { ledger } = await newTenant();
    expect(said(await say(ledger, FIONA, "bud_none", "approve"))).toBe("not-found");
    expect(said(await ledger.changeBudget(FIONA, TERMS, asking(200, { effectiveAt: START - 1 })))).toBe(
      "malformed-request",
    );
    expect(said(await ledger.changeBudget(FIONA, TERMS, asking(200, { endsAt: START })))).toBe("malformed-request");
    expect(said(await ledger.changeBudget(TRAINER, TERMS, asking(100)))).toBe("malformed-request");
  });

  it("never lifts the policy's own", async () => {
    const { ledger } = await newTenant();
    await say(ledger, FRANK, idOf(await ledger.changeBudget(FIONA, TERMS, asking(500))), "approve");
    expect(await capOf(ledger)).toBe(100);
    expect(verdict(await ledger.admit(spend(101 * USD)))).toBe("budget-exceeded");
  });

  it("is asked for ten times an hour by one principal, taken back or not", async () => {
    const { ledger } = await lowered(50);
    for (let n = 0; n < 10; n++) {
      const id = idOf(await ledger.changeBudget(TRAINER, TERMS, asking(80 + n)));
      if (n % 2 === 0) expect(said(await ledger.withdrawBudgetChange(TRAINER, `req_${n}`, id))).toBe("withdrawn");
    }
    expect(said(await ledger.changeBudget(TRAINER, TERMS, asking(99)))).toBe("rate-limited");
    expect(said(await ledger.changeBudget(FIONA, TERMS, asking(99)))).toBe("pending");
    vi.setSystemTime(START + HOUR + 1);
    expect(said(await ledger.changeBudget(TRAINER, TERMS, asking(98)))).toBe("pending");
  });
});
