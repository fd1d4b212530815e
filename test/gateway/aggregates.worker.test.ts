import { runDurableObjectAlarm } from "cloudflare:test";
import { describe, expect, test } from "vitest";
import { list, text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, replaceOnce, useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, REASON, receiptFor, submit, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/** What many requests add up to: splitting one that is too large into many meets the same limit (attack BUD-03). */
const open = useBlackBox("aggregates");

const SCALE = replaceOnce(
  ACME_POLICY,
  "    - allocations.create:",
  "    - workloads.scale:\n        max_gpus: 4\n    - allocations.create:",
).replace("    - allocations.transfer", "    - workloads.scale:\n        max_gpus: 64\n    - allocations.transfer");
const policy = (...aggregates: readonly string[]): string =>
  `${SCALE}rate_limits: { tier_2: 100000 }\naggregates:\n${aggregates.map((line) => `  - { ${line} }\n`).join("")}`;
const limit = (max: number, more = ""): string =>
  `name: gpus-per-hour, of: gpus, per: tenant, within: hour, max: ${max}${more}`;
const LIFTING = limit(4, ", over: approve");

/** One more of the same size, told apart by its name. */
let made = 0;
const next = (over: object = {}): object => job({ name: `job-${++made}`, ...over });

const run = async (agent: Caller, body: object = next()): Promise<string> => {
  const planned = await agent.post(SUBMIT, body, { ...REASON, "gate-dry-run": "?1" });
  if (planned.status !== 200) return verdict(planned);
  return verdict(await agent.post(SUBMIT, body, { ...REASON, "gate-plan": text(planned, "receipt") }));
};

describe("128 GPUs as 32 × 4", () => {
  test("at once, by five credentials with receipts taken before: 16 run, and no GPU more", async () => {
    const box = await open({ policy: replaceOnce(policy(limit(64)), "daily_limit_usd: 500", "daily_limit_usd: 9000") });
    const agents = await Promise.all(
      Array.from({ length: 5 }, (_, i) =>
        box.mint({ subject: `agent:a${i}`, class: "agent", owner: "person:dana", actions: ["*"], max_tier: 4 }),
      ),
    );
    const prepared = await Promise.all(
      Array.from({ length: 32 }, async (_, i) => {
        const agent = agents[i % 5];
        if (agent === undefined) throw new Error("five agents");
        const body = next();
        return { agent, body, receipt: await receiptFor(agent, body) };
      }),
    );
    const answers = await Promise.all(
      prepared.map(({ agent, body, receipt }) => agent.post(SUBMIT, body, { ...REASON, "gate-plan": receipt })),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(16);
    const refused = answers.filter(({ status }) => status !== 201);
    expect(new Set(refused.map(verdict))).toEqual(new Set(["403 aggregate-exceeded"]));
    for (const { body } of refused)
      expect(body).toMatchObject({
        slug: "aggregate-exceeded",
        aggregate: "gpus-per-hour",
        of: "gpus",
        scope: "tenant",
        within: "hour",
        limit: 64,
        current: 64,
        requested: 4,
        nearest: null,
      });
    expect(await box.upstream.mutations()).toHaveLength(16);
  });

  test("by growing a job after its submission", async () => {
    const box = await open({ policy: policy(limit(8)) });
    const agent = await box.as("agent");
    const submitted = await submit(agent, next({ gpus: 4 }));
    expect(verdict(submitted)).toBe("201");
    const path = `${SUBMIT}/${text(submitted, "id")}`;
    const grown = await agent.send("PATCH", path, { gpus: 64 }, CONTEXT);
    expect(verdict(grown)).toBe("403 aggregate-exceeded");
    expect(grown.body).toMatchObject({ limit: 8, current: 4, requested: 60, nearest: { tier: 3, facts: { gpus: 8 } } });
    const fits = await agent.send("PATCH", path, { gpus: 8 }, CONTEXT);
    expect(verdict(fits)).toBe("428 approval-required");
    expect(await run(agent)).toBe("201");
    // What waited for people counts when it runs: meanwhile others had what was left.
    await decide(box, proposalOf(fits), ["alice"]);
    expect(verdict(await agent.send("PATCH", path, { gpus: 8 }, CONTEXT))).toBe("403 aggregate-exceeded");
  });

  test("a plan says so and counts nothing", async () => {
    const box = await open({ policy: policy(limit(7)) });
    const agent = await box.as("agent");
    expect(await run(agent)).toBe("201");
    const planned = await agent.post(SUBMIT, next(), { ...REASON, "gate-dry-run": "?1" });
    expect(verdict(planned)).toBe("403 aggregate-exceeded");
    expect(planned.body).toMatchObject({
      limit: 7,
      current: 4,
      requested: 4,
      nearest: { tier: 2, facts: { gpus: 3 } },
    });
    expect(await run(agent, next({ gpus: 3 }))).toBe("201");
  });
});

describe("in the order of refusals", () => {
  test("after reason-required and dry-run-required, before the budget", async () => {
    const box = await open({ policy: replaceOnce(policy(limit(3)), "daily_limit_usd: 500", "daily_limit_usd: 1") });
    const agent = await box.as("agent");
    const body = next();
    expect(verdict(await agent.post(SUBMIT, body))).toBe("428 reason-required");
    expect(verdict(await agent.post(SUBMIT, body, REASON))).toBe("428 dry-run-required");
    expect(verdict(await agent.post(SUBMIT, body, { ...REASON, "gate-dry-run": "?1" }))).toBe("403 aggregate-exceeded");
    expect(verdict(await agent.post(SUBMIT, next({ gpus: 3 }), { ...REASON, "gate-dry-run": "?1" }))).toBe(
      "402 budget-exceeded",
    );
    expect(verdict(await agent.post(SUBMIT, next({ gpus: 8 }), CONTEXT))).toBe("403 aggregate-exceeded");
  });
});

/** Puts a version in force under which there is room for another 4 GPUs. */
async function makeRoom(box: BlackBox): Promise<void> {
  const wider = policy(limit(64, ", over: approve"));
  await (await box.as("operator")).post("/_gate/v1/policy/versions", { policy: wider, reason: "more room" });
  const activated = await (await box.as("security")).post("/_gate/v1/policy/activate", { version: 2 });
  expect(verdict(activated)).toBe("200");
}

/** The first fits; the second does not, and is put before people. */
async function lifted(box: BlackBox, body: object): Promise<Answered> {
  const agent = await box.as("agent");
  expect(await run(agent)).toBe("201");
  const asked = await agent.post(SUBMIT, body, CONTEXT);
  expect(verdict(asked)).toBe("428 approval-required");
  return asked;
}

describe("over: approve lifts to tier 3", () => {
  test("proposed, approved, run: with the tier, the rule and the numbers everywhere", async () => {
    const box = await open({ policy: policy(LIFTING) });
    const agent = await box.as("agent");
    const body = next();
    const asked = await lifted(box, body);
    expect(asked.headers.get("gate-tier")).toBe("3");
    expect(asked.body).toMatchObject({ tier: 3, approval: { state: "pending", needed: 1 } });
    expect((await budgetOf(box)).held).toBe(20_000_000);
    const shown = await (await box.as("alice")).get(`/_gate/v1/approvals/${proposalOf(asked)}`);
    expect(shown.body).toMatchObject({
      tier: 3,
      rule: "aggregate gpus-per-hour: 4 + 4 gpus passes 4",
      facts: { gpus: 4 },
    });
    await decide(box, proposalOf(asked), ["alice"]);
    const ran = await agent.post(SUBMIT, body);
    expect([verdict(ran), ran.headers.get("gate-tier")]).toEqual(["201", "3"]);
    const intent = (await ledgerRecords(box.tenant)).findLast(({ kind }) => kind === "intent");
    expect(intent).toMatchObject({
      tier: 3,
      rule: "aggregate gpus-per-hour",
      approval_id: proposalOf(asked),
      approvers: ["person:alice"],
      reason: "nightly training",
    });
    expect((await budgetOf(box)).held).toBe(20_000_000);
    // Sent once more it is answered, not run; and what was approved counts.
    const again = await agent.post(SUBMIT, body);
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([201, "?1"]);
    expect(await box.upstream.mutations()).toHaveLength(2);
    expect(verdict(await agent.post(SUBMIT, next(), CONTEXT))).toBe("428 approval-required");
  });

  test("a plan says tier 3, whom it needs and what is missing, and gives no receipt", async () => {
    const box = await open({ policy: policy(LIFTING) });
    const agent = await box.as("agent");
    expect(await run(agent)).toBe("201");
    const planned = await agent.post(SUBMIT, next(), { ...REASON, "gate-dry-run": "?1" });
    expect([planned.status, planned.headers.get("gate-tier")]).toEqual([200, "3"]);
    expect(planned.body).toMatchObject({
      tier: 3,
      rule: "aggregate gpus-per-hour",
      approvals: { needed: 1, eligible: 2 },
      missing: ["evidence", "back_out"],
      receipt: null,
    });
  });

  test("a receipt taken before runs nothing by itself, and is spent with the approval", async () => {
    const box = await open({ policy: policy(LIFTING) });
    const agent = await box.as("agent");
    const body = next();
    const headers = { ...CONTEXT, "gate-plan": await receiptFor(agent, body) };
    expect(await run(agent)).toBe("201");
    const asked = await agent.post(SUBMIT, body, headers);
    expect(verdict(asked)).toBe("428 approval-required");
    await decide(box, proposalOf(asked), ["alice"]);
    expect(verdict(await agent.post(SUBMIT, body, headers))).toBe("201");
    const again = await agent.post(SUBMIT, body, headers);
    expect([again.status, again.headers.get("idempotency-replayed")]).toEqual([201, "?1"]);
    expect(await box.upstream.mutations()).toHaveLength(2);
  });

  test("without the context of tier 3 it is a draft, as any request of tier 3", async () => {
    const box = await open({ policy: policy(LIFTING) });
    const agent = await box.as("agent");
    expect(await run(agent)).toBe("201");
    const asked = await agent.post(SUBMIT, next());
    expect(asked.body).toMatchObject({
      tier: 3,
      approval: { state: "draft", missing: ["reason", "evidence", "back_out"] },
    });
  });

  test("an approval runs the request also when there is room again meanwhile", async () => {
    const box = await open({ policy: policy(LIFTING) });
    const agent = await box.as("agent");
    const body = next();
    const asked = await lifted(box, body);
    await decide(box, proposalOf(asked), ["alice"]);
    await makeRoom(box);
    const ran = await agent.post(SUBMIT, body);
    expect([verdict(ran), ran.headers.get("gate-tier")]).toEqual(["201", "3"]);
    expect(text(await agent.get(`/_gate/v1/approvals/${proposalOf(asked)}`), "state")).toBe("consumed");
  });

  test("where there is room again before anybody decided, it runs as ever, and what waited is answered by it", async () => {
    const box = await open({ policy: policy(LIFTING) });
    const agent = await box.as("agent");
    const body = next();
    const asked = await lifted(box, body);
    await makeRoom(box);
    expect(verdict(await agent.post(SUBMIT, body, REASON))).toBe("428 dry-run-required");
    expect(await run(agent, body)).toBe("201");
    expect(text(await agent.get(`/_gate/v1/approvals/${proposalOf(asked)}`), "state")).toBe("invalidated");
    expect((await budgetOf(box)).held).toBe(20_000_000);
  });

  test("a credential that does not reach tier 3 is refused with the numbers", async () => {
    const box = await open({ policy: policy(LIFTING) });
    const low = await box.mint({
      subject: "agent:low",
      class: "agent",
      owner: "person:dana",
      actions: ["*"],
      max_tier: 2,
    });
    expect(await run(low)).toBe("201");
    expect(await run(low)).toBe("403 aggregate-exceeded");
  });

  test("beyond a second limit that refuses nobody is asked", async () => {
    const box = await open({ policy: policy(LIFTING, limit(7).replace("gpus-per-hour", "most")) });
    const agent = await box.as("agent");
    expect(await run(agent)).toBe("201");
    expect(verdict(await agent.post(SUBMIT, next({ gpus: 3 }), CONTEXT))).toBe("428 approval-required");
    const refused = await agent.post(SUBMIT, next(), { ...CONTEXT, "gate-dry-run": "?1" });
    expect(refused.body).toMatchObject({ slug: "aggregate-exceeded", aggregate: "most", current: 4 });
  });

  test("what people decide anyway they decide once, and with the numbers", async () => {
    const box = await open({ policy: policy(LIFTING) });
    const agent = await box.as("agent");
    const body = next({ gpus: 8 });
    const asked = await agent.post(SUBMIT, body, CONTEXT);
    expect(asked.body).toMatchObject({ tier: 3, approval: { state: "pending" } });
    const shown = await (await box.as("alice")).get(`/_gate/v1/approvals/${proposalOf(asked)}`);
    expect(text(shown, "rule")).toBe(
      "allowed_tools.tier_3[0] workloads.submit; aggregate gpus-per-hour: 0 + 8 gpus passes 4",
    );
    await decide(box, proposalOf(asked), ["alice"]);
    expect(verdict(await agent.post(SUBMIT, body))).toBe("201");
  });

  test("the gate runs it by itself where the policy says so", async () => {
    const box = await open({
      policy: replaceOnce(policy(LIFTING), "timeout_minutes: 30", "timeout_minutes: 30\n  execute: stored"),
    });
    const asked = await lifted(box, next());
    await decide(box, proposalOf(asked), ["alice"]);
    await expect
      .poll(async () => {
        await runDurableObjectAlarm(testEnv.LEDGER.getByName(box.tenant));
        await runDurableObjectAlarm(testEnv.OUTBOX.getByName(box.tenant));
        return text(await (await box.as("agent")).get(`/_gate/v1/approvals/${proposalOf(asked)}`), "state");
      })
      .toBe("consumed");
    await expect.poll(() => box.upstream.mutations()).toHaveLength(2);
  });
});

describe("GET /aggregates", () => {
  test("shows each limit and how much of it is used: an agent its own, people with a role all", async () => {
    const box = await open({
      policy: policy(
        limit(64),
        "name: own, of: gpus, per: principal, within: running, max: 16, over: approve, mode: shadow, actions: [workloads.submit]",
      ),
    });
    expect(await run(await box.as("agent"))).toBe("201");
    expect(await run(await box.as("agent2"), next({ gpus: 2 }))).toBe("201");
    const seen = async (name: "agent" | "carol" | "security") =>
      list(await (await box.as(name)).get("/_gate/v1/aggregates"), "aggregates");
    const whole = { name: "gpus-per-hour", scopes: [{ scope: "tenant", current: 6, left: 58 }] };
    const trainer = { scope: "principal:agent:trainer", current: 4, left: 12 };
    const sweeper = { scope: "principal:agent:sweeper", current: 2, left: 14 };
    expect(await seen("agent")).toMatchObject([whole, { name: "own", scopes: [trainer] }]);
    expect(await seen("carol")).toMatchObject([whole, { name: "own", scopes: [] }]);
    expect(await seen("security")).toMatchObject([whole, { name: "own", scopes: [trainer, sweeper] }]);
    expect((await (await box.as("agent")).get("/_gate/v1/aggregates")).body).toMatchObject({
      aggregates: [
        { of: "gpus", per: "tenant", within: "hour", actions: null, max: 64, over: "refuse", mode: "enforce" },
        { per: "principal", within: "running", actions: ["workloads.submit"], over: "approve", mode: "shadow" },
      ],
    });
    expect(verdict(await (await box.as("agent")).get("/_gate/v1/aggregates?x=1"))).toBe("400 malformed-request");
  });

  test("is empty where the policy limits nothing", async () => {
    const box = await open();
    expect((await (await box.as("agent")).get("/_gate/v1/aggregates")).body).toEqual({ aggregates: [] });
  });
});
