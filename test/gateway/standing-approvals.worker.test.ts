import { afterEach, describe, expect, test, vi } from "vitest";
import { list, member, text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, replaceOnce, useBlackBox, type BlackBox, type CastName } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { moveClock } from "../support/clock.ts";
import { openIsolate } from "../support/isolates.ts";
import { approvalAuthority } from "../support/authority.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, SUBMIT } from "../support/requests.ts";

const open = useBlackBox("standing");

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const STANDING = "/_gate/v1/standing-approvals";
const HOUR_MS = 3_600_000;
const inHours = (hours: number): string => new Date(Date.now() + hours * HOUR_MS).toISOString();
/** Three evaluations of at most 8 GPUs, 100 USD together, today. */
const asked = (over: object = {}): object => ({
  action: "workloads.submit",
  pins: { max_gpus: 8, gpu_type: "H100" },
  uses: 3,
  cap_usd: 100,
  expires_at: inHours(12),
  reason: "nightly evaluation",
  ...over,
});
/** 8 GPUs for an hour: 20 USD, tier 3. */
const evaluation = (name: string, over: object = {}): object => job({ name, gpus: 8, ...over });

const ask = async (box: BlackBox, over: object = {}, by: CastName = "dana"): Promise<Answered> =>
  (await box.as(by)).post(STANDING, asked(over));

/** A standing approval of dana's, whose agents these are. */
async function granted(box: BlackBox, over: object = {}, by: readonly CastName[] = ["alice"]): Promise<string> {
  const answered = await ask(box, over);
  if (answered.status !== 201) throw new Error(answered.text);
  await decide(box, text(answered, "id"), by);
  return text(answered, "id");
}

const left = async (box: BlackBox, id: string): Promise<readonly unknown[]> => {
  const shown = await (await box.as("agent")).get(`${STANDING}/${id}`);
  return [member(shown, "state"), member(shown, "standing", "uses_left"), member(shown, "standing", "left_usd")];
};

async function activate(box: BlackBox, policy: string): Promise<void> {
  await (await box.as("operator")).post("/_gate/v1/policy/versions", { policy, reason: "changed" });
  expect(verdict(await (await box.as("security")).post("/_gate/v1/policy/activate", { version: 2 }))).toBe("200");
}

describe("an ask", () => {
  test("is a proposal that shows its pins, uses and cap, and holds no money", async () => {
    const box = await open();
    const answered = await ask(box);
    expect(verdict(answered)).toBe("201");
    expect(answered.body).toMatchObject({
      state: "pending",
      action: "workloads.submit",
      tier: 3,
      needed: 1,
      requester: "person:dana",
      cost: { ceiling_usd: 100 },
      facts: { max_gpus: 8, gpu_type: "H100" },
      request: { method: "POST", path: STANDING, body: { uses: 3, cap_usd: 100 } },
      standing: { pins: { max_gpus: 8, gpu_type: "H100" }, uses: 3, uses_left: 3, cap_usd: 100, left_usd: 100 },
    });
    expect((await budgetOf(box)).held).toBe(0);
    const id = text(answered, "id");
    for (const path of ["/_gate/v1/approvals?state=pending", STANDING]) {
      expect(list(await (await box.as("alice")).get(path), "records")).toMatchObject([{ id, state: "pending" }]);
    }
    expect(text(await ask(box, { expires_at: member(answered, "standing", "expires_at") }), "id")).toBe(id);
  });

  test.each<[string, object, string]>([
    ["more uses than 1,000", { uses: 1_001 }, "400 malformed-request"],
    ["no uses", { uses: 0 }, "400 malformed-request"],
    ["half a use", { uses: 1.5 }, "400 malformed-request"],
    ["more USD than the month's cap", { cap_usd: 10_000.01 }, "400 malformed-request"],
    ["a negative cap", { cap_usd: -1 }, "400 malformed-request"],
    ["a cap of fractions of a micro-USD", { cap_usd: 0.0000001 }, "400 malformed-request"],
    ["an end beyond 30 days", { expires_at: inHours(30 * 24 + 1) }, "400 malformed-request"],
    ["an end in the past", { expires_at: inHours(-1) }, "400 malformed-request"],
    ["an end that is no time", { expires_at: "tomorrow" }, "400 malformed-request"],
    ["no pin", { pins: {} }, "400 malformed-request"],
    ["a pin on nothing", { pins: { max_cost: 5 } }, "400 malformed-request"],
    ["a pin of another type", { pins: { gpus: "8" } }, "400 malformed-request"],
    ["a pin that hides text", { pins: { gpu_type: "H100\u202e" } }, "400 malformed-request"],
    ["a pin that is a secret", { pins: { image: "AKIAIOSFODNN7EXAMPLE" } }, "400 malformed-request"],
    ["no reason", { reason: undefined }, "400 malformed-request"],
    ["an unknown member", { tier: 2 }, "400 malformed-request"],
    [
      "an action that nobody approves",
      { action: "allocations.create", pins: { max_instances: 2 } },
      "400 malformed-request",
    ],
    ["an action that the policy does not name", { action: "pools.delete", pins: { resource: "p" } }, "403 not-allowed"],
    ["an action that does not exist", { action: "no.such" }, "403 not-allowed"],
  ])("with %s is refused", async (_, over, expected) => {
    const box = await open();
    const refused = await ask(box, over);
    expect(verdict(refused)).toBe(expected);
    if (refused.status === 400) expect(text(refused, "reason")).toContain(Object.keys(over)[0]);
    expect(list(await (await box.as("security")).get(STANDING), "records")).toEqual([]);
  });

  test("of what the policy prohibits is refused as prohibited", async () => {
    const policy = replaceOnce(ACME_POLICY, "budget:\n", "  tier_5: [pools.delete]\n\nbudget:\n");
    const box = await open({ policy });
    expect(verdict(await ask(box, { action: "pools.delete", pins: { resource: "p" } }))).toBe("403 prohibited");
  });

  test("is a person's: no agent or service asks", async () => {
    const box = await open();
    for (const name of ["agent", "billing"] as const)
      expect(verdict(await ask(box, {}, name))).toBe("403 out-of-scope");
  });

  test("is decided by neither its asker nor who is no approver, and at tier 4 by two", async () => {
    const box = await open({ policy: replaceOnce(ACME_POLICY, '["@alice", "@bob"]', '["@alice", "@bob", "@dana"]') });
    const answered = await ask(box, { action: "workloads.cancel", pins: { resource: "wl-1" }, cap_usd: 0 });
    expect(answered.body).toMatchObject({ tier: 4, needed: 2, eligible: 2 });
    const id = text(answered, "id");
    for (const name of ["dana", "carol", "agent"] as const) {
      const refused = await (await box.as(name)).post(`/_gate/v1/approvals/${id}/decisions`, { decision: "approve" });
      expect(verdict(refused)).toBe("403 not-eligible");
    }
    await decide(box, id, ["alice", "alice"]);
    expect(await left(box, id)).toEqual(["pending", 3, 0]);
    await decide(box, id, ["bob"]);
    expect(await left(box, id)).toEqual(["approved", 3, 0]);
    const agent = await box.as("agent");
    expect(verdict(await agent.post("/v1/workloads/wl-1/cancel", {}, CONTEXT))).toBe("404");
    expect(verdict(await agent.post("/v1/workloads/wl-2/cancel", {}, CONTEXT))).toBe("428 approval-required");
    expect(await left(box, id)).toEqual(["approved", 2, 0]);
  });

  test("counts what an approval authority signed about it, like any proposal", async () => {
    const box = await open();
    const id = text(await ask(box), "id");
    const token = await (await approvalAuthority(box)).sign(id, "alice");
    const counted = await (await box.as("dana")).post(`/_gate/v1/approvals/${id}/tokens`, { token });
    expect(counted.body).toMatchObject({ state: "approved", given: 1 });
  });
});

describe("a use", () => {
  test("runs at once, is on record with its approvers, and has its reason, evidence and back-out", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const id = await granted(box);
    const bare = await agent.post(SUBMIT, evaluation("e1"));
    expect(verdict(bare)).toBe("428 approval-required");
    expect(bare.body).toMatchObject({ approval: { state: "draft", missing: ["reason", "evidence", "back_out"] } });
    expect(verdict(await agent.post(SUBMIT, evaluation("e1"), CONTEXT))).toBe("201");
    expect(await left(box, id)).toEqual(["approved", 2, 80]);
    expect((await budgetOf(box)).held).toBe(20_000_000);
    const drafted = await agent.get(`/_gate/v1/approvals/${proposalOf(bare)}`);
    expect(text(drafted, "state")).toBe("invalidated");
    const intents = (await ledgerRecords(box.tenant)).filter(({ kind }) => kind === "intent");
    expect(intents).toMatchObject([
      { approval_id: id, approvers: ["person:alice"], reason: "nightly training", reason_code: "standing-approval" },
    ]);
  });

  test.each<[string, object]>([
    ["more GPUs than pinned", { gpus: 9 }],
    ["another type than pinned", { gpu_type: "A100" }],
  ])("with %s is none: people are asked", async (_, over) => {
    const box = await open();
    const id = await granted(box);
    const answered = await (await box.as("agent")).post(SUBMIT, evaluation("e1", over), CONTEXT);
    expect(verdict(answered)).toBe("428 approval-required");
    expect(answered.body).toMatchObject({ approval: { state: "pending" } });
    expect(await left(box, id)).toEqual(["approved", 3, 100]);
  });

  test("is for the asker's own agents alone", async () => {
    const box = await open();
    const id = await granted(box);
    const other = await box.mint({
      subject: "agent:other",
      class: "agent",
      owner: "person:carol",
      actions: ["*"],
      max_tier: 4,
    });
    expect(verdict(await other.post(SUBMIT, evaluation("e1"), CONTEXT))).toBe("428 approval-required");
    expect(verdict(await other.get(`${STANDING}/${id}`))).toBe("404 not-found");
    expect(list(await other.get(STANDING), "records")).toEqual([]);
    expect(verdict(await (await box.as("agent2")).post(SUBMIT, evaluation("e1"), CONTEXT))).toBe("201");
  });

  test("costs at most what is left", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const id = await granted(box, { cap_usd: 39.99 });
    expect(verdict(await agent.post(SUBMIT, evaluation("e1"), CONTEXT))).toBe("201");
    expect(verdict(await agent.post(SUBMIT, evaluation("e2"), CONTEXT))).toBe("428 approval-required");
    expect(await left(box, id)).toEqual(["approved", 2, 19.99]);
  });

  test.each<[string, (policy: string) => string]>([
    ["an approver was removed", (policy) => replaceOnce(policy, '["@alice", "@bob"]', '["@bob", "@carol"]')],
    ["the action's rule changed", (policy) => replaceOnce(policy, "max_gpus: 64", "max_gpus: 32")],
  ])("is none once %s", async (_, change) => {
    const box = await open();
    const id = await granted(box);
    await activate(box, change(ACME_POLICY));
    expect(verdict(await (await box.as("agent")).post(SUBMIT, evaluation("e1"), CONTEXT))).toBe(
      "428 approval-required",
    );
    expect(await left(box, id)).toEqual(["approved", 3, 100]);
  });

  test("goes on after a policy push that leaves its rule alone", async () => {
    const box = await open();
    await granted(box);
    await activate(box, replaceOnce(ACME_POLICY, "max_instances: 8", "max_instances: 4"));
    expect(verdict(await (await box.as("agent")).post(SUBMIT, evaluation("e1"), CONTEXT))).toBe("201");
  });

  test("is judged like any request: frozen is frozen, and what the policy refuses stays refused", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const id = await granted(box, { pins: { max_gpus: 128 } });
    expect(verdict(await agent.post(SUBMIT, evaluation("e1", { gpus: 65 }), CONTEXT))).toBe("403 constraint-exceeded");
    await (await box.as("security")).post("/_gate/v1/freeze", { reason: "drill" });
    expect(verdict(await agent.post(SUBMIT, evaluation("e1"), CONTEXT))).toBe("403 frozen");
    expect(await left(box, id)).toEqual(["approved", 3, 100]);
  });

  test("of 200 at once through four isolates there are exactly as many as are left", async () => {
    const policy = `${replaceOnce(ACME_POLICY, "daily_limit_usd: 500", "daily_limit_usd: 9000")}rate_limits: { tier_2: 100000 }\n`;
    const box = await open({ policy });
    const agent = await box.as("agent");
    const id = await granted(box, { uses: 7, cap_usd: 1_000 });
    const isolates = [0, 1, 2, 3].map(() => agent.through(openIsolate().entrance));
    const answers = await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        (isolates[index % 4] ?? agent).post(SUBMIT, evaluation("e1"), { ...CONTEXT, "idempotency-key": `"${index}"` }),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(7);
    expect(new Set(answers.map(verdict))).toEqual(new Set(["201", "428 approval-required"]));
    expect(await left(box, id)).toEqual(["approved", 0, 860]);
    expect(await box.upstream.mutations()).toHaveLength(7);
  });

  test("comes too late after its end", async () => {
    const box = await open();
    const id = await granted(box, { expires_at: inHours(1) });
    moveClock(HOUR_MS);
    const late = await (await box.as("agent")).post(SUBMIT, evaluation("e1"), CONTEXT);
    expect(verdict(late)).toBe("428 approval-required");
    expect((await left(box, id)).slice(1)).toEqual([3, 100]);
  });
});

describe("DELETE", () => {
  test.each(["dana", "alice", "bob", "security"] as const)("by %s ends it at once", async (name) => {
    const box = await open();
    const id = await granted(box);
    const ended = await (await box.as(name)).delete(`${STANDING}/${id}`);
    expect(ended.body).toMatchObject({ id, state: "withdrawn" });
    expect(verdict(await (await box.as("agent")).post(SUBMIT, evaluation("e1"), CONTEXT))).toBe(
      "428 approval-required",
    );
    expect(verdict(await (await box.as(name)).delete(`${STANDING}/${id}`))).toBe("409 already-decided");
  });

  test.each(["agent", "carol", "operator", "finance"] as const)("by %s ends nothing", async (name) => {
    const box = await open();
    const id = await granted(box);
    expect(verdict(await (await box.as(name)).delete(`${STANDING}/${id}`))).toBe("404 not-found");
    expect(await left(box, id)).toEqual(["approved", 3, 100]);
  });

  test("does not end a proposal, nor is one shown as a standing approval", async () => {
    const box = await open();
    const proposal = proposalOf(await (await box.as("agent")).post(SUBMIT, evaluation("e1"), CONTEXT));
    expect(verdict(await (await box.as("alice")).delete(`${STANDING}/${proposal}`))).toBe("404 not-found");
    expect(verdict(await (await box.as("alice")).get(`${STANDING}/${proposal}`))).toBe("404 not-found");
    expect(list(await (await box.as("alice")).get(STANDING), "records")).toEqual([]);
  });
});
