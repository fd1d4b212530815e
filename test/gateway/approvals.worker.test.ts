import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { member, text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, replaceOnce, useBlackBox, type BlackBox, type CastName } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

const open = useBlackBox("approvals");

afterEach(() => {
  vi.useRealTimers();
});

/** A policy whose list names everybody who must not count: the owner of the agents and the issuer of their keys. */
const generous = replaceOnce(
  ACME_POLICY,
  'tier_4_approvers: ["@alice", "@bob"]',
  'tier_4_approvers: ["@alice", "@bob", "@dana", "@operator"]',
);

const CANCEL = "/v1/workloads/wl-1/cancel";
const big = job({ gpus: 8 });

async function asked(box: BlackBox, path = SUBMIT, body: unknown = big): Promise<string> {
  return proposalOf(await (await box.as("agent")).post(path, body, CONTEXT));
}

async function decideAs(box: BlackBox, name: CastName, approval: string, decision = "approve"): Promise<Answered> {
  return (await box.as(name)).post(`/_gate/v1/approvals/${approval}/decisions`, { decision });
}

async function stateOf(box: BlackBox, approval: string): Promise<string> {
  return text(await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`), "state");
}

describe("who does not count", () => {
  test.each([
    ["agent", "the requester"],
    ["agent2", "another agent"],
    ["dana", "the owner of the requesting credential, although listed"],
    ["operator", "the issuer of the requesting credential, although listed"],
    ["carol", "a person who is not an approver"],
    ["finance", "finance"],
    ["security", "security"],
  ] as const)("%s: %s", async (name, _who) => {
    const box = await open({ policy: generous });
    const approval = await asked(box);
    const refused = await decideAs(box, name, approval);
    expect(verdict(refused)).toBe("403 not-eligible");
    expect(await stateOf(box, approval)).toBe("pending");
    const records = (await ledgerRecords(box.tenant)).filter((record) => record.reason_code === "not-eligible");
    expect(records).toMatchObject([{ kind: "decision", approval_id: approval, detail: text(refused, "reason") }]);
    const shown = await (await box.as("alice")).get(`/_gate/v1/approvals/${approval}`);
    expect(member(shown, "attempts")).toMatchObject([{ decision: "approve", reason: text(refused, "reason") }]);
    expect(verdict(await (await box.as("agent")).post(SUBMIT, big))).toBe("428 approval-required");
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("a service with role billing, which does not get that far", async () => {
    const box = await open({ policy: generous });
    const approval = await asked(box);
    expect(verdict(await decideAs(box, "billing", approval))).toBe("403 out-of-scope");
    expect(await stateOf(box, approval)).toBe("pending");
  });

  test("a person of the same name of another tenant, who is told nothing", async () => {
    const [box, other] = [await open(), await open()];
    const approval = await asked(box);
    expect(verdict(await decideAs(other, "alice", approval))).toBe("404 not-found");
    expect(verdict(await (await other.as("alice")).get(`/_gate/v1/approvals/${approval}`))).toBe("404 not-found");
    expect(await stateOf(box, approval)).toBe("pending");
    await expect
      .poll(async () => {
        const found = await (await other.as("security")).get("/_gate/v1/audit?principal=person:alice");
        return member(found, "records");
      })
      .toEqual(expect.arrayContaining([expect.objectContaining({ decision: "refuse", reason_code: "not-found" })]));
  });

  test("owner and issuer on the list do not make enough people", async () => {
    const policy = replaceOnce(ACME_POLICY, '["@alice", "@bob"]', '["@alice", "@dana", "@operator"]');
    const box = await open({ policy });
    const refused = await (await box.as("agent")).post(CANCEL, {}, CONTEXT);
    expect(verdict(refused)).toBe("428 approval-required");
    expect(refused.body).toMatchObject({ approval: { id: null, state: null, needed: 2, eligible: 1 } });
    expect((await (await box.as("agent")).get("/_gate/v1/approvals")).body).toMatchObject({ records: [] });
  });

  test("a key for an approver that is no demonstration key: whoever mints keys decides in nobody's name", async () => {
    const box = await open();
    const approval = await asked(box);
    const forged = await box.mint({ subject: "person:alice", class: "person", owner: "person:alice", demo: false });
    const refused = await forged.post(`/_gate/v1/approvals/${approval}/decisions`, { decision: "approve" });
    expect(verdict(refused)).toBe("403 not-eligible");
    expect(await stateOf(box, approval)).toBe("pending");
  });
});

describe("what counts", () => {
  test("the same person twice is one, also with a second credential", async () => {
    const box = await open();
    const approval = await asked(box, CANCEL, {});
    await decide(box, approval, ["alice", "alice"]);
    const second = await box.mint({ subject: "person:alice", class: "person", owner: "person:alice" });
    const again = await second.post(`/_gate/v1/approvals/${approval}/decisions`, { decision: "approve" });
    expect(again.body).toMatchObject({ state: "pending", given: 1, needed: 2 });
    expect(verdict(await (await box.as("agent")).post(CANCEL, {}))).toBe("428 approval-required");
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("one refusal vetoes, whoever approved before or would after", async () => {
    const box = await open();
    const approval = await asked(box, CANCEL, {});
    await decide(box, approval, ["alice"]);
    await decide(box, approval, ["bob"], "deny");
    expect(await stateOf(box, approval)).toBe("denied");
    const late = await decideAs(box, "alice", approval, "deny");
    expect(verdict(late)).toBe("409 already-decided");
    expect(late.body).toMatchObject({ state: "denied", decided_by: ["person:alice", "person:bob"] });
    const refused = await (await box.as("agent")).post(CANCEL, {}, CONTEXT);
    expect(verdict(refused)).toBe("403 approval-denied");
    expect(refused.body).toMatchObject({ decided_by: ["person:bob"] });
  });

  test("who approved may still deny while it is pending", async () => {
    const box = await open();
    const approval = await asked(box, CANCEL, {});
    await decide(box, approval, ["alice"]);
    await decide(box, approval, ["alice"], "deny");
    expect(await stateOf(box, approval)).toBe("denied");
  });

  test("a denied request is not put before people again for ten minutes", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const approval = await asked(box);
    await decide(box, approval, ["alice"], "deny");
    expect((await budgetOf(box)).held).toBe(0);
    moveClock(10 * MINUTE_MS - 1_000);
    expect(verdict(await agent.post(SUBMIT, big, CONTEXT))).toBe("403 approval-denied");
    moveClock(1_000);
    const reopened = await agent.post(SUBMIT, big, CONTEXT);
    expect(verdict(reopened)).toBe("428 approval-required");
    expect(proposalOf(reopened)).not.toBe(approval);
  });
});

describe("one use", () => {
  test("is all that a token is good for", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const approval = await asked(box);
    await decide(box, approval, ["alice"]);
    const token = { "gate-approval": text(await agent.get(`/_gate/v1/approvals/${approval}`), "token") };
    const done = await agent.post(SUBMIT, big, token);
    expect(verdict(done)).toBe("201");
    const replayed = await agent.post(SUBMIT, big, token);
    expect([verdict(replayed), replayed.text, replayed.headers.get("idempotency-replayed")]).toEqual([
      "201",
      done.text,
      "?1",
    ]);
    const conflict = await agent.post(SUBMIT, big, { ...token, "idempotency-key": '"again"' });
    expect(verdict(conflict)).toBe("409 approval-consumed");
    expect(text(conflict, "operation_url")).toContain(done.headers.get("gate-request-id"));
    // Ten minutes after completion it replays no more, and still admits nothing.
    moveClock(10 * MINUTE_MS + 1_000);
    expect(verdict(await agent.post(SUBMIT, big, token))).toBe("409 approval-consumed");
    const anew = await agent.post(SUBMIT, big, CONTEXT);
    expect(verdict(anew)).toBe("428 approval-required");
    expect(proposalOf(anew)).not.toBe(approval);
    expect(await box.upstream.mutations()).toHaveLength(1);
  });

  test("by the request digest alone replays, and is not found by another agent", async () => {
    const box = await open();
    const agent = await box.as("agent");
    await decide(box, await asked(box), ["alice"]);
    const done = await agent.post(SUBMIT, big);
    expect((await agent.post(SUBMIT, big)).text).toBe(done.text);
    expect(verdict(await (await box.as("agent2")).post(SUBMIT, big))).toBe("428 approval-required");
    expect(await box.upstream.mutations()).toHaveLength(1);
  });

  test("belongs to the principal that asked: another's token is refused", async () => {
    const box = await open();
    const approval = await asked(box);
    await decide(box, approval, ["alice"]);
    const token = text(await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`), "token");
    const refused = await (await box.as("agent2")).post(SUBMIT, big, { ...CONTEXT, "gate-approval": token });
    expect(verdict(refused)).toBe("403 approval-invalid");
    expect(verdict(await (await box.as("agent2")).get(`/_gate/v1/approvals/${approval}`))).toBe("404 not-found");
    expect(await stateOf(box, approval)).toBe("approved");
  });

  test("needs a genuine token: one with a changed signature is refused, and spends nothing", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const approval = await asked(box);
    await decide(box, approval, ["alice"]);
    const token = text(await agent.get(`/_gate/v1/approvals/${approval}`), "token");
    const [head = "", payload = "", signature = ""] = token.split(".");
    const forged = `${head}.${payload}.${signature.startsWith("A") ? "B" : "A"}${signature.slice(1)}`;
    expect(verdict(await agent.post(SUBMIT, big, { "gate-approval": forged }))).toBe("403 approval-invalid");
    expect(await stateOf(box, approval)).toBe("approved");
    expect(verdict(await agent.post(SUBMIT, big, { "gate-approval": token }))).toBe("201");
  });
});

describe("time", () => {
  test("a proposal that nobody decided ends after the policy's 30 minutes, and its money is free again", async () => {
    const box = await open();
    const approval = await asked(box);
    expect((await budgetOf(box)).held).toBe(20_000_000);
    moveClock(30 * MINUTE_MS);
    await runDurableObjectAlarm(testEnv.LEDGER.getByName(box.tenant));
    expect(await stateOf(box, approval)).toBe("expired");
    expect((await budgetOf(box)).held).toBe(0);
    expect(verdict(await decideAs(box, "alice", approval))).toBe("409 already-decided");
  });

  test("a decision that comes too late counts for nothing, even before the alarm has run", async () => {
    const box = await open();
    const approval = await asked(box);
    moveClock(30 * MINUTE_MS);
    expect(verdict(await decideAs(box, "alice", approval))).toBe("403 approval-expired");
    expect(await stateOf(box, approval)).toBe("expired");
    expect((await budgetOf(box)).held).toBe(0);
  });

  test("a grant that is not used in time is worth nothing, by token or by digest", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const approval = await asked(box);
    await decide(box, approval, ["alice"]);
    const token = { "gate-approval": text(await agent.get(`/_gate/v1/approvals/${approval}`), "token") };
    moveClock(31 * MINUTE_MS);
    expect(verdict(await agent.post(SUBMIT, big, { ...CONTEXT, ...token }))).toBe("403 approval-expired");
    const anew = await agent.post(SUBMIT, big, CONTEXT);
    expect(verdict(anew)).toBe("428 approval-required");
    expect(proposalOf(anew)).not.toBe(approval);
    expect(await stateOf(box, approval)).toBe("expired");
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("a draft waits ten minutes for its context", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const approval = proposalOf(await agent.post(SUBMIT, big));
    moveClock(10 * MINUTE_MS);
    const late = await agent.put(`/_gate/v1/approvals/${approval}/context`, {
      reason: "a",
      evidence: "b",
      back_out: "c",
    });
    expect(verdict(late)).toBe("403 approval-expired");
    expect((await budgetOf(box)).held).toBe(0);
  });

  test("a receipt that is older than ten minutes admits nothing", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const receipt = text(await agent.post(SUBMIT, job(), { ...CONTEXT, "gate-dry-run": "?1" }), "receipt");
    moveClock(10 * MINUTE_MS);
    const refused = await agent.post(SUBMIT, job(), { ...CONTEXT, "gate-plan": receipt });
    expect(verdict(refused)).toBe("428 dry-run-required");
    expect(text(refused, "detail")).toContain("expired");
  });
});

describe("withdrawing", () => {
  test.each(["agent", "dana"] as const)(
    "%s may: the money is free, and nobody can approve it any more",
    async (name) => {
      const box = await open();
      const approval = await asked(box);
      const withdrawn = await (await box.as(name)).delete(`/_gate/v1/approvals/${approval}`);
      expect(withdrawn.body).toMatchObject({ state: "withdrawn" });
      expect((await budgetOf(box)).held).toBe(0);
      expect(verdict(await decideAs(box, "alice", approval))).toBe("409 already-decided");
    },
  );

  test.each(["agent2", "alice", "operator", "security"] as const)("%s may not", async (name) => {
    const box = await open();
    const approval = await asked(box);
    expect(verdict(await (await box.as(name)).delete(`/_gate/v1/approvals/${approval}`))).toBe("404 not-found");
    expect(await stateOf(box, approval)).toBe("pending");
  });
});

test("two proposals that would pass the cap together: the second is refused at once, and sees what holds the money", async () => {
  const box = await open();
  const [agent, other] = [await box.as("agent"), await box.as("agent2")];
  const first = proposalOf(await agent.post(SUBMIT, job({ gpus: 64, max_hours: 2 }), CONTEXT));
  const second = await other.post(SUBMIT, job({ gpus: 48, max_hours: 2 }), CONTEXT);
  expect(verdict(second)).toBe("402 budget-exceeded");
  expect(member(second, "holds")).toMatchObject([
    { id: first, state: "held", principal: "agent:trainer", action: "workloads.submit", held_usd: 320 },
  ]);
  expect(member(second, "windows", 0)).toMatchObject({
    scope: "window",
    held_usd: 320,
    requested_usd: 240,
    short_usd: 60,
  });
  expect((await (await box.as("alice")).get("/_gate/v1/approvals?state=pending")).body).toMatchObject({
    records: [{ id: first }],
  });
});
