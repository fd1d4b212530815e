import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { SlackMessage } from "../../src/slack/blocks.ts";
import type { SlackClient } from "../../src/slack/client.ts";
import { slackBaseUrl } from "../../src/slack/base-url.ts";
import { slackClient } from "../../src/slack/client.ts";
import { proposalMessage } from "../../src/slack/message.ts";
import { escalation, outcomeLine, refusalNotice, reminder } from "../../src/slack/notices.ts";
import type { SlackStandin } from "../support/slack-standin.ts";
import type { SlackFault } from "../support/slack-workspace.ts";
import { startSlackStandin } from "../support/slack-standin.ts";
import { CANCEL, decided, NOW, OCCASION } from "./proposals.ts";

/** Long enough for a local answer, short enough to wait for where none comes. */
const DEADLINE_MS = 300;
const CHANNEL = "#ml-ops-approvals";

let slack: SlackStandin;
let client: SlackClient;
beforeEach(async () => {
  slack = await startSlackStandin();
  client = slackClient({ token: slack.token, baseUrl: slack.url, timeoutMs: DEADLINE_MS });
});
afterEach(() => slack.stop());

const MESSAGE = proposalMessage(CANCEL, OCCASION);
const shown = (place: { readonly channelId: string; readonly messageTs: string }) =>
  slack.messages.get(`${place.channelId} ${place.messageTs}`);

describe("a proposal in Slack", () => {
  test("is posted, updated with each decision, reminded of and closed in its thread", async () => {
    const posted = await client.postMessage(CHANNEL, MESSAGE);
    if (!posted.ok) throw new Error(JSON.stringify(posted.error));
    const place = posted.value;
    expect(place.channelId).toBe("C0APPROVALS");
    expect(shown(place)).toEqual({ text: MESSAGE.text, blocks: MESSAGE.blocks, threadTs: null });

    const consumed = {
      ...CANCEL,
      state: "consumed" as const,
      given: 2,
      decisions: [decided("@alice"), decided("@bob")],
    };
    const update = proposalMessage(consumed, OCCASION);
    expect(await client.updateMessage(place, update)).toEqual({ ok: true, value: undefined });
    expect(shown(place)?.text).toBe(update.text);
    expect(JSON.stringify(shown(place)?.blocks)).not.toContain("button");

    const replies: readonly SlackMessage[] = [
      reminder(CANCEL, { now: NOW }),
      outcomeLine(consumed, { kind: "succeeded", upstreamStatus: 200, requestId: "req_1" }),
    ];
    for (const reply of replies) {
      const answer = await client.postMessage(place.channelId, reply, place.messageTs);
      expect(answer.ok && shown(answer.value)).toMatchObject({ text: reply.text, threadTs: place.messageTs });
    }
    expect(await client.postMessage("#ml-ops-escalation", escalation(CANCEL))).toMatchObject({ ok: true });
    const notice = refusalNotice({ kind: "not-eligible", reason: "The requester may not decide it." });
    expect(await client.postEphemeral(place, "U0ALICE01", notice)).toEqual({ ok: true, value: undefined });
  });

  test("no call lets Slack look for names or links in its text", async () => {
    await client.postMessage(CHANNEL, MESSAGE);
    expect(slack.calls[0]?.parameters).toMatchObject({
      parse: "none",
      link_names: false,
      mrkdwn: false,
      unfurl_links: false,
      unfurl_media: false,
    });
    expect(slack.calls[0]?.authorization).toBe(`Bearer ${slack.token}`);
    expect(slack.calls[0]?.parameters).not.toHaveProperty("token");
  });
});

const text = (length: number) => ({ type: "plain_text" as const, text: "x".repeat(length) });
const refused = (error: string) => ({ ok: false, error: { kind: "refused", error } });

describe("the stand-in refuses what Slack would", () => {
  const section = { type: "section" as const, text: text(1) };
  const button = { type: "button" as const, text: text(1), action_id: "a" };
  test.each<[string, SlackMessage["blocks"], string]>([
    ["51 blocks", Array.from({ length: 51 }, () => section), "invalid_blocks"],
    ["an empty text", [{ type: "section", text: text(0) }], "invalid_blocks"],
    ["a text of 3,001", [{ type: "section", text: text(3_001) }], "invalid_blocks"],
    ["a header of 151", [{ type: "header", text: text(151) }], "invalid_blocks"],
    ["11 fields", [{ type: "section", fields: Array.from({ length: 11 }, () => text(1)) }], "invalid_blocks"],
    ["a field of 2,001", [{ type: "section", fields: [text(2_001)] }], "invalid_blocks"],
    ["a section of nothing", [{ type: "section" }], "invalid_blocks"],
    ["a button text of 76", [{ type: "actions", elements: [{ ...button, text: text(76) }] }], "invalid_blocks"],
    [
      "a button value of 2,001",
      [{ type: "actions", elements: [{ ...button, value: "x".repeat(2_001) }] }],
      "invalid_blocks",
    ],
    [
      "an action id of 256",
      [{ type: "actions", elements: [{ ...button, action_id: "x".repeat(256) }] }],
      "invalid_blocks",
    ],
    [
      "26 buttons",
      [{ type: "actions", elements: Array.from({ length: 26 }, (_, n) => ({ ...button, action_id: `${n}` })) }],
      "invalid_blocks",
    ],
    ["an action id twice", [{ type: "actions", elements: [button, button] }], "invalid_blocks"],
    [
      "a block id twice",
      [
        { ...section, block_id: "a" },
        { ...section, block_id: "a" },
      ],
      "invalid_blocks",
    ],
    [
      "more than it takes in all",
      Array.from({ length: 5 }, () => ({ ...section, text: text(3_000) })),
      "msg_blocks_too_long",
    ],
  ])("%s", async (_, blocks, error) => {
    expect(await client.postMessage(CHANNEL, { text: "x", blocks })).toEqual({
      ok: false,
      error: { kind: "refused", error },
    });
    expect(slack.messages.size).toBe(0);
  });

  test.each([
    ["an unknown channel", "#nowhere", "channel_not_found"],
    ["an id of nothing", "X1", "channel_not_found"],
  ])("%s", async (_, channel, error) => {
    expect(await client.postMessage(channel, MESSAGE)).toEqual({ ok: false, error: { kind: "refused", error } });
  });

  test("a missing text, an unknown message, another token", async () => {
    expect(await client.postMessage(CHANNEL, { ...MESSAGE, text: "" })).toEqual(refused("no_text"));
    const nowhere = { channelId: "C0APPROVALS", messageTs: "1.1" };
    expect(await client.updateMessage(nowhere, MESSAGE)).toEqual(refused("message_not_found"));
    const stranger = slackClient({ token: "xoxb-other", baseUrl: slack.url });
    expect(await stranger.postMessage(CHANNEL, MESSAGE)).toEqual(refused("invalid_auth"));
  });
});

describe("a call that fails says how, and never throws", () => {
  test.each<[string, SlackFault, unknown]>([
    ["429", { kind: "rate-limit", retryAfter: "17" }, { kind: "rate-limited", retryAfterS: 17 }],
    ["429 without a time", { kind: "rate-limit", retryAfter: null }, { kind: "rate-limited", retryAfterS: 30 }],
    ["429 with nonsense", { kind: "rate-limit", retryAfter: "soon" }, { kind: "rate-limited", retryAfterS: 30 }],
    ["429 with zero", { kind: "rate-limit", retryAfter: "0" }, { kind: "rate-limited", retryAfterS: 1 }],
    ["429 for a week", { kind: "rate-limit", retryAfter: "604800" }, { kind: "rate-limited", retryAfterS: 3_600 }],
    ["an error code", { kind: "error", error: "is_archived" }, { kind: "refused", error: "is_archived" }],
    ["an error that is no code", { kind: "error", error: "<b>\n" }, { kind: "refused", error: "unreadable_error" }],
    ["500", { kind: "status", status: 500 }, { kind: "no-answer", reason: "status 500" }],
    ["204", { kind: "status", status: 204 }, { kind: "no-answer", reason: "status 204" }],
    [
      "a login page",
      { kind: "body", body: "<html>" },
      { kind: "no-answer", reason: "the answer is not one of Slack's" },
    ],
    ["null", { kind: "body", body: "null" }, { kind: "no-answer", reason: "the answer is not one of Slack's" }],
    [
      "ok as text",
      { kind: "body", body: '{"ok":"true"}' },
      { kind: "no-answer", reason: "the answer is not one of Slack's" },
    ],
    [
      "an answer without a message",
      { kind: "body", body: '{"ok":true}' },
      { kind: "no-answer", reason: "the answer names no message" },
    ],
    [
      "an endless answer",
      { kind: "body", body: `{"ok":true,"x":"${"x".repeat(300_000)}"}` },
      { kind: "no-answer", reason: "the answer is not one of Slack's" },
    ],
    ["silence", { kind: "hang" }, { kind: "no-answer", reason: "deadline passed" }],
  ])("%s", async (_, fault, error) => {
    slack.failNext("chat.postMessage", fault);
    expect(await client.postMessage(CHANNEL, MESSAGE)).toEqual({ ok: false, error });
    expect(slack.calls).toHaveLength(1);
  });

  test("a redirect is not followed, so the token goes nowhere else", async () => {
    const elsewhere = await startSlackStandin();
    slack.failNext("chat.postMessage", { kind: "redirect", location: `${elsewhere.url}chat.postMessage` });
    const answer = await client.postMessage(CHANNEL, MESSAGE);
    await elsewhere.stop();
    expect(answer).toEqual({ ok: false, error: { kind: "no-answer", reason: "status 307" } });
    expect(elsewhere.calls).toEqual([]);
  });

  test("a lost answer is told apart from a refusal: the message may be there", async () => {
    slack.failNext("chat.postMessage", { kind: "drop-after-post" });
    expect(await client.postMessage(CHANNEL, MESSAGE)).toEqual({
      ok: false,
      error: { kind: "no-answer", reason: "connection failed" },
    });
    expect(slack.messages.size).toBe(1);
  });

  test("nobody listening", async () => {
    const { url } = slack;
    await slack.stop();
    const answer = await slackClient({ token: "xoxb-secret", baseUrl: url }).postMessage(CHANNEL, MESSAGE);
    expect(answer).toEqual({ ok: false, error: { kind: "no-answer", reason: "connection failed" } });
  });
});

describe("SLK-05 standing of the person who clicked", () => {
  const MEMBER = {
    id: "U0ALICE01",
    team_id: "T0STANDIN",
    name: "alice",
    deleted: false,
    is_bot: false,
    is_restricted: false,
    is_ultra_restricted: false,
  };
  test.each([
    ["member", {}],
    ["deactivated", { deleted: true }],
    ["bot", { is_bot: true }],
    ["bot", { is_workflow_bot: true }],
    ["bot", { is_connector_bot: true }],
    ["external", { is_stranger: true }],
    ["external", { team_id: "T0OTHER" }],
    ["guest", { is_restricted: true }],
    ["guest", { is_ultra_restricted: true }],
    ["guest", { is_invited_user: true }],
    ["guest", { is_restricted: undefined }],
    ["unknown", { deleted: undefined }],
    ["unknown", { deleted: "false" }],
    ["unknown", { is_bot: undefined }],
  ])("%s: %j", async (standing, changes) => {
    slack.setMember({ ...MEMBER, ...changes });
    expect(await client.standing("U0ALICE01", "T0STANDIN")).toEqual({ ok: true, value: standing });
  });

  test("an answer about somebody else, and none at all", async () => {
    slack.failNext("users.info", {
      kind: "body",
      body: JSON.stringify({ ok: true, user: { ...MEMBER, id: "U0BOB0001" } }),
    });
    expect(await client.standing("U0ALICE01", "T0STANDIN")).toEqual({ ok: true, value: "unknown" });
    expect(await client.standing("U0NOBODY1", "T0STANDIN")).toEqual({
      ok: false,
      error: { kind: "refused", error: "user_not_found" },
    });
  });
});

describe("where the token may go", () => {
  test.each([
    [undefined, "live", { ok: true, value: "https://slack.com/api/" }],
    [undefined, "test", { ok: true, value: "https://slack.com/api/" }],
    ["http://127.0.0.1:9800/api", "test", { ok: true, value: "http://127.0.0.1:9800/api/" }],
    ["http://127.0.0.1:9800/api/", "local", { ok: true, value: "http://127.0.0.1:9800/api/" }],
    ["https://slack.com/api/", "live", { ok: false }],
    ["https://evil.example/api/", "live", { ok: false }],
    ["not a URL", "test", { ok: false }],
    ["ftp://127.0.0.1/", "test", { ok: false }],
    ["http://user:secret@127.0.0.1/", "test", { ok: false }],
    ["http://127.0.0.1/?x=", "test", { ok: false }],
  ])("%s in %s", (override, environment, expected) => {
    expect(slackBaseUrl(override, environment)).toMatchObject(expected);
  });
});
