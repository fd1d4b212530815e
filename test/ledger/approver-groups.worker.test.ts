import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { OPEN_APPROVALS_MAX } from "../../src/ledger/approvals/approvals.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import type { ApproverGroup } from "../../src/policy/types.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  agent,
  APPROVERS,
  BUDGET,
  decideAs,
  digest,
  MINUTE,
  needing,
  newTenant,
  person,
  propose,
  rowsOf,
  runAlarm,
  START,
  verdict,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const group = (name: string, ...people: readonly string[]): ApproverGroup => ({
  name,
  needed: 1,
  subjects: people.map((one) => `person:${one}`),
});

const SEPARATE = [group("lead", "alice", "bob"), group("finance", "carol")];
const OVERLAPPING = [group("lead", "alice", "bob"), group("finance", "bob", "carol")];
/** Two places that one and the same person alone could fill. */
const ONE_PERSON = [group("lead", "alice"), group("finance", "alice")];

const approveAs = (ledger: LedgerPort, id: string, name: string, groups: readonly ApproverGroup[]): Promise<string> =>
  decideAs(ledger, id, person(name), "approve", APPROVERS, groups);

describe("an approval by groups", () => {
  it.each([
    ["two of one group", SEPARATE, ["alice", "bob"], "pending"],
    ["one of each", SEPARATE, ["bob", "carol"], "approved"],
    ["all of them", SEPARATE, ["alice", "bob", "carol"], "approved"],
    ["whoever sits in both, with a lead", OVERLAPPING, ["bob", "alice"], "approved"],
    ["whoever sits in both, with finance", OVERLAPPING, ["bob", "carol"], "approved"],
    ["whoever sits in both, alone", OVERLAPPING, ["bob", "bob"], "pending"],
  ])("is given by one person per place: %s", async (_, groups, people, state) => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, write({ requirement: needing(2, { groups }) }));
    for (const name of people) expect(await approveAs(ledger, id, name, groups)).toBe("recorded");
    expect((await ledger.approval(id))?.approval.state).toBe(state);
    await checkInvariants(tenant, CAPS);
  });

  it("is judged again when it is used: by the groups of that moment", async () => {
    const { ledger } = await newTenant();
    const request = write({ requirement: needing(2, { groups: OVERLAPPING }) });
    const id = await propose(ledger, request);
    for (const name of ["alice", "bob"]) await approveAs(ledger, id, name, OVERLAPPING);
    const now = again(request, { requirement: needing(2, { groups: SEPARATE }) });
    expect(verdict(await ledger.admit(now))).toBe("approval-invalid");
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
  });

  it("is not asked for where the places cannot all be filled", async () => {
    const { tenant, ledger } = await newTenant();
    expect(await ledger.admit(write({ requirement: needing(2, { groups: ONE_PERSON }) }))).toMatchObject({
      refusal: { kind: "approval-required", approval: { id: null, needed: 2, eligible: 1 } },
    });
    expect(await rowsOf(tenant, "SELECT * FROM approvals")).toEqual([]);
  });
});

const proposal = (index: number) =>
  write({ cost: { kind: "none" }, requirement: needing(1), requestDigest: digest(`proposal ${index}`) });

describe("open proposals of one principal", () => {
  it("are bounded: one more is refused and says when to come back, and nobody else is held up", async () => {
    const { tenant, ledger } = await newTenant();
    for (let index = 0; index < OPEN_APPROVALS_MAX; index++) await propose(ledger, proposal(index));
    expect(await ledger.admit(proposal(OPEN_APPROVALS_MAX))).toMatchObject({
      refusal: { kind: "rate-limited", retry_after_s: 30 * 60 },
    });
    expect(verdict(await ledger.admit(again(proposal(0))))).toBe("approval-required");
    expect(verdict(await ledger.admit(again(proposal(0), { requester: agent("tuner") })))).toBe("approval-required");
    const [open] = await rowsOf(tenant, "SELECT count(*) AS n FROM approvals WHERE principal = 'agent:trainer'");
    expect(open).toEqual({ n: OPEN_APPROVALS_MAX });
    await checkInvariants(tenant, CAPS);
  });

  it("make room by being decided, superseded or expired, whether or not the alarm has noticed", async () => {
    const { tenant, ledger } = await newTenant();
    const first = await propose(ledger, proposal(0));
    for (let index = 1; index < OPEN_APPROVALS_MAX; index++) await propose(ledger, proposal(index));
    const dearer = again(proposal(1), { requirement: needing(1, { ruleDigest: digest("another rule") }) });
    expect(verdict(await ledger.admit(dearer))).toBe("approval-required");
    await decideAs(ledger, first, person("alice"), "deny");
    expect(verdict(await ledger.admit(proposal(100)))).toBe("approval-required");
    expect(verdict(await ledger.admit(proposal(101)))).toBe("rate-limited");
    vi.setSystemTime(START + 30 * MINUTE);
    expect(verdict(await ledger.admit(proposal(102)))).toBe("approval-required");
    await runAlarm(tenant);
    await checkInvariants(tenant, CAPS);
  });
});
