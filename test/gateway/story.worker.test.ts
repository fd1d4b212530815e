import { expect, test } from "vitest";
import { member, text, verdict } from "../support/answer.ts";
import { useBlackBox } from "../support/black-box.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, REASON, receiptFor, submit, SUBMIT } from "../support/requests.ts";

const open = useBlackBox("story");

test("a read passes, and upstream's answer comes back unchanged", async () => {
  const agent = await (await open()).as("agent");
  const answered = await agent.get("/v1/workloads?limit=5");
  expect(verdict(answered)).toBe("200");
  expect(answered.body).toEqual({ workloads: [], next_cursor: null });
  expect(answered.headers.get("gate-decision")).toBe("allow");
  expect(answered.headers.get("gate-tier")).toBe("0");
});

test("four elastic GPUs: without a receipt refused, after a dry run executed once", async () => {
  const box = await open();
  const agent = await box.as("agent");
  expect(verdict(await agent.post(SUBMIT, job(), REASON))).toBe("428 dry-run-required");
  const plan = await agent.post(SUBMIT, job(), { ...REASON, "gate-dry-run": "?1" });
  expect(verdict(plan)).toBe("200");
  expect(plan.body).toMatchObject({
    decision: "plan",
    action: "workloads.submit",
    tier: 2,
    facts: { gpus: 4, gpu_type: "H100", hours: 1, job_type: "elastic" },
    cost: { ceiling_usd: 10, ceiling_micros: 10_000_000, price_version: "2026-11-01" },
    budget: { before: { daily: { held_usd: 0 } }, after: { daily: { held_usd: 10, remaining_usd: 490 } } },
    approvals: { needed: 0 },
    upstream: { status: 200 },
  });
  expect(await box.upstream.mutations()).toEqual([]);
  expect(await budgetOf(box)).toMatchObject({ held: 0, settled: 0 });

  const executed = await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": text(plan, "receipt") });
  expect(verdict(executed)).toBe("201");
  expect(executed.body).toMatchObject({ name: "job-1", gpus: 4, state: "running" });
  expect(await box.upstream.mutations()).toHaveLength(1);
  expect(await budgetOf(box)).toMatchObject({ held: 10_000_000, settled: 0 });
});

test.each([
  ["another body", job({ max_hours: 2 }), "agent"],
  ["another agent", job(), "agent2"],
] as const)("a receipt admits nothing for %s", async (_, body, name) => {
  const box = await open();
  const receipt = await receiptFor(await box.as("agent"), job());
  const refused = await (await box.as(name)).post(SUBMIT, body, { ...REASON, "gate-plan": receipt });
  expect(verdict(refused)).toBe("428 dry-run-required");
  expect(await box.upstream.mutations()).toEqual([]);
});

test.each([
  ["eight GPUs", job({ gpus: 8 })],
  ["two GPUs, reserved", job({ gpus: 2, job_type: "reserved" })],
])("%s are tier 3: a proposal is opened, and its money held", async (_, body) => {
  const box = await open();
  const refused = await (await box.as("agent")).post(SUBMIT, body, CONTEXT);
  expect(verdict(refused)).toBe("428 approval-required");
  expect(refused.headers.get("gate-tier")).toBe("3");
  expect(refused.body).toMatchObject({
    tier: 3,
    approval: { state: "pending", needed: 1, given: 0, eligible: 2, approvers: ["@alice", "@bob"], missing: [] },
  });
  expect((await budgetOf(box)).held).toBeGreaterThan(0);
  expect(await box.upstream.mutations()).toEqual([]);
});

test("128 GPUs are refused, with the limit of 64 and the nearest request that would be considered", async () => {
  const box = await open();
  const refused = await (await box.as("agent")).post(SUBMIT, job({ gpus: 128 }), CONTEXT);
  expect(verdict(refused)).toBe("403 constraint-exceeded");
  expect(refused.body).toMatchObject({
    violations: [{ constraint: "max_gpus", limit: 64, actual: 128 }],
    nearest: { tier: 3, facts: { gpus: 64 } },
  });
  expect(await box.upstream.requests()).toEqual([]);
});

test("a cancellation needs two distinct people: one is not enough", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const cancel = `${SUBMIT}/${text(await submit(agent, job()), "id")}/cancel`;
  const asked = await agent.post(cancel, {}, CONTEXT);
  expect(verdict(asked)).toBe("428 approval-required");
  expect(asked.body).toMatchObject({ tier: 4, approval: { needed: 2, given: 0 } });

  await decide(box, proposalOf(asked), ["alice"]);
  const again = await agent.post(cancel, {}, CONTEXT);
  expect(verdict(again)).toBe("428 approval-required");
  expect(again.body).toMatchObject({ approval: { id: proposalOf(asked), needed: 2, given: 1 } });
  expect(await box.upstream.mutations()).toHaveLength(1);

  await decide(box, proposalOf(asked), ["bob"]);
  const done = await agent.post(cancel, {}, CONTEXT);
  expect(verdict(done)).toBe("200");
  expect(done.body).toMatchObject({ state: "cancelled" });
  expect(await box.upstream.mutations()).toHaveLength(2);
});

test("deleting a pool is prohibited: nothing reaches upstream, no proposal is opened", async () => {
  const box = await open();
  const refused = await (await box.as("agent")).delete("/v1/pools/pool-h100", CONTEXT);
  expect(verdict(refused)).toBe("403 prohibited");
  expect(refused.headers.get("gate-tier")).toBe("5");
  expect(await box.upstream.requests()).toEqual([]);
  expect((await (await box.as("agent")).get("/_gate/v1/approvals")).body).toMatchObject({ records: [] });
});

test.each([
  ["GET", "/v1/nodes", "403 unknown-operation"],
  ["GET", "/", "403 unknown-operation"],
  ["GET", "/v2/workloads", "403 unknown-operation"],
  ["GET", "/v1/workloads/wl-1/secrets", "403 unknown-operation"],
  ["DELETE", "/v1/workloads/wl-1", "403 unknown-operation"],
  ["PUT", "/v1/workloads", "403 unknown-operation"],
  ["GET", "/_example/requests", "403 unknown-operation"],
  ["GET", "/v1/capacity", "403 not-allowed"],
  ["GET", "/v1/allocations", "403 not-allowed"],
  ["GET", "/v1/workloads?all=true", "400 malformed-request"],
  ["GET", "/_gate/unknown", "404 not-found"],
])("what is not listed is not passed on: %s %s", async (method, path, expected) => {
  const box = await open();
  const body = method === "PUT" ? {} : undefined;
  expect(verdict(await (await box.as("agent")).send(method, path, body))).toBe(expected);
  expect(await box.upstream.requests()).toEqual([]);
});

test("a body with a key that the catalogue does not list is refused", async () => {
  const box = await open();
  const refused = await (await box.as("agent")).post(SUBMIT, job({ priority: 1 }), { ...REASON, "gate-dry-run": "?1" });
  expect(verdict(refused)).toBe("400 malformed-request");
  expect(await box.upstream.requests()).toEqual([]);
});

test("a submit that would pass the day's 500 USD is refused with numbers that add up", async () => {
  const box = await open();
  const agent = await box.as("agent");
  expect(verdict(await submit(agent, job({ max_hours: 49 })))).toBe("201");
  const refused = await agent.post(SUBMIT, job({ name: "job-2", max_hours: 2 }), { ...REASON, "gate-dry-run": "?1" });
  expect(verdict(refused)).toBe("402 budget-exceeded");
  expect(member(refused, "windows")).toMatchObject([
    { period: "daily", cap_usd: 500, settled_usd: 0, held_usd: 490, requested_usd: 20, short_usd: 10 },
  ]);
  expect(Date.parse(text(refused, "windows", 0, "resets_at"))).toBeGreaterThan(Date.now());
  expect(member(refused, "holds", 0)).toMatchObject({
    principal: "agent:trainer",
    action: "workloads.submit",
    held_usd: 490,
  });
  expect(member(refused, "other_holds")).toEqual({ count: 0, held_usd: 0, held_micros: 0 });
  // The nearest request that fits does fit, to the dollar, and nothing above it.
  expect(member(refused, "nearest")).toEqual({ tier: 2, facts: { gpus: 2 } });
  const nearest = job({ name: "job-3", max_hours: 2, gpus: 2 });
  const above = { ...nearest, gpus: 3 };
  expect(verdict(await agent.post(SUBMIT, above, { ...REASON, "gate-dry-run": "?1" }))).toBe("402 budget-exceeded");
  expect(verdict(await submit(agent, nearest))).toBe("201");
  const none = await agent.post(SUBMIT, job({ name: "job-4" }), { ...REASON, "gate-dry-run": "?1" });
  expect([verdict(none), member(none, "nearest")]).toEqual(["402 budget-exceeded", null]);
  expect(await budgetOf(box)).toEqual({ cap: 500_000_000, held: 500_000_000, settled: 0, remaining: 0 });
});

test("the same idempotency key twice is one job and the stored answer", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const key = { "idempotency-key": '"nightly-1"' };
  const first = await submit(agent, job(), { ...REASON, ...key });
  expect(verdict(first)).toBe("201");
  expect(first.headers.get("idempotency-replayed")).toBeNull();
  const second = await agent.post(SUBMIT, job(), { ...REASON, ...key });
  expect(verdict(second)).toBe("201");
  expect(second.text).toBe(first.text);
  expect(second.headers.get("idempotency-replayed")).toBe("?1");
  expect(verdict(await agent.post(SUBMIT, job({ name: "job-2" }), { ...REASON, ...key }))).toBe(
    "422 idempotency-key-reused",
  );
  expect(await box.upstream.mutations()).toHaveLength(1);
  // Another principal's key of the same text is another key.
  expect(verdict(await submit(await box.as("agent2"), job(), { ...REASON, ...key }))).toBe("201");
});

test("a receipt presented twice replays to its principal, and with a new key is a conflict", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const receipt = { ...REASON, "gate-plan": await receiptFor(agent, job()) };
  const first = await agent.post(SUBMIT, job(), receipt);
  const second = await agent.post(SUBMIT, job(), receipt);
  expect([verdict(first), verdict(second), second.text]).toEqual(["201", "201", first.text]);
  expect(second.headers.get("idempotency-replayed")).toBe("?1");
  const conflict = await agent.post(SUBMIT, job(), { ...receipt, "idempotency-key": '"other"' });
  expect(verdict(conflict)).toBe("409 approval-consumed");
  expect(verdict(await agent.get(text(conflict, "operation_url")))).toBe("200");
  expect(await box.upstream.mutations()).toHaveLength(1);
});

test("an approved request runs by its token", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const proposal = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
  expect((await agent.get(`/_gate/v1/approvals/${proposal}`)).body).not.toHaveProperty("token");
  await decide(box, proposal, ["alice"]);
  const token = text(await agent.get(`/_gate/v1/approvals/${proposal}`), "token");
  expect((await (await box.as("alice")).get(`/_gate/v1/approvals/${proposal}`)).body).not.toHaveProperty("token");
  const executed = await agent.post(SUBMIT, job({ gpus: 8 }), { "gate-approval": token });
  expect(verdict(executed)).toBe("201");
  expect((await agent.get(`/_gate/v1/approvals/${proposal}`)).body).toMatchObject({ state: "consumed" });
  expect((await budgetOf(box)).held).toBe(20_000_000);
});

test("an approved request runs by itself: an unmodified client only repeats its command", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const proposal = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
  await decide(box, proposal, ["bob"]);
  const executed = await agent.post(SUBMIT, job({ gpus: 8 }));
  expect(verdict(executed)).toBe("201");
  expect(await box.upstream.mutations()).toHaveLength(1);
});

test("a request without context opens a draft, which holds nothing until its context is put and people decide", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const asked = await agent.post(SUBMIT, job({ gpus: 8 }));
  expect(verdict(asked)).toBe("428 approval-required");
  expect(asked.body).toMatchObject({ approval: { state: "draft", missing: ["reason", "evidence", "back_out"] } });
  expect((await budgetOf(box)).held).toBe(0);
  const path = `/_gate/v1/approvals/${proposalOf(asked)}`;
  const early = await (await box.as("alice")).post(`${path}/decisions`, { decision: "approve" });
  expect(verdict(early)).toBe("403 not-eligible");

  const lacking = await agent.put(`${path}/context`, { reason: "nightly" });
  expect(verdict(lacking)).toBe("428 reason-required");
  expect(lacking.body).toMatchObject({ missing: ["evidence", "back_out"] });
  // The owner of the agent's credential may complete it, too.
  const context = { reason: "nightly", evidence: "queue is empty", back_out: "cancel it" };
  const completed = await (await box.as("dana")).put(`${path}/context`, context);
  expect(verdict(completed)).toBe("200");
  expect(completed.body).toMatchObject({ state: "pending", ...context });
  expect((await budgetOf(box)).held).toBe(20_000_000);

  await decide(box, proposalOf(asked), ["alice"]);
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 8 })))).toBe("201");
  expect((await budgetOf(box)).held).toBe(20_000_000);
});
