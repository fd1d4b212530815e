import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { AdmissionRequest } from "../../src/ledger/contract.ts";
import type { Incident } from "../../src/ledger/incidents/incident-port.ts";
import type { Actor, LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { checkInvariants } from "./check-invariants.ts";
import {
  again,
  agent,
  AUTHORITY,
  BUDGET,
  CONTEXT,
  decideAs,
  digest,
  ended,
  MINUTE,
  needing,
  newTenant,
  NO_CONTEXT,
  OPERATOR,
  person,
  priced,
  propose,
  receiptFor,
  rowsOf,
  runAlarm,
  START,
  UNBOUNDED,
  verdict,
  windows,
  write,
} from "./fixture.ts";

const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };
const KEY = "INC-7";
const DERIVED = "catalogue:workload:wl-1";
const CLAIM_MS = 60 * MINUTE;

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

type Over = NonNullable<Parameters<typeof write>[0]>;

/** A write of one of the agents on one thing, each under a digest of its own. */
function on(
  who: string,
  named: { readonly key?: string; readonly derived?: string },
  over: Over = {},
): AdmissionRequest {
  return write({
    requester: agent(who),
    requestDigest: digest(newId("req")),
    context: { ...CONTEXT, incident: named.key ?? null },
    incident: { derived: named.derived ?? null, claimMs: CLAIM_MS },
    ...over,
  });
}

const actor = (subject: string, roles: readonly string[] = []): Actor => ({
  subject,
  class: subject.startsWith("person:") ? "person" : "agent",
  credentialId: `key_${subject}`,
  demo: false,
  roles,
});

const stateOf = async (ledger: LedgerPort, key: string): Promise<string> => {
  const found = await ledger.incident(key);
  return found === null
    ? "none"
    : `${found.state} by ${found.owner}${found.outcome === null ? "" : `, ${found.outcome}`}`;
};

/** What people are told of incidents, in no order. */
const toldOf = async (tenant: string): Promise<readonly unknown[]> =>
  (await rowsOf(tenant, "SELECT alert ->> '$.event' AS event FROM notices WHERE alert ->> '$.kind' = 'incident'")).map(
    (row) => row["event"],
  );

/** Reason codes of the records under one key, in order. */
const recorded = async (tenant: string, key: string): Promise<readonly unknown[]> =>
  (
    await rowsOf(
      tenant,
      `SELECT coalesce(record ->> '$.reason_code', record ->> '$.kind') AS code FROM journal
       WHERE record ->> '$.incident' = ? ORDER BY sequence`,
      key,
    )
  ).map((row) => row["code"]);

describe("one remediation per incident", () => {
  it.each([
    ["a caller's key", { key: KEY }, KEY],
    ["the catalogue's", { derived: DERIVED }, DERIVED],
  ])(
    "of 200 agents that act at once on %s exactly one is admitted, the others learn who it is",
    async (_, named, key) => {
      const { tenant, ledger } = await newTenant();
      const names = Array.from({ length: 200 }, (_unused, index) => `racer-${index}`);
      const requests = names.map((who) => {
        const request = on("trainer", named, { cost: priced(0) });
        return { ...request, requester: { ...agent(who), credentialId: "jwt", listed: false } };
      });
      const outcomes = await Promise.all(requests.map((request) => ledger.admit(request)));
      const winners = requests.filter((_request, index) => outcomes[index]?.kind === "admitted");
      expect(winners).toHaveLength(1);
      const [winner] = winners;
      const refused = outcomes.filter((one) => one.kind === "refused");
      expect(refused).toHaveLength(199);
      for (const { refusal } of refused) {
        expect(refusal).toEqual({
          kind: "incident-in-progress",
          incident: {
            key,
            owner: winner?.requester.subject,
            request_id: winner?.requestId,
            started_at: new Date(START).toISOString(),
            url: key === KEY ? "/_gate/v1/incidents/INC-7" : `/_gate/v1/incidents/~?key=${DERIVED}`,
          },
        });
      }
      expect(await rowsOf(tenant, "SELECT count(*) AS n FROM operations")).toEqual([{ n: 1 }]);
      expect(new Set(await toldOf(tenant))).toEqual(new Set(["claimed", "contended"]));
      await checkInvariants(tenant, CAPS);
    },
  );

  it("refuses the second before anything of its is used up or held", async () => {
    const { tenant, ledger } = await newTenant();
    const request = on("tuner", { key: KEY }, { requirement: { kind: "receipt" } });
    const receipt = await receiptFor(ledger, request);
    await ledger.admit(on("trainer", { key: KEY }));
    const before = await windows(tenant);
    const second = again(request, { handles: { receipt, idempotencyKey: "one" } });
    expect(verdict(await ledger.admit(second))).toBe("incident-in-progress");
    expect(await ledger.plan(again(request), true)).toMatchObject({ refusal: { kind: "incident-in-progress" } });
    expect(await windows(tenant)).toEqual(before);
    expect(await rowsOf(tenant, "SELECT consumed_by FROM receipts")).toEqual([{ consumed_by: null }]);
    await ledger.resolveIncident(OPERATOR, { requestId: newId("req"), key: KEY, outcome: "fixed", note: null });
    expect(verdict(await ledger.admit(again(second)))).toBe("admitted");
  });

  it("goes on for the one who has it, and ends when nothing was heard of them for the policy's time", async () => {
    const { tenant, ledger } = await newTenant();
    const first = on("trainer", { key: KEY });
    await ledger.admit(first);
    await ledger.conclude(ended(first.requestId, "succeeded"));
    vi.setSystemTime(START + 50 * MINUTE);
    const second = on("trainer", { key: KEY });
    expect(verdict(await ledger.admit(second))).toBe("admitted");
    await ledger.conclude(ended(second.requestId, "failed"));
    vi.setSystemTime(START + 109 * MINUTE);
    expect(verdict(await ledger.admit(on("tuner", { key: KEY })))).toBe("incident-in-progress");
    vi.setSystemTime(START + 110 * MINUTE);
    // Also where its job has not come yet.
    expect(verdict(await ledger.admit(on("tuner", { key: KEY })))).toBe("admitted");
    expect(await recorded(tenant, KEY)).toEqual([
      "intent",
      "incident-claimed",
      "outcome",
      "intent",
      "outcome",
      "intent",
      "incident-expired",
      "incident-claimed",
    ]);
    expect((await ledger.incident(KEY))?.serial).toBe(2);
  });

  it("does not end while its operation is in flight or its outcome unknown, and then by its job", async () => {
    const { tenant, ledger } = await newTenant();
    const request = on("trainer", { key: KEY });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "unknown"));
    vi.setSystemTime(START + 3 * CLAIM_MS);
    await runAlarm(tenant);
    expect(await stateOf(ledger, KEY)).toBe("claimed by agent:trainer");
    expect(verdict(await ledger.admit(on("tuner", { key: KEY })))).toBe("incident-in-progress");
    await ledger.reconcile({ requestId: request.requestId, verdict: "happened", resource: null });
    vi.setSystemTime(START + 4 * CLAIM_MS);
    await runAlarm(tenant);
    expect(await stateOf(ledger, KEY)).toBe("expired by agent:trainer");
  });

  it.each([
    ["succeeded", "resolved by agent:trainer, succeeded"],
    ["failed", "resolved by agent:trainer, failed"],
    ["not-sent", "released by agent:trainer"],
  ] as const)("that the catalogue names ends with its operation: %s", async (outcome, state) => {
    const { ledger } = await newTenant();
    const request = on("trainer", { derived: DERIVED });
    await ledger.admit(request);
    expect(verdict(await ledger.admit(on("tuner", { derived: DERIVED })))).toBe("incident-in-progress");
    await ledger.conclude(ended(request.requestId, outcome));
    expect(await stateOf(ledger, DERIVED)).toBe(state);
    expect(verdict(await ledger.admit(on("tuner", { derived: DERIVED })))).toBe("admitted");
  });

  it("that the catalogue names ends with the last of several operations", async () => {
    const { ledger } = await newTenant();
    const [one, two] = [on("trainer", { derived: DERIVED }), on("trainer", { derived: DERIVED })];
    await ledger.admit(one);
    await ledger.admit(two);
    await ledger.conclude(ended(one.requestId, "succeeded"));
    expect(await stateOf(ledger, DERIVED)).toBe("claimed by agent:trainer");
    await ledger.conclude(ended(two.requestId, "failed"));
    expect(await stateOf(ledger, DERIVED)).toBe("resolved by agent:trainer, failed");
  });

  it("is by the catalogue's key first: a caller's own word takes nothing and keeps nobody off", async () => {
    const { tenant, ledger } = await newTenant();
    await ledger.admit(on("trainer", { derived: DERIVED, key: KEY }));
    expect(await ledger.incident(KEY)).toBeNull();
    expect(verdict(await ledger.admit(on("tuner", { derived: DERIVED, key: "INC-8" })))).toBe("incident-in-progress");
    expect(verdict(await ledger.admit(on("tuner", { derived: DERIVED })))).toBe("incident-in-progress");
    expect(verdict(await ledger.admit(on("tuner", { key: KEY })))).toBe("admitted");
    // Both names find it: what was done under the caller's, whose it is under the catalogue's.
    expect(await recorded(tenant, KEY)).toEqual(["intent", "intent", "incident-claimed"]);
    expect(await recorded(tenant, DERIVED)).toEqual(["incident-claimed"]);
    await ledger.admit(on("trainer", { derived: DERIVED, key: "INC-9" }));
    expect(await recorded(tenant, DERIVED)).toEqual(["incident-claimed", "incident-continued"]);
  });

  it("is a tenant's own", async () => {
    const [acme, globex] = [await newTenant(), await newTenant()];
    await acme.ledger.admit(on("trainer", { key: KEY }));
    expect(await globex.ledger.incident(KEY)).toBeNull();
    expect(await globex.ledger.incidents(null, 10)).toEqual([]);
    expect(verdict(await globex.ledger.admit(on("tuner", { key: KEY })))).toBe("admitted");
  });

  it("is not claimed by what only looks: refusals, plans and drafts", async () => {
    const { ledger } = await newTenant();
    await ledger.plan(on("trainer", { key: KEY }), true);
    await ledger.admit(on("trainer", { key: KEY }, { cost: priced(BUDGET.dailyCapMicros + 1) }));
    await ledger.admit(on("trainer", { key: KEY }, { requirement: needing(1, { missingContext: ["evidence"] }) }));
    expect(await ledger.incidents(null, 10)).toEqual([]);
  });
});

const proposing = (who: string, over: Over = {}): AdmissionRequest =>
  on(who, { derived: DERIVED }, { requirement: needing(1), ...over });

describe("a proposal", () => {
  it("claims when it opens: nobody else's is opened, and nothing is held for it", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, proposing("trainer"));
    const before = await windows(tenant);
    expect(verdict(await ledger.admit(proposing("tuner")))).toBe("incident-in-progress");
    expect(await windows(tenant)).toEqual(before);
    expect(await ledger.incident(DERIVED)).toMatchObject({ approvalId: id, open: [id] });
    expect(await rowsOf(tenant, "SELECT count(*) AS n FROM approvals")).toEqual([{ n: 1 }]);
  });

  it("keeps its claim as long as it waits or is granted, however short a claim is, and runs under it", async () => {
    const { tenant, ledger } = await newTenant();
    const request = proposing("trainer", { incident: { derived: DERIVED, claimMs: MINUTE } });
    const id = await propose(ledger, request);
    vi.setSystemTime(START + 20 * MINUTE);
    await runAlarm(tenant);
    expect(verdict(await ledger.admit(proposing("tuner")))).toBe("incident-in-progress");
    expect(await decideAs(ledger, id, person("alice"), "approve")).toBe("recorded");
    vi.setSystemTime(START + 40 * MINUTE);
    await runAlarm(tenant);
    expect(verdict(await ledger.admit(again(request)))).toBe("admitted");
    expect(await stateOf(ledger, DERIVED)).toBe("claimed by agent:trainer");
    expect(await recorded(tenant, DERIVED)).not.toContain("incident-expired");
  });

  it.each([
    [
      "taken back",
      async (ledger: LedgerPort, _tenant: string, approvalId: string) =>
        void (await ledger.withdraw({
          requestId: newId("req"),
          approvalId,
          by: { ...person("x"), subject: "agent:trainer" },
        })),
    ],
    [
      "denied",
      async (ledger: LedgerPort, _tenant: string, id: string) =>
        void (await decideAs(ledger, id, person("alice"), "deny")),
    ],
    [
      "expired",
      async (_ledger: LedgerPort, tenant: string) => {
        vi.setSystemTime(START + 31 * MINUTE);
        await runAlarm(tenant);
      },
    ],
  ])("that is %s frees the incident at once", async (_, end) => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, proposing("trainer"));
    await end(ledger, tenant, id);
    expect(await stateOf(ledger, DERIVED)).toBe("released by agent:trainer");
    expect(verdict(await ledger.admit(on("tuner", { derived: DERIVED })))).toBe("admitted");
    await checkInvariants(tenant, CAPS);
  });

  it("that another one replaces leaves the claim where it is", async () => {
    const { ledger } = await newTenant();
    const request = proposing("trainer");
    await propose(ledger, request);
    vi.setSystemTime(START + MINUTE);
    const id = await propose(ledger, again(request, { cost: priced(2_000_000) }));
    expect(await ledger.incident(DERIVED)).toMatchObject({ state: "claimed", startedAt: START, open: [id] });
    // The next has no room in the share of one principal: nothing is open any more, so nothing stays claimed.
    await propose(ledger, on("trainer", {}, { requirement: needing(1) }));
    const bounds = { ...UNBOUNDED, principalPercent: 10 };
    const third = again(request, { cost: priced(20_000_000), requirement: needing(1, { bounds }) });
    expect(verdict(await ledger.admit(third))).toBe("budget-exceeded");
    expect(await stateOf(ledger, DERIVED)).toBe("released by agent:trainer");
  });

  it("inherits what it was put before people under: the approved request need not name it again", async () => {
    const { ledger } = await newTenant();
    const request = on("trainer", { key: KEY }, { requirement: needing(1) });
    const id = await propose(ledger, request);
    await decideAs(ledger, id, person("alice"), "approve");
    expect(verdict(await ledger.admit(again(request, { context: NO_CONTEXT })))).toBe("admitted");
    expect(await ledger.incident(KEY)).toMatchObject({ state: "claimed", open: [expect.stringMatching(/^req_/)] });
  });

  it("is not run, and keeps its grant, while somebody else has the incident", async () => {
    const { tenant, ledger } = await newTenant();
    const request = on("trainer", { key: KEY }, { requirement: needing(1) });
    const id = await propose(ledger, request);
    await decideAs(ledger, id, person("alice"), "approve");
    await ledger.resolveIncident(OPERATOR, { requestId: newId("req"), key: KEY, outcome: "not-fixed", note: null });
    expect(verdict(await ledger.admit(on("tuner", { key: KEY })))).toBe("admitted");
    const before = await windows(tenant);
    expect(verdict(await ledger.admit(again(request, { context: NO_CONTEXT })))).toBe("incident-in-progress");
    expect((await ledger.approval(id))?.approval.state).toBe("approved");
    expect(await windows(tenant)).toEqual(before);
    await ledger.resolveIncident(OPERATOR, { requestId: newId("req"), key: KEY, outcome: "fixed", note: null });
    expect(verdict(await ledger.admit(again(request, { context: NO_CONTEXT })))).toBe("admitted");
  });

  it("that was a draft claims when it is completed, unless another has it by then", async () => {
    const { tenant, ledger } = await newTenant();
    const draft = (who: string) =>
      propose(
        ledger,
        on(
          who,
          { derived: DERIVED },
          { context: NO_CONTEXT, requirement: needing(1, { missingContext: ["reason", "evidence", "back_out"] }) },
        ),
      );
    const [first, second] = [await draft("trainer"), await draft("tuner")];
    const complete = async (approvalId: string, who: string, incident: string | null) =>
      verdict(
        await ledger.completeDraft(AUTHORITY, {
          requestId: newId("req"),
          approvalId,
          by: { ...person("x"), subject: `agent:${who}` },
          context: { ...CONTEXT, incident },
          required: ["reason", "evidence", "back_out", "incident"],
          budget: BUDGET,
          bounds: UNBOUNDED,
          claimMs: CLAIM_MS,
        }),
      );
    expect(await complete(first, "trainer", "catalogue:workload:wl-2")).toBe("malformed-request");
    expect(await complete(first, "trainer", KEY)).toBe("recorded");
    expect(await complete(second, "tuner", null)).toBe("incident-in-progress");
    expect((await ledger.approval(second))?.approval.state).toBe("draft");
    expect(await ledger.incident(DERIVED)).toMatchObject({ owner: "agent:trainer", open: [first] });
    expect(await rowsOf(tenant, "SELECT count(*) AS n FROM reservations")).toEqual([{ n: 1 }]);
  });
});

const keys = (found: readonly Incident[]): readonly string[] => found.map(({ key }) => key);

const resolve = async (ledger: LedgerPort, who: Actor) => {
  const act = { requestId: newId("req"), key: KEY, outcome: "fixed", note: "restarted" } as const;
  const result = await ledger.resolveIncident(who, act);
  return result.kind === "done" ? "done" : result.refusal.kind;
};
const handOver = async (ledger: LedgerPort, who: Actor, to: string, isPerson = false) => {
  const result = await ledger.handOverIncident(who, { requestId: newId("req"), key: KEY, to, isPerson, note: null });
  return result.kind === "done" ? "done" : result.refusal.kind;
};

describe("what becomes of a claim", () => {
  it.each([
    ["its owner", actor("agent:trainer"), "done"],
    ["the person behind it", actor("person:dana"), "done"],
    ["an operator", OPERATOR, "done"],
    ["another agent", actor("agent:tuner"), "not-eligible"],
    ["another person", actor("person:alice", ["security"]), "not-eligible"],
    ["an agent with a role that no agent can have", actor("agent:tuner", ["operator"]), "not-eligible"],
  ])("is said by %s: %s", async (_, who, expected) => {
    const { tenant, ledger } = await newTenant();
    await ledger.admit(on("trainer", { key: KEY }));
    expect(await resolve(ledger, who)).toBe(expected);
    expect(await stateOf(ledger, KEY)).toBe(
      expected === "done" ? "resolved by agent:trainer, fixed" : "claimed by agent:trainer",
    );
    expect(await resolve(ledger, OPERATOR)).toBe(expected === "done" ? "already-decided" : "done");
    expect((await recorded(tenant, KEY)).filter((code) => code === "incident-resolved")).toHaveLength(1);
  });

  it("and nothing can be said of what nobody has claimed", async () => {
    const { ledger } = await newTenant();
    expect(await resolve(ledger, OPERATOR)).toBe("not-found");
    expect(await handOver(ledger, OPERATOR, "agent:tuner")).toBe("not-found");
  });

  it("a hand-over changes who is let through, at once and for everything but what is in flight", async () => {
    const { tenant, ledger } = await newTenant();
    const request = on("trainer", { key: KEY }, { requirement: needing(1) });
    const id = await propose(ledger, request);
    await decideAs(ledger, id, person("alice"), "approve");
    expect(await handOver(ledger, actor("agent:trainer"), "agent:tuner")).toBe("done");
    expect(verdict(await ledger.admit(again(request)))).toBe("incident-in-progress");
    expect((await ledger.approval(id))?.approval.state).toBe("approved");
    expect(verdict(await ledger.admit(on("tuner", { key: KEY })))).toBe("admitted");
    expect(await handOver(ledger, actor("agent:trainer"), "agent:trainer")).toBe("not-eligible");
    // The new owner's person is the one behind its own credential.
    expect((await toldOf(tenant)).filter((event) => event === "handed-over")).toHaveLength(1);
  });

  it("a claim that was given to somebody stays theirs although they have begun nothing, until its time is over", async () => {
    const { tenant, ledger } = await newTenant();
    const id = await propose(ledger, on("trainer", { key: KEY }, { requirement: needing(1) }));
    expect(await handOver(ledger, OPERATOR, "person:alice", true)).toBe("done");
    await decideAs(ledger, id, person("bob"), "deny");
    expect(await stateOf(ledger, KEY)).toBe("claimed by person:alice");
    expect(verdict(await ledger.admit(on("trainer", { key: KEY })))).toBe("incident-in-progress");
    vi.setSystemTime(START + CLAIM_MS);
    await runAlarm(tenant);
    expect(await stateOf(ledger, KEY)).toBe("expired by person:alice");
  });

  it.each(["agent:nobody", "person:mallory", "agent:gone"])(
    "is not given to %s, whom the tenant does not have",
    async (to) => {
      const { ledger } = await newTenant();
      const credential = { credentialId: "key_gone", subject: "agent:gone", record: "{}", expiresAt: START + CLAIM_MS };
      await ledger.addCredential(OPERATOR, newId("req"), credential);
      await ledger.revokeCredential(OPERATOR, newId("req"), "key_gone");
      await ledger.admit({ ...on("trainer", { key: KEY }), authority: { ...AUTHORITY, credentialEpoch: 2 } });
      expect(await handOver(ledger, OPERATOR, to)).toBe("not-eligible");
      expect(await stateOf(ledger, KEY)).toBe("claimed by agent:trainer");
    },
  );

  it("is listed newest first, by state", async () => {
    const { ledger } = await newTenant();
    await ledger.admit(on("trainer", { key: KEY }));
    vi.setSystemTime(START + MINUTE);
    await ledger.admit(on("trainer", { key: "INC-8" }));
    await resolve(ledger, OPERATOR);
    expect(keys(await ledger.incidents(null, 10))).toEqual(["INC-8", KEY]);
    expect(keys(await ledger.incidents("claimed", 10))).toEqual(["INC-8"]);
    expect(keys(await ledger.incidents(null, 1))).toEqual(["INC-8"]);
  });
});
