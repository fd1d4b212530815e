import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, replaceOnce, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, REASON, receiptFor, submit, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/** What runs is paid for until the control plane itself says that it has ended; and changes of it cost their difference. */
const open = useBlackBox("running");

const POLICY = replaceOnce(
  ACME_POLICY,
  "    - allocations.create:\n        max_instances: 8\n",
  "    - allocations.create:\n        max_instances: 8\n    - workloads.scale:\n        max_gpus: 4\n",
);
const USD = 1_000_000;
const PATIENCE = { timeout: 20_000 };

/** Ends a workload at the control plane, as if it had run for so long. */
async function end(box: BlackBox, id: string, state: string, seconds: number): Promise<void> {
  const answered = await fetch(`${box.upstream.url}/_example/workloads/${id}/end`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ state, ran_seconds: seconds }),
  });
  expect(answered.status, await answered.text()).toBe(200);
}

/** Has the ledger ask now how everything that runs fares, as it will by itself in a while. */
async function poll(box: BlackBox): Promise<void> {
  const ledger = testEnv.LEDGER.getByName(box.tenant);
  await runInDurableObject(ledger, (_, { storage }) => {
    storage.sql.exec("UPDATE due SET at = ? WHERE job = 'status-poll'", Date.now());
  });
  await runDurableObjectAlarm(ledger);
}

const requestOf = (answered: Answered): string => answered.headers.get("gate-request-id") ?? "";

/** The state of a request's reservation, with what it settled at. */
async function reservation(box: BlackBox, requestId: string): Promise<string> {
  const answered = await (await box.as("agent")).get(`/_gate/v1/operations/${requestId}`);
  const found = /"reservation":\{[^}]*\}/.exec(JSON.stringify(answered.body))?.[0] ?? "";
  return `${/"state":"(\w+)"/.exec(found)?.[1]} ${/"settled_usd":([\d.]+|null)/.exec(found)?.[1]}`;
}

const reads = async (box: BlackBox, id: string): Promise<number> =>
  (await box.upstream.requests()).filter(({ method, path }) => method === "GET" && path === `${SUBMIT}/${id}`).length;

describe("a workload that runs", () => {
  test("settles at what the control plane says it cost, and the rest of its hold is free again", async () => {
    const box = await open();
    const submitted = await submit(await box.as("agent"), job());
    expect(await budgetOf(box)).toMatchObject({ held: 10 * USD, settled: 0 });
    await end(box, text(submitted, "id"), "succeeded", 900);
    await poll(box);
    await expect.poll(() => reservation(box, requestOf(submitted)), PATIENCE).toBe("settled 2.5");
    expect(await budgetOf(box)).toMatchObject({ held: 0, settled: 2.5 * USD });
  });

  test("stays held while the control plane says that it runs, fails to say so, or knows nothing of it", async () => {
    const box = await open();
    const submitted = await submit(await box.as("agent"), job());
    const id = text(submitted, "id");
    await poll(box);
    await expect.poll(() => reads(box, id), PATIENCE).toBe(1);
    await box.upstream.inject([
      { method: "GET", path: `${SUBMIT}/${id}`, kind: "status:404" },
      { method: "GET", path: `${SUBMIT}/${id}`, kind: "garbage" },
    ]);
    await end(box, id, "failed", 0);
    for (const times of [2, 3]) {
      await poll(box);
      await expect.poll(() => reads(box, id), PATIENCE).toBe(times);
    }
    expect(await reservation(box, requestOf(submitted))).toBe("committed null");
    expect(await budgetOf(box)).toMatchObject({ held: 10 * USD, settled: 0 });
    await poll(box);
    await expect.poll(() => reservation(box, requestOf(submitted)), PATIENCE).toBe("settled 0");
  });

  test("whose submission was lost is found with its id, and settles like any other", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const receipt = await receiptFor(agent, job({ name: "lost" }));
    await box.upstream.inject([{ method: "POST", path: SUBMIT, kind: "drop-after-execute" }]);
    const lost = await agent.post(SUBMIT, job({ name: "lost" }), { ...REASON, "gate-plan": receipt });
    expect(verdict(lost)).toBe("504 outcome-unknown");
    await expect.poll(() => reservation(box, requestOf(lost)), PATIENCE).toBe("committed null");
    const listed = await agent.get(SUBMIT);
    await end(box, /wl-\d+/.exec(listed.text)?.[0] ?? "", "cancelled", 1_800);
    await poll(box);
    await expect.poll(() => reservation(box, requestOf(lost)), PATIENCE).toBe("settled 5");
  });

  test("is asked about soon after it was cancelled, without anybody waiting for the next round", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const submitted = await submit(agent, job());
    const cancel = `${SUBMIT}/${text(submitted, "id")}/cancel`;
    await decide(box, proposalOf(await agent.post(cancel, undefined, CONTEXT)), ["alice", "bob"]);
    expect(verdict(await agent.post(cancel, undefined))).toBe("200");
    await expect.poll(async () => (await budgetOf(box)).held, PATIENCE).toBe(0);
    expect((await budgetOf(box)).settled).toBeLessThan(USD);
    expect(await reservation(box, requestOf(submitted))).toMatch(/^settled/);
  });
});

describe("a workload that is scaled", () => {
  test("holds the difference between what it will cost and what it costs", async () => {
    const box = await open({ policy: POLICY });
    const agent = await box.as("agent");
    const id = text(await submit(agent, job({ gpus: 2 })), "id");
    expect(await budgetOf(box)).toMatchObject({ held: 5 * USD });
    const path = `${SUBMIT}/${id}`;
    const size = { gpus: 4, max_hours: 3 };
    const planned = await agent.send("PATCH", path, size, { ...REASON, "gate-dry-run": "?1" });
    expect(planned.body).toMatchObject({ tier: 2, facts: { resource: id, gpus: 4, hours: 3, gpu_type: "H100" } });
    const scaled = await agent.send("PATCH", path, size, { ...REASON, "gate-plan": text(planned, "receipt") });
    expect([verdict(scaled), scaled.body]).toMatchObject(["200", { id, gpus: 4, max_hours: 3 }]);
    expect(await budgetOf(box)).toMatchObject({ held: 30 * USD });
    await end(box, id, "succeeded", 3_600);
    await poll(box);
    await expect.poll(async () => (await budgetOf(box)).held, PATIENCE).toBe(0);
    expect(await budgetOf(box)).toMatchObject({ held: 0, settled: 10 * USD });
  });

  test("by a change that was lost is found among the operations, and the change keeps its hold until the workload ends", async () => {
    const box = await open({ policy: POLICY });
    const agent = await box.as("agent");
    const id = text(await submit(agent, job({ gpus: 2 })), "id");
    const path = `${SUBMIT}/${id}`;
    const planned = await agent.send("PATCH", path, { max_hours: 2 }, { ...REASON, "gate-dry-run": "?1" });
    await box.upstream.inject([{ method: "PATCH", path, kind: "drop-after-execute" }]);
    const headers = { ...REASON, "gate-plan": text(planned, "receipt") };
    const lost = await agent.send("PATCH", path, { max_hours: 2 }, headers);
    expect(verdict(lost)).toBe("504 outcome-unknown");
    await expect.poll(() => reservation(box, requestOf(lost)), PATIENCE).toBe("committed null");
    expect(await budgetOf(box)).toMatchObject({ held: 10 * USD });
    await end(box, id, "failed", 5_400);
    await poll(box);
    await expect.poll(async () => (await budgetOf(box)).held, PATIENCE).toBe(0);
    expect(await budgetOf(box)).toMatchObject({ settled: 7.5 * USD });
  });

  test("beyond the policy, or a workload that there is not, is refused with nothing sent", async () => {
    const box = await open({ policy: POLICY });
    const agent = await box.as("agent");
    const id = text(await submit(agent, job()), "id");
    const sent = (await box.upstream.mutations()).length;
    expect(verdict(await agent.send("PATCH", `${SUBMIT}/${id}`, { gpus: 5 }, REASON))).toBe("403 constraint-exceeded");
    expect(verdict(await agent.send("PATCH", `${SUBMIT}/wl-9`, { gpus: 1 }, REASON))).toBe("403 unsized");
    const untold = await open();
    expect(verdict(await (await untold.as("agent")).send("PATCH", `${SUBMIT}/${id}`, { gpus: 1 }, REASON))).toBe(
      "403 not-allowed",
    );
    expect(await box.upstream.mutations()).toHaveLength(sent);
  });
});
