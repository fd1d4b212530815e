import { afterEach, describe, expect, test, vi } from "vitest";
import { member, text, verdict, type Answered } from "../support/answer.ts";
import {
  ACME_PEOPLE,
  ACME_POLICY,
  catalogueOf,
  replaceOnce,
  useBlackBox,
  type BlackBox,
  type Caller,
} from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { CONTEXT, decide, job, proposalOf, REASON, submit, SUBMIT } from "../support/requests.ts";

/**
 * The guard rules of an agent that remedies failures by itself, as its team would state them: what reaches a whole cluster or cannot
 * be undone in production is for people, what is wider than one workload waits for the maintenance window, everything brings a way
 * back. Production is what runs on H100s; which that is, the gate reads from the control plane and not from the request.
 */
const open = useBlackBox("remediation");
afterEach(() => void vi.useRealTimers());

/** A cancel knows where it acts, and a cluster's end is no longer tier 5 by the catalogue alone. */
function catalogue(): string {
  const located = replaceOnce(
    catalogueOf("remediation"),
    '    facts: { resource: { path: id } }\n    incident: { concat: ["workload:", { path: id }] }\n    # The workload itself',
    '    look_ups:\n      workload: { method: GET, path: "/v1/workloads/{id}" }\n    facts: { resource: { path: id }, gpu_type: { look_up: workload, at: /gpu_type } }\n    incident: { concat: ["workload:", { path: id }] }\n    # The workload itself',
  );
  const typed = replaceOnce(
    located,
    "    title: Cancel a workload\n    floor: 4\n    facts: { resource: string }",
    "    title: Cancel a workload\n    floor: 4\n    facts: { resource: string, gpu_type: string }",
  );
  return replaceOnce(typed, "    title: Destroy a cluster\n    floor: 5", "    title: Destroy a cluster\n    floor: 4");
}

/** A window that opened `agoMinutes` ago (negative: is yet to open), on today's UTC clock. */
function window(agoMinutes: number, minutes: number): string {
  const opened = new Date(Date.now() - agoMinutes * MINUTE_MS);
  return `{ cron: "${opened.getUTCMinutes()} ${opened.getUTCHours()} * * *", zone: UTC, minutes: ${minutes} }`;
}

const policy = (maintenance: string): string =>
  `${replaceOnce(ACME_POLICY, "    - allocations.release\n", "    - allocations.release\n    - infrastructure.destroy\n")}
environments:
  production: { gpu_type: [H100] }
  sandbox: { gpu_type: [L40S] }
maintenance_windows:
  changes: ${maintenance}
blast_radius:
  - { at_least: cluster, environments: [production], deny: a whole cluster is no agent's to change }
  - { at_least: allocation, inside: [changes] }
reversible:
  - { is: false, environments: [production], runbook: "https://runbooks.example/irreversible" }
require:
  tier_2: [back_out]
`;

const documents = (maintenance: string) => ({ policy: policy(maintenance), catalogue: catalogue() });
const UNDOABLE = { ...REASON, "gate-back-out": "cancel the job" };

/** A job that runs, on this kind of GPU. */
async function running(agent: Caller, gpuType: string): Promise<string> {
  const started = await submit(agent, job({ gpu_type: gpuType }), UNDOABLE);
  expect(verdict(started)).toBe("201");
  return text(started, "id");
}

/** An allocation, which approvers grant in the window. */
async function allocation(box: BlackBox, agent: Caller): Promise<string> {
  const body = { name: "shared", instances: 1, instance_type: "4xL40S", hours: 1 };
  const planned = await agent.post("/v1/allocations", body, { ...UNDOABLE, "gate-dry-run": "?1" });
  const made = await agent.post("/v1/allocations", body, { ...UNDOABLE, "gate-plan": text(planned, "receipt") });
  expect(verdict(made), box.tenant).toBe("201");
  return text(made, "id");
}

const cancel = (agent: Caller, id: string): Promise<Answered> => agent.post(`/v1/workloads/${id}/cancel`, {}, CONTEXT);
const transfer = (agent: Caller, id: string): Promise<Answered> =>
  agent.post(`/v1/allocations/${id}/transfer`, { to: "team-b" }, CONTEXT);

describe("what an agent may remedy by itself", () => {
  test("a change of a whole cluster in production is denied, whoever would approve", async () => {
    const box = await open(documents(window(5, 30)));
    const refused = await (await box.as("agent")).delete("/v1/clusters/cluster-1", CONTEXT);
    expect(verdict(refused)).toBe("403 not-allowed");
    expect(refused.body).toMatchObject({ rule: "blast_radius[0]: a whole cluster is no agent's to change", tier: 4 });
    // The policy names the action: it is the guard that denies.
    expect(text(refused, "title")).toBe("The tenant's policy does not allow this");
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("what cannot be undone in production is sent to the manual runbook, by what the control plane says of it", async () => {
    const box = await open(documents(window(5, 30)));
    const agent = await box.as("agent");
    const refused = await cancel(agent, await running(agent, "H100"));
    expect(verdict(refused)).toBe("403 not-allowed");
    expect(refused.body).toMatchObject({ runbook: "https://runbooks.example/irreversible" });
    expect(text(refused, "detail")).toContain("by the runbook https://runbooks.example/irreversible");
    expect(await box.upstream.mutations()).toHaveLength(1);
  });

  test("the same in a sandbox is people's to approve, and runs", async () => {
    const box = await open(documents(window(5, 30)));
    const agent = await box.as("agent");
    const id = await running(agent, "L40S");
    const asked = await cancel(agent, id);
    expect(verdict(asked)).toBe("428 approval-required");
    await decide(box, proposalOf(asked), ["alice", "bob"]);
    expect(verdict(await cancel(agent, id))).toBe("200");
  });

  test("what is wider than one workload waits for the maintenance window, and is told when it opens", async () => {
    const box = await open(documents(window(-60, 30)));
    const agent = await box.as("agent");
    const refused = await agent.post("/v1/allocations/alloc-1/transfer", { to: "team-b" }, CONTEXT);
    expect(verdict(refused)).toBe("403 outside-window");
    expect(refused.body).toMatchObject({ rule: "blast_radius[1]", windows: ["changes"] });
    const opens = Date.parse(text(refused, "opens_at"));
    expect([opens > Date.now(), opens <= Date.now() + 61 * MINUTE_MS]).toEqual([true, true]);
    // One workload is narrower.
    expect(verdict(await submit(agent, job(), UNDOABLE))).toBe("201");
  });

  test("every write says how to take it back", async () => {
    const box = await open(documents(window(5, 30)));
    const refused = await (await box.as("agent")).post(SUBMIT, job(), REASON);
    expect(verdict(refused)).toBe("428 reason-required");
    expect(refused.body).toMatchObject({ missing: ["back_out"] });
  });
});

/** A transfer that alice has approved inside the window, ready to be sent again. */
async function approvedTransfer(): Promise<{ box: BlackBox; agent: Caller; id: string; approval: string }> {
  const box = await open(documents(window(5, 15)));
  const agent = await box.as("agent");
  const id = await allocation(box, agent);
  const asked = await transfer(agent, id);
  expect(verdict(asked)).toBe("428 approval-required");
  const approval = proposalOf(asked);
  await decide(box, approval, ["alice"]);
  return { box, agent, id, approval };
}

const stateOf = async (agent: Caller, approval: string): Promise<string> =>
  text(await agent.get(`/_gate/v1/approvals/${approval}`), "state");

const version = async (box: BlackBox, changed: object): Promise<void> => {
  const added = await (await box.as("operator")).post("/_gate/v1/policy/versions", { ...changed, reason: "test" });
  expect(verdict(added), added.text).toBe("201");
  const put = { version: member(added, "version") };
  const active = await (await box.as("security")).post("/_gate/v1/policy/activate", put);
  expect(verdict(active), active.text).toBe("200");
};

describe("what is judged when it is proposed is judged again when it is executed", () => {
  test("a window that closes in between refuses, consumes nothing, and says when it opens again", async () => {
    const { box, agent, id, approval } = await approvedTransfer();
    // Whoever decides is told until when it can run.
    const { body } = await (await box.as("alice")).get(`/_gate/v1/approvals/${approval}`);
    const closesAt = Date.parse(String(Object(body).window.closes_at));
    expect(body).toMatchObject({ window: { name: "changes" }, shadow: [] });
    expect([closesAt > Date.now() + 8 * MINUTE_MS, closesAt <= Date.now() + 10 * MINUTE_MS]).toEqual([true, true]);
    moveClock(12 * MINUTE_MS);
    const refused = await transfer(agent, id);
    expect(verdict(refused)).toBe("403 outside-window");
    expect(Date.parse(text(refused, "opens_at"))).toBeGreaterThan(Date.now());
    expect(await stateOf(agent, approval)).toBe("approved");
    vi.useRealTimers();
    expect(verdict(await transfer(agent, id))).toBe("200");
    expect(await stateOf(agent, approval)).toBe("consumed");
    expect((await box.upstream.mutations()).map(({ path }) => path)).toEqual([
      "/v1/allocations",
      `/v1/allocations/${id}/transfer`,
    ]);
  });

  test("an approver who is removed in between no longer counts: refused, nothing is consumed or sent", async () => {
    const { box, agent, id } = await approvedTransfer();
    await version(box, { people: replaceOnce(ACME_PEOPLE, "subject: person:alice", "subject: person:alice-left") });
    const refused = await transfer(agent, id);
    expect(verdict(refused)).toMatch(/^4(?:03|28) approval/);
    expect((await box.upstream.mutations()).map(({ path }) => path)).toEqual(["/v1/allocations"]);
  });

  test("a policy that is tightened in between refuses, says why, and nothing is sent", async () => {
    const { box, agent, id } = await approvedTransfer();
    await version(box, { policy: replaceOnce(policy(window(5, 15)), "    - allocations.transfer\n", "") });
    const refused = await transfer(agent, id);
    expect(verdict(refused)).toBe("403 not-allowed");
    expect((await box.upstream.mutations()).map(({ path }) => path)).toEqual(["/v1/allocations"]);
    // Back to what it was: the approval was not consumed by the try.
    await version(box, { policy: policy(window(5, 15)) });
    expect(verdict(await transfer(agent, id))).toBe("200");
  });

  test("a freeze that is set in between refuses, says who and why, and consumes nothing", async () => {
    const { box, agent, id, approval } = await approvedTransfer();
    const security = await box.as("security");
    expect(verdict(await security.post("/_gate/v1/freeze", { reason: "an incident" }))).toBe("200");
    const refused = await transfer(agent, id);
    expect(verdict(refused)).toBe("403 frozen");
    expect(refused.body).toMatchObject({ frozen_by: "person:security", freeze_reason: "an incident" });
    expect(await stateOf(agent, approval)).toBe("approved");
    expect(verdict(await security.delete("/_gate/v1/freeze"))).toBe("200");
    expect(verdict(await transfer(agent, id))).toBe("200");
  });
});

describe("rules in shadow", () => {
  test("a guard in shadow lets through what it would have denied, and the record says so", async () => {
    const shadowed = policy(window(5, 30)).replace('irreversible" }', 'irreversible", mode: shadow }');
    const box = await open({ policy: shadowed, catalogue: catalogue() });
    const agent = await box.as("agent");
    const asked = await cancel(agent, await running(agent, "H100"));
    expect(verdict(asked)).toBe("428 approval-required");
    const [proposed] = (await ledgerRecords(box.tenant)).filter(({ kind }) => kind === "proposal");
    expect(proposed).toMatchObject({ shadow: [{ rule: "reversible[0]", verdict: "not-allowed" }] });
    // And so does the proposal, to those who decide it.
    const { body } = await (await box.as("alice")).get(`/_gate/v1/approvals/${proposalOf(asked)}`);
    expect(body).toMatchObject({ window: null, shadow: [{ rule: "reversible[0]", verdict: "not-allowed" }] });
  });

  test("a whole policy in shadow lets the floor decide, keeps tier 5 and the budget, and records what it would have said", async () => {
    const box = await open({ policy: `${ACME_POLICY}mode: shadow\n` });
    const agent = await box.as("agent");
    const read = await agent.get("/v1/capacity");
    expect(verdict(read)).toBe("200");
    expect(verdict(await agent.delete("/v1/pools/pool-1", CONTEXT))).toBe("403 prohibited");
    expect(verdict(await submit(agent, job({ job_type: "reserved" })))).toBe("201");
    const dear = await agent.post(SUBMIT, job({ gpus: 200, max_hours: 400 }), { ...CONTEXT, "gate-dry-run": "?1" });
    expect(verdict(dear)).toBe("402 budget-exceeded");
    const [intent] = (await ledgerRecords(box.tenant)).filter(({ kind }) => kind === "intent");
    expect(intent).toMatchObject({ tier: 2, shadow: [{ verdict: "tier 3" }] });
  });
});
