import { describe, expect, test } from "vitest";
import { member, verdict } from "../support/answer.ts";
import { ACME_POLICY, caller, EXAMPLE_PRICES, replaceOnce, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { CONTEXT, decide, job, proposalOf, REASON, receiptFor, submit, SUBMIT } from "../support/requests.ts";

/**
 * Wire contract, section 6: the first that applies, in this order: malformed → unauthenticated → unknown-operation →
 * out-of-scope → prohibited → rate-limited → replay → frozen → not-allowed / constraint → outside-window → unsized /
 * unpriced → reason-required → incident → dry-run-required → aggregate → budget → approval. Each test sends a request that deserves two neighbours and
 * gets the first, and shows that without the first fault it gets the second.
 */
const open = useBlackBox("order");

const nobody = caller(null, "");
const POOL = "/v1/pools/pool-h100";
const writesPerMinute = (limit: number): string => `${ACME_POLICY}\nrate_limits:\n  tier_2: ${limit}\n`;
const withoutL40S = replaceOnce(EXAMPLE_PRICES, '        L40S: "0.80"\n', "");
const dailyCap = (usd: number): string => replaceOnce(ACME_POLICY, "daily_limit_usd: 500", `daily_limit_usd: ${usd}`);

async function freeze(box: BlackBox): Promise<void> {
  expect(verdict(await (await box.as("security")).post("/_gate/v1/freeze", { reason: "incident 7" }))).toBe("200");
}

/** Sends writes that are refused cheaply until the tenant's limit for writes is used up. */
async function exhaustWrites(box: BlackBox): Promise<void> {
  const agent = await box.as("agent2");
  for (let sent = 0; sent < 20; sent++) {
    if (verdict(await agent.post(SUBMIT, job({ gpus: 128 }), REASON)) === "429 rate-limited") return;
  }
  throw new Error("the limit was never reached");
}

test("malformed before unauthenticated", async () => {
  await open();
  expect(verdict(await nobody.post(SUBMIT, "{", REASON))).toBe("400 malformed-request");
  expect(verdict(await nobody.post(SUBMIT, job(), { "gate-dryrun": "?1" }))).toBe("400 malformed-request");
  expect(verdict(await nobody.post(SUBMIT, job(), REASON))).toBe("401 unauthenticated");
});

test("unauthenticated before unknown-operation", async () => {
  const box = await open();
  expect(verdict(await nobody.get("/v1/nodes"))).toBe("401 unauthenticated");
  expect(verdict(await (await box.as("agent")).get("/v1/nodes"))).toBe("403 unknown-operation");
});

test("unknown-operation before out-of-scope", async () => {
  const box = await open();
  const alice = await box.as("alice");
  expect(verdict(await alice.get("/v1/nodes"))).toBe("403 unknown-operation");
  expect(verdict(await alice.get("/v1/workloads"))).toBe("403 out-of-scope");
});

test("out-of-scope before prohibited", async () => {
  const box = await open();
  const reader = await box.mint({
    subject: "agent:reader",
    class: "agent",
    owner: "person:dana",
    actions: ["gpus.*"],
    max_tier: 0,
  });
  const refused = await reader.delete(POOL);
  expect(verdict(refused)).toBe("403 out-of-scope");
  expect(refused.body).toMatchObject({ required_scope: "pools.delete" });
  expect(verdict(await (await box.as("agent")).delete(POOL))).toBe("403 prohibited");
});

test("prohibited by the catalogue before rate-limited", async () => {
  const box = await open({ policy: writesPerMinute(1) });
  await exhaustWrites(box);
  const agent = await box.as("agent");
  expect(verdict(await agent.delete(POOL))).toBe("403 prohibited");
  expect(verdict(await agent.post(SUBMIT, job(), REASON))).toBe("429 rate-limited");
});

describe("prohibited by the policy", () => {
  const policy = replaceOnce(
    replaceOnce(writesPerMinute(1), "    - reservations.create\n", ""),
    "budget:\n",
    "  tier_5:\n    - reservations.create\n\nbudget:\n",
  );
  const reservation = { name: "r-1", gpus: 8, gpu_type: "H100", hours: 1 };

  test("comes before rate-limited", async () => {
    const box = await open({ policy });
    await exhaustWrites(box);
    expect(verdict(await (await box.as("agent")).post("/v1/reservations", reservation, CONTEXT))).toBe(
      "403 prohibited",
    );
  });

  test("comes before frozen", async () => {
    const box = await open({ policy });
    await freeze(box);
    expect(verdict(await (await box.as("agent")).post("/v1/reservations", reservation, CONTEXT))).toBe(
      "403 prohibited",
    );
  });
});

test("out of scope at the decided tier before frozen", async () => {
  const box = await open();
  const low = await box.mint({
    subject: "agent:low",
    class: "agent",
    owner: "person:dana",
    actions: ["*"],
    max_tier: 2,
  });
  await freeze(box);
  expect(verdict(await low.post(SUBMIT, job({ gpus: 8 }), CONTEXT))).toBe("403 out-of-scope");
  expect(verdict(await low.post(SUBMIT, job(), CONTEXT))).toBe("403 frozen");
});

test("rate-limited before replay", async () => {
  const box = await open({ policy: writesPerMinute(4) });
  const agent = await box.as("agent");
  const key = { ...REASON, "idempotency-key": '"one"' };
  expect(verdict(await submit(agent, job(), key))).toBe("201");
  const replayed = await agent.post(SUBMIT, job(), key);
  expect(replayed.headers.get("idempotency-replayed")).toBe("?1");
  await exhaustWrites(box);
  const limited = await agent.post(SUBMIT, job(), key);
  expect(verdict(limited)).toBe("429 rate-limited");
  expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(0);
});

test("replay before frozen: what was done stays answered while writes are stopped", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const key = { ...REASON, "idempotency-key": '"one"' };
  const receipt = { ...REASON, "gate-plan": await receiptFor(agent, job({ name: "job-2" })) };
  const done = await submit(agent, job(), key);
  expect(verdict(await agent.post(SUBMIT, job({ name: "job-2" }), receipt))).toBe("201");
  const proposal = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
  await decide(box, proposal, ["alice"]);
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 8 })))).toBe("201");
  await freeze(box);
  const replayed = await agent.post(SUBMIT, job(), key);
  expect([verdict(replayed), replayed.text]).toEqual(["201", done.text]);
  // By receipt, and by the digest of a spent grant.
  expect(verdict(await agent.post(SUBMIT, job({ name: "job-2" }), receipt))).toBe("201");
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 8 })))).toBe("201");
  expect(verdict(await agent.post(SUBMIT, job(), { ...REASON, "idempotency-key": '"two"' }))).toBe("403 frozen");
  expect(verdict(await agent.post(SUBMIT, job(), { ...REASON, "gate-dry-run": "?1" }))).toBe("403 frozen");
  expect(await box.upstream.mutations()).toHaveLength(3);
});

test("frozen before not-allowed and before constraint-exceeded", async () => {
  const box = await open({ policy: replaceOnce(ACME_POLICY, "    - reservations.create\n", "") });
  const agent = await box.as("agent");
  const notAllowed = (): Promise<string> =>
    agent.post("/v1/reservations", { name: "r-1", gpus: 8, gpu_type: "H100", hours: 1 }, CONTEXT).then(verdict);
  const tooLarge = (): Promise<string> => agent.post(SUBMIT, job({ gpus: 128 }), CONTEXT).then(verdict);
  expect([await notAllowed(), await tooLarge()]).toEqual(["403 not-allowed", "403 constraint-exceeded"]);
  await freeze(box);
  expect([await notAllowed(), await tooLarge()]).toEqual(["403 frozen", "403 frozen"]);
  expect(verdict(await agent.get("/v1/workloads"))).toBe("200");
});

test("constraint-exceeded before unpriced, unpriced before reason-required", async () => {
  const box = await open({ prices: withoutL40S });
  const agent = await box.as("agent");
  expect(verdict(await agent.post(SUBMIT, job({ gpu_type: "L40S", gpus: 128 })))).toBe("403 constraint-exceeded");
  const unpriced = await agent.post(SUBMIT, job({ gpu_type: "L40S" }));
  expect(verdict(unpriced)).toBe("403 unpriced");
  expect(JSON.stringify(member(unpriced, "missing"))).toContain("L40S");
  expect(verdict(await agent.post(SUBMIT, job()))).toBe("428 reason-required");
});

/** A window that opens in an hour. */
function closedWindow(): string {
  const opens = new Date(Date.now() + 3_600_000);
  return `${ACME_POLICY}
maintenance_windows:
  later: { cron: "${opens.getUTCMinutes()} ${opens.getUTCHours()} * * *", zone: UTC, minutes: 30 }
blast_radius:
  - { at_least: workload, inside: [later] }
`;
}

test("constraint-exceeded before outside-window, outside-window before unpriced", async () => {
  const box = await open({ prices: withoutL40S, policy: closedWindow() });
  const agent = await box.as("agent");
  expect(verdict(await agent.post(SUBMIT, job({ gpu_type: "L40S", gpus: 128 })))).toBe("403 constraint-exceeded");
  expect(verdict(await agent.post(SUBMIT, job({ gpu_type: "L40S" })))).toBe("403 outside-window");
});

test("frozen before outside-window", async () => {
  const box = await open({ policy: closedWindow() });
  await freeze(box);
  expect(verdict(await (await box.as("agent")).post(SUBMIT, job(), REASON))).toBe("403 frozen");
});

test("unpriced before the caller's own bounds, those before reason-required", async () => {
  const box = await open({ prices: withoutL40S });
  const agent = await box.as("agent");
  const bounds = { "gate-max-cost": "1", "gate-max-hours": "0.5" };
  expect(verdict(await agent.post(SUBMIT, job({ gpu_type: "L40S" }), bounds))).toBe("403 unpriced");
  expect(verdict(await agent.post(SUBMIT, job(), bounds))).toBe("403 constraint-exceeded");
  expect(verdict(await agent.post(SUBMIT, job(), { "gate-max-cost": "10", "gate-max-hours": "1" }))).toBe(
    "428 reason-required",
  );
});

test("reason-required before dry-run-required", async () => {
  const box = await open();
  const agent = await box.as("agent");
  const refused = await agent.post(SUBMIT, job());
  expect(verdict(refused)).toBe("428 reason-required");
  expect(refused.body).toMatchObject({ missing: ["reason"] });
  expect(verdict(await agent.post(SUBMIT, job(), REASON))).toBe("428 dry-run-required");
});

test("reason-required before incident, incident before dry-run-required", async () => {
  const box = await open();
  const incident = { "gate-incident": "INC-7" };
  expect(verdict(await submit(await box.as("agent"), job(), { ...REASON, ...incident }))).toBe("201");
  const other = await box.as("agent2");
  expect(verdict(await other.post(SUBMIT, job(), incident))).toBe("428 reason-required");
  expect(verdict(await other.post(SUBMIT, job(), { ...REASON, ...incident }))).toBe("409 incident-in-progress");
  expect(verdict(await other.post(SUBMIT, job(), REASON))).toBe("428 dry-run-required");
});

test("dry-run-required before aggregate, aggregate before budget", async () => {
  const aggregate = "aggregates: [{ name: gpus, of: gpus, per: tenant, within: hour, max: 4 }]\n";
  const box = await open({ policy: `${dailyCap(10)}${aggregate}` });
  const agent = await box.as("agent");
  const receipt = await receiptFor(agent, job({ name: "job-2" }));
  expect(verdict(await submit(agent, job()))).toBe("201");
  expect(verdict(await agent.post(SUBMIT, job({ name: "job-2" }), REASON))).toBe("428 dry-run-required");
  const second = await agent.post(SUBMIT, job({ name: "job-2" }), { ...REASON, "gate-plan": receipt });
  expect(verdict(second)).toBe("403 aggregate-exceeded");
});

test("dry-run-required before budget", async () => {
  const box = await open({ policy: dailyCap(10) });
  const agent = await box.as("agent");
  const receipt = await receiptFor(agent, job({ name: "job-2" }));
  expect(verdict(await submit(agent, job()))).toBe("201");
  expect(verdict(await agent.post(SUBMIT, job({ name: "job-2" }), REASON))).toBe("428 dry-run-required");
  expect(verdict(await agent.post(SUBMIT, job({ name: "job-2" }), { ...REASON, "gate-plan": receipt }))).toBe(
    "402 budget-exceeded",
  );
});

test("budget before approval: nothing is put before people that could not be paid for", async () => {
  const box = await open({ policy: dailyCap(10) });
  const agent = await box.as("agent");
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT))).toBe("402 budget-exceeded");
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 2, job_type: "reserved" }), CONTEXT))).toBe(
    "428 approval-required",
  );
  expect((await agent.get("/_gate/v1/approvals")).body).toMatchObject({ records: [{ facts: { gpus: 2 } }] });
});

test("budget before approval-invalid: a bad token is looked at last", async () => {
  const box = await open({ policy: dailyCap(10) });
  const agent = await box.as("agent");
  const token = { ...CONTEXT, "gate-approval": "e30.e30.c2ln" };
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 8 }), token))).toBe("402 budget-exceeded");
  expect(verdict(await agent.post(SUBMIT, job({ gpus: 2, job_type: "reserved" }), token))).toBe("403 approval-invalid");
});
