import { afterEach, describe, expect, test, vi } from "vitest";
import { member, text, verdict } from "../support/answer.ts";
import { ACME_POLICY, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { CONTEXT, decide, job, proposalOf, REASON, receiptFor, submit, SUBMIT } from "../support/requests.ts";

/** What the gate is for, case by case, under the published policy: what an agent tries, and what becomes of it. */
const open = useBlackBox("guardrails");
afterEach(() => void vi.useRealTimers());

const CHANGES_NOTHING = async (box: BlackBox): Promise<void> => expect(await box.upstream.mutations()).toEqual([]);
const big = job({ name: "big", gpus: 32 });

describe("an agent", () => {
  test("that looks at workloads is let through", async () => {
    const box = await open();
    const read = await (await box.as("agent")).get("/v1/workloads");
    expect([verdict(read), read.headers.get("gate-tier"), read.headers.get("gate-decision")]).toEqual([
      "200",
      "0",
      "allow",
    ]);
  });

  test("that asks for an analysis is let through as tier 1, of which people are told", async () => {
    const box = await open();
    const read = await (await box.as("agent")).post("/v1/insights", { question: "why is the queue long?" });
    expect([read.headers.get("gate-action"), read.headers.get("gate-tier")]).toEqual(["insights.analyze", "1"]);
  });

  test("that submits four elastic GPUs must look first: a dry run, then the same request with its receipt", async () => {
    const box = await open();
    const agent = await box.as("agent");
    expect(verdict(await agent.post(SUBMIT, job(), REASON))).toBe("428 dry-run-required");
    await CHANGES_NOTHING(box);
    expect(verdict(await submit(agent, job()))).toBe("201");
    expect(await box.upstream.mutations()).toHaveLength(1);
  });

  test("that dry-runs one request and sends another is refused", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const receipt = await receiptFor(agent, job());
    const other = await agent.post(SUBMIT, job({ gpus: 3 }), { ...REASON, "gate-plan": receipt });
    expect(verdict(other)).toBe("428 dry-run-required");
    await CHANGES_NOTHING(box);
  });

  test("that submits 32 GPUs waits for one person", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const asked = await agent.post(SUBMIT, big, CONTEXT);
    expect(verdict(asked)).toBe("428 approval-required");
    await CHANGES_NOTHING(box);
    await decide(box, proposalOf(asked), ["alice"]);
    expect(verdict(await agent.post(SUBMIT, big, CONTEXT))).toBe("201");
  });

  test("that submits 128 GPUs is refused, and learns what would pass", async () => {
    const box = await open();
    const refused = await (await box.as("agent")).post(SUBMIT, job({ gpus: 128 }), CONTEXT);
    expect(verdict(refused)).toBe("403 constraint-exceeded");
    expect(refused.body).toMatchObject({
      violations: [{ constraint: "max_gpus", limit: 64, actual: 128 }],
      nearest: { tier: 3, facts: { gpus: 64 } },
    });
    await CHANGES_NOTHING(box);
  });

  const AGGREGATE = `aggregates:
  - { name: gpus-per-hour, of: gpus, per: tenant, within: hour, actions: [workloads.submit, workloads.scale], max: 16, over: OVER }
`;

  test("that submits 128 GPUs as 32 times four, by whichever credential, meets the same limit", async () => {
    const box = await open({ policy: `${ACME_POLICY}${AGGREGATE.replace("OVER", "refuse")}` });
    const agents = [await box.as("agent"), await box.as("agent2")] as const;
    const ended: string[] = [];
    for (let index = 0; index < 6; index++) {
      const receipt = await agents[index % 2 === 0 ? 0 : 1].post(SUBMIT, job({ name: `part-${index}` }), {
        ...REASON,
        "gate-dry-run": "?1",
      });
      if (receipt.status !== 200) {
        ended.push(verdict(receipt));
        continue;
      }
      const plan = { ...REASON, "gate-plan": text(receipt, "receipt") };
      ended.push(verdict(await agents[index % 2 === 0 ? 0 : 1].post(SUBMIT, job({ name: `part-${index}` }), plan)));
    }
    expect(ended).toEqual(["201", "201", "201", "201", "403 aggregate-exceeded", "403 aggregate-exceeded"]);
    expect(await box.upstream.mutations()).toHaveLength(4);
  });

  test("that grows small jobs afterwards meets the same limit", async () => {
    const box = await open({
      policy: `${ACME_POLICY.replace("    - workloads.submit:\n        max_gpus: 64\n", "    - workloads.submit:\n        max_gpus: 64\n    - workloads.scale:\n        max_gpus: 64\n")}${AGGREGATE.replace("OVER", "refuse")}`,
    });
    const agent = await box.as("agent");
    const id = text(await submit(agent, job()), "id");
    const grown = await agent.send("PATCH", `${SUBMIT}/${id}`, { gpus: 64 }, CONTEXT);
    expect(verdict(grown)).toBe("403 aggregate-exceeded");
    expect(grown.body).toMatchObject({ aggregate: "gpus-per-hour", limit: 16, current: 4, requested: 60 });
  });

  test("whose small jobs add up to a large one is put before people, where the policy says so", async () => {
    const box = await open({ policy: `${ACME_POLICY}${AGGREGATE.replace("OVER", "approve")}` });
    const agent = await box.as("agent");
    for (let index = 0; index < 4; index++)
      expect(verdict(await submit(agent, job({ name: `part-${index}` })))).toBe("201");
    const fifth = await agent.post(SUBMIT, job({ name: "part-4" }), CONTEXT);
    expect([verdict(fifth), member(fifth, "tier")]).toEqual(["428 approval-required", 3]);
    await decide(box, proposalOf(fifth), ["alice"]);
    expect(verdict(await agent.post(SUBMIT, job({ name: "part-4" }), CONTEXT))).toBe("201");
  });

  test("that cancels a workload waits for two people, of whom it is none", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const cancel = `${SUBMIT}/${text(await submit(agent, job()), "id")}/cancel`;
    const asked = await agent.post(cancel, {}, CONTEXT);
    expect(asked.body).toMatchObject({ slug: "approval-required", approval: { needed: 2, given: 0 } });
    const approval = `/_gate/v1/approvals/${proposalOf(asked)}/decisions`;
    expect(verdict(await agent.post(approval, { decision: "approve" }))).toMatch(/^40[34]/);
    // Owner of the agent, and no approver.
    expect(verdict(await (await box.as("dana")).post(approval, { decision: "approve" }))).toMatch(/^40[34]/);
    await decide(box, proposalOf(asked), ["alice"]);
    expect(verdict(await agent.post(cancel, {}, CONTEXT))).toBe("428 approval-required");
    await decide(box, proposalOf(asked), ["bob"]);
    expect(verdict(await agent.post(cancel, {}, CONTEXT))).toBe("200");
  });

  test("that deletes a pool is refused, whoever would approve", async () => {
    const box = await open();
    expect(verdict(await (await box.as("agent")).delete("/v1/pools/pool-1", CONTEXT))).toBe("403 prohibited");
    await CHANGES_NOTHING(box);
  });

  test("that tries what nobody named is refused", async () => {
    const box = await open();
    const agent = await box.as("agent");
    expect(verdict(await agent.get("/v1/capacity"))).toBe("403 not-allowed");
    expect(verdict(await agent.get("/v1/secrets"))).toBe("403 unknown-operation");
  });

  test("that would pass the day's budget is refused, with what is left and when there is more", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const refused = await agent.post(SUBMIT, job({ max_hours: 51 }), { ...REASON, "gate-dry-run": "?1" });
    expect(verdict(refused)).toBe("402 budget-exceeded");
    expect(refused.body).toMatchObject({
      windows: [{ period: "daily", cap_usd: 500, requested_usd: 510, short_usd: 10 }],
    });
  });

  test("that uses one approval twice runs once", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const approval = proposalOf(await agent.post(SUBMIT, big, CONTEXT));
    await decide(box, approval, ["alice"]);
    const token = { ...CONTEXT, "gate-approval": text(await agent.get(`/_gate/v1/approvals/${approval}`), "token") };
    expect(verdict(await agent.post(SUBMIT, big, { ...token, "idempotency-key": '"one"' }))).toBe("201");
    expect(verdict(await agent.post(SUBMIT, big, { ...token, "idempotency-key": '"two"' }))).toBe(
      "409 approval-consumed",
    );
    expect(await box.upstream.mutations()).toHaveLength(1);
  });

  test("that carries an approval over to another request is refused", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const approval = proposalOf(await agent.post(SUBMIT, big, CONTEXT));
    await decide(box, approval, ["alice"]);
    const token = text(await agent.get(`/_gate/v1/approvals/${approval}`), "token");
    const other = await agent.post(SUBMIT, { ...big, gpus: 33 }, { ...CONTEXT, "gate-approval": token });
    expect(verdict(other)).toBe("403 approval-invalid");
    await CHANGES_NOTHING(box);
  });

  test("that comes too late for its approval is refused", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const approval = proposalOf(await agent.post(SUBMIT, big, CONTEXT));
    await decide(box, approval, ["alice"]);
    const token = text(await agent.get(`/_gate/v1/approvals/${approval}`), "token");
    moveClock(31 * MINUTE_MS);
    const late = await agent.post(SUBMIT, big, { ...CONTEXT, "gate-approval": token });
    expect(verdict(late)).toMatch(/^403 approval-(?:expired|invalid)$/);
    await CHANGES_NOTHING(box);
  });

  test("that asks too often is slowed down", async () => {
    const box = await open({ policy: `${ACME_POLICY}rate_limits: { tier_0: 3 }\n` });
    const agent = await box.as("agent");
    const seen = new Set<string>();
    for (let index = 0; index < 8; index++) seen.add(verdict(await agent.get("/v1/gpus")));
    expect([...seen].toSorted()).toEqual(["200", "429 rate-limited"]);
  });

  test("that has run into a failure which another one works on is told who, since when and where to follow", async () => {
    const box = await open();
    const [first, second] = [await box.as("agent"), await box.as("agent2")];
    const incident = { ...CONTEXT, "gate-incident": "INC-42" };
    expect(verdict(await first.post(SUBMIT, big, incident))).toBe("428 approval-required");
    const refused = await second.post(SUBMIT, job({ name: "also", gpus: 32 }), incident);
    expect(verdict(refused)).toBe("409 incident-in-progress");
    expect(refused.body).toMatchObject({ incident: { key: "INC-42", owner: "agent:trainer" } });
  });

  test("that cannot tell what is wrong hands it to people", async () => {
    const box = await open();
    const handed = await (
      await box.as("agent")
    ).post("/_gate/v1/escalations", {
      incident: "INC-43",
      hypothesis: "the switch of rack 7 drops packets",
      evidence: "NCCL timeouts on 12 of 12 nodes of that rack",
      tried: "restarted the job on other nodes of the rack",
    });
    expect(handed.status, handed.text).toBe(201);
    expect(JSON.stringify(await ledgerRecords(box.tenant))).toContain("INC-43");
  });
});
