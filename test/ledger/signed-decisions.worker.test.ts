import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AdmissionRequest, SignedDecision } from "../../src/ledger/contract.ts";
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
  CONTEXT,
  decideAs,
  digest,
  ended,
  MINUTE,
  needing,
  newTenant,
  OPERATOR,
  person,
  priced,
  propose,
  rowsOf,
  START,
  USD,
  verdict,
  WITH_INTERESTED,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };
const ISSUER = "https://bot.example.com";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const stateOf = async (ledger: LedgerPort, id: string): Promise<unknown> => (await ledger.approval(id))?.approval.state;
const used = async (tenant: string): Promise<readonly unknown[]> =>
  (await rowsOf(tenant, "SELECT jti, subject FROM signed_decisions ORDER BY jti")).map((row) => row["jti"]);

/** A tenant with one open proposal, and what its approval authority would sign about it. */
async function proposed(needed: number, over: Partial<AdmissionRequest> = {}) {
  const { tenant, ledger } = await newTenant();
  const request = write({ requirement: needing(needed), ...over });
  const id = await propose(ledger, request);
  const approval = (await ledger.approval(id))?.approval;
  const signed = (name: string, jti = name, change: Partial<SignedDecision> = {}): SignedDecision => ({
    authority: "chat-bot",
    issuer: ISSUER,
    jti,
    subject: `person:${name}`,
    approvalId: id,
    approvalDigest: approval?.approvalDigest ?? "",
    expiresAt: START + 30 * MINUTE,
    ...change,
  });
  const send = async (decisions: readonly SignedDecision[], change: Partial<AdmissionRequest> = {}): Promise<string> =>
    verdict(await ledger.admit(again(request, { ...change, handles: { signed: decisions } })));
  const handIn = async (decision: SignedDecision, approvers = APPROVERS): Promise<string> =>
    verdict(
      await ledger.decideSigned(AUTHORITY, {
        requestId: newId("req"),
        decision,
        approvers,
        groups: anyOf(needed, approvers),
      }),
    );
  return { tenant, ledger, request, id, signed, send, handIn };
}

describe("signed decisions that come with the request", () => {
  it("are counted and used in one go: two good ones run a request that needs two", async () => {
    const { tenant, ledger, id, signed, send } = await proposed(2);
    expect(await send([signed("alice"), signed("bob")])).toBe("admitted");
    expect(await stateOf(ledger, id)).toBe("consumed");
    expect(await used(tenant)).toEqual(["alice", "bob"]);
    const records = await rowsOf(
      tenant,
      `SELECT json_extract(record, '$.principal') AS who, json_extract(record, '$.credential_id') AS credential,
         json_extract(record, '$.detail') AS detail FROM journal WHERE json_extract(record, '$.kind') = 'decision'
         AND json_extract(record, '$.reason_code') = 'approve' ORDER BY sequence`,
    );
    expect(records).toEqual(
      ["alice", "bob"].map((name) => ({
        who: `person:${name}`,
        credential: `approval:chat-bot:${name}`,
        detail: `signed by ${ISSUER}, jti ${name}`,
      })),
    );
    await checkInvariants(tenant, CAPS);
  });

  it("count one by one: the request waits for whoever is missing, here or by another way", async () => {
    const { tenant, ledger, id, signed, send } = await proposed(2);
    expect(await send([signed("alice")])).toBe("approval-required");
    expect((await ledger.approval(id))?.decisions).toMatchObject([{ subject: "person:alice", decision: "approve" }]);
    expect(await send([signed("alice")])).toBe("approval-required");
    expect(await decideAs(ledger, id, person("bob"), "approve")).toBe("recorded");
    expect(await send([signed("alice")])).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it("one person is one, by however many signatures", async () => {
    const { ledger, id, signed, send } = await proposed(2);
    expect(await send([signed("alice", "1"), signed("alice", "2"), signed("alice", "1")])).toBe("approval-required");
    expect((await ledger.approval(id))?.decisions).toHaveLength(1);
    expect(await send([signed("bob", "3")])).toBe("admitted");
  });

  type Signed = Awaited<ReturnType<typeof proposed>>["signed"];
  it.each<[string, string, (signed: Signed) => SignedDecision]>([
    ["about a proposal that is not there", "approval-invalid", (s) => s("bob", "b", { approvalId: newId("apr") })],
    ["about other terms", "approval-invalid", (s) => s("bob", "b", { approvalDigest: digest("other") })],
    ["that has expired since it was verified", "approval-expired", (s) => s("bob", "b", { expiresAt: START })],
    ["of the owner of the credential, although listed", "approval-invalid", (s) => s("dana")],
    ["of the issuer of the credential, although listed", "approval-invalid", (s) => s("olga")],
    ["of somebody who is no approver", "approval-invalid", (s) => s("mallory")],
    ["under an id that a colleague's in the same list has", "approval-invalid", (s) => s("bob", "alice")],
  ])("one %s spoils the list: nothing is decided, no id is used up", async (_, expected, bad) => {
    const { tenant, ledger, id, signed, send } = await proposed(2, {
      requirement: needing(2, { approvers: WITH_INTERESTED }),
    });
    const change = { requirement: needing(2, { approvers: WITH_INTERESTED }) };
    expect(await send([signed("alice"), bad(signed)], change)).toBe(expected);
    expect(await used(tenant)).toEqual([]);
    expect((await ledger.approval(id))?.decisions).toEqual([]);
    expect(await stateOf(ledger, id)).toBe("pending");
    expect(await send([signed("alice"), signed("bob")], change)).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it.each<[string, string, Partial<AdmissionRequest>]>([
    ["the reason", "resource-changed", { context: { ...CONTEXT, reason: "another" } }],
    ["the resource's version", "resource-changed", { observed: { affected: null, version: "2" } }],
    ["what it affects", "resource-changed", { observed: { affected: digest("more"), version: null } }],
    ["the cost", "approval-invalid", { cost: priced(2 * USD) }],
    ["the rule", "approval-invalid", { requirement: needing(1, { ruleDigest: digest("tightened") }) }],
    ["the principal", "approval-invalid", { requester: agent("tuner") }],
    ["the request", "approval-invalid", { requestDigest: digest("other") }],
    ["the budget", "budget-exceeded", { budget: { ...BUDGET, dailyCapMicros: 0 } }],
    ["the freeze", "frozen", {}],
  ])("are not used up when %s has changed, and still count for what was approved", async (what, expected, change) => {
    const { tenant, ledger, signed, send } = await proposed(1);
    if (what === "the freeze") await ledger.freeze(OPERATOR, newId("req"), { scope: "tenant", reason: "drill" });
    expect(await send([signed("alice")], change)).toBe(expected);
    expect(await used(tenant)).toEqual([]);
    if (what === "the freeze") await ledger.unfreeze(OPERATOR, newId("req"), "tenant");
    expect(await send([signed("alice")])).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it("do not wake what has ended", async () => {
    const { tenant, ledger, id, signed, send } = await proposed(2);
    await decideAs(ledger, id, person("carol"), "deny");
    expect(await send([signed("alice"), signed("bob")])).toBe("approval-invalid");
    expect(await stateOf(ledger, id)).toBe("denied");
    expect(await used(tenant)).toEqual([]);
  });

  it("are too late once the proposal has expired, before the alarm has run", async () => {
    const { signed, send } = await proposed(1);
    const late = signed("alice", "1", { expiresAt: START + 60 * MINUTE });
    vi.setSystemTime(START + 30 * MINUTE);
    expect(await send([late])).toBe("approval-expired");
  });

  it("replay what they ran, to its own principal, and with a new key are a conflict", async () => {
    const { tenant, ledger, request, signed, send } = await proposed(2);
    const both = [signed("alice"), signed("bob")];
    const admitted = again(request, { handles: { signed: both } });
    expect(verdict(await ledger.admit(admitted))).toBe("admitted");
    expect(await send(both)).toBe("idempotency-in-progress");
    await ledger.conclude(ended(admitted.requestId, "succeeded"));
    expect(await send(both)).toBe("replay");
    expect(verdict(await ledger.admit(again(admitted, { handles: { idempotencyKey: "new" } })))).toBe(
      "approval-consumed",
    );
    expect(await send(both, { requester: agent("tuner") })).toBe("approval-invalid");
    await checkInvariants(tenant, CAPS);
  });

  it("admit one of 200 requests at once, each with a key of its own or none", async () => {
    for (const keyed of [false, true]) {
      const { tenant, ledger, request, signed } = await proposed(2);
      const both = [signed("alice"), signed("bob")];
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_, index) =>
          ledger
            .admit(again(request, { handles: { signed: both, idempotencyKey: keyed ? `${index}` : null } }))
            .then(verdict),
        ),
      );
      expect(answers.filter((answer) => answer === "admitted")).toHaveLength(1);
      expect(new Set(answers)).toEqual(new Set(["admitted", keyed ? "approval-consumed" : "idempotency-in-progress"]));
      expect(await used(tenant)).toEqual(["alice", "bob"]);
      await checkInvariants(tenant, CAPS);
    }
  });
});

describe("a signed decision that comes by itself", () => {
  it("is that person's decision, and repeating it is a no-op", async () => {
    const { tenant, ledger, id, request, signed, handIn } = await proposed(2);
    expect(await handIn(signed("alice"))).toBe("recorded");
    expect(await handIn(signed("alice"))).toBe("recorded");
    expect(await handIn(signed("bob"))).toBe("recorded");
    expect(await stateOf(ledger, id)).toBe("approved");
    expect(await handIn(signed("alice"))).toBe("recorded");
    expect(await handIn(signed("carol"))).toBe("already-decided");
    expect(await used(tenant)).toEqual(["alice", "bob"]);
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it("counts on one proposal: under the same id it is refused on another", async () => {
    const { ledger, signed, handIn } = await proposed(2);
    expect(await handIn(signed("alice", "1"))).toBe("recorded");
    const other = await propose(ledger, write({ requirement: needing(2), requestDigest: digest("other") }));
    const approvalDigest = (await ledger.approval(other))?.approval.approvalDigest ?? "";
    const there = signed("alice", "1", { approvalId: other, approvalDigest });
    expect(await handIn(there)).toBe("approval-invalid");
    expect((await ledger.approval(other))?.decisions).toEqual([]);
    expect(await handIn({ ...there, issuer: "https://another.example.com" })).toBe("recorded");
  });

  it("does not become a colleague's under the same id", async () => {
    const { ledger, id, signed, handIn } = await proposed(2);
    expect(await handIn(signed("alice", "1"))).toBe("recorded");
    expect(await handIn(signed("bob", "1"))).toBe("approval-invalid");
    expect((await ledger.approval(id))?.decisions).toHaveLength(1);
  });

  it.each([
    ["the owner", "dana"],
    ["the issuer", "olga"],
    ["a stranger", "mallory"],
  ])("of %s is refused and journaled, and uses no id up", async (_, name) => {
    const { tenant, signed, handIn } = await proposed(1);
    expect(await handIn(signed(name), WITH_INTERESTED)).toBe("not-eligible");
    expect(await used(tenant)).toEqual([]);
    const [record] = await rowsOf(
      tenant,
      "SELECT json_extract(record, '$.detail') AS detail FROM journal WHERE json_extract(record, '$.reason_code') = 'not-eligible'",
    );
    expect(record?.["detail"]).toContain(`signed by ${ISSUER}, jti ${name}: `);
  });

  it("expires, also between its verification and its counting", async () => {
    const { signed, handIn } = await proposed(1);
    vi.setSystemTime(START + MINUTE);
    expect(await handIn(signed("alice", "1", { expiresAt: START + MINUTE }))).toBe("approval-expired");
    expect(await handIn(signed("alice", "1", { expiresAt: START + MINUTE + 1 }))).toBe("recorded");
  });
});

/** Two grants of one agent, and the token of each. */
async function twoGrants() {
  const { tenant, ledger } = await newTenant();
  const requests = ["first", "second"].map((name) =>
    write({ requirement: needing(1), requestDigest: digest(name), cost: priced(USD) }),
  );
  const tokens = [];
  for (const request of requests) {
    const id = await propose(ledger, request);
    await decideAs(ledger, id, person("alice"), "approve");
    const approval = (await ledger.approval(id))?.approval;
    if (approval === undefined || approval.grantJti === null) throw new Error("no grant");
    const { grantJti: jti, requestDigest, approvalDigest } = approval;
    tokens.push({ jti, approvalId: id, requestDigest, approvalDigest });
  }
  return { tenant, ledger, requests, tokens };
}

describe("several of the gate's own tokens", () => {
  it.each([0, 1])("the one that was given for this request counts, wherever it stands (%i)", async (index) => {
    const { tenant, ledger, requests, tokens } = await twoGrants();
    const request = requests[index];
    if (request === undefined) throw new Error("no request");
    expect(verdict(await ledger.admit(again(request, { handles: { tokens } })))).toBe("admitted");
    const other = requests[1 - index];
    if (other === undefined) throw new Error("no request");
    // Beside a spent token of another request.
    expect(verdict(await ledger.admit(again(other, { handles: { tokens } })))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it("none of them for this request: refused, and no grant is touched", async () => {
    const { tenant, ledger, tokens } = await twoGrants();
    const third = write({ requirement: needing(1), requestDigest: digest("third"), handles: { tokens } });
    expect(verdict(await ledger.admit(third))).toBe("approval-invalid");
    expect(await rowsOf(tenant, "SELECT DISTINCT state FROM approvals")).toEqual([{ state: "approved" }]);
  });

  it("of two for one request the one whose grant stands counts", async () => {
    const { ledger } = await newTenant();
    const request = write({ requirement: needing(1) });
    const tokens = [];
    for (const last of [false, true]) {
      const id = await propose(ledger, again(request));
      await decideAs(ledger, id, person("alice"), "approve");
      const approval = (await ledger.approval(id))?.approval;
      if (approval === undefined || approval.grantJti === null) throw new Error("no grant");
      const { grantJti: jti, requestDigest, approvalDigest } = approval;
      tokens.push({ jti, approvalId: id, requestDigest, approvalDigest });
      const by = { ...person("x"), subject: "agent:trainer" };
      if (!last) await ledger.withdraw({ requestId: newId("req"), approvalId: id, by });
    }
    expect(verdict(await ledger.admit(again(request, { handles: { tokens } })))).toBe("admitted");
  });
});
