import { beforeAll, describe, expect, test } from "vitest";
import { ACTION_IDS, actionValue } from "../../src/slack/action-value.ts";
import { member, text, verdict } from "../support/answer.ts";
import { ACME_PEOPLE, useBlackBox } from "../support/black-box.ts";
import { openIsolate } from "../support/isolates.ts";
import { CONTEXT, job, SUBMIT } from "../support/requests.ts";
import { PATIENCE, sendPrepared, USERS, useSlackBox, type Prepared } from "../support/slack-box.ts";
import {
  payloadOf,
  propose,
  refusalRecordOf,
  signed,
  stateOf,
  withButton,
  withHeaders,
  type Proposed,
} from "../support/slack-proposed.ts";
import { payloadForm } from "../support/slack-signing.ts";
import type { Parameters } from "../support/slack-workspace.ts";
import { testEnv } from "../support/test-env.ts";

/** Whose click counts, and for what (security catalogue: SLK-04, SLK-05, SLK-07, SLK-09, SLK-10). */
const open = useSlackBox("slack-clicks", useBlackBox("slack-clicks"));
const proposed = async (shared?: string): Promise<Proposed> => propose(await open({}, shared));

const { approve: APPROVE, deny: DENY, openPage: PAGE } = ACTION_IDS;

const button = (over: (button: Parameters) => Parameters) => (prepared: Prepared) => withButton(prepared, over);
const aged = ({ value }: Parameters): Parameters => ({
  value: String(value).replace(/.$/, (digit) => (digit === "0" ? "1" : "0")),
});
const place = (channelId: string, messageTs: string): Parameters => ({
  container: { type: "message", message_ts: messageTs, channel_id: channelId, is_ephemeral: false },
  channel: { id: channelId },
  message: { ts: messageTs },
});

let shared: Proposed;
beforeAll(async () => {
  shared = await proposed();
});
const approveClick = (over: Parameters = {}): Promise<Prepared> =>
  shared.slack.prepareClick("alice", APPROVE, shared.message, { overrides: over });

describe("SLK-04 a valid signature over somebody else's message", () => {
  const other = actionValue(`apr_${"0".repeat(26)}`, `sha256:${"0".repeat(64)}`);
  test.each<[string, string, (prepared: Prepared) => Parameters]>([
    ["another app", "wrong-app", () => ({ api_app_id: "A0OTHER" })],
    ["a workspace that no tenant has", "no tenant of this workspace posted it", () => ({ team: { id: "T0NOBODY" } })],
    ["another channel", "wrong-channel", () => place("C0OTHER", shared.message.messageTs)],
    ["another message", "wrong-message", () => place(shared.message.channelId, "1763600000.999999")],
    ["another proposal", "no tenant of this workspace posted it", button(() => ({ value: other }))],
    ["an older state of it", "wrong-digest", button(aged)],
    ["no value of the gate's", "the button carries no proposal", button(() => ({ value: "approve" }))],
    ["another action", "not a button of a proposal", button(() => ({ action_id: "other.approve" }))],
    ["another block", "not a button of a proposal", button(() => ({ block_id: "other" }))],
    [
      "another kind",
      "the payload's type is neither block_actions nor view_submission",
      () => ({ type: "message_action" }),
    ],
    ["somebody of a shared channel", "external-user", () => ({ user: { id: USERS.alice, team_id: "T0PARTNER" } })],
  ])("%s", async (_, cause, over) => {
    const answered = await sendPrepared(await approveClick(over(await approveClick())));
    expect(verdict(answered)).toBe("403 approval-invalid");
    expect(text(answered, "reason")).toBe(
      "This is not the message that stands for the proposal now: use its newest message, or its page.",
    );
    expect(await stateOf(shared)).toBe("pending");
    const record = await refusalRecordOf(answered);
    expect(record).toMatchObject({ reason_code: "approval-invalid", detail: cause, principal: null });
    // Where the proposal was found, the tenant's own security people can see who tried.
    const known = /^(?:wrong|external)-/.test(cause);
    expect(record["tenant"]).toBe(known ? shared.box.tenant : "-");
  });
});

describe("SLK-05 who somebody is, is the workspace's id and nothing else", () => {
  test.each<[string, Parameters, string]>([
    [
      "a member who calls herself alice",
      { id: USERS.carol, name: "alice", username: "alice" },
      "not an approver of this tier",
    ],
    [
      "somebody whom the people document does not name",
      { id: "U0STRANGER", name: "alice" },
      "names nobody with your Slack",
    ],
  ])("%s", async (_, user, reason) => {
    const answered = await sendPrepared(await approveClick({ user }));
    expect(verdict(answered)).toBe("403 not-eligible");
    expect(text(answered, "reason")).toContain(reason);
    expect(await stateOf(shared)).toBe("pending");
    expect(await refusalRecordOf(answered)).toMatchObject({
      tenant: shared.box.tenant,
      approval_id: shared.approval,
      credential_id: `slack:${shared.slack.teamId}:${String(user["id"])}`,
    });
    await expect.poll(shared.slack.whispered, PATIENCE).toContainEqual([user["id"], expect.stringContaining(reason)]);
  });

  test.each<[string, Parameters, string]>([
    ["a guest", { is_restricted: true }, "Guests"],
    ["a single-channel guest", { is_restricted: true, is_ultra_restricted: true }, "Guests"],
    ["somebody of another workspace", { is_stranger: true }, "other workspaces"],
    ["a bot", { is_bot: true }, "bot"],
    ["a deactivated account", { deleted: true }, "deactivated"],
    ["an answer about somebody else", { team_id: 1 }, "does not vouch"],
  ])("an approver's id that is %s", async (_, over, reason) => {
    const { slack } = shared;
    await slack.setMember(USERS.alice, over);
    const answered = await sendPrepared(await approveClick());
    await slack.setMember(USERS.alice);
    expect(verdict(answered)).toBe("403 not-eligible");
    expect(text(answered, "reason")).toContain(reason);
    expect(await stateOf(shared)).toBe("pending");
    expect(await refusalRecordOf(answered)).toMatchObject({ principal: "person:alice", reason_code: "not-eligible" });
  });

  test.each(["user_not_found", "user_not_visible"])("an approver's id of which Slack says %s", async (error) => {
    await shared.slack.failNext("users.info", { kind: "error", error });
    expect(verdict(await sendPrepared(await approveClick()))).toBe("403 not-eligible");
    expect(await stateOf(shared)).toBe("pending");
  });

  test.each([
    ["is away", { kind: "status", status: 503 }],
    ["asks to wait", { kind: "rate-limit", retryAfter: "30" }],
    ["does not take the token", { kind: "error", error: "invalid_auth" }],
  ] as const)("while Slack %s nobody decides by it", async (_, fault) => {
    const { slack } = shared;
    const before = (await slack.whispered()).length;
    await slack.failNext("users.info", fault);
    expect(verdict(await sendPrepared(await approveClick()))).toBe("503 unavailable");
    expect(await stateOf(shared)).toBe("pending");
    await expect.poll(async () => (await slack.whispered()).length, PATIENCE).toBe(before + 1);
    expect((await slack.whispered()).at(-1)?.[1]).toContain("The gate cannot decide right now");
  });

  test("when Slack hangs, the click is acknowledged in time, and the person hears that it did not count", async () => {
    const { slack } = shared;
    const before = (await slack.whispered()).length;
    await slack.failNext("users.info", { kind: "hang" });
    const answered = await sendPrepared(await approveClick());
    expect([verdict(answered), answered.text]).toEqual(["200", ""]);
    expect((await slack.whispered()).length).toBe(before);
    await expect.poll(async () => (await slack.whispered()).length, PATIENCE).toBe(before + 1);
    expect(await stateOf(shared)).toBe("pending");
  });
});

test("SLK-05 who is taken out of the people document decides no longer, in a warm isolate either", async () => {
  const { box, ...one } = await proposed();
  const warm = openIsolate();
  const by = async (name: "alice" | "carol") =>
    sendPrepared(await one.slack.prepareClick(name, APPROVE, one.message), warm.entrance);
  expect(verdict(await by("carol"))).toBe("403 not-eligible");
  const people = ACME_PEOPLE.replace("U0ACMEALICE", "U0SOMEBODY").replaceAll("T0ACME001", one.slack.teamId);
  const added = await (await box.as("operator")).post("/_gate/v1/policy/versions", { people, reason: "alice left" });
  const activation = { version: member(added, "version") };
  expect(verdict(await (await box.as("security")).post("/_gate/v1/policy/activate", activation))).toBe("200");
  const refused = await by("alice");
  expect(verdict(refused)).toBe("403 not-eligible");
  expect(text(refused, "reason")).toContain("names nobody with your Slack account");
  await warm.idle();
});

describe("SLK-07 a click counts once", () => {
  test("however often Slack sends it again, at once and later", async () => {
    const one = await proposed();
    const click = await one.slack.prepareClick("alice", APPROVE, one.message);
    const retries = [1, 2, 3].map((attempt) =>
      withHeaders(click, { "x-slack-retry-num": String(attempt), "x-slack-retry-reason": "http_timeout" }),
    );
    const answers = await Promise.all([click, ...retries].map((request) => sendPrepared(request)));
    answers.push(await sendPrepared(click));
    expect(answers.map(verdict)).toEqual(["200", "200", "200", "200", "200"]);
    const agent = await one.box.as("agent");
    expect((await agent.get(`/_gate/v1/approvals/${one.approval}`)).body).toMatchObject({
      state: "approved",
      given: 1,
      decisions: [{ subject: "person:alice", decision: "approve" }],
    });
  });

  test("and its refusal is told once", async () => {
    const { slack } = shared;
    const click = await slack.prepareClick("carol", APPROVE, shared.message);
    const before = (await slack.whispered()).length;
    for (const request of [click, click, click]) {
      expect(verdict(await sendPrepared(request))).toBe("403 not-eligible");
    }
    await slack.click("carol", DENY, shared.message);
    await expect.poll(async () => (await slack.whispered()).length, PATIENCE).toBe(before + 2);
  });
});

test("SLK-09 no address of a payload is ever called", async () => {
  const url = new URL("response-url", testEnv.SLACK_API_URL).href;
  const one = await proposed();
  const overrides = { response_url: url, response_urls: [{ response_url: url }] };
  expect(verdict(await one.slack.click("alice", APPROVE, one.message, { overrides }))).toBe("200");
  await expect.poll(async () => (await one.slack.posted())[0]?.text, PATIENCE).toContain("Approved: ");
  const methods = new Set((await one.slack.look()).calls.map(({ method }) => method));
  expect([...methods].toSorted()).toEqual(["chat.postMessage", "chat.update", "users.info"]);
});

test("SLK-10 what an agent writes is text, whatever it writes", async () => {
  const { box, slack } = await open();
  const reason = "<!channel> <@U0ACMEBOB> *Approved by* <https://evil.example|Approve> @here";
  const headers = { ...CONTEXT, "gate-reason": reason, "gate-evidence": "</section>%0A&lt;!everyone&gt;" };
  await (await box.as("agent")).post(SUBMIT, job({ gpus: 8 }), headers);
  await expect.poll(async () => (await slack.posted()).length, PATIENCE).toBe(1);
  const [message] = await slack.posted();
  const blocks = JSON.stringify(message?.blocks);
  expect(blocks).toContain("&lt;!channel&gt; &lt;\uff20U0ACMEBOB&gt;");
  expect(blocks).not.toMatch(/<[!@#]|<http/);
  const sent = (await slack.look()).calls.find(({ method }) => method === "chat.postMessage");
  expect(sent?.parameters).toMatchObject({ parse: "none", link_names: false, mrkdwn: false, unfurl_links: false });
});

describe("whose proposal it is", () => {
  test("tenants of one workspace: a click decides the one whose message it is", async () => {
    const [one, two] = [await proposed("slack-clicks-both"), await proposed("slack-clicks-both")];
    expect(verdict(await two.slack.click("bob", DENY, two.message))).toBe("200");
    expect([await stateOf(one), await stateOf(two)]).toEqual(["pending", "denied"]);
    // The button of one tenant's message at the place of the other's.
    const click = await one.slack.prepareClick("bob", DENY, one.message);
    const moved = { ...payloadOf(click), ...place(two.message.channelId, two.message.messageTs) };
    expect(verdict(await sendPrepared(signed(payloadForm(moved))))).toBe("403 approval-invalid");
    expect(await stateOf(one)).toBe("pending");
  });

  test("a tenant that takes Slack away decides by it no longer", async () => {
    const one = await proposed();
    expect(verdict(await (await one.box.as("operator")).delete("/_gate/v1/channels/slack"))).toBe("200");
    expect(verdict(await one.slack.click("alice", APPROVE, one.message))).toBe("403 approval-invalid");
    expect(await stateOf(one)).toBe("pending");
  });

  test("a click on the link to the page is heard, and is nothing else", async () => {
    const { slack, message } = shared;
    const click = await slack.prepareClick("carol", APPROVE, message);
    const page = { ...payloadOf(click), ...withButton(click, () => ({ action_id: PAGE })) };
    const answered = await sendPrepared(signed(payloadForm(page)));
    expect([verdict(answered), answered.text]).toEqual(["200", ""]);
    expect(await stateOf(shared)).toBe("pending");
  });

  test("while D1 is away nobody decides", async () => {
    const away = new Proxy(testEnv.DB, {
      get: () => () => {
        throw new Error("D1_ERROR: away");
      },
    });
    const gone = openIsolate({ DB: away });
    const answered = await sendPrepared(await approveClick(), gone.entrance);
    expect(verdict(answered)).toBe("503 unavailable");
    expect(answered.text).not.toContain("D1_ERROR");
    expect(await stateOf(shared)).toBe("pending");
    await gone.idle();
  });
});
