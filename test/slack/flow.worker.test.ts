import { afterEach, expect, test, vi } from "vitest";
import { ACTION_IDS } from "../../src/slack/action-value.ts";
import { text, verdict } from "../support/answer.ts";
import { ACME_PEOPLE, ACME_POLICY, replaceOnce, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { CONTEXT, decide, job, proposalOf, REASON, submit, SUBMIT } from "../support/requests.ts";
import {
  PATIENCE,
  runAlarms,
  sendPrepared,
  USERS,
  useSlackBox,
  type Shown,
  type SlackPlace,
} from "../support/slack-box.ts";

/** A proposal's life as people in Slack see it. Every payload that reaches the stand-in is held against Slack's published rules. */
const open = useSlackBox("slack-flow", useBlackBox("slack-flow"));

afterEach(() => void vi.useRealTimers());

const { approve: APPROVE, deny: DENY, openConfirm: CONFIRM } = ACTION_IDS;
const big = job({ gpus: 8 });
const CANCEL = "/v1/workloads/wl-1/cancel";

/** The one message of the one proposal, once its text has this part. */
async function messageSaying(slack: SlackPlace, part: string): Promise<Shown> {
  await expect
    .poll(async () => (await slack.posted()).map((message) => message.text).join("\n"), PATIENCE)
    .toContain(part);
  const [message, ...others] = await slack.posted();
  if (message === undefined || others.length > 0) throw new Error(`${others.length + 1} messages`);
  return message;
}

const buttonsOf = ({ blocks }: Shown): number => JSON.stringify(blocks).split('"type":"button"').length - 1;
const shownOf = ({ blocks }: Shown): string => JSON.stringify(blocks);

async function stateOf(box: BlackBox, approval: string): Promise<unknown> {
  const { body } = await (await box.as("agent")).get(`/_gate/v1/approvals/${approval}`);
  return body;
}

test("a cancellation: posted, refused to the wrong people, approved by two in a modal, run, and closed in its thread", async () => {
  const { box, slack } = await open();
  const agent = await box.as("agent");
  const workload = text(await submit(agent, job()), "id");
  const cancel = `${SUBMIT}/${workload}/cancel`;
  const asked = await agent.post(cancel, {}, CONTEXT);
  expect(verdict(asked)).toBe("428 approval-required");
  const approval = proposalOf(asked);
  const posted = await messageSaying(slack, "needs 2 approvals, 0 given. Who may decide: @alice, @bob.");
  expect(posted.channelId).toBe("C0APPROVALS");
  expect(shownOf(posted)).toContain("loss diverged at step 400");

  for (const [name, why] of [
    ["carol", "This person is not an approver of this tier."],
    ["dana", "The owner of the requesting credential cannot decide its requests."],
  ] as const) {
    expect(verdict(await slack.click(name, CONFIRM, posted))).toBe("200");
    const refused = await slack.submit(name, workload);
    expect(refused.body).toMatchObject({ response_action: "errors" });
    expect(refused.text).toContain(why);
    const records = (await ledgerRecords(box.tenant)).filter((one) => one.principal === `person:${name}`);
    expect(records).toMatchObject([
      { kind: "decision", approval_id: approval, reason_code: "not-eligible", detail: why },
    ]);
  }
  expect(await stateOf(box, approval)).toMatchObject({ state: "pending", given: 0, decisions: [] });

  expect(verdict(await slack.click("alice", CONFIRM, posted))).toBe("200");
  const mistyped = await slack.submit("alice", `${workload}0`);
  expect(mistyped.text).toContain("This is not the name. Nothing was decided.");
  expect(await stateOf(box, approval)).toMatchObject({ given: 0 });
  const counted = await slack.submit("alice", workload, "checked the loss");
  expect([verdict(counted), counted.text]).toEqual(["200", ""]);
  const half = await messageSaying(slack, "needs 2 approvals, 1 given");
  expect(shownOf(half)).toMatch(/Approved by @alice at \d\d:\d\d UTC: checked the loss/);
  expect(buttonsOf(half)).toBe(2);
  // Once more is no second approval.
  expect(verdict(await slack.click("alice", CONFIRM, half))).toBe("200");
  expect(verdict(await slack.submit("alice", workload))).toBe("200");
  expect(await stateOf(box, approval)).toMatchObject({ state: "pending", given: 1 });

  expect(verdict(await slack.click("bob", CONFIRM, half))).toBe("200");
  expect(verdict(await slack.submit("bob", workload))).toBe("200");
  const approved = await messageSaying(slack, "Approved: Cancel job");
  expect(approved.text).toContain("2 of 2 approvals");
  expect(buttonsOf(approved)).toBe(0);
  const decisions = (await ledgerRecords(box.tenant)).filter((one) => one.reason_code === "approve");
  expect(decisions).toMatchObject([
    { principal: "person:alice", credential_id: `slack:${slack.teamId}:${USERS.alice}`, detail: "checked the loss" },
    { principal: "person:bob", credential_id: `slack:${slack.teamId}:${USERS.bob}`, detail: null },
  ]);

  const executed = await agent.post(cancel, {});
  expect(verdict(executed)).toBe("200");
  const closed = await messageSaying(slack, "Approved and used: Cancel job");
  await expect.poll(() => slack.thread(closed), PATIENCE).toHaveLength(1);
  const [line] = await slack.thread(closed);
  expect(line).toContain("It ran (the control plane answered 200)");
  expect(line).toContain(executed.headers.get("gate-request-id") ?? "no id");
  expect(await slack.whispered()).toEqual([]);
});

test("tier 3: one click approves it; a decision made elsewhere shows in the message", async () => {
  const { box, slack } = await open();
  const agent = await box.as("agent");
  await agent.post(SUBMIT, big, CONTEXT);
  const posted = await messageSaying(slack, "Tier 3, needs 1 approval, 0 given");
  const clicked = await slack.click("bob", APPROVE, posted);
  expect([verdict(clicked), clicked.text]).toEqual(["200", ""]);
  await messageSaying(slack, "Approved: Submit job");
  expect(verdict(await agent.post(SUBMIT, big))).toBe("201");
  const closed = await messageSaying(slack, "Approved and used");
  await expect.poll(() => slack.thread(closed), PATIENCE).toHaveLength(1);

  const other = proposalOf(await agent.post(SUBMIT, job({ gpus: 16 }), CONTEXT));
  await expect.poll(async () => (await slack.posted()).length, PATIENCE).toBe(2);
  await decide(box, other, ["alice"], "deny");
  await expect.poll(async () => (await slack.posted()).at(-1)?.text, PATIENCE).toContain("Denied: Submit job");
});

test("one click on Deny refuses it for good, and who comes later is told so", async () => {
  const { box, slack } = await open();
  const agent = await box.as("agent");
  const approval = proposalOf(await agent.post(SUBMIT, big, CONTEXT));
  const posted = await messageSaying(slack, "needs 1 approval");
  // From a screen that will not have heard of it yet.
  const prepared = await slack.prepareClick("bob", APPROVE, posted);
  expect(verdict(await slack.click("alice", DENY, posted))).toBe("200");
  const late = await sendPrepared(prepared);
  expect(verdict(late)).toBe("409 already-decided");
  await expect
    .poll(slack.whispered, PATIENCE)
    .toEqual([
      [
        USERS.bob,
        "Your click was not counted. The proposal is denied already, by @alice. Nothing more can be decided about it.",
      ],
    ]);
  expect(await stateOf(box, approval)).toMatchObject({ state: "denied", given: 0 });
  expect(buttonsOf(await messageSaying(slack, "Denied: Submit job"))).toBe(0);
  expect(verdict(await agent.post(SUBMIT, big, CONTEXT))).toBe("403 approval-denied");
});

test("nobody decides: a reminder in the thread, then nothing runs and the escalation channel hears of it", async () => {
  const { box, slack } = await open();
  const approval = proposalOf(await (await box.as("agent")).post(SUBMIT, big, CONTEXT));
  const posted = await messageSaying(slack, "needs 1 approval");
  moveClock(21 * MINUTE_MS);
  await runAlarms(box);
  expect(await slack.thread(posted)).toEqual([
    expect.stringContaining("Reminder: Submit job needs 1 approval, 0 given. Expires in 9 minutes"),
  ]);
  moveClock(10 * MINUTE_MS);
  await runAlarms(box);
  const [message, escalated, ...more] = await slack.posted();
  expect(more).toEqual([]);
  expect(message?.text).toContain("Expired: Submit job: Its time is over (0 of 1 approvals). Nothing ran");
  expect(escalated?.channelId).toBe("C0ESCALATION");
  expect(escalated?.text).toContain("Nobody decided: Submit job");
  expect(await stateOf(box, approval)).toMatchObject({ state: "expired" });
  if (message === undefined) throw new Error("no message");
  expect(buttonsOf(message)).toBe(0);
});

test("a grant that nobody used in time is shown as expired, and escalates to nobody", async () => {
  const { box, slack } = await open();
  const approval = proposalOf(await (await box.as("agent")).post(SUBMIT, big, CONTEXT));
  await messageSaying(slack, "needs 1 approval");
  await decide(box, approval, ["alice"]);
  await messageSaying(slack, "Approved: Submit job");
  moveClock(31 * MINUTE_MS);
  await runAlarms(box);
  expect((await messageSaying(slack, "Expired: Submit job")).text).toContain("1 of 1 approvals");
});

test("a request that the gate runs itself: what became of it, or what said no, stands in the thread", async () => {
  const policy = replaceOnce(ACME_POLICY, "approval:\n", "approval:\n  execute: stored\n");
  const { box, slack } = await open({ policy });
  const agent = await box.as("agent");
  await agent.post(SUBMIT, big, CONTEXT);
  expect(verdict(await slack.click("alice", APPROVE, await messageSaying(slack, "needs 1 approval")))).toBe("200");
  const closed = await messageSaying(slack, "Approved and used");
  await expect.poll(() => slack.thread(closed), PATIENCE).toEqual([expect.stringContaining("It ran")]);
  expect(await box.upstream.mutations()).toHaveLength(1);

  await agent.post(SUBMIT, job({ gpus: 16 }), CONTEXT);
  await expect.poll(async () => (await slack.posted()).length, PATIENCE).toBe(2);
  const frozen = await (await box.as("security")).post("/_gate/v1/freeze", { reason: "drill" });
  expect(verdict(frozen)).toBe("200");
  const [, second] = await slack.posted();
  if (second === undefined) throw new Error("no second message");
  expect(verdict(await slack.click("alice", APPROVE, second))).toBe("200");
  await expect
    .poll(() => slack.thread(second), PATIENCE)
    .toEqual([expect.stringContaining("something said no: Writes are frozen (frozen). Nothing was sent.")]);
  expect(await box.upstream.mutations()).toHaveLength(1);
});

test("a proposal that its requester takes back is shown so", async () => {
  const { box, slack } = await open();
  const agent = await box.as("agent");
  const approval = proposalOf(await agent.post(SUBMIT, big, CONTEXT));
  await messageSaying(slack, "needs 1 approval");
  await agent.delete(`/_gate/v1/approvals/${approval}`);
  expect(buttonsOf(await messageSaying(slack, "Withdrawn: Submit job"))).toBe(0);
});

test("a draft is announced only when it is complete", async () => {
  const { box, slack } = await open();
  const agent = await box.as("agent");
  const approval = proposalOf(await agent.post(SUBMIT, big, REASON));
  await runAlarms(box);
  expect(await slack.posted()).toEqual([]);
  const context = { evidence: "queue is empty", back_out: "cancel it" };
  expect(verdict(await agent.put(`/_gate/v1/approvals/${approval}/context`, context))).toBe("200");
  expect(shownOf(await messageSaying(slack, "needs 1 approval"))).toContain("queue is empty");
});

test("the modal: one per click, none for what has ended, and it says what is wrong with what was typed", async () => {
  const { box, slack } = await open();
  const agent = await box.as("agent");
  const approval = proposalOf(await agent.post(CANCEL, {}, CONTEXT));
  const posted = await messageSaying(slack, "needs 2 approvals");
  const click = await slack.prepareClick("alice", CONFIRM, posted);
  for (const request of [click, click]) expect(verdict(await sendPrepared(request))).toBe("200");
  expect((await slack.look()).views).toHaveLength(1);
  for (const comment of ["\u202eevil", "x".repeat(1_025)]) {
    expect((await slack.submit("alice", "wl-1", comment)).text).toContain("A comment has at most 1024 characters");
  }
  expect(await stateOf(box, approval)).toMatchObject({ state: "pending", given: 0 });
  expect(await slack.whispered()).toEqual([]);

  await slack.failNext("views.open", { kind: "error", error: "expired_trigger_id" });
  expect(verdict(await slack.click("bob", CONFIRM, posted))).toBe("503 unavailable");
  await expect
    .poll(slack.whispered, PATIENCE)
    .toEqual([[USERS.bob, expect.stringContaining("The gate cannot decide right now")]]);

  const late = await slack.prepareClick("bob", CONFIRM, posted);
  // A comment of blanks is none.
  expect(verdict(await slack.submit("alice", "wl-1", "  "))).toBe("200");
  await agent.delete(`/_gate/v1/approvals/${approval}`);
  expect(verdict(await sendPrepared(late))).toBe("409 already-decided");
  expect((await slack.look()).views).toHaveLength(1);
  expect(await stateOf(box, approval)).toMatchObject({ state: "withdrawn", decisions: [{ comment: null }] });
});

test("a submission whose answer comes too late is told by a message instead", async () => {
  const { box, slack } = await open();
  await (await box.as("agent")).post(CANCEL, {}, CONTEXT);
  expect(verdict(await slack.click("carol", CONFIRM, await messageSaying(slack, "needs 2 approvals")))).toBe("200");
  await slack.failNext("users.info", { kind: "hang" });
  const answered = await slack.submit("carol", "wl-1");
  expect([verdict(answered), answered.text]).toEqual(["200", ""]);
  await expect.poll(slack.whispered, PATIENCE).toEqual([[USERS.carol, expect.stringContaining("not counted")]]);
});

test("when somebody breaks the glass, the escalation channel hears who, why, and that it needs a review", async () => {
  const { box, slack } = await open({
    policy: replaceOnce(ACME_POLICY, "approval:\n", "approval:\n  break_glass: { role: lead, max_usd: 100 }\n"),
    people: replaceOnce(ACME_PEOPLE, "    subject: person:carol\n", "    subject: person:carol\n    roles: [lead]\n"),
  });
  const approval = proposalOf(await (await box.as("agent")).post(CANCEL, {}, CONTEXT));
  await messageSaying(slack, "needs 2 approvals");
  const word = { decision: "break-glass", comment: "nobody answers the phone", confirm: "wl-1" };
  const broken = await (await box.as("carol")).post(`/_gate/v1/approvals/${approval}/decisions`, word);
  expect(verdict(broken), broken.text).toBe("200");
  await expect.poll(async () => (await slack.posted()).length, PATIENCE).toBe(2);
  const [message, escalated] = await slack.posted();
  expect(message?.text).toContain("Approved: Cancel job wl-1");
  expect(escalated?.channelId).toBe("C0ESCALATION");
  expect(escalated?.text).toContain("let through by @carol, with 0 of 2 approvals.\nWhy: nobody answers the phone");
});
