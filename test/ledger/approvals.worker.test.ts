import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DENIAL_COOL_DOWN_MS, DRAFT_LIFETIME_MS, GRANT_LIFETIME_MS } from "../../src/ledger/approvals/approvals.ts";
import type { AdmissionRequest, RequestContext } from "../../src/ledger/contract.ts";
import type { LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import type { ContextField } from "../../src/policy/types.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  agent,
  APPROVERS,
  AUTHORITY,
  BUDGET,
  CONTEXT,
  decideAs,
  digest,
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
  WITH_INTERESTED,
  write,
  UNBOUNDED,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const stateOf = async (ledger: LedgerPort, id: string): Promise<unknown> => (await ledger.approval(id))?.approval.state;

/** Reason codes of the ledger's own records about this approval, in order. */
const journaled = async (tenant: string, id: string): Promise<readonly unknown[]> =>
  (
    await rowsOf(
      tenant,
      `SELECT json_extract(record, '$.reason_code') AS code FROM journal
       WHERE json_extract(record, '$.approval_id') = ? AND json_extract(record, '$.kind') IN ('proposal', 'decision') ORDER BY sequence`,
      id,
    )
  ).map((row) => row["code"]);

const withdrawAs = async (ledger: LedgerPort, approvalId: string, subject: string): Promise<string> =>
  verdict(await ledger.withdraw({ requestId: newId("req"), approvalId, by: { ...person("x"), subject } }));

describe("a proposal", () => {
  it("holds its money, is joined by the identical request, and is opened once", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(2) });
    const id = await propose(ledger, request);
    expect(await hold(tenant, id)).toBe("held 1000000");
    expect(await propose(ledger, again(request))).toBe(id);
    expect(await ledger.admit(again(request))).toMatchObject({
      refusal: {
        approval: { state: "pending", needed: 2, given: 0, eligible: 3, approvers: ["@alice", "@bob", "@carol"] },
      },
    });
    expect(await rowsOf(tenant, "SELECT count(*) AS n FROM approvals")).toEqual([{ n: 1 }]);
    await checkInvariants(tenant, CAPS);
  });

  it("is not opened where too few people may decide: nobody is asked, nothing is held", async () => {
    const { tenant, ledger } = await newTenant();
    const requirement = needing(2, { approvers: WITH_INTERESTED.filter((a) => a.subject !== "person:bob") });
    const outcome = await ledger.admit(write({ requirement }));
    expect(outcome).toMatchObject({
      refusal: { kind: "approval-required", approval: { id: null, needed: 2, eligible: 1 } },
    });
    expect(await rowsOf(tenant, "SELECT * FROM approvals")).toEqual([]);
    expect(await windows(tenant)).toEqual({});
  });

  it.each<[string, Partial<AdmissionRequest>]>([
    ["the cost", { cost: priced(2 * USD) }],
    ["the resource", { resource: "job-2" }],
    ["the rule", { requirement: needing(1, { ruleDigest: digest("tightened") }) }],
    ["the reason", { context: { ...CONTEXT, reason: "another" } }],
    ["the incident", { context: { ...CONTEXT, incident: "INC-1" } }],
  ])("is superseded when %s changes, its hold with it", async (_, change) => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const first = await propose(ledger, request);
    const second = await propose(ledger, again(request, change));
    expect(second).not.toBe(first);
    expect(await stateOf(ledger, first)).toBe("invalidated");
    expect(await hold(tenant, first)).toBe("released 1000000/0");
    expect(await journaled(tenant, first)).toEqual(["opened", "invalidated"]);
    expect(await decideAs(ledger, first, person("alice"), "approve")).toBe("already-decided");
    await checkInvariants(tenant, CAPS);
  });

  it("keeps its hold when the request that would supersede it does not fit", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const id = await propose(ledger, request);
    expect(verdict(await ledger.admit(again(request, { cost: priced(101 * USD) })))).toBe("budget-exceeded");
    expect(await stateOf(ledger, id)).toBe("pending");
    await checkInvariants(tenant, CAPS);
  });

  it("is found again after the clock stepped back: the request is not held twice", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    await withdrawAs(ledger, await propose(ledger, request), "agent:trainer");
    vi.setSystemTime(START - 5_000);
    const second = await propose(ledger, again(request));
    expect(await propose(ledger, again(request))).toBe(second);
    expect((await windows(tenant))["2031-11-20"]).toEqual([USD, 0]);
    await checkInvariants(tenant, CAPS);
  });

  it("expires by alarm to the millisecond and releases its hold", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const id = await propose(ledger, request);
    vi.setSystemTime(START + 30 * MINUTE - 1);
    await runAlarm(tenant);
    expect(await stateOf(ledger, id)).toBe("pending");
    vi.setSystemTime(START + 30 * MINUTE);
    await runAlarm(tenant);
    expect(await stateOf(ledger, id)).toBe("expired");
    expect(await hold(tenant, id)).toBe("released 1000000/0");
    await checkInvariants(tenant, CAPS);
  });

  it("expires also when the clock stepped back just as its alarm came", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, write({ requirement: needing(1) }));
    let calls = 0;
    // Due when the alarm looks, not yet due when its transaction begins.
    const clock = vi.spyOn(Date, "now").mockImplementation(() => START + 30 * MINUTE - ((calls += 1) > 1 ? 10 : 0));
    await runAlarm(tenant);
    clock.mockRestore();
    expect(await stateOf(ledger, id)).toBe("pending");
    vi.setSystemTime(START + 30 * MINUTE);
    await runAlarm(tenant);
    expect(await stateOf(ledger, id)).toBe("expired");
    await checkInvariants(tenant, CAPS);
  });

  it("that has expired unnoticed is not decided, nor joined", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const id = await propose(ledger, request);
    vi.setSystemTime(START + 30 * MINUTE);
    expect(await decideAs(ledger, id, person("alice"), "approve")).toBe("approval-expired");
    expect(await stateOf(ledger, id)).toBe("expired");
    const next = await propose(ledger, again(request));
    vi.setSystemTime(START + 60 * MINUTE);
    expect(await propose(ledger, again(request))).not.toBe(next);
    expect(await stateOf(ledger, next)).toBe("expired");
    await checkInvariants(tenant, CAPS);
  });

  it("is withdrawn by its requester or the owner of its credential; for everybody else it does not exist", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const id = await propose(ledger, request);
    for (const subject of ["agent:tuner", "person:alice", "person:olga"]) {
      expect(await withdrawAs(ledger, id, subject)).toBe("not-found");
    }
    expect(await withdrawAs(ledger, id, "person:dana")).toBe("recorded");
    expect(await withdrawAs(ledger, id, "agent:trainer")).toBe("already-decided");
    expect(await hold(tenant, id)).toBe("released 1000000/0");
    expect(await journaled(tenant, id)).toEqual(["opened", "withdrawn"]);
    const [record] = await rowsOf(
      tenant,
      `SELECT json_extract(record, '$.principal') AS principal, json_extract(record, '$.credential_id') AS credential
       FROM journal WHERE json_extract(record, '$.reason_code') = 'withdrawn'`,
    );
    expect(record).toEqual({ principal: "person:dana", credential: "key_x" });
    await checkInvariants(tenant, CAPS);
  });
});

describe("who may decide", () => {
  it.each([
    ["the requester", { ...person("x"), subject: "agent:trainer" }],
    ["the owner of its credential", person("dana")],
    ["the issuer of its credential", person("olga")],
    ["a person who is not listed", person("mallory")],
    ["an agent in an approver's name", { ...person("alice"), class: "agent" } as const],
    ["a service in an approver's name", { ...person("alice"), class: "service" } as const],
  ])("not %s, and the attempt is journaled each time", async (_, decider) => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, write({ requirement: needing(1, { approvers: WITH_INTERESTED }) }));
    const listed = [...WITH_INTERESTED, { handle: "@x", subject: "agent:trainer" }];
    for (const decision of ["approve", "deny", "approve"] as const) {
      expect(await decideAs(ledger, id, decider, decision, listed)).toBe("not-eligible");
    }
    expect(await stateOf(ledger, id)).toBe("pending");
    expect(await journaled(tenant, id)).toEqual(["opened", "not-eligible", "not-eligible", "not-eligible"]);
  });

  it("not the same person twice: two approvals are two people's", async () => {
    const { ledger } = await newTenant();
    const id = await propose(ledger, write({ requirement: needing(2) }));
    for (let times = 0; times < 3; times++)
      expect(await decideAs(ledger, id, person("alice"), "approve")).toBe("recorded");
    const otherKey = { ...person("alice"), credentialId: "key_alice_2" };
    expect(await decideAs(ledger, id, otherKey, "approve")).toBe("recorded");
    expect(await stateOf(ledger, id)).toBe("pending");
    expect(await decideAs(ledger, id, person("bob"), "approve")).toBe("recorded");
    expect(await stateOf(ledger, id)).toBe("approved");
  });

  it("counts only whoever is on the list when the last one approves, and again whoever is listed again", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, write({ requirement: needing(2) }));
    const withoutAlice = APPROVERS.filter((a) => a.subject !== "person:alice");
    await decideAs(ledger, id, person("alice"), "approve");
    await decideAs(ledger, id, person("bob"), "approve", withoutAlice);
    expect(await stateOf(ledger, id)).toBe("pending");
    expect(await decideAs(ledger, id, person("bob"), "approve")).toBe("recorded");
    expect(await stateOf(ledger, id)).toBe("approved");
    expect(await journaled(tenant, id)).toEqual(["opened", "approve", "approve", "approved"]);
    await checkInvariants(tenant, CAPS);
  });
});

type Step = readonly [who: "alice" | "bob" | "withdraw" | "expire", what: "approve" | "deny" | null];
const A: Step = ["alice", "approve"];
const B: Step = ["bob", "approve"];
const NOT_A: Step = ["alice", "deny"];
const NOT_B: Step = ["bob", "deny"];
const WITHDRAW: Step = ["withdraw", null];
const EXPIRE: Step = ["expire", null];

describe("terminal states never move", () => {
  it.each<[string, readonly Step[], readonly string[], string]>([
    ["approve, approve", [A, B], ["recorded", "recorded"], "approved"],
    ["approve, approve in the other order", [B, A], ["recorded", "recorded"], "approved"],
    ["approve, deny", [A, NOT_B], ["recorded", "recorded"], "denied"],
    ["deny, approve", [NOT_A, B], ["recorded", "already-decided"], "denied"],
    ["deny, deny", [NOT_A, NOT_B], ["recorded", "already-decided"], "denied"],
    ["deny twice", [NOT_A, NOT_A], ["recorded", "recorded"], "denied"],
    ["approve, then the same person denies", [A, NOT_A, B], ["recorded", "recorded", "already-decided"], "denied"],
    ["deny, then the same person approves", [NOT_A, A], ["recorded", "already-decided"], "denied"],
    ["deny after the grant", [A, B, NOT_A], ["recorded", "recorded", "already-decided"], "approved"],
    ["approve again after the grant", [A, B, A, B], ["recorded", "recorded", "recorded", "recorded"], "approved"],
    ["approve after withdrawal", [A, WITHDRAW, B], ["recorded", "recorded", "already-decided"], "withdrawn"],
    ["withdraw after denial", [NOT_A, WITHDRAW], ["recorded", "already-decided"], "denied"],
    ["withdraw the grant", [A, B, WITHDRAW, A], ["recorded", "recorded", "recorded", "recorded"], "withdrawn"],
    ["approve after expiry", [A, EXPIRE, B], ["recorded", "expired", "already-decided"], "expired"],
    ["withdraw after expiry", [EXPIRE, WITHDRAW], ["expired", "already-decided"], "expired"],
    ["the grant expires", [A, B, EXPIRE, NOT_A], ["recorded", "recorded", "expired", "already-decided"], "expired"],
  ])("%s", async (_, steps, answers, state) => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, write({ requirement: needing(2) }));
    const given: string[] = [];
    for (const [who, what] of steps) {
      if (what !== null) given.push(await decideAs(ledger, id, person(who), what));
      else if (who === "withdraw") given.push(await withdrawAs(ledger, id, "agent:trainer"));
      else {
        vi.setSystemTime(Date.now() + 31 * MINUTE);
        await runAlarm(tenant);
        given.push(String(await stateOf(ledger, id)));
      }
    }
    expect(given).toEqual(answers);
    expect(await stateOf(ledger, id)).toBe(state);
    expect(await hold(tenant, id)).toBe(state === "approved" ? "held 1000000" : "released 1000000/0");
    await checkInvariants(tenant, CAPS);
  });

  it("also for what was used: a consumed grant is neither denied nor withdrawn nor expired", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const id = await propose(ledger, request);
    await decideAs(ledger, id, person("alice"), "approve");
    await ledger.admit(again(request));
    expect(await decideAs(ledger, id, person("bob"), "deny")).toBe("already-decided");
    expect(await withdrawAs(ledger, id, "agent:trainer")).toBe("already-decided");
    vi.setSystemTime(START + 120 * MINUTE);
    await runAlarm(tenant);
    expect(await stateOf(ledger, id)).toBe("consumed");
    await checkInvariants(tenant, CAPS);
  });
});

describe("a denial", () => {
  it("answers the same request for ten minutes, then people may be asked again", async () => {
    const { ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    await decideAs(ledger, await propose(ledger, request), person("alice"), "deny");
    vi.setSystemTime(START + DENIAL_COOL_DOWN_MS - 1);
    expect(await ledger.admit(again(request))).toMatchObject({
      refusal: { kind: "approval-denied", decided_by: ["person:alice"] },
    });
    vi.setSystemTime(START + DENIAL_COOL_DOWN_MS);
    expect(verdict(await ledger.admit(again(request)))).toBe("approval-required");
  });
});

const granted = async (over: Parameters<typeof needing>[1] = {}) => {
  const { tenant, ledger } = await newTenant();
  const request = write({ resource: "job-1", requirement: needing(2, over) });
  const id = await propose(ledger, request);
  await decideAs(ledger, id, person("alice"), "approve");
  await decideAs(ledger, id, person("bob"), "approve");
  return { tenant, ledger, request, id };
};

describe("a grant", () => {
  it("is spent by the identical request and names its approvers in the intent", async () => {
    const { tenant, ledger, request, id } = await granted();
    const execution = again(request, { context: NO_CONTEXT });
    expect(await ledger.admit(execution)).toMatchObject({
      kind: "admitted",
      approvalId: id,
      approvers: ["person:alice", "person:bob"],
      context: CONTEXT,
    });
    const [intent] = await rowsOf(
      tenant,
      "SELECT record FROM journal WHERE entry_id = ?",
      `${execution.requestId}/intent`,
    );
    expect(JSON.parse(String(intent?.["record"]))).toMatchObject({
      approval_id: id,
      approvers: ["person:alice", "person:bob"],
      reason: CONTEXT.reason,
      decision: "allow",
    });
    await checkInvariants(tenant, CAPS);
  });

  it("lives half an hour after the last decision, not longer than the policy says, then releases its hold", async () => {
    for (const timeoutMs of [10 * MINUTE, 120 * MINUTE]) {
      vi.setSystemTime(START);
      const { tenant, ledger, request, id } = await granted({ timeoutMs });
      const end = START + Math.min(timeoutMs, GRANT_LIFETIME_MS);
      vi.setSystemTime(end - 1);
      await runAlarm(tenant);
      expect(await stateOf(ledger, id)).toBe("approved");
      vi.setSystemTime(end);
      expect(verdict(await ledger.admit(again(request)))).toBe("approval-required");
      expect(await stateOf(ledger, id)).toBe("expired");
      await runAlarm(tenant);
      expect(await hold(tenant, id)).toBe("released 1000000/0");
      await checkInvariants(tenant, CAPS);
    }
  });

  it("outlives the end of its proposal when it was given late", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const id = await propose(ledger, request);
    vi.setSystemTime(START + 29 * MINUTE);
    await decideAs(ledger, id, person("alice"), "approve");
    vi.setSystemTime(START + 31 * MINUTE);
    await runAlarm(tenant);
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
  });

  it.each<[string, RequestContext]>([
    ["reason", { ...CONTEXT, reason: "another" }],
    ["evidence", { ...CONTEXT, evidence: "another" }],
    ["evidence_ref", { ...CONTEXT, evidenceRef: "sha256:1" }],
    ["back_out", { ...CONTEXT, backOut: "another" }],
    ["incident", { ...CONTEXT, incident: "INC-1" }],
  ])("is refused, not spent, when the request comes with another %s than was approved", async (name, context) => {
    const { tenant, ledger, request, id } = await granted();
    expect(await ledger.admit(again(request, { context }))).toMatchObject({
      refusal: { kind: "resource-changed", differences: [name] },
    });
    expect(await stateOf(ledger, id)).toBe("approved");
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it("is refused for another resource, and replaced when price or rule changed", async () => {
    const { ledger, request, id } = await granted();
    expect(verdict(await ledger.admit(again(request, { resource: "job-2" })))).toBe("resource-changed");
    expect(verdict(await ledger.admit(again(request, { cost: priced(2 * USD) })))).toBe("approval-required");
    expect(await stateOf(ledger, id)).toBe("invalidated");
  });

  it("does not count for another principal, request or tier", async () => {
    const { ledger, request, id } = await granted();
    expect(verdict(await ledger.admit(again(request, { requester: agent("tuner") })))).toBe("approval-required");
    expect(verdict(await ledger.admit(again(request, { requestDigest: digest("other") })))).toBe("approval-required");
    expect(verdict(await ledger.admit(again(request, { tier: 3 })))).toBe("approval-invalid");
    expect(await stateOf(ledger, id)).toBe("approved");
  });

  it.each<[string, Parameters<typeof needing>]>([
    ["an approver was removed since", [2, { approvers: APPROVERS.filter((a) => a.subject !== "person:bob") }]],
    ["more approvals are needed now", [3]],
  ])("does not count when %s", async (_, requirement) => {
    const { ledger, request } = await granted();
    expect(verdict(await ledger.admit(again(request, { requirement: needing(...requirement) })))).toBe(
      "approval-invalid",
    );
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
  });

  it("by token: only for its own approval, digest and principal, and never after its end", async () => {
    const { ledger, request, id } = await granted();
    const approval = (await ledger.approval(id))?.approval;
    if (approval === undefined || approval.grantJti === null) throw new Error("no grant");
    const { grantJti: jti, requestDigest } = approval;
    const token = { jti, approvalId: id, requestDigest, approvalDigest: asDigest(approval.approvalDigest) };
    const present = async (over: Partial<typeof token>, change: Partial<AdmissionRequest> = {}): Promise<string> =>
      verdict(await ledger.admit(again(request, { ...change, handles: { tokens: [{ ...token, ...over }] } })));
    expect(await present({ jti: newId("grt") })).toBe("approval-invalid");
    expect(await present({ approvalId: newId("apr") })).toBe("approval-invalid");
    expect(await present({ approvalDigest: digest("other terms") })).toBe("approval-invalid");
    expect(await present({}, { requester: agent("tuner") })).toBe("approval-invalid");
    expect(await present({}, { requestDigest: digest("other") })).toBe("approval-invalid");
    expect(await present({}, { cost: priced(2 * USD) })).toBe("approval-invalid");
    expect(await stateOf(ledger, id)).toBe("approved");
    vi.setSystemTime(START + 30 * MINUTE);
    expect(await present({})).toBe("approval-expired");
    vi.setSystemTime(START + 30 * MINUTE - 1);
    expect(await present({})).toBe("admitted");
    expect(await present({}, { requester: agent("tuner"), resource: "job-2" })).toBe("approval-invalid");
  });
});

describe("a draft", () => {
  const REQUIRED: readonly ContextField[] = ["reason", "evidence", "back_out"];
  const drafted = async (over: Partial<AdmissionRequest> = {}) => {
    const { tenant, ledger } = await newTenant();
    const requirement = needing(1, { missingContext: REQUIRED });
    const request = write({ context: NO_CONTEXT, requirement, ...over });
    return { tenant, ledger, request, id: await propose(ledger, request) };
  };
  const complete = async (
    ledger: LedgerPort,
    approvalId: string,
    over: Partial<RequestContext> = {},
    by = "agent:trainer",
  ) =>
    verdict(
      await ledger.completeDraft(AUTHORITY, {
        requestId: newId("req"),
        approvalId,
        by: { ...person("x"), subject: by },
        context: { ...CONTEXT, ...over },
        required: REQUIRED,
        budget: BUDGET,
        bounds: UNBOUNDED,
        claimMs: 60 * MINUTE,
      }),
    );

  it("holds nothing, cannot be decided, and says what is missing", async () => {
    const { tenant, ledger, request, id } = await drafted();
    expect(await hold(tenant, id)).toBe("none");
    expect(await decideAs(ledger, id, person("alice"), "approve")).toBe("not-eligible");
    expect(await ledger.admit(again(request))).toMatchObject({
      refusal: { approval: { id, state: "draft", missing: REQUIRED } },
    });
    await checkInvariants(tenant, CAPS);
  });

  it("completed holds its money from then on, for as long as a proposal, and is executed by the bare request", async () => {
    const { tenant, ledger, request, id } = await drafted();
    vi.setSystemTime(START + 9 * MINUTE);
    expect(await complete(ledger, id)).toBe("recorded");
    expect(await complete(ledger, id)).toBe("already-decided");
    expect(await hold(tenant, id)).toBe("held 1000000");
    vi.setSystemTime(START + DRAFT_LIFETIME_MS + MINUTE);
    await runAlarm(tenant);
    expect(await stateOf(ledger, id)).toBe("pending");
    await checkInvariants(tenant, CAPS);
    expect(await decideAs(ledger, id, person("alice"), "approve")).toBe("recorded");
    const execution = again(request);
    expect(await ledger.admit(execution)).toMatchObject({ kind: "admitted", context: CONTEXT });
    await checkInvariants(tenant, CAPS);
  });

  it("is completed by its requester or the owner of its credential only", async () => {
    const { ledger, id } = await drafted();
    for (const by of ["agent:tuner", "person:alice", "person:olga"])
      expect(await complete(ledger, id, {}, by)).toBe("not-found");
    expect(await complete(ledger, id, {}, "person:dana")).toBe("recorded");
  });

  it("stays a draft, unchanged, when context is still missing or the money is", async () => {
    const { tenant, ledger, id } = await drafted({ cost: priced(60 * USD) });
    const before = await ledger.approval(id);
    expect(await complete(ledger, id, { evidence: null })).toBe("reason-required");
    await ledger.admit(write({ cost: priced(60 * USD), requestDigest: digest("blocker") }));
    expect(await complete(ledger, id)).toBe("budget-exceeded");
    expect(await ledger.approval(id)).toEqual(before);
    await checkInvariants(tenant, CAPS);
  });

  it("ends after ten minutes", async () => {
    const { tenant, ledger, id } = await drafted();
    vi.setSystemTime(START + DRAFT_LIFETIME_MS);
    expect(await complete(ledger, id)).toBe("approval-expired");
    await runAlarm(tenant);
    expect(await stateOf(ledger, id)).toBe("expired");
    await checkInvariants(tenant, CAPS);
  });

  it("is superseded by the request sent again with its context", async () => {
    const { tenant, ledger, request, id } = await drafted();
    const second = await propose(ledger, again(request, { context: CONTEXT, requirement: needing(1) }));
    expect(second).not.toBe(id);
    expect([await stateOf(ledger, id), await stateOf(ledger, second)]).toEqual(["invalidated", "pending"]);
    await checkInvariants(tenant, CAPS);
  });
});

const asDigest = (text: string): `sha256:${string}` => `sha256:${text.slice("sha256:".length)}`;
