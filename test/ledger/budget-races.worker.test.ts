import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { checkInvariants } from "./check-invariants.ts";
import { agent, BUDGET, newTenant, OPERATOR, rowsOf, START, USD, verdict } from "./fixture.ts";
import { caps, DAY, innerCap, spend } from "./money-fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };
const AT_ONCE = 1_000;
const AGENTS = ["a", "b", "c", "d", "e"] as const;

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** A tenant with five agents, each with a key of its own. */
async function fiveAgents(): Promise<{ readonly tenant: string; readonly ledger: LedgerPort }> {
  const { tenant, ledger } = await newTenant();
  for (const name of AGENTS) {
    const expiresAt = START + 30 * DAY;
    const { credentialId, subject } = agent(name);
    await ledger.addCredential(OPERATOR, newId("req"), { credentialId, subject, record: "{}", expiresAt });
  }
  return { tenant, ledger };
}

/** All rows of the books: what a refusal must leave as it was. */
const booksRows = (tenant: string) =>
  Promise.all(
    ['SELECT * FROM "windows"', "SELECT * FROM entries", "SELECT * FROM reservations", "SELECT * FROM operations"].map(
      (query) => rowsOf(tenant, query),
    ),
  );

describe(`of ${AT_ONCE} submits at once from ${AGENTS.length} credentials`, () => {
  it.each([0, 1, 37])("exactly the %i that there is room for are admitted", async (room) => {
    const { tenant, ledger } = await fiveAgents();
    if (room < 100) await ledger.admit(spend((100 - room) * USD));
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, (_, index) =>
        ledger.admit(spend(USD, { requester: agent(AGENTS[index % AGENTS.length] ?? "a") })).then(verdict),
      ),
    );
    expect(answers.filter((answer) => answer === "admitted")).toHaveLength(room);
    expect(answers.filter((answer) => answer === "budget-exceeded")).toHaveLength(AT_ONCE - room);
    expect((await ledger.budgetReport(BUDGET, [])).daily).toMatchObject({
      held_micros: 100 * USD,
      remaining_micros: 0,
    });
    await checkInvariants(tenant, CAPS);
  });

  it("each one's own cap and the tenant's are kept together", async () => {
    const { tenant, ledger } = await fiveAgents();
    const answers = await Promise.all(
      Array.from({ length: AT_ONCE }, async (_, index) => {
        const name = AGENTS[index % AGENTS.length] ?? "a";
        const per = [{ scope: `principal:agent:${name}`, dailyCapMicros: 12 * USD, monthlyCapMicros: null }];
        const answer = await ledger.admit(spend(USD, { requester: agent(name), budget: { ...BUDGET, per } }));
        return `${name} ${verdict(answer)}`;
      }),
    );
    for (const name of AGENTS) expect(answers.filter((one) => one === `${name} admitted`)).toHaveLength(12);
    await checkInvariants(tenant, CAPS);
  });
});

describe("a request that one cap has room for and another has not", () => {
  it.each([
    ["the day has room, the month has none", caps(100, 50)],
    ["the month has room, the day has none", caps(50, 100)],
    [
      "the tenant has room, a cap inside it has none for the day",
      { ...BUDGET, per: [innerCap("principal:agent:trainer", 50, null)] },
    ],
    [
      "the tenant has room, a cap inside it has none for the month",
      { ...BUDGET, per: [innerCap("principal:agent:trainer", null, 50)] },
    ],
    ["both have room, and too much was submitted", caps(100, 1_000, { grossDailyCapMicros: 50 * USD })],
  ])("touches no window, no line and no inner sum: %s", async (_, budget) => {
    const { tenant, ledger } = await newTenant();
    await ledger.admit(spend(USD, { budget: { ...BUDGET, per: [innerCap("principal:agent:trainer", 100, 1_000)] } }));
    const before = await booksRows(tenant);
    for (let n = 0; n < 3; n++)
      expect(verdict(await ledger.admit(spend(60 * USD, { budget })))).toBe("budget-exceeded");
    expect(await booksRows(tenant)).toEqual(before);
    await checkInvariants(tenant, CAPS);
  });
});
