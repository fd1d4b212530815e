import { afterEach, describe, expect, test, vi } from "vitest";
import { text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { moveClock } from "../support/clock.ts";
import { openIsolate } from "../support/isolates.ts";
import { budgetOf, CONTEXT, decide, job, proposalOf, REASON, receiptFor, SUBMIT } from "../support/requests.ts";

/** What upstream does when it does not answer as it should; and that nothing is ever sent twice because of it. */
const open = useBlackBox("outcomes");

afterEach(() => {
  vi.useRealTimers();
});

const HELD = 10_000_000;
const key = { "idempotency-key": '"the-one"' };

/** Submits one job of 10 USD while upstream misbehaves like this. */
async function submitUnder(box: BlackBox, kind: string): Promise<Answered> {
  const agent = await box.as("agent");
  const receipt = await receiptFor(agent, job());
  await box.upstream.inject([{ method: "POST", path: SUBMIT, kind }]);
  return agent.post(SUBMIT, job(), { ...REASON, ...key, "gate-plan": receipt });
}

async function operation(box: BlackBox, answered: Answered): Promise<Answered> {
  return (await box.as("agent")).get(`/_gate/v1/operations/${answered.headers.get("gate-request-id")}`);
}

const becomes = async (box: BlackBox, answered: Answered, state: string): Promise<void> => {
  await expect.poll(async () => text(await operation(box, answered), "state"), { timeout: 20_000 }).toBe(state);
};

describe("an outcome that was not seen", () => {
  test.each([
    ["executed, and the connection dropped", "drop-after-execute"],
    ["executed, and the answer is no JSON", "garbage"],
    ["executed after the deadline", "delay:5100"],
  ])("%s: 504, the money stays held, and a look-up finds the job", async (_, kind) => {
    const box = await open();
    const agent = await box.as("agent");
    const unknown = await submitUnder(box, kind);
    expect(verdict(unknown)).toBe("504 outcome-unknown");
    expect(text(unknown, "operation_url")).toBe(`/_gate/v1/operations/${unknown.headers.get("gate-request-id")}`);
    expect((await budgetOf(box)).held).toBe(HELD);
    // Nobody has to ask again for it to be found.
    await becomes(box, unknown, "succeeded");
    expect((await operation(box, unknown)).body).toMatchObject({
      action: "workloads.submit",
      reservation: { state: "committed", ceiling_usd: 10, settled_usd: null },
    });
    expect((await budgetOf(box)).held).toBe(HELD);
    const replayed = await agent.post(SUBMIT, job(), { ...REASON, ...key });
    expect(replayed.headers.get("idempotency-replayed")).toBe("?1");
    expect(replayed.body).toMatchObject({ outcome: "succeeded", operation_url: text(unknown, "operation_url") });
    expect(await box.upstream.mutations()).toHaveLength(1);
    const kinds = (await ledgerRecords(box.tenant)).map((record) => record.kind);
    expect(kinds.filter((one) => ["intent", "unknown", "outcome"].includes(one))).toEqual([
      "intent",
      "unknown",
      "outcome",
    ]);
  });

  test.each([
    ["the connection was reset", "reset"],
    ["status 500", "status:500"],
    ["status 503", "status:503"],
    ["status 408, which proves nothing", "status:408"],
    ["a redirect", "redirect:http://127.0.0.1:9/elsewhere"],
  ])("%s: 504, held, and released only after two look-ups found nothing", async (_, kind) => {
    const box = await open();
    const unknown = await submitUnder(box, kind);
    expect(verdict(unknown)).toBe("504 outcome-unknown");
    expect((await budgetOf(box)).held).toBe(HELD);
    await becomes(box, unknown, "failed");
    expect(await budgetOf(box)).toMatchObject({ held: 0, settled: 0 });
    const requests = await box.upstream.requests();
    const lookUps = requests.filter(({ path }) => path.includes("reference="));
    expect(lookUps.length).toBeGreaterThanOrEqual(2);
    expect(await box.upstream.mutations()).toHaveLength(1);
    const replayed = await (await box.as("agent")).post(SUBMIT, job(), { ...REASON, ...key });
    expect(replayed.body).toMatchObject({ outcome: "failed" });
    expect(await box.upstream.mutations()).toHaveLength(1);
  });

  test("stays unknown, and its money held, while the look-ups themselves fail", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const receipt = await receiptFor(agent, job());
    await box.upstream.inject([
      { method: "POST", path: SUBMIT, kind: "drop-after-execute" },
      { method: "GET", path: SUBMIT, times: 2, kind: "status:500" },
      { method: "GET", path: SUBMIT, times: 1, kind: "garbage" },
    ]);
    const unknown = await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt });
    expect(verdict(unknown)).toBe("504 outcome-unknown");
    const lookUps = async (): Promise<number> =>
      (await box.upstream.requests()).filter(({ path }) => path.includes("reference=")).length;
    await expect.poll(lookUps, { timeout: 20_000 }).toBeGreaterThanOrEqual(3);
    expect((await budgetOf(box)).held).toBe(HELD);
    await becomes(box, unknown, "succeeded");
  });

  test("is answered to whoever repeats the request, and never dispatched again", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const receipt = await receiptFor(agent, job());
    // The look-ups find nothing out for a while, so that the repetitions meet the unknown state.
    await box.upstream.inject([
      { method: "POST", path: SUBMIT, kind: "drop-after-execute" },
      { method: "GET", path: SUBMIT, times: 3, kind: "status:500" },
    ]);
    const handles = { ...REASON, ...key, "gate-plan": receipt };
    const first = await agent.post(SUBMIT, job(), handles);
    for (const headers of [handles, { ...REASON, ...key }, { ...REASON, "gate-plan": receipt }]) {
      const repeated = await agent.post(SUBMIT, job(), headers);
      expect(verdict(repeated)).toBe("504 outcome-unknown");
      expect(text(repeated, "operation_url")).toBe(text(first, "operation_url"));
    }
    expect(await box.upstream.mutations()).toHaveLength(1);
    await becomes(box, first, "succeeded");
  });

  test("of an approved request spends its approval", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const approval = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
    await decide(box, approval, ["alice"]);
    await box.upstream.inject([{ method: "POST", path: SUBMIT, kind: "drop-after-execute" }]);
    const unknown = await agent.post(SUBMIT, job({ gpus: 8 }));
    expect(verdict(unknown)).toBe("504 outcome-unknown");
    expect((await agent.get(`/_gate/v1/approvals/${approval}`)).body).toMatchObject({ state: "consumed" });
    await becomes(box, unknown, "succeeded");
    expect(await box.upstream.mutations()).toHaveLength(1);
    expect((await budgetOf(box)).held).toBe(2 * HELD);
  });

  test("of a request that costs nothing is looked up as well", async () => {
    const box = await open();
    const agent = await box.as("agent");
    const receipt = await receiptFor(agent, job());
    const id = text(await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt }), "id");
    const cancel = `${SUBMIT}/${id}/cancel`;
    await decide(box, proposalOf(await agent.post(cancel, {}, CONTEXT)), ["alice", "bob"]);
    await box.upstream.inject([{ method: "POST", path: cancel, kind: "drop-after-execute" }]);
    const unknown = await agent.post(cancel, {});
    expect(verdict(unknown)).toBe("504 outcome-unknown");
    await becomes(box, unknown, "succeeded");
    expect(await box.upstream.mutations()).toHaveLength(2);
  });
});

test.each([400, 403, 404, 409, 422, 429])(
  "status %i is a definite refusal: passed on, and the money is free",
  async (status) => {
    const box = await open();
    const agent = await box.as("agent");
    const refused = await submitUnder(box, `status:${status}`);
    expect(refused.status).toBe(status);
    expect(refused.body).toEqual({ error: { code: "injected_fault", message: `injected status ${status}` } });
    await becomes(box, refused, "failed");
    expect(await budgetOf(box)).toMatchObject({ held: 0, settled: 0 });
    const replayed = await agent.post(SUBMIT, job(), { ...REASON, ...key });
    expect([replayed.status, replayed.text, replayed.headers.get("idempotency-replayed")]).toEqual([
      status,
      refused.text,
      "?1",
    ]);
    expect(await box.upstream.mutations()).toHaveLength(1);
  },
);

describe("a read", () => {
  test.each([
    ["reset", "502 upstream-failed"],
    ["redirect:http://127.0.0.1:9/elsewhere", "502 upstream-failed"],
    ["delay:6000", "504 upstream-timeout"],
    ["status:500", "500"],
    ["status:404", "404"],
  ])("under %s is %s, and holds nothing", async (kind, expected) => {
    const box = await open();
    await box.upstream.inject([{ method: "GET", path: "/v1/gpus", kind }]);
    expect(verdict(await (await box.as("agent")).get("/v1/gpus"))).toBe(expected);
    expect(await budgetOf(box)).toMatchObject({ held: 0 });
  });
});

describe("a dry run that upstream", () => {
  const dryRun = { ...REASON, "gate-dry-run": "?1" };

  test("refuses earns no receipt", async () => {
    const box = await open();
    const agent = await box.as("agent");
    await box.upstream.inject([{ method: "POST", path: `${SUBMIT}?dry_run=true`, kind: "status:409" }]);
    const plan = await agent.post(SUBMIT, job(), dryRun);
    expect(plan.body).toMatchObject({ decision: "plan", upstream: { status: 409 }, receipt: null });
  });

  test("does not answer earns none either", async () => {
    const box = await open();
    await box.upstream.inject([{ method: "POST", path: `${SUBMIT}?dry_run=true`, kind: "reset" }]);
    expect(verdict(await (await box.as("agent")).post(SUBMIT, job(), dryRun))).toBe("502 upstream-failed");
  });

  test("refuses under dry_run: inline ends the request with upstream's answer", async () => {
    const box = await open({ policy: `${ACME_POLICY}\ndry_run: inline\n` });
    await box.upstream.inject([{ method: "POST", path: `${SUBMIT}?dry_run=true`, kind: "status:409" }]);
    expect(verdict(await (await box.as("agent")).post(SUBMIT, job(), REASON))).toBe("409");
    expect(await box.upstream.mutations()).toEqual([]);
    expect(await budgetOf(box)).toMatchObject({ held: 0 });
  });
});

test("while upstream is known to be down, nothing is sent, held or spent; one answer of upstream ends that", async () => {
  const box = await open();
  const agent = (await box.as("agent")).through(openIsolate().entrance);
  const receipt = await receiptFor(agent, job());
  await box.upstream.inject([{ method: "GET", path: "/v1/gpus", times: 10, kind: "reset" }]);
  for (let failure = 0; failure < 10; failure++)
    expect(verdict(await agent.get("/v1/gpus"))).toBe("502 upstream-failed");
  const refused = await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt });
  expect(verdict(refused)).toBe("503 unavailable");
  expect(refused.body).toMatchObject({ dependency: "upstream" });
  expect(verdict(await agent.get("/v1/gpus"))).toBe("503 unavailable");
  expect(await budgetOf(box)).toMatchObject({ held: 0 });
  expect(await box.upstream.mutations()).toEqual([]);
  // One request every five seconds is let through to see; upstream takes signatures up to five seconds ahead of it.
  moveClock(5_000);
  expect(verdict(await agent.get("/v1/gpus"))).toBe("200");
  vi.useRealTimers();
  expect(verdict(await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt }))).toBe("201");
});

test("an operation is shown to its requester and to security, and to no other agent", async () => {
  const box = await open();
  const done = await submitUnder(box, "status:422");
  const url = `/_gate/v1/operations/${done.headers.get("gate-request-id")}`;
  await becomes(box, done, "failed");
  expect(verdict(await (await box.as("security")).get(url))).toBe("200");
  expect(verdict(await (await box.as("agent2")).get(url))).toBe("404 not-found");
  expect(verdict(await (await box.as("carol")).get(url))).toBe("404 not-found");
});
