import { runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, describe, expect, test, vi } from "vitest";
import { list, member, text, verdict } from "../support/answer.ts";
import {
  ACME_PEOPLE,
  ACME_POLICY,
  replaceOnce,
  useBlackBox,
  type BlackBox,
  type Caller,
} from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { openIsolate, type Isolate } from "../support/isolates.ts";
import { CONTEXT, decide, job, proposalOf, REASON, receiptFor, SUBMIT, submit } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/** Versions of a tenant's documents, as its people and the gate's isolates meet them. */
const open = useBlackBox("versions");

afterEach(() => void vi.useRealTimers());

const ACTIVATE = "/_gate/v1/policy/activate";
/** Submits of any size need one person. */
const STRICTER = replaceOnce(
  ACME_POLICY,
  "    - workloads.submit:\n        max_gpus: 4\n        job_type: [elastic]\n",
  "",
);
const big = job({ gpus: 8 });

/** Has the operator store these documents; they are not in force. */
async function push(box: BlackBox, documents: object): Promise<number> {
  const added = await (await box.as("operator")).post("/_gate/v1/policy/versions", { ...documents, reason: "test" });
  expect(added.status, added.text).toBe(201);
  return Number(member(added, "version"));
}

async function activate(box: BlackBox, version: number, over: object = {}): Promise<void> {
  const activated = await (await box.as("security")).post(ACTIVATE, { version, ...over });
  expect(activated.status, activated.text).toBeLessThan(203);
}

/** The agent through an isolate of its own, which has cached what is in force now. */
async function inOldIsolate(box: BlackBox, isolate: Isolate = openIsolate()): Promise<Caller> {
  const agent = (await box.as("agent")).through(isolate.entrance);
  expect(verdict(await agent.get(SUBMIT))).toBe("200");
  return agent;
}

describe("an isolate that still judges by version 1 admits nothing by it once version 2 is in force:", () => {
  test("a write is judged anew", async () => {
    const box = await open();
    const agent = await inOldIsolate(box);
    const receipt = await receiptFor(agent, job());
    await activate(box, await push(box, { policy: STRICTER }));
    expect(verdict(await agent.post(SUBMIT, job(), { ...CONTEXT, "gate-plan": receipt }))).toBe(
      "428 approval-required",
    );
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("a dry run gives no receipt by it", async () => {
    const box = await open();
    const agent = await inOldIsolate(box);
    await activate(box, await push(box, { policy: replaceOnce(ACME_POLICY, "max_gpus: 4", "max_gpus: 2") }));
    const planned = await agent.post(SUBMIT, job(), { ...REASON, "gate-dry-run": "?1" });
    expect(member(planned, "tier")).toBe(3);
  });

  test("what people approved under the old one is not run by it", async () => {
    const box = await open();
    const agent = await inOldIsolate(box);
    const approval = proposalOf(await agent.post(SUBMIT, big, CONTEXT));
    await decide(box, approval, ["bob"]);
    const token = text(await agent.get(`/_gate/v1/approvals/${approval}`), "token");
    // The people document is read by the old isolate's cached context only: nothing tells it.
    await activate(box, await push(box, { people: replaceOnce(ACME_PEOPLE, "person:bob", "person:robert") }));
    for (const headers of [{}, { "gate-approval": token }]) {
      expect(verdict(await agent.post(SUBMIT, big, headers))).not.toBe("201");
    }
    expect(await box.upstream.mutations()).toEqual([]);
    expect(text(await agent.get(`/_gate/v1/approvals/${approval}`), "state")).not.toBe("consumed");
  });

  test("a decision of somebody who approves no more is taken in no isolate", async () => {
    const box = await open();
    const old = openIsolate();
    const agent = await inOldIsolate(box, old);
    const approval = proposalOf(await agent.post(SUBMIT, big, CONTEXT));
    const bob = (await box.as("bob")).through(old.entrance);
    await activate(
      box,
      await push(box, { policy: replaceOnce(ACME_POLICY, '["@alice", "@bob"]', '["@alice", "@carol"]') }),
    );
    const path = `/_gate/v1/approvals/${approval}/decisions`;
    expect(verdict(await bob.post(path, { decision: "approve" }))).not.toBe("200");
    expect(verdict(await agent.post(SUBMIT, big))).toBe("428 approval-required");
  });

  test("what the gate keeps to run itself is judged by the new one", async () => {
    const stored = replaceOnce(ACME_POLICY, "timeout_minutes: 30", "timeout_minutes: 30\n  execute: stored");
    const box = await open({ policy: stored });
    const agent = await inOldIsolate(box);
    const approval = proposalOf(await agent.post(SUBMIT, big, CONTEXT));
    await decide(box, approval, ["alice"]);
    const without = replaceOnce(stored, '["@alice", "@bob"]', '["@bob", "@carol"]');
    await activate(box, await push(box, { policy: without }));
    await expect
      .poll(async () => {
        await runDurableObjectAlarm(testEnv.LEDGER.getByName(box.tenant));
        await runDurableObjectAlarm(testEnv.OUTBOX.getByName(box.tenant));
        return text(await agent.get(`/_gate/v1/approvals/${approval}`), "state");
      })
      .toBe("invalidated");
    expect(await box.upstream.mutations()).toEqual([]);
  });

  test("also where it came in force by itself, at its time", async () => {
    const box = await open();
    const now = Date.now();
    vi.useFakeTimers({ toFake: ["Date"], now });
    const version = await push(box, { policy: STRICTER });
    const at = new Date(now + 5_000).toISOString();
    await activate(box, version, { at, reason: "after the launch" });
    const agent = await inOldIsolate(box);
    const receipt = await receiptFor(agent, job());
    const other = await receiptFor(agent, job({ name: "job-2" }));
    expect(verdict(await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt }))).toBe("201");
    vi.setSystemTime(now + 5_000);
    await runDurableObjectAlarm(testEnv.LEDGER.getByName(box.tenant));
    expect(verdict(await agent.post(SUBMIT, job({ name: "job-2" }), { ...CONTEXT, "gate-plan": other }))).toBe(
      "428 approval-required",
    );
    expect(await box.upstream.mutations()).toHaveLength(1);
  });
});

test("of requests in flight while a version comes in force each is judged by one of the two, and none is admitted after it", async () => {
  const box = await open();
  const isolates = [openIsolate(), openIsolate(), openIsolate()];
  const agents = await Promise.all(isolates.map((isolate) => inOldIsolate(box, isolate)));
  const bodies = Array.from({ length: 12 }, (_, index) => job({ name: `job-${index}` }));
  const receipts = await Promise.all(bodies.map((body) => receiptFor(agents[0] ?? expect.fail("no agent"), body)));
  const version = await push(box, { policy: STRICTER });
  const sent = bodies.map((body, index) =>
    agents[index % agents.length]?.post(SUBMIT, body, { ...CONTEXT, "gate-plan": receipts[index] ?? "" }),
  );
  const [, ...answered] = await Promise.all([activate(box, version), ...sent]);
  const verdicts = answered.map((one) => (one === undefined ? "none" : verdict(one)));
  for (const one of verdicts) expect(["201", "428 approval-required"]).toContain(one);
  const kinds = (await ledgerRecords(box.tenant)).map(({ kind, reason_code: code }) => code ?? kind);
  expect(kinds.slice(kinds.lastIndexOf("policy-activation"))).not.toContain("intent");
  expect(kinds.filter((kind) => kind === "intent")).toHaveLength(verdicts.filter((one) => one === "201").length);
  expect(await box.upstream.mutations()).toHaveLength(verdicts.filter((one) => one === "201").length);
});

describe("what a version changes", () => {
  test("is said when it is stored, when it is put in force, and to whoever asks", async () => {
    const box = await open();
    const operator = await box.as("operator");
    const policy = replaceOnce(ACME_POLICY, "daily_limit_usd: 500", "daily_limit_usd: 600");
    const added = await operator.post("/_gate/v1/policy/versions", { policy, reason: "more" });
    const changes = {
      against: 1,
      documents: ["policy"],
      caps: {
        daily: { before_usd: 500, before_micros: 500_000_000, after_usd: 600, after_micros: 600_000_000 },
        monthly: { before_usd: 10_000, before_micros: 1e10, after_usd: 10_000, after_micros: 1e10 },
      },
      activated_by: ["finance"],
      never_by: "person:operator",
    };
    expect(member(added, "changes")).toMatchObject(changes);
    expect(member(added, "changes", "meaning")).toMatchObject({ widens: true, changes: [{ kind: "budget" }], more: 0 });
    expect((await operator.get("/_gate/v1/policy/versions/2/diff")).body).toMatchObject({ version: 2, changes });
    const activated = await (await box.as("finance")).post(ACTIVATE, { version: 2, replaces: 1, reason: "agreed" });
    expect(activated.body).toMatchObject({ version: 2, active: true, at: null, changes });
    expect((await operator.get("/_gate/v1/policy/versions/1/diff")).body).toMatchObject({
      changes: { against: 2, activated_by: ["security", "finance"] },
    });
    expect((await operator.get("/_gate/v1/policy/versions/1/diff?against=1")).body).toMatchObject({
      changes: { documents: [] },
    });
    expect(verdict(await operator.get("/_gate/v1/policy/versions/1/diff?against=7"))).toBe("404 not-found");
    expect(verdict(await operator.get("/_gate/v1/policy/versions/1/diff?with=2"))).toBe("400 malformed-request");
  });

  test("can be read in full, documents included", async () => {
    const box = await open();
    await push(box, { policy: STRICTER });
    const security = await box.as("security");
    expect((await security.get("/_gate/v1/policy/versions/2")).body).toMatchObject({
      version: 2,
      author: "person:operator",
      activated_by: null,
      documents: { policy: STRICTER, people: ACME_PEOPLE },
    });
    for (const number of ["0", "01", "9", "x", "1e0"])
      expect(verdict(await security.get(`/_gate/v1/policy/versions/${number}`))).toBe("404 not-found");
  });
});

describe("going back", () => {
  test("is an activation like any other: on record, by a second person, for the version that was looked at", async () => {
    const box = await open();
    await activate(box, await push(box, { policy: STRICTER }), { reason: "tighter" });
    await activate(box, 1, { reason: "too tight", replaces: 2 });
    const security = await box.as("security");
    expect(verdict(await security.post(ACTIVATE, { version: 2, replaces: 2 }))).toBe("409 already-decided");
    const history = list(await security.get("/_gate/v1/policy/activations"), "records");
    expect(history).toMatchObject([
      { version: 1, previous: 2, by: "person:security", how: "at-once", reason: "too tight" },
      { version: 2, previous: 1, by: "person:security", how: "at-once", reason: "tighter" },
      { version: 1, previous: null, by: "person:operator", how: "founding", reason: null },
    ]);
    expect(list(await security.get("/_gate/v1/policy/activations?limit=1"), "records")).toHaveLength(1);
    expect(verdict(await submit(await box.as("agent"), job()))).toBe("201");
  });

  test("is not for the author of the older version, whatever roles they came to hold", async () => {
    const box = await open();
    const twice = await box.mint({
      subject: "person:twice",
      class: "person",
      owner: "person:twice",
      roles: ["operator"],
    });
    expect(verdict(await twice.post("/_gate/v1/policy/versions", { policy: STRICTER, reason: "mine" }))).toBe("201");
    await activate(box, 2);
    await activate(box, 1);
    const later = await box.mint(
      { subject: "person:twice", class: "person", owner: "person:twice", roles: ["security"] },
      "security",
    );
    expect(verdict(await later.post(ACTIVATE, { version: 2 }))).toBe("403 not-eligible");
    expect(verdict(await later.post(ACTIVATE, { version: 2, at: new Date(Date.now() + 60_000).toISOString() }))).toBe(
      "403 not-eligible",
    );
  });
});

describe("a schedule", () => {
  test("is listed, taken back by whoever may freeze, and gone then", async () => {
    const box = await open();
    const version = await push(box, { policy: STRICTER });
    const at = new Date(Date.now() + 3_600_000).toISOString();
    const made = await (await box.as("security")).post(ACTIVATE, { version, at, reason: "tonight" });
    expect([made.status, made.body]).toMatchObject([202, { version, active: false, at }]);
    const operator = await box.as("operator");
    const SCHEDULES = "/_gate/v1/policy/schedules";
    expect(list(await operator.get(SCHEDULES), "records")).toMatchObject([
      { version, at, by: "person:security", reason: "tonight" },
    ]);
    expect(member(await operator.get("/_gate/v1/policy"), "version")).toBe(1);
    expect((await operator.delete(`${SCHEDULES}/${version}`)).body).toEqual({ version, cancelled: true });
    expect(verdict(await operator.delete(`${SCHEDULES}/${version}`))).toBe("404 not-found");
    expect(list(await operator.get(SCHEDULES), "records")).toEqual([]);
  });

  test.each([
    ["in the past", "2020-01-01T00:00:00Z"],
    ["more than 90 days ahead", "2999-01-01T00:00:00Z"],
    ["without an offset", "2999-01-01T00:00:00"],
    ["no time", "tomorrow"],
  ])("for a time that is %s is refused", async (_, at) => {
    const box = await open();
    const version = await push(box, { policy: STRICTER });
    expect(verdict(await (await box.as("security")).post(ACTIVATE, { version, at }))).toBe("400 malformed-request");
  });
});
