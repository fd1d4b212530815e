import { describe, expect, test } from "vitest";
import { member, text, verdict, type Answered } from "../support/answer.ts";
import {
  ACME_POLICY,
  catalogueOf,
  replaceOnce,
  useBlackBox,
  type BlackBox,
  type Caller,
} from "../support/black-box.ts";
import { openIsolate } from "../support/isolates.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, REASON, SUBMIT, submit } from "../support/requests.ts";

/** What a change would affect is looked up before people decide, shown to them, and bound by what they decide. */
const open = useBlackBox("affected");

const ALLOCATIONS = "/v1/allocations";
const BOTH = ["alice", "bob"] as const;

/** An allocation of `instances` × 8 H100: jobs for H100 run in it as long as they fit. Its path and id. */
async function allocate(agent: Caller, instances = 1): Promise<{ readonly path: string; readonly id: string }> {
  const body = { name: "team-a", instances, instance_type: "8xH100", hours: 1 };
  const receipt = text(await agent.post(ALLOCATIONS, body, { ...REASON, "gate-dry-run": "?1" }), "receipt");
  const id = text(await agent.post(ALLOCATIONS, body, { ...REASON, "gate-plan": receipt }), "id");
  return { path: `${ALLOCATIONS}/${id}`, id };
}

/** Starts a workload of this name; its id. */
const start = async (agent: Caller, name: string, over: object = {}): Promise<string> =>
  text(await submit(agent, job({ name, gpus: 1, ...over })), "id");

const seen = async (box: BlackBox, approval: string): Promise<Answered> =>
  (await box.as("alice")).get(`/_gate/v1/approvals/${approval}`);

const stateOf = async (box: BlackBox, approval: string): Promise<string> => text(await seen(box, approval), "state");

/** Asks for the release and has it approved by both. */
async function approvedRelease(box: BlackBox, agent: Caller, path: string): Promise<string> {
  const approval = proposalOf(await agent.delete(path, CONTEXT));
  await decide(box, approval, BOTH);
  return approval;
}

const releases = async (box: BlackBox): Promise<number> =>
  (await box.upstream.mutations()).filter(({ method }) => method === "DELETE").length;

describe("what approvers are shown", () => {
  test("a release lists the running workloads of the allocation, how far it reaches and that nothing undoes it", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent);
    const [second, first] = [await start(agent, "train"), await start(agent, "eval")];
    await start(agent, "elsewhere", { gpu_type: "A100" });
    const asked = await agent.delete(path, CONTEXT);
    expect(verdict(asked)).toBe("428 approval-required");
    expect((await seen(box, proposalOf(asked))).body).toMatchObject({
      affected: { count: 2, items: [`${second} train`, `${first} eval`].toSorted() },
      blast_radius: "allocation",
      reversible: false,
    });
    expect(await releases(box)).toBe(0);
  });

  test("its dry run shows the same", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent);
    const id = await start(agent, "train");
    const plan = await agent.delete(path, { ...CONTEXT, "gate-dry-run": "?1" });
    expect(plan.body).toMatchObject({
      decision: "plan",
      tier: 4,
      affected: { count: 1, items: [`${id} train`] },
      blast_radius: "allocation",
      reversible: false,
    });
    const submission = await agent.post(SUBMIT, job(), { ...REASON, "gate-dry-run": "?1" });
    expect(submission.body).toMatchObject({ tier: 2, affected: null, blast_radius: "workload", reversible: true });
  });

  test("a cancellation shows the workload", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const id = await start(agent, "train");
    const approval = proposalOf(await agent.post(`${SUBMIT}/${id}/cancel`, {}, CONTEXT));
    expect((await seen(box, approval)).body).toMatchObject({
      affected: { count: 1, items: ["train (1 GPUs, running)"] },
      blast_radius: "workload",
    });
  });

  test("nothing affected is a count of 0, nothing declared is null", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent);
    const asks = [
      [agent.delete(path, CONTEXT), { count: 0, items: [] }],
      [agent.delete(`${ALLOCATIONS}/al-9`, CONTEXT), { count: 0, items: [] }],
      [agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT), null],
    ] as const;
    for (const [asked, affected] of asks)
      expect(member(await seen(box, proposalOf(await asked)), "affected")).toEqual(affected);
  });

  test("fifty are shown, all are counted and bound", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent, 7);
    const ids = await Promise.all(Array.from({ length: 52 }, (_, index) => start(agent, `job-${index}`)));
    const approval = await approvedRelease(box, agent, path);
    const shown = await seen(box, approval);
    expect(member(shown, "affected", "count")).toBe(52);
    const last = ids.toSorted().at(-1) ?? "";
    expect(member(shown, "affected", "items")).toHaveLength(50);
    expect(shown.text).not.toContain(last);
    // The last in order is not among those shown; that it has ended is noticed all the same.
    const cancel = `${SUBMIT}/${last}/cancel`;
    await decide(box, proposalOf(await agent.post(cancel, {}, CONTEXT)), BOTH);
    expect(verdict(await agent.post(cancel, {}, CONTEXT))).toBe("200");
    expect((await agent.delete(path)).body).toMatchObject({ slug: "resource-changed", differences: ["affected"] });
  });

  test("what looks like a secret in a name is redacted", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent);
    const id = await start(agent, "sk-live-0123456789abcdef");
    const shown = await seen(box, proposalOf(await agent.delete(path, CONTEXT)));
    expect(member(shown, "affected", "items")).toEqual([
      expect.stringMatching(new RegExp(`^${id} \\[redacted:[0-9a-f]{16}\\]$`)),
    ]);
  });
});

describe("an approval is for what was affected when it was given", () => {
  test("a workload started since refuses, consumes nothing, and the grant works again once it has ended", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent);
    await start(agent, "train");
    const approval = await approvedRelease(box, agent, path);
    const token = { "gate-approval": text(await agent.get(`/_gate/v1/approvals/${approval}`), "token") };
    const late = await start(agent, "late");
    const { held } = await budgetOf(box);
    for (const headers of [{}, CONTEXT, token]) {
      const refused = await agent.delete(path, headers);
      expect(verdict(refused)).toBe("409 resource-changed");
      expect(refused.body).toMatchObject({ differences: ["affected"] });
    }
    expect(await stateOf(box, approval)).toBe("approved");
    expect(await releases(box)).toBe(0);
    expect((await budgetOf(box)).held).toBe(held);

    const cancel = `${SUBMIT}/${late}/cancel`;
    await decide(box, proposalOf(await agent.post(cancel, {}, CONTEXT)), BOTH);
    expect(verdict(await agent.post(cancel, {}))).toBe("200");
    expect(verdict(await agent.delete(path))).toBe("200");
    expect(await stateOf(box, approval)).toBe("consumed");
    expect(await releases(box)).toBe(1);
  });

  test("an allocation that changed owner since is another version", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent);
    const approval = await approvedRelease(box, agent, path);
    const transfer = (): Promise<Answered> => agent.post(`${path}/transfer`, { to: "team-b" }, CONTEXT);
    await decide(box, proposalOf(await transfer()), ["alice"]);
    expect(verdict(await transfer())).toBe("200");
    const refused = await agent.delete(path);
    expect(verdict(refused)).toBe("409 resource-changed");
    expect(refused.body).toMatchObject({ differences: ["resource_version"] });
    expect(await stateOf(box, approval)).toBe("approved");
    expect(await releases(box)).toBe(0);
  });

  test("an allocation that did not exist then is not released by it", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const id = Number((await start(agent, "train")).slice("wl-".length));
    // The example numbers what it makes in order: the next number is the allocation's.
    const path = `${ALLOCATIONS}/al-${id + 1}`;
    await approvedRelease(box, agent, path);
    expect((await allocate(agent)).path).toBe(path);
    expect((await agent.delete(path)).body).toMatchObject({
      slug: "resource-changed",
      differences: ["resource_version"],
    });
    expect(await releases(box)).toBe(0);
  });

  test("while people still decide, they are asked anew and shown the new set", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent);
    const before = proposalOf(await agent.delete(path, CONTEXT));
    await decide(box, before, ["alice"]);
    const id = await start(agent, "train");
    const anew = await agent.delete(path, CONTEXT);
    expect(anew.body).toMatchObject({ slug: "approval-required", approval: { given: 0 } });
    expect(proposalOf(anew)).not.toBe(before);
    expect(await stateOf(box, before)).toBe("invalidated");
    expect(member(await seen(box, proposalOf(anew)), "affected")).toEqual({ count: 1, items: [`${id} train`] });
  });
});

describe("unknown is never nothing", () => {
  const FAULTS = ["status:500", "status:401", "status:204", "garbage", "reset", "redirect:http://127.0.0.1:1/"];

  test.each(FAULTS)("a look-up that ends in %s refuses the write and opens nothing", async (kind) => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent);
    const { held } = await budgetOf(box);
    await box.upstream.inject([{ method: "GET", path, kind, times: 2 }]);
    for (const headers of [CONTEXT, { ...CONTEXT, "gate-dry-run": "?1" }]) {
      const refused = await agent.delete(path, headers);
      expect(verdict(refused)).toBe("503 unavailable");
      expect(refused.body).toMatchObject({ dependency: "upstream" });
    }
    expect((await agent.get("/_gate/v1/approvals")).body).toMatchObject({ records: [] });
    expect((await budgetOf(box)).held).toBe(held);
    expect(await releases(box)).toBe(0);
  });

  test("an approved request whose look-up fails is refused, and keeps its grant", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent);
    const approval = await approvedRelease(box, agent, path);
    await box.upstream.inject([{ method: "GET", path, kind: "status:500" }]);
    expect(verdict(await agent.delete(path))).toBe("503 unavailable");
    expect(await stateOf(box, approval)).toBe("approved");
    expect(await releases(box)).toBe(0);
    expect(verdict(await agent.delete(path))).toBe("200");
  });
});

describe("the look-up and the order of things", () => {
  test("a repetition is answered from the first, whatever the look-up would say now", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const { path } = await allocate(agent);
    await approvedRelease(box, agent, path);
    const first = await agent.delete(path);
    expect(verdict(first)).toBe("200");
    const repeat = async (): Promise<void> => {
      const repeated = await agent.delete(path);
      expect(repeated.text).toBe(first.text);
      expect(repeated.headers.get("idempotency-replayed")).toBe("?1");
    };
    await repeat();
    await box.upstream.inject([{ method: "GET", path, kind: "status:500" }]);
    await repeat();
    expect(await releases(box)).toBe(1);
  });

  test("what is refused without it asks upstream nothing", async () => {
    const box = await open({ policy: replaceOnce(ACME_POLICY, "    - allocations.release\n", "") });
    const agent = await box.as("agent");
    const narrow = await box.mint({ subject: "agent:narrow", class: "agent", owner: "person:dana", max_tier: 3 });
    const cancel = `${SUBMIT}/wl-1/cancel`;
    expect(verdict(await agent.delete(`${ALLOCATIONS}/al-1`, CONTEXT))).toBe("403 not-allowed");
    expect(verdict(await narrow.post(cancel, {}, CONTEXT))).toBe("403 out-of-scope");
    const frozen = await (await box.as("security")).post("/_gate/v1/freeze", { reason: "incident 7" });
    expect(frozen.status, frozen.text).toBe(200);
    expect(verdict(await agent.post(cancel, {}, CONTEXT))).toBe("403 frozen");
    expect(await box.upstream.requests()).toEqual([]);
  });

  test("a request that is judged again under new documents looks up again", async () => {
    const box = await open({ catalogue: versionFromLookUp() });
    const agent = (await box.as("agent")).through(openIsolate().entrance);
    const { path, id } = await allocate(agent);
    const added = await (
      await box.as("operator")
    ).post("/_gate/v1/policy/versions", {
      policy: `# reviewed\n${ACME_POLICY}`,
      reason: "test",
    });
    const activate = { version: member(added, "version") };
    expect((await (await box.as("security")).post("/_gate/v1/policy/activate", activate)).status).toBe(200);
    expect(verdict(await agent.delete(path, CONTEXT))).toBe("428 approval-required");
    // Two judgements, each with the sizing look-up and the one for what is affected; upstream takes no nonce twice.
    const asked = (await box.upstream.requests()).filter((one) => one.method === "GET" && one.path.endsWith(id));
    expect(asked).toHaveLength(4);
  });
});

/** The catalogue with the release's version from a sizing look-up of its own. */
function versionFromLookUp(): string {
  const comment = "    # What a release ends: the workloads that run in the allocation.\n";
  const lookUp = '    look_ups: { allocation: { method: GET, path: "/v1/allocations/{id}" } }\n';
  const rest = "    cost: none\n    outcome: operation\n  - id: reservations.create\n";
  return replaceOnce(
    replaceOnce(catalogueOf("affected"), comment, lookUp),
    `    version: { response: /version }\n${rest}`,
    `    version: { look_up: allocation, at: /version }\n${rest}`,
  );
}
