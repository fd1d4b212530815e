import { runInDurableObject } from "cloudflare:test";
import { afterEach, expect, test, vi } from "vitest";
import { ACTION_IDS } from "../../src/slack/action-value.ts";
import { verdict } from "../support/answer.ts";
import { ACME_POLICY, replaceOnce, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { CONTEXT, decide, job, proposalOf, SUBMIT } from "../support/requests.ts";
import {
  PATIENCE,
  postingOf,
  runAlarms,
  sendPrepared,
  setUp,
  slackPlace,
  USERS,
  useSlackBox,
  type SlackPlace,
} from "../support/slack-box.ts";
import { testEnv } from "../support/test-env.ts";

/** What becomes of proposals while Slack is away, slow, or says no. None of it touches the decision itself. */
const openBox = useBlackBox("slack-trouble");
const open = useSlackBox("slack-trouble", openBox);

afterEach(() => void vi.useRealTimers());

const CANCEL = "/v1/workloads/wl-1/cancel";
const big = job({ gpus: 8 });
const DOWN = { kind: "status", status: 503 } as const;

const ask = async (box: BlackBox, path = SUBMIT, body: unknown = big): Promise<string> =>
  proposalOf(await (await box.as("agent")).post(path, body, CONTEXT));

const textsOf = async (slack: SlackPlace): Promise<readonly string[]> =>
  (await slack.posted()).map((message) => message.text);

const callsOf = async (slack: SlackPlace, method: string): Promise<number> =>
  (await slack.look()).calls.filter((call) => call.method === method).length;

/** The outbox's jobs for Slack: when each is due from now, in milliseconds. */
const waiting = (box: BlackBox): Promise<readonly number[]> =>
  runInDurableObject(testEnv.OUTBOX.getByName(box.tenant), (_, { storage }) =>
    storage.sql
      .exec<{ due_at: number }>("SELECT due_at FROM jobs WHERE lane = 'slack' ORDER BY due_at")
      .toArray()
      .map((row) => row.due_at - Date.now()),
  );

test("Slack is away for a while: the proposal stays open, people decide elsewhere, and the message shows it later", async () => {
  const { box, slack } = await open();
  await slack.failNext("chat.postMessage", DOWN, DOWN, DOWN, DOWN);
  const approval = await ask(box, CANCEL, {});
  await expect.poll(() => callsOf(slack, "chat.postMessage"), PATIENCE).toBe(1);
  await decide(box, approval, ["alice"]);
  await expect.poll(() => callsOf(slack, "chat.postMessage"), PATIENCE).toBe(2);
  moveClock(6_000);
  await runAlarms(box);
  expect(await callsOf(slack, "chat.postMessage")).toBe(4);
  expect(await textsOf(slack)).toEqual([]);
  expect((await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`)).body).toMatchObject({
    state: "pending",
    given: 1,
  });
  moveClock(MINUTE_MS);
  await runAlarms(box);
  const [message, ...others] = await slack.posted();
  expect(others).toEqual([]);
  expect(message?.text).toContain("needs 2 approvals, 1 given");
  expect(JSON.stringify(message?.blocks)).toContain("Approved by @alice");
  expect(await waiting(box)).toEqual([]);
});

test("when Slack asks to wait, the gate waits that long", async () => {
  const { box, slack } = await open();
  await slack.failNext("chat.postMessage", { kind: "rate-limit", retryAfter: "90" });
  await ask(box);
  await expect.poll(() => callsOf(slack, "chat.postMessage"), PATIENCE).toBe(1);
  await expect.poll(async () => (await waiting(box)).map((ms) => ms > 80_000), PATIENCE).toEqual([true]);
  moveClock(91_000);
  await runAlarms(box);
  expect(await textsOf(slack)).toEqual([expect.stringContaining("needs 1 approval")]);
});

test("a message whose answer was lost is posted again, and only the one that is remembered has live buttons", async () => {
  const { box, slack } = await open();
  await slack.failNext("chat.postMessage", { kind: "drop-after-post" });
  const approval = await ask(box);
  await expect.poll(() => callsOf(slack, "chat.postMessage"), PATIENCE).toBe(1);
  await expect.poll(async () => (await waiting(box)).some((ms) => ms > 1_000), PATIENCE).toBe(true);
  moveClock(6_000);
  await runAlarms(box);
  const [dead, live, ...more] = await slack.posted();
  if (dead === undefined || live === undefined) throw new Error("expected two messages");
  expect(more).toEqual([]);
  expect(await postingOf(box, approval)).toMatchObject({ message_ts: live.messageTs });
  expect(verdict(await slack.click("alice", ACTION_IDS.approve, dead))).toBe("403 approval-invalid");
  await expect
    .poll(slack.whispered, PATIENCE)
    .toEqual([[USERS.alice, expect.stringContaining("use its newest message, or its page")]]);
  expect((await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`)).body).toMatchObject({ given: 0 });
  expect(verdict(await slack.click("alice", ACTION_IDS.approve, live))).toBe("200");
});

test("what cannot be posted stands in the audit record; the next notice tries again", async () => {
  const { box, slack } = await open();
  await slack.failNext("chat.postMessage", { kind: "error", error: "not_in_channel" });
  const approval = await ask(box, CANCEL, {});
  await expect
    .poll(
      async () => (await ledgerRecords(box.tenant)).filter((one) => one.reason_code === "notice-undelivered"),
      PATIENCE,
    )
    .toMatchObject([{ kind: "admin", detail: `slack: opened of ${approval}: post: not_in_channel` }]);
  expect(await waiting(box)).toEqual([]);
  await decide(box, approval, ["alice"]);
  await expect.poll(() => textsOf(slack), PATIENCE).toEqual([expect.stringContaining("2 approvals, 1 given")]);
});

test("a message that somebody deleted is posted anew, and its buttons count", async () => {
  const { box, slack } = await open();
  const approval = await ask(box, CANCEL, {});
  await expect.poll(() => textsOf(slack), PATIENCE).toHaveLength(1);
  const [first] = await slack.posted();
  if (first === undefined) throw new Error("no message");
  const dead = await slack.prepareClick("bob", ACTION_IDS.deny, first);
  await slack.remove(first);
  await decide(box, approval, ["alice"]);
  await expect.poll(() => textsOf(slack), PATIENCE).toEqual([expect.stringContaining("2 approvals, 1 given")]);
  const [again] = await slack.posted();
  if (again === undefined) throw new Error("no second message");
  expect(again.messageTs).not.toBe(first.messageTs);
  expect(verdict(await sendPrepared(dead))).toBe("403 approval-invalid");
  expect(verdict(await slack.click("bob", ACTION_IDS.deny, again))).toBe("200");
  await expect.poll(() => textsOf(slack), PATIENCE).toEqual([expect.stringContaining("Denied: Cancel job")]);
});

test("an unknown outcome is told, then what became of it; the same notice again says nothing", async () => {
  const { box, slack } = await open();
  const approval = await ask(box);
  await decide(box, approval, ["alice"]);
  await expect.poll(() => textsOf(slack), PATIENCE).toEqual([expect.stringContaining("Approved: ")]);
  await box.upstream.inject([{ method: "POST", path: "/v1/workloads", times: 1, kind: "drop-after-execute" }]);
  expect(verdict(await (await box.as("agent")).post(SUBMIT, big))).toBe("504 outcome-unknown");
  const [message] = await slack.posted();
  if (message === undefined) throw new Error("no message");
  await expect
    .poll(() => slack.thread(message), PATIENCE)
    .toEqual([
      expect.stringContaining("what became of it is unknown. Its money stays held"),
      expect.stringContaining("It ran"),
    ]);
  const requestId = (await ledgerRecords(box.tenant)).find((one) => one.kind === "intent")?.request_id ?? "";
  const notice = { id: "again", kind: "executed", approvalId: approval, requestId, detail: null, at: 0 };
  const repeated = { kind: "notice", tenant: box.tenant, channel: "slack", notice };
  await runInDurableObject(testEnv.OUTBOX.getByName(box.tenant), async (_, { storage }) => {
    storage.sql.exec("INSERT INTO jobs VALUES ('again', 'slack', 0, 0, ?)", JSON.stringify(repeated));
    await storage.setAlarm(Date.now());
  });
  await expect.poll(() => waiting(box), PATIENCE).toEqual([]);
  expect(await slack.thread(message)).toHaveLength(2);
});

test("tier 4 goes to a channel of its own where the policy names one, tier 3 stays in the other", async () => {
  const policy = replaceOnce(
    ACME_POLICY,
    'tier_3_channel: "#ml-ops-approvals"',
    'tier_3_channel: "#ml-ops-approvals"\n  tier_4_channel: "#ml-ops-escalation"',
  );
  const { box, slack } = await open({ policy });
  await ask(box);
  await ask(box, CANCEL, {});
  await expect
    .poll(async () => (await slack.posted()).map(({ channelId }) => channelId).toSorted(), PATIENCE)
    .toEqual(["C0APPROVALS", "C0ESCALATION"]);
});

test("a policy without channels, and a tenant without Slack, tell nobody and leave nothing behind", async () => {
  const policy = replaceOnce(
    replaceOnce(ACME_POLICY, '  tier_3_channel: "#ml-ops-approvals"\n', ""),
    '  escalation_channel: "#ml-ops-escalation"\n',
    "",
  );
  const { box, slack } = await open({ policy });
  const without = await openBox();
  for (const one of [box, without]) {
    await ask(one);
    moveClock(31 * MINUTE_MS);
    await runAlarms(one);
    vi.useRealTimers();
    expect(await waiting(one)).toEqual([]);
    const undelivered = (await ledgerRecords(one.tenant)).filter((it) => it.reason_code === "notice-undelivered");
    expect(undelivered).toEqual([]);
  }
  expect((await slack.look()).calls).toEqual([]);
});

test("after a move to another workspace the proposal is posted there, and the old workspace decides nothing", async () => {
  const { box, slack } = await open();
  const approval = await ask(box, CANCEL, {});
  await expect.poll(() => textsOf(slack), PATIENCE).toHaveLength(1);
  const [old] = await slack.posted();
  if (old === undefined) throw new Error("no message");
  await setUp(box, "slack-trouble-moved");
  expect(verdict(await slack.click("alice", ACTION_IDS.deny, old))).toBe("403 approval-invalid");
  await decide(box, approval, ["alice"]);
  const moved = slackPlace("slack-trouble-moved");
  await expect.poll(() => textsOf(moved), PATIENCE).toEqual([expect.stringContaining("1 given")]);
  // A place in one workspace means nothing in another: nothing there was touched.
  expect((await moved.look()).calls.map(({ method }) => method)).toEqual(["chat.postMessage"]);
  expect(await postingOf(box, approval)).toMatchObject({ team_id: moved.teamId });
  expect(await textsOf(slack)).toEqual([expect.stringContaining("0 given")]);
});

test("after another app was installed, the buttons of the old one are dead", async () => {
  const { box, slack } = await open({}, "slack-trouble-apps");
  const approval = await ask(box);
  await expect.poll(() => textsOf(slack), PATIENCE).toHaveLength(1);
  const [old] = await slack.posted();
  if (old === undefined) throw new Error("no message");
  await setUp(box, "slack-trouble-apps", "A0ANOTHER");
  expect(verdict(await slack.click("alice", ACTION_IDS.approve, old))).toBe("403 approval-invalid");
  expect((await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`)).body).toMatchObject({ given: 0 });
});
