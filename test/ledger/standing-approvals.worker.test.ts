import * as fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { StandingAsk } from "../../src/ledger/approvals/ask-standing-approval.ts";
import type { AdmissionRequest } from "../../src/ledger/contract.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  agent,
  anyOf,
  APPROVERS,
  AUTHORITY,
  BUDGET,
  decideAs,
  digest,
  ended,
  hold,
  MINUTE,
  needing,
  newTenant,
  NO_CONTEXT,
  person,
  priced,
  propose,
  rowsOf,
  runAlarm,
  START,
  USD,
  verdict,
  windows,
} from "./fixture.ts";
import { ask, DANA, given, rules, standingAsk, submit } from "./standing-fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };
const DAY = 24 * 60 * MINUTE;

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const left = async (ledger: LedgerPort, id: string): Promise<readonly [number, number] | null> => {
  const standing = (await ledger.approval(id))?.standing ?? null;
  return standing === null ? null : [standing.uses - standing.used, standing.capMicros - standing.usedMicros];
};
const stateOf = async (ledger: LedgerPort, id: string): Promise<unknown> => (await ledger.approval(id))?.approval.state;
const endAs = async (ledger: LedgerPort, approvalId: string, name: string, isSecurity = false): Promise<string> =>
  verdict(
    await ledger.endStandingApproval({
      requestId: newId("req"),
      approvalId,
      by: person(name),
      approvers: APPROVERS,
      isSecurity,
    }),
  );

describe("asking", () => {
  it("is a proposal that holds no money, and the same ask again is the same proposal", async () => {
    const { tenant, ledger } = await newTenant();
    const asked = standingAsk();
    const id = await ask(ledger, asked);
    expect(await ask(ledger, asked)).toBe(id);
    expect(await ledger.approval(id)).toMatchObject({
      approval: { state: "pending", principal: "person:dana", tier: 3, needed: 1, ceilingMicros: 10 * USD },
      standing: { pins: { max_gpus: 8 }, uses: 3, used: 0, capMicros: 10 * USD, usedMicros: 0 },
    });
    expect(await hold(tenant, id)).toBe("none");
    expect(await windows(tenant)).toEqual({});
    expect((await ledger.approvals("pending", 10)).map(({ approval }) => approval.id)).toEqual([id]);
    expect((await ledger.standingApprovals("pending", 10)).map(({ approval }) => approval.id)).toEqual([id]);
    await propose(ledger, submit());
    expect(await ledger.standingApprovals(null, 10)).toHaveLength(1);
    await checkInvariants(tenant, CAPS);
  });

  it.each([
    ["the person who asked", "dana"],
    ["a stranger", "mallory"],
  ])("is not decided by %s", async (_, name) => {
    const { ledger } = await newTenant();
    const approvers = [...APPROVERS, { handle: "@dana", subject: "person:dana" }];
    const id = await ask(ledger, standingAsk({ rules: rules({ approvers }) }));
    expect(await decideAs(ledger, id, person(name), "approve", approvers)).toBe("not-eligible");
    expect(await stateOf(ledger, id)).toBe("pending");
  });

  it("at tier 4 takes two people", async () => {
    const { ledger } = await newTenant();
    const id = await ask(ledger, standingAsk({ rules: rules({ tier: 4, needed: 2 }) }));
    await decideAs(ledger, id, person("alice"), "approve");
    await decideAs(ledger, id, person("alice"), "approve");
    expect(await stateOf(ledger, id)).toBe("pending");
    await decideAs(ledger, id, person("bob"), "approve");
    expect(await stateOf(ledger, id)).toBe("approved");
  });

  it("is put before nobody where too few people could approve, and not again at once after a no", async () => {
    const { ledger } = await newTenant();
    const alone = [{ handle: "@dana", subject: "person:dana" }];
    expect(
      verdict(await ledger.askStandingApproval(AUTHORITY, standingAsk({ rules: rules({ approvers: alone }) }))),
    ).toBe("approval-required");
    const asked = standingAsk();
    await decideAs(ledger, await ask(ledger, asked), person("alice"), "deny");
    expect(verdict(await ledger.askStandingApproval(AUTHORITY, asked))).toBe("approval-denied");
  });

  it("under documents that are no longer in force is judged again", async () => {
    const { ledger } = await newTenant();
    expect((await ledger.askStandingApproval({ ...AUTHORITY, policy: digest("old") }, standingAsk())).kind).toBe(
      "stale",
    );
  });

  it("is no emergency: nobody breaks the glass for it", async () => {
    const { ledger } = await newTenant();
    const id = await ask(ledger, standingAsk());
    const outcome = await ledger.decide(AUTHORITY, {
      requestId: newId("req"),
      approvalId: id,
      decider: person("alice"),
      decision: "break-glass",
      comment: "now",
      breakGlass: ["person:alice"],
      breakGlassMaxMicros: 100 * USD,
      approvers: APPROVERS,
      groups: anyOf(1, APPROVERS),
    });
    expect(verdict(outcome)).toBe("not-eligible");
    expect(await stateOf(ledger, id)).toBe("pending");
  });
});

describe("a use", () => {
  it("runs the request at once, and takes count, USD and budget in one go", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await given(ledger);
    const request = submit({ cost: priced(4 * USD) });
    expect(await ledger.admit(request)).toMatchObject({
      kind: "admitted",
      approvalId: id,
      approvers: ["person:alice"],
      context: { reason: request.context.reason },
    });
    expect(await left(ledger, id)).toEqual([2, 6 * USD]);
    expect((await windows(tenant))["2031-11-20"]).toEqual([4 * USD, 0]);
    const [intent] = await rowsOf(
      tenant,
      `SELECT json_extract(record, '$.approval_id') AS id, json_extract(record, '$.approvers') AS approvers,
         json_extract(record, '$.reason_code') AS code, json_extract(record, '$.detail') AS detail
       FROM journal WHERE json_extract(record, '$.kind') = 'intent'`,
    );
    expect(intent).toEqual({
      id,
      approvers: '["person:alice"]',
      code: "standing-approval",
      detail: `use 1 of 3 of ${id}, 4.00 of 10.00 USD`,
    });
    await checkInvariants(tenant, CAPS);
  });

  it("is not given back, whatever became of the request", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await given(ledger);
    for (const outcome of ["failed", "not-sent", "succeeded"] as const) {
      const request = submit();
      expect(verdict(await ledger.admit(request))).toBe("admitted");
      await ledger.conclude(ended(request.requestId, outcome));
    }
    expect(await left(ledger, id)).toEqual([0, 7 * USD]);
    expect(verdict(await ledger.admit(submit()))).toBe("approval-required");
    await checkInvariants(tenant, CAPS);
  });

  it("of a repeated request is one use", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await given(ledger);
    const request = submit();
    expect(verdict(await ledger.admit(request))).toBe("admitted");
    expect(verdict(await ledger.admit(again(request)))).toBe("idempotency-in-progress");
    await ledger.conclude(ended(request.requestId, "succeeded"));
    expect(verdict(await ledger.admit(again(request)))).toBe("replay");
    expect(await left(ledger, id)).toEqual([2, 9 * USD]);
    expect(verdict(await ledger.admit(again(request, { handles: { idempotencyKey: "next" } })))).toBe("admitted");
    expect(await left(ledger, id)).toEqual([1, 8 * USD]);
    await checkInvariants(tenant, CAPS);
  });

  it("answers what was open for the same request: it is not run once more by its own grant", async () => {
    const { tenant, ledger } = await newTenant();
    const request = submit();
    const open = await propose(ledger, request);
    const draft = submit({
      context: NO_CONTEXT,
      requirement: needing(1, { standing: rules(), missingContext: ["reason"] }),
    });
    const drafted = await propose(ledger, draft);
    await given(ledger);
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    expect(await stateOf(ledger, open)).toBe("invalidated");
    expect(await hold(tenant, open)).toBe("released 1000000/0");
    const completed = again(draft, { context: request.context, requirement: request.requirement });
    expect(verdict(await ledger.admit(completed))).toBe("admitted");
    expect(await stateOf(ledger, drafted)).toBe("invalidated");
    expect(await decideAs(ledger, open, person("alice"), "approve")).toBe("already-decided");
    await checkInvariants(tenant, CAPS);
  });

  it("comes after the request's own grant: that one is spent first", async () => {
    const { tenant, ledger } = await newTenant();
    const request = submit();
    await decideAs(ledger, await propose(ledger, request), person("bob"), "approve");
    const id = await given(ledger);
    expect(await ledger.admit(again(request))).toMatchObject({ kind: "admitted", approvers: ["person:bob"] });
    expect(await left(ledger, id)).toEqual([3, 10 * USD]);
    await checkInvariants(tenant, CAPS);
  });

  it("does not overrule a no to this very request", async () => {
    const { ledger } = await newTenant();
    const request = submit();
    await decideAs(ledger, await propose(ledger, request), person("bob"), "deny");
    await given(ledger);
    expect(verdict(await ledger.admit(again(request)))).toBe("approval-denied");
  });

  it("tells nobody: it was approved beforehand", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await given(ledger);
    await runAlarm(tenant);
    const request = submit();
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "succeeded"));
    expect(await rowsOf(tenant, "SELECT kind FROM notices WHERE approval_id = ?", id)).toEqual([]);
  });

  it("takes the one that ends first of several that fit", async () => {
    const { ledger } = await newTenant();
    const later = await given(ledger, { endsAt: START + 2 * DAY });
    const sooner = await given(ledger, { endsAt: START + DAY });
    expect(await ledger.admit(submit())).toMatchObject({ approvalId: sooner });
    expect(await left(ledger, later)).toEqual([3, 10 * USD]);
  });

  const approverGone = APPROVERS.filter(({ subject }) => subject !== "person:alice");
  it.each<[string, Partial<StandingAsk>, Parameters<typeof submit>[0]]>([
    ["a pin does not hold", {}, { facts: { gpus: 9 } }],
    ["a pinned fact is missing", {}, { facts: {} }],
    [
      "one pin of several does not hold",
      { pins: { max_gpus: 8, gpu_type: "H100" } },
      { facts: { gpus: 4, gpu_type: "A100" } },
    ],
    ["it is for another action", { action: "allocations.create" }, {}],
    ["the credential is somebody else's", {}, { requester: { ...agent("trainer"), owner: "person:erin" } }],
    ["the USD do not cover the ceiling", { capMicros: USD }, { cost: priced(USD + 1) }],
    [
      "context is missing",
      {},
      { context: NO_CONTEXT, requirement: needing(1, { standing: rules(), missingContext: ["reason"] }) },
    ],
    ["the rule has changed", {}, { requirement: needing(1, { standing: rules({ ruleDigest: digest("tightened") }) }) }],
    [
      "its approver is no longer one",
      {},
      { requirement: needing(1, { standing: rules({ approvers: approverGone }) }) },
    ],
    ["its approver issued the credential", {}, { requester: { ...agent("trainer"), issuer: "person:alice" } }],
    [
      "its approver stands in the delegation chain",
      {},
      { requester: { ...agent("trainer"), delegation: ["person:alice"] } },
    ],
    ["the action needs a higher tier now", {}, { requirement: needing(1, { standing: rules({ tier: 4 }) }) }],
    ["the request is of a higher tier", {}, { tier: 4 }],
    ["the policy gives no standing approvals", {}, { requirement: needing(1) }],
  ])("is not had where %s: people are asked as ever", async (_, granted, wanted) => {
    const { tenant, ledger } = await newTenant();
    const id = await given(ledger, granted);
    const before = await left(ledger, id);
    expect(verdict(await ledger.admit(submit(wanted)))).toBe("approval-required");
    expect(await left(ledger, id)).toEqual(before);
    await checkInvariants(tenant, CAPS);
  });

  it("is not had before it is given, after a no, or after its end", async () => {
    const { tenant, ledger } = await newTenant();
    const pending = await ask(ledger, standingAsk());
    expect(verdict(await ledger.admit(submit()))).toBe("approval-required");
    await decideAs(ledger, pending, person("alice"), "deny");
    expect(verdict(await ledger.admit(submit()))).toBe("approval-required");
    const id = await given(ledger, { endsAt: START + 60 * MINUTE });
    expect((await ledger.approval(id))?.approval.expiresAt).toBe(START + 60 * MINUTE);
    vi.setSystemTime(START + 60 * MINUTE - 1);
    expect(verdict(await ledger.admit(submit()))).toBe("admitted");
    vi.setSystemTime(START + 60 * MINUTE);
    expect(verdict(await ledger.admit(submit()))).toBe("approval-required");
    await runAlarm(tenant);
    expect(await stateOf(ledger, id)).toBe("expired");
    await checkInvariants(tenant, CAPS);
  });

  it("is within the budget like any request, and a refused one takes nothing", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await given(ledger);
    expect(verdict(await ledger.admit(submit({ budget: { ...BUDGET, dailyCapMicros: 1 } })))).toBe("budget-exceeded");
    expect(await left(ledger, id)).toEqual([3, 10 * USD]);
    await checkInvariants(tenant, CAPS);
  });

  it("needs of two approvers both to count still", async () => {
    const { ledger } = await newTenant();
    const both = { tier: 4 as const, needed: 2 };
    await given(ledger, { rules: rules(both) });
    const approvers = APPROVERS.filter(({ subject }) => subject !== "person:bob");
    const requirement = needing(2, { standing: rules({ ...both, approvers }) });
    expect(verdict(await ledger.admit(submit({ tier: 4, requirement })))).toBe("approval-required");
    const still = needing(2, { standing: rules(both) });
    expect(verdict(await ledger.admit(submit({ tier: 4, requirement: still })))).toBe("admitted");
  });
});

describe("ending one", () => {
  it.each([
    ["the person who asked", "dana", false],
    ["one who approved it", "alice", false],
    ["another who could have", "carol", false],
    ["security", "sam", true],
  ])("%s may, and the next request asks people again", async (_, name, isSecurity) => {
    const { tenant, ledger } = await newTenant();
    const id = await given(ledger);
    expect(verdict(await ledger.admit(submit()))).toBe("admitted");
    expect(await endAs(ledger, id, name, isSecurity)).toBe("recorded");
    expect(await stateOf(ledger, id)).toBe("withdrawn");
    expect(verdict(await ledger.admit(submit()))).toBe("approval-required");
    expect(await endAs(ledger, id, name, isSecurity)).toBe("already-decided");
    expect(
      await rowsOf(
        tenant,
        `SELECT json_extract(record, '$.principal') AS by FROM journal WHERE json_extract(record, '$.reason_code') = 'withdrawn'`,
      ),
    ).toEqual([{ by: `person:${name}` }]);
    await checkInvariants(tenant, CAPS);
  });

  it("nobody else may, and a proposal is not ended this way", async () => {
    const { ledger } = await newTenant();
    const id = await given(ledger);
    expect(await endAs(ledger, id, "mallory")).toBe("not-found");
    expect(await stateOf(ledger, id)).toBe("approved");
    expect(await endAs(ledger, await propose(ledger, submit({ facts: { gpus: 64 } })), "alice", true)).toBe(
      "not-found",
    );
  });

  it("also by one who approved it and is no approver any more", async () => {
    const { ledger } = await newTenant();
    const id = await given(ledger);
    const outcome = await ledger.endStandingApproval({
      requestId: newId("req"),
      approvalId: id,
      by: person("alice"),
      approvers: [],
      isSecurity: false,
    });
    expect(verdict(outcome)).toBe("recorded");
  });
});

describe("never more than was granted", () => {
  it.each([0, 1, 7, 100])("of 200 requests at once exactly the %i that are left run", async (uses) => {
    const { tenant, ledger } = await newTenant();
    const id = await given(ledger, { uses: uses + 1, capMicros: 1_000 * USD });
    expect(verdict(await ledger.admit(submit({ cost: priced(1) })))).toBe("admitted");
    const answers = await Promise.all(
      Array.from({ length: 200 }, () => ledger.admit(submit({ cost: priced(1_000) })).then(verdict)),
    );
    expect(answers.filter((answer) => answer === "admitted")).toHaveLength(uses);
    expect(await left(ledger, id)).toEqual([0, 1_000 * USD - 1 - uses * 1_000]);
    await checkInvariants(tenant, CAPS);
  });

  it("nor does its USD run out one request too late", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await given(ledger, { uses: 1_000, capMicros: 7 * USD + 999_999 });
    const answers = await Promise.all(Array.from({ length: 200 }, () => ledger.admit(submit()).then(verdict)));
    expect(answers.filter((answer) => answer === "admitted")).toHaveLength(7);
    expect(await left(ledger, id)).toEqual([993, 999_999]);
    await checkInvariants(tenant, CAPS);
  });

  const NAMES = ["trainer", "tuner"];
  type Step =
    | {
        readonly do: "submit";
        readonly who: string;
        readonly gpus: number;
        readonly micros: number;
        readonly same: boolean;
      }
    | {
        readonly do: "give";
        readonly uses: number;
        readonly micros: number;
        readonly gpus: number;
        readonly minutes: number;
      }
    | { readonly do: "end"; readonly nth: number }
    | { readonly do: "wait"; readonly minutes: number }
    | { readonly do: "alarm" };
  const step: fc.Arbitrary<Step> = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant("submit" as const),
        who: fc.constantFrom(...NAMES),
        gpus: fc.integer({ min: 1, max: 10 }),
        micros: fc.constantFrom(0, 1, USD / 2, USD, 3 * USD),
        same: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("give" as const),
        uses: fc.integer({ min: 1, max: 4 }),
        micros: fc.constantFrom(0, USD, 2 * USD + 1, 5 * USD),
        gpus: fc.integer({ min: 2, max: 8 }),
        minutes: fc.constantFrom(10, 60, 600),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("end" as const), nth: fc.nat(9) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), minutes: fc.constantFrom(1, 9, 51) }) },
    { weight: 1, arbitrary: fc.constant({ do: "alarm" as const }) },
  );

  /** Room for all that a run can ask for: what stops a request here is never the budget. */
  const AMPLE = { ...BUDGET, dailyCapMicros: 1_000 * USD };

  /** A standing approval in the simplest terms. */
  type Granted = {
    readonly id: string;
    readonly gpus: number;
    readonly endsAt: number;
    uses: number;
    micros: number;
    live: boolean;
  };

  async function play(steps: readonly Step[]): Promise<number> {
    vi.setSystemTime(START);
    const { tenant, ledger } = await newTenant();
    const grants: Granted[] = [];
    let [now, ran] = [START, 0];
    let last: AdmissionRequest | null = null;
    for (const one of steps) {
      if (one.do === "wait") vi.setSystemTime((now += one.minutes * MINUTE));
      if (one.do === "alarm") await runAlarm(tenant);
      if (one.do === "give") {
        const { uses, micros, gpus } = one;
        const endsAt = now + one.minutes * MINUTE;
        const id = await given(ledger, { uses, capMicros: micros, pins: { max_gpus: gpus }, endsAt });
        grants.push({ id, gpus, endsAt, uses, micros, live: true });
      }
      if (one.do === "end") {
        const target = grants[one.nth];
        if (target !== undefined) await endAs(ledger, target.id, "dana");
        if (target !== undefined) target.live = false;
      }
      if (one.do === "submit") {
        const repeated: AdmissionRequest | null = one.same ? last : null;
        const { micros } = one;
        last = submit({
          requester: agent(one.who),
          facts: { gpus: one.gpus },
          cost: priced(micros),
          budget: AMPLE,
          ...(repeated === null ? {} : { requestDigest: repeated.requestDigest, requester: repeated.requester }),
          handles: { idempotencyKey: newId("key") },
        });
        const outcome = await ledger.admit(last);
        const fitting = grants
          .filter((g) => g.live && now < g.endsAt && g.uses > 0 && micros <= g.micros && one.gpus <= g.gpus)
          .toSorted((a, b) => a.endsAt - b.endsAt || (a.id < b.id ? -1 : 1))[0];
        const [expected, by] = fitting === undefined ? ["refused", undefined] : ["admitted", fitting.id];
        expect([outcome.kind, outcome.kind === "admitted" ? outcome.approvalId : undefined]).toEqual([expected, by]);
        if (fitting !== undefined) {
          fitting.uses -= 1;
          fitting.micros -= micros;
          ran += 1;
        }
      }
      for (const { id, uses, micros } of grants) expect(await left(ledger, id)).toEqual([uses, micros]);
      await checkInvariants(tenant, { daily: AMPLE.dailyCapMicros, monthly: AMPLE.monthlyCapMicros });
    }
    return ran;
  }

  it("and exactly as much as fits, after each of 12 × 40 random steps", { timeout: 300_000 }, async () => {
    let ran = 0;
    const property = fc.asyncProperty(fc.array(step, { minLength: 40, maxLength: 40 }), async (steps) => {
      ran += await play(steps);
    });
    await fc.assert(property, { numRuns: 12, endOnFailure: true });
    expect(ran).toBeGreaterThan(12);
  });
});

it("an asker whose own credential stands behind nothing is told apart: the use needs the owner, not the subject", async () => {
  const { ledger } = await newTenant();
  const id = await given(ledger, { asker: { ...DANA, subject: "person:erin", owner: "person:erin" } });
  expect(verdict(await ledger.admit(submit()))).toBe("approval-required");
  const erins = submit({ requester: { ...agent("trainer"), owner: "person:erin" } });
  expect(await ledger.admit(erins)).toMatchObject({ kind: "admitted", approvalId: id });
});
