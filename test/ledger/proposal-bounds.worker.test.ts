import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AdmissionOutcome, ProposalBounds } from "../../src/ledger/contract.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  agent,
  BUDGET,
  decideAs,
  digest,
  MINUTE,
  needing,
  newTenant,
  person,
  priced,
  propose,
  rowsOf,
  runAlarm,
  START,
  UNBOUNDED,
  USD,
  verdict,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** The day's cap is 100 USD: 25 for one principal's waiting proposals, 50 for all. */
const SHARES: ProposalBounds = { ...UNBOUNDED, principalPercent: 25, tenantPercent: 50 };

const ask = (name: string, usd: number, digestName: string, bounds: ProposalBounds = SHARES) =>
  write({
    requester: agent(name),
    requestDigest: digest(digestName),
    cost: priced(usd * USD),
    requirement: needing(1, { bounds }),
  });

const shortIn = (outcome: AdmissionOutcome): unknown =>
  outcome.kind === "refused" && outcome.refusal.kind === "budget-exceeded"
    ? outcome.refusal.windows.map(({ period, scope, cap_usd, held_usd, requested_usd, short_usd }) => [
        period,
        scope,
        cap_usd,
        held_usd,
        requested_usd,
        short_usd,
      ])
    : outcome;

const withdraw = (ledger: LedgerPort, approvalId: string) =>
  ledger.withdraw({ requestId: newId("req"), approvalId, by: { ...person("x"), subject: "agent:trainer" } });

/** Kinds of the notices that wait to be handed over. */
const waiting = async (tenant: string): Promise<readonly unknown[]> =>
  (await rowsOf(tenant, "SELECT kind FROM notices ORDER BY at, id")).map((row) => row["kind"]);

describe("money held by waiting proposals", () => {
  it("stops at one principal's share of the day, with numbers that add up, and another principal has its own", async () => {
    const { tenant, ledger } = await newTenant();
    await propose(ledger, ask("trainer", 15, "a"));
    await propose(ledger, ask("trainer", 10, "b"));
    const third = await ledger.admit(ask("trainer", 1, "c"));
    expect(shortIn(third)).toEqual([["daily", "pending-of-principal", 25, 25, 1, 1]]);
    await propose(ledger, ask("tuner", 25, "d"));
    await checkInvariants(tenant, CAPS);
  });

  it("stops at the tenant's share however many principals ask", async () => {
    const { tenant, ledger } = await newTenant();
    await propose(ledger, ask("trainer", 25, "a"));
    await propose(ledger, ask("tuner", 25, "b"));
    const third = await ledger.admit(ask("pruner", 5, "c"));
    expect(shortIn(third)).toEqual([["daily", "pending-of-tenant", 50, 50, 5, 5]]);
    await checkInvariants(tenant, CAPS);
  });

  it("lets a lone dear proposal before people, and nothing more beside it", async () => {
    const { tenant, ledger } = await newTenant();
    await propose(ledger, ask("trainer", 80, "a"));
    expect(verdict(await ledger.admit(ask("trainer", 1, "b")))).toBe("budget-exceeded");
    expect(verdict(await ledger.admit(ask("tuner", 1, "c")))).toBe("budget-exceeded");
    await checkInvariants(tenant, CAPS);
  });

  it("makes room again when a proposal ends, and does not count what runs already", async () => {
    const { tenant, ledger } = await newTenant();
    const first = await propose(ledger, ask("trainer", 20, "a"));
    expect(verdict(await ledger.admit(write({ requester: agent("trainer"), cost: priced(30 * USD) })))).toBe(
      "admitted",
    );
    expect(verdict(await ledger.admit(ask("trainer", 10, "b")))).toBe("budget-exceeded");
    await decideAs(ledger, first, person("alice"), "deny");
    await propose(ledger, ask("trainer", 10, "b"));
    await checkInvariants(tenant, CAPS);
  });

  it("is counted once when a request replaces its own proposal", async () => {
    const { tenant, ledger } = await newTenant();
    await propose(ledger, ask("trainer", 20, "a"));
    const reworded = { ...ask("trainer", 20, "a"), context: { ...ask("trainer", 20, "a").context, reason: "other" } };
    await propose(ledger, reworded);
    await checkInvariants(tenant, CAPS);
  });
});

describe("a window without room", () => {
  it("lists the holds that fill it, largest first, and what it leaves out adds up", async () => {
    const { tenant, ledger } = await newTenant();
    for (let index = 0; index < 24; index++) {
      const cost = priced(3 * USD + index);
      await ledger.admit(write({ cost, requestDigest: digest(`${index}`), action: `workloads.run-${index}` }));
    }
    const refused = await ledger.admit(write({ cost: priced(50 * USD), requestDigest: digest("dear") }));
    if (refused.kind !== "refused" || refused.refusal.kind !== "budget-exceeded") throw new Error("it fits");
    const { holds, other_holds: others, windows: short } = refused.refusal;
    expect(holds.map((one) => one.action)).toEqual(
      Array.from({ length: 20 }, (_, index) => `workloads.run-${23 - index}`),
    );
    const listed = holds.reduce((sum, one) => sum + one.held_micros, 0);
    expect([others.count, listed + others.held_micros]).toEqual([4, short[0]?.held_micros]);
    await checkInvariants(tenant, CAPS);
  });
});

describe("the cool-down of one principal and action", () => {
  const COOL: ProposalBounds = { ...UNBOUNDED, deniedCoolDownMs: MINUTE, withdrawnCoolDownMs: 10 * MINUTE };

  it("follows a denial whatever the next request's digest, for its time, and binds nobody else and nothing else", async () => {
    const { tenant, ledger } = await newTenant();
    const first = await propose(ledger, ask("trainer", 1, "a", COOL));
    await decideAs(ledger, first, person("alice"), "deny");
    const next = await ledger.admit(ask("trainer", 1, "b", COOL));
    expect(next).toMatchObject({ kind: "refused", refusal: { kind: "rate-limited", retry_after_s: 60 } });
    await propose(ledger, ask("tuner", 1, "c", COOL));
    await propose(ledger, { ...ask("trainer", 1, "d", COOL), action: "workloads.cancel" });
    vi.setSystemTime(START + MINUTE - 1);
    expect(verdict(await ledger.admit(ask("trainer", 1, "b", COOL)))).toBe("rate-limited");
    vi.setSystemTime(START + MINUTE);
    await propose(ledger, ask("trainer", 1, "b", COOL));
    await checkInvariants(tenant, CAPS);
  });

  it("follows the third proposal that was taken back within ten minutes, not the first", async () => {
    const { tenant, ledger } = await newTenant();
    for (const name of ["a", "b", "c"]) {
      await withdraw(ledger, await propose(ledger, ask("trainer", 1, name, COOL)));
      vi.setSystemTime(Date.now() + MINUTE);
    }
    expect(verdict(await ledger.admit(ask("trainer", 1, "d", COOL)))).toBe("rate-limited");
    vi.setSystemTime(START + 10 * MINUTE);
    await propose(ledger, ask("trainer", 1, "d", COOL));
    await checkInvariants(tenant, CAPS);
  });

  it("ends at its longest when the clock steps back", async () => {
    const { ledger } = await newTenant();
    const first = await propose(ledger, ask("trainer", 1, "a", COOL));
    await decideAs(ledger, first, person("alice"), "deny");
    vi.setSystemTime(START - 24 * 60 * MINUTE);
    const next = await ledger.admit(ask("trainer", 1, "b", COOL));
    expect(next).toMatchObject({ refusal: { retry_after_s: 60 } });
  });
});

describe("what people are to be told", () => {
  it("stands beside the event that it tells of, and leaves only when the outbox has it", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, write({ requirement: needing(2) }));
    expect(await waiting(tenant)).toEqual(["opened"]);
    await decideAs(ledger, id, person("alice"), "approve");
    await decideAs(ledger, id, person("alice"), "approve");
    await decideAs(ledger, id, person("bob"), "approve");
    expect(new Set(await waiting(tenant))).toEqual(new Set(["approved", "decided", "opened"]));
    await runAlarm(tenant);
    expect(await waiting(tenant)).toEqual([]);
    await checkInvariants(tenant, CAPS);
  });

  it("includes one reminder while a proposal waits, and none once it is decided", async () => {
    const { tenant, ledger } = await newTenant();
    await propose(ledger, write({ requirement: needing(1), requestDigest: digest("waits") }));
    const decided = await propose(ledger, write({ requirement: needing(1), requestDigest: digest("decided") }));
    await decideAs(ledger, decided, person("alice"), "approve");
    await runAlarm(tenant);
    vi.setSystemTime(START + 20 * MINUTE);
    // The first alarm writes the reminder, the second hands it over.
    await runAlarm(tenant);
    expect(await waiting(tenant)).toEqual(["reminder"]);
    await runAlarm(tenant);
    expect(await waiting(tenant)).toEqual([]);
  });

  it("says nothing of drafts: nobody but the requester can do anything about one", async () => {
    const { tenant, ledger } = await newTenant();
    const draft = await propose(ledger, write({ requirement: needing(1, { missingContext: ["evidence"] }) }));
    await ledger.withdraw({
      requestId: newId("req"),
      approvalId: draft,
      by: { ...person("x"), subject: "agent:trainer" },
    });
    expect(await waiting(tenant)).toEqual([]);
  });
});
