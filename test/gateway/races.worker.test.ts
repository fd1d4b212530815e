import { describe, expect, test } from "vitest";
import { parseList } from "structured-headers";
import { text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, replaceOnce, useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { readBooks } from "../support/books.ts";
import { openIsolate } from "../support/isolates.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, REASON, receiptFor, SUBMIT } from "../support/requests.ts";

const open = useBlackBox("races");

const AT_ONCE = 200;
/** Jobs of 10 USD that the day has room for. */
const ROOM = 7;
const CAP_MICROS = (ROOM * 10 + 9) * 1_000_000;
const tight = `${replaceOnce(ACME_POLICY, "daily_limit_usd: 500", `daily_limit_usd: ${ROOM * 10 + 9}`)}
rate_limits:
  tier_2: 100000
`;

const each = <T>(make: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: AT_ONCE }, (_, index) => make(index)));

/** The same, a few at a time: what comes before the race is none itself. */
async function batched<T>(make: (index: number) => Promise<T>): Promise<T[]> {
  const made: T[] = [];
  while (made.length < AT_ONCE) {
    made.push(...(await Promise.all(Array.from({ length: 10 }, (_, index) => make(made.length + index)))));
  }
  return made;
}

/** How many answers there are of each verdict. */
function tally(answers: readonly Answered[]): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const answered of answers) counts[verdict(answered)] = (counts[verdict(answered)] ?? 0) + 1;
  return counts;
}

/** settled + held of the day as each answer's Gate-Budget header states it, in micro-USD. */
function committedMicros(answered: Answered): number {
  const [, parameters] = parseList(answered.headers.get("gate-budget") ?? "")[0] ?? [null, new Map<string, unknown>()];
  return Number(parameters.get("held_micros")) + Number(parameters.get("settled_micros"));
}

/** Four warm isolates take turns, as in production: what they share is the ledger alone. */
async function spread(agent: Caller): Promise<(index: number) => Caller> {
  const isolates = [0, 1, 2, 3].map(() => agent.through(openIsolate().entrance));
  for (const isolate of isolates) expect(verdict(await isolate.get(SUBMIT))).toBe("200");
  return (index) => isolates[index % isolates.length] ?? agent;
}

async function expectNoOverspend(box: BlackBox, answers: readonly Answered[]): Promise<void> {
  const admitted = answers.filter(({ status }) => status === 201);
  expect(tally(answers)).toEqual({ "201": ROOM, "402 budget-exceeded": AT_ONCE - ROOM });
  expect(await box.upstream.mutations()).toHaveLength(ROOM);
  expect(new Set(admitted.map((answered) => text(answered, "id"))).size).toBe(ROOM);
  for (const answered of answers) expect(committedMicros(answered)).toBeLessThanOrEqual(CAP_MICROS);
  expect(await budgetOf(box)).toMatchObject({ held: ROOM * 10_000_000, settled: 0, cap: CAP_MICROS });
}

describe(`${AT_ONCE} submits at once against room for ${ROOM}`, () => {
  test(`with a receipt each: exactly ${ROOM} jobs, and never a micro-dollar over the cap`, async () => {
    const box = await open({ policy: tight });
    const agentOf = await spread(await box.as("agent"));
    const receipts = await batched((index) => receiptFor(agentOf(index), job({ name: `job-${index}` })));
    const answers = await each((index) =>
      agentOf(index).post(SUBMIT, job({ name: `job-${index}` }), { ...REASON, "gate-plan": receipts[index] ?? "" }),
    );
    await expectNoOverspend(box, answers);
  });

  test(`under dry_run: inline: exactly ${ROOM} jobs`, async () => {
    const box = await open({ policy: `${tight}\ndry_run: inline\n` });
    const agentOf = await spread(await box.as("agent"));
    const answers = await each((index) => agentOf(index).post(SUBMIT, job({ name: `job-${index}` }), REASON));
    await expectNoOverspend(box, answers);
  });

  test.each([
    // One principal's proposals may hold a quarter of the day, unless the policy says otherwise.
    ["their principal's share", tight, Math.floor(ROOM / 4)],
    [
      "the day",
      replaceOnce(
        tight,
        "timeout_minutes: 30",
        "timeout_minutes: 30\n  pending_share_percent: { principal: 100, tenant: 100 }",
      ),
      ROOM,
    ],
  ])("of tier 3: as many proposals are opened as %s pays for", async (_, policy, room) => {
    const box = await open({ policy });
    const agentOf = await spread(await box.as("agent"));
    const answers = await each((index) =>
      agentOf(index).post(SUBMIT, job({ name: `job-${index}`, job_type: "reserved" }), CONTEXT),
    );
    expect(tally(answers)).toEqual({ "428 approval-required": room, "402 budget-exceeded": AT_ONCE - room });
    expect(new Set(answers.filter(({ status }) => status === 428).map(proposalOf)).size).toBe(room);
    expect(await budgetOf(box)).toMatchObject({ held: room * 10_000_000 });
  });
});

/** An approved tier-3 request, and its token. */
async function approved(box: BlackBox, agent: Caller): Promise<string> {
  const proposal = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
  await decide(box, proposal, ["alice"]);
  return text(await agent.get(`/_gate/v1/approvals/${proposal}`), "token");
}

describe(`${AT_ONCE} uses of one approval at once are one dispatch`, () => {
  test("by its token and by digest: the others wait for its outcome or get it", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const token = await approved(box, agent);
    const agentOf = await spread(agent);
    const answers = await each((index) =>
      agentOf(index).post(SUBMIT, job({ gpus: 8 }), index % 2 === 0 ? { "gate-approval": token } : {}),
    );
    expect(await box.upstream.mutations()).toHaveLength(1);
    expect(Object.keys(tally(answers)).filter((one) => one !== "201" && one !== "409 idempotency-in-progress")).toEqual(
      [],
    );
    const dispatched = answers.filter(({ status, headers }) => status === 201 && !headers.has("idempotency-replayed"));
    expect(dispatched).toHaveLength(1);
    for (const replayed of answers.filter(({ status }) => status === 201))
      expect(replayed.text).toBe(dispatched[0]?.text);
    expect(await budgetOf(box)).toMatchObject({ held: 20_000_000 });
  });

  test("by its token under as many new idempotency keys: the others are told that it is spent", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const token = await approved(box, agent);
    const agentOf = await spread(agent);
    const answers = await each((index) =>
      agentOf(index).post(SUBMIT, job({ gpus: 8 }), { "gate-approval": token, "idempotency-key": `"use-${index}"` }),
    );
    expect(tally(answers)).toEqual({ "201": 1, "409 approval-consumed": AT_ONCE - 1 });
    expect(await box.upstream.mutations()).toHaveLength(1);
  });
});

test(`${AT_ONCE} uses of one receipt at once are one job`, async () => {
  const box = await open();
  const agent = await box.as("agent");
  const receipt = await receiptFor(agent, job());
  const agentOf = await spread(agent);
  const answers = await each((index) =>
    agentOf(index).post(SUBMIT, job(), { ...REASON, "gate-plan": receipt, "idempotency-key": `"use-${index}"` }),
  );
  expect(tally(answers)).toEqual({ "201": 1, "409 approval-consumed": AT_ONCE - 1 });
  expect(await box.upstream.mutations()).toHaveLength(1);
});

test(`one idempotency key ${AT_ONCE} times at once, with a receipt each, is one job`, async () => {
  const box = await open({ policy: tight });
  const agent = await box.as("agent");
  const receipts = await batched(() => receiptFor(agent, job()));
  const agentOf = await spread(agent);
  const answers = await each((index) =>
    agentOf(index).post(SUBMIT, job(), { ...REASON, "gate-plan": receipts[index] ?? "", "idempotency-key": '"one"' }),
  );
  expect(await box.upstream.mutations()).toHaveLength(1);
  expect(Object.keys(tally(answers)).filter((one) => one !== "201" && one !== "409 idempotency-in-progress")).toEqual(
    [],
  );
  expect((await readBooks(box.tenant)).receipts.filter((receipt) => receipt.consumed_by !== null)).toHaveLength(1);
});

test(`the same request ${AT_ONCE} times at once is one proposal`, async () => {
  const box = await open();
  const agentOf = await spread(await box.as("agent"));
  const answers = await each((index) => agentOf(index).post(SUBMIT, job({ gpus: 8 }), CONTEXT));
  expect(tally(answers)).toEqual({ "428 approval-required": AT_ONCE });
  expect(new Set(answers.map(proposalOf)).size).toBe(1);
  expect(await budgetOf(box)).toMatchObject({ held: 20_000_000 });
});

test(`one person's ${AT_ONCE} decisions at once are one decision`, async () => {
  const box = await open();
  const agent = await box.as("agent");
  const proposal = proposalOf(await agent.post("/v1/workloads/wl-1/cancel", {}, CONTEXT));
  const alice = await box.as("alice");
  const answers = await each(() => alice.post(`/_gate/v1/approvals/${proposal}/decisions`, { decision: "approve" }));
  expect(tally(answers)).toEqual({ "200": AT_ONCE });
  expect((await alice.get(`/_gate/v1/approvals/${proposal}`)).body).toMatchObject({
    state: "pending",
    given: 1,
    needed: 2,
  });
});

test("two changes to one resource at once: one runs, the other is told what is in flight", async () => {
  const box = await open();
  const agents = [await box.as("agent"), await box.as("agent2")];
  // Of a workload the second would not even have been put before people: the catalogue names it an incident.
  const release = () => Promise.all(agents.map((agent) => agent.delete("/v1/allocations/al-1", CONTEXT)));
  for (const proposal of await release()) await decide(box, proposalOf(proposal), ["alice", "bob"]);
  await box.upstream.inject([{ method: "DELETE", path: "/v1/allocations/{id}", kind: "delay:300" }]);
  const answers = await release();
  expect(answers.map(verdict).toSorted()).toEqual(["404", "409 resource-busy"]);
  expect(await box.upstream.mutations()).toHaveLength(1);
});
