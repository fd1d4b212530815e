import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ProposalView } from "../../src/approval/proposal-view.ts";
import { ACTION_IDS, actionValue, COMMENT_FIELD, shortDigest, TYPED_FIELD } from "../../src/slack/action-value.ts";
import type { MessagePlace, SlackClient } from "../../src/slack/client.ts";
import { slackClient } from "../../src/slack/client.ts";
import { INTERACTION_MAX_BYTES } from "../../src/slack/form-payload.ts";
import type { SlackInteraction } from "../../src/slack/interaction.ts";
import { dedupeKey, parseInteraction } from "../../src/slack/interaction.ts";
import { proposalMessage } from "../../src/slack/message.ts";
import { confirmModal, typedMismatchAnswer } from "../../src/slack/modal.ts";
import type { PostedMessage } from "../../src/slack/posted.ts";
import { matchPosted } from "../../src/slack/posted.ts";
import { verifySlackRequest } from "../../src/slack/verify.ts";
import type { SlackStandin } from "../support/slack-standin.ts";
import type { Click } from "../support/slack-workspace.ts";
import { startSlackStandin } from "../support/slack-standin.ts";
import type { SlackRequest } from "../support/slack-signing.ts";
import { payloadForm, resent } from "../support/slack-signing.ts";
import { CANCEL, NOW, OCCASION, SUBMIT } from "./proposals.ts";

const FORM = "application/x-www-form-urlencoded";
const ALICE = { id: "U0ALICE01", name: "alice" };

let slack: SlackStandin;
let client: SlackClient;
beforeAll(async () => {
  slack = await startSlackStandin();
  client = slackClient({ token: slack.token, baseUrl: slack.url });
});
afterAll(() => slack.stop());

async function post(view: ProposalView): Promise<MessagePlace> {
  const posted = await client.postMessage("#ml-ops-approvals", proposalMessage(view, OCCASION));
  if (!posted.ok) throw new Error(JSON.stringify(posted.error));
  return posted.value;
}

/** A request as the gate takes it: the signature over the bytes first, then the bytes. */
function received({ headers, body }: SlackRequest) {
  const signed = {
    timestamp: headers["x-slack-request-timestamp"] ?? null,
    signature: headers["x-slack-signature"] ?? null,
    rawBody: body,
  };
  expect(verifySlackRequest(signed, [slack.signingSecret], Date.now())).toEqual({ ok: true, value: undefined });
  return parseInteraction(headers["content-type"] ?? null, body);
}

function accepted(request: SlackRequest): SlackInteraction {
  const result = received(request);
  if (!result.ok) throw new Error(result.error.reason);
  return result.value;
}

const clickOn = (place: MessagePlace, actionId: string, rest: Partial<Click> = {}): SlackRequest =>
  slack.click({ user: ALICE, ...place, actionId, ...rest });

const many = <T>(item: T): readonly T[] => Array.from({ length: 50 }, () => item);
const field = (text: string | null) => ({ type: "plain_text_input", value: text });
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
/** A payload without any signature, for what the parser alone decides. */
const parsed = (payload: unknown) => parseInteraction(FORM, bytes(payloadForm(payload)));
const payloadOf = ({ body }: SlackRequest): Record<string, unknown> =>
  JSON.parse(new URLSearchParams(new TextDecoder().decode(body)).get("payload") ?? "");

const padded = (padding: number) => bytes(payloadForm({ type: "other", padding: "x".repeat(padding) }));

describe("a click", () => {
  test.each([
    ["approve", ACTION_IDS.approve, SUBMIT],
    ["deny", ACTION_IDS.deny, SUBMIT],
    ["open-page", ACTION_IDS.openPage, SUBMIT],
    ["open-confirm", ACTION_IDS.openConfirm, CANCEL],
    ["deny", ACTION_IDS.deny, CANCEL],
  ] as const)("is %s for %s", async (kind, actionId, view) => {
    const place = await post(view);
    const interaction = accepted(clickOn(place, actionId));
    expect(interaction).toEqual({
      kind,
      appId: slack.appId,
      teamId: slack.teamId,
      enterpriseId: null,
      userId: ALICE.id,
      userTeamId: slack.teamId,
      approvalId: view.id,
      approvalDigest: shortDigest(view.approvalDigest),
      ...place,
      triggerId: expect.stringMatching(/^\d+\.\d+\.[0-9a-f]+$/),
      actionTs: expect.stringMatching(/^\d{10}\.\d{6}$/),
      typed: null,
      comment: null,
    });
  });

  test("on Approve of tier 4 opens the modal, and only its submission carries what was typed", async () => {
    const place = await post(CANCEL);
    const opened = accepted(clickOn(place, ACTION_IDS.openConfirm));
    expect(await client.openView(opened.triggerId, confirmModal(CANCEL, opened, { now: NOW }))).toMatchObject({
      ok: true,
    });
    const submit = (typed: string, comment: string | null) =>
      accepted(
        slack.submit({
          user: ALICE,
          values: {
            [TYPED_FIELD.block]: { [TYPED_FIELD.action]: typed },
            [COMMENT_FIELD.block]: { [COMMENT_FIELD.action]: comment },
          },
        }),
      );
    const wrong = submit("llama-finetune-v2", null);
    const right = submit("llama-finetune-v3", "sure ✅");
    expect(right).toMatchObject({
      kind: "confirm-submitted",
      userId: ALICE.id,
      approvalId: CANCEL.id,
      approvalDigest: shortDigest(CANCEL.approvalDigest),
      ...place,
      typed: "llama-finetune-v3",
      comment: "sure ✅",
    });
    // The answer to the wrong one keeps the modal open: it names an input of that modal.
    const inputs = confirmModal(CANCEL, opened, { now: NOW }).blocks.map((block) => block.block_id);
    expect(typedMismatchAnswer().response_action).toBe("errors");
    for (const block of Object.keys(typedMismatchAnswer().errors)) expect(inputs).toContain(block);
    // The second try in the same modal is another answer, not a re-send of the first.
    expect(dedupeKey(right)).not.toBe(dedupeKey(wrong));
    expect(await client.openView(opened.triggerId, confirmModal(CANCEL, opened, { now: NOW }))).toEqual({
      ok: false,
      error: { kind: "refused", error: "exchanged_trigger_id" },
    });
  });

  test("on the longest message that the gate can post is still read", async () => {
    const text = "漢".repeat(5_000);
    const decision = {
      handle: text,
      subject: text,
      decision: "approve",
      comment: text,
      demo: false,
      decidedAt: text,
    } as const;
    const place = await post({
      ...CANCEL,
      action: text,
      rule: text,
      resource: text,
      incident: text,
      requester: text,
      owner: text,
      reason: text,
      evidence: text,
      backOut: text,
      request: { method: "POST", path: text, query: { a: text }, body: { [text]: text } },
      facts: Object.fromEntries(many(text).map((value, index) => [`${index}${text}`, value])),
      affected: { count: 50, items: many(text) },
      approvers: many(text),
      decisions: many(decision),
    });
    const request = clickOn(place, ACTION_IDS.deny);
    expect(request.body.byteLength).toBeLessThan(INTERACTION_MAX_BYTES);
    expect(accepted(request).kind).toBe("deny");
  });
});

describe("SLK-03 how the form is written down", () => {
  const good = payloadForm({ type: "shortcut" });
  const foreign = { ok: false, error: { kind: "foreign" } };
  const malformed = { ok: false, error: { kind: "malformed" } };

  test.each([
    ["as is", FORM, good, foreign],
    ["with the charset that it has", `${FORM}; charset=utf-8`, good, foreign],
    ["with another charset", `${FORM}; charset=utf-7`, good, malformed],
    ["with two charsets", `${FORM}; charset=utf-8; charset=utf-16`, good, malformed],
    ["as JSON", "application/json", '{"type":"block_actions"}', malformed],
    ["as multipart", "multipart/form-data; boundary=x", good, malformed],
    ["without a type", "", good, malformed],
    ["with two types", `${FORM}, application/json`, good, malformed],
    ["with a byte order mark", FORM, `\ufeff${good}`, malformed],
    ["with an unencoded brace", FORM, 'payload={"type":"x"}', malformed],
    ["with an encoded name", FORM, good.replace("payload", "%70ayload"), malformed],
    ["with an escape cut short", FORM, `${good}%2`, malformed],
    ["with bytes that are not UTF-8", FORM, "payload=%FF%FE", malformed],
    ["with an overlong escape", FORM, "payload=%C0%AF", malformed],
    ["in UTF-16", FORM, "payload=%FE%FF%00%7B", malformed],
  ])("%s", (_, contentType, body, expected) => {
    expect(parseInteraction(contentType, bytes(body))).toMatchObject(expected);
  });
});

describe("SLK-06 requests that are not interactions have no effect", () => {
  test.each([
    ["ssl_check alone", "ssl_check=1&token=x"],
    ["ssl_check before a payload", `ssl_check=1&${payloadForm({ type: "block_actions" })}`],
    ["ssl_check after a payload", `${payloadForm({ type: "block_actions" })}&ssl_check=1`],
    ["url_verification", payloadForm({ type: "url_verification", challenge: "x" })],
    ["a slash command", "command=%2Fapprove&text=x&user_id=U0ALICE01"],
  ])("%s", (_, body) => {
    expect(parseInteraction(FORM, bytes(body)).ok).toBe(false);
  });
});

describe("SLK-08 malformed payloads", () => {
  const click = '{"type":"block_actions"}';
  test.each([
    ["none", ""],
    ["an empty one", "payload="],
    ["two", `${payloadForm({ type: "block_actions" })}&${payloadForm({ type: "block_actions" })}`],
    ["the same one twice", `payload=a&payload=a`],
    ["a trailing separator", `${payloadForm({ type: "block_actions" })}&`],
    ["not JSON", `payload=${encodeURIComponent("{type:1}")}`],
    ["two JSON texts", `payload=${encodeURIComponent(click + click)}`],
    ["a list", payloadForm([{ type: "block_actions" }])],
    ["null", payloadForm(null)],
    ["JSON in JSON", payloadForm(click)],
    ["a repeated name", `payload=${encodeURIComponent('{"type":"block_actions","type":"view_submission"}')}`],
    [
      "a nested repeated name",
      `payload=${encodeURIComponent('{"type":"block_actions","user":{"id":"U0A","id":"U0B"}}')}`,
    ],
    [
      "a name repeated by escape",
      `payload=${encodeURIComponent('{"type":"block_actions","user":{"id":"U0A","\\u0069d":"U0B"}}')}`,
    ],
    ["a reserved name", `payload=${encodeURIComponent('{"type":"block_actions","__proto__":{"user":1}}')}`],
    ["a lone surrogate", `payload=${encodeURIComponent('{"type":"block_actions","a":"\\ud800"}')}`],
    ["very deep", `payload=${encodeURIComponent(`${"[".repeat(100)}${"]".repeat(100)}`)}`],
  ])("%s: refused", (_, body) => {
    expect(parseInteraction(FORM, bytes(body))).toMatchObject({ ok: false, error: { kind: "malformed" } });
  });

  test.each([
    ["as long as it may be", INTERACTION_MAX_BYTES, "foreign"],
    ["one byte longer", INTERACTION_MAX_BYTES + 1, "malformed"],
    ["1 MB", 1_048_576, "malformed"],
  ])("%s", (_, length, kind) => {
    const body = padded(length - padded(0).byteLength);
    expect(body.byteLength).toBe(length);
    expect(parseInteraction(FORM, body)).toMatchObject({ ok: false, error: { kind } });
  });

  test("each member that is read is needed, in its form", async () => {
    const payload = payloadOf(clickOn(await post(SUBMIT), ACTION_IDS.approve));
    expect(parsed(payload).ok).toBe(true);
    for (const member of ["api_app_id", "team", "user", "trigger_id", "container", "channel", "message", "actions"]) {
      const { [member]: _, ...rest } = payload;
      expect(parsed(rest), member).toMatchObject({ ok: false, error: { kind: "malformed" } });
      for (const wrong of [null, 1, "x", [], {}, { id: "x" }, { id: ["U0ALICE01"] }, ["x", "y"]]) {
        if (member === "trigger_id" && wrong === "x") continue;
        expect(parsed({ ...payload, [member]: wrong }), member).toMatchObject({
          ok: false,
          error: { kind: "malformed" },
        });
      }
    }
  });

  test("the reason names the place and never quotes the payload", async () => {
    const payload = payloadOf(clickOn(await post(SUBMIT), ACTION_IDS.approve));
    expect(parsed({ ...payload, user: { id: "secret words" } })).toEqual({
      ok: false,
      error: { kind: "malformed", reason: "block_actions: unexpected at /user/id" },
    });
  });
});

describe("SLK-04 a valid signature on something else", () => {
  const value = actionValue(CANCEL.id, CANCEL.approvalDigest);
  const action = {
    type: "button",
    block_id: "portcullis.decide",
    action_id: ACTION_IDS.approve,
    value,
    action_ts: "1763600000.000009",
  };
  test.each<[string, Record<string, unknown>, "foreign" | "malformed"]>([
    ["another payload type", { type: "message_action" }, "foreign"],
    ["a closed modal", { type: "view_closed" }, "foreign"],
    ["another action id", { actions: [{ ...action, action_id: "other.approve" }] }, "foreign"],
    [
      "an action id that only begins like ours",
      { actions: [{ ...action, action_id: "portcullis.approve2" }] },
      "foreign",
    ],
    ["an action id that every object has", { actions: [{ ...action, action_id: "constructor" }] }, "foreign"],
    ["another block", { actions: [{ ...action, block_id: "b1" }] }, "foreign"],
    ["a value without a digest", { actions: [{ ...action, value: CANCEL.id }] }, "foreign"],
    ["a value with something behind", { actions: [{ ...action, value: `${value} ` }] }, "foreign"],
    ["a value in two lines", { actions: [{ ...action, value: `${value}\n` }] }, "foreign"],
    ["two actions", { actions: [action, action] }, "malformed"],
    ["no action", { actions: [] }, "malformed"],
    ["a menu instead of a button", { actions: [{ ...action, type: "static_select" }] }, "malformed"],
    ["a modal as its place", { container: { type: "view", view_id: "V1" } }, "malformed"],
    ["a message other than its container", { message: { ts: "1763600000.999999" } }, "malformed"],
    ["an organisation-wide installation", { team: null }, "malformed"],
  ])("%s: refused", async (_, overrides, kind) => {
    const request = clickOn(await post(SUBMIT), ACTION_IDS.approve, { overrides });
    expect(received(request)).toMatchObject({ ok: false, error: { kind } });
  });

  test("an ephemeral message: refused, since every proposal is a message that stays", async () => {
    const place = await post(SUBMIT);
    const container = { type: "message", channel_id: place.channelId, message_ts: place.messageTs };
    const click = (is_ephemeral: boolean) =>
      received(clickOn(place, ACTION_IDS.approve, { overrides: { container: { ...container, is_ephemeral } } }));
    expect(click(false).ok).toBe(true);
    expect(click(true)).toMatchObject({ ok: false, error: { kind: "malformed" } });
  });

  test.each<[string, Record<string, unknown>]>([
    ["another callback", { callback_id: "other" }],
    ["other metadata", { private_metadata: "{}" }],
    ["metadata with something behind", { private_metadata: `${value} C0APPROVALS 1763600000.000001 x` }],
  ])("a modal with %s: refused", (_, overrides) => {
    const view = {
      type: "modal",
      callback_id: "portcullis.confirm",
      private_metadata: `${value} C0APPROVALS 1763600000.000001`,
      state: {
        values: {
          [TYPED_FIELD.block]: { [TYPED_FIELD.action]: field("x") },
          [COMMENT_FIELD.block]: { [COMMENT_FIELD.action]: field(null) },
        },
      },
    };
    const actor = { api_app_id: "A0STANDIN", team: { id: "T0STANDIN" }, user: { id: ALICE.id }, trigger_id: "1.2.a" };
    const submission = (changes: Record<string, unknown>) => ({
      type: "view_submission",
      ...actor,
      view: { ...view, ...changes },
    });
    expect(parsed(submission({}))).toMatchObject({
      ok: true,
      value: { kind: "confirm-submitted", typed: "x", comment: null },
    });
    expect(parsed(submission(overrides))).toMatchObject({ ok: false, error: { kind: "foreign" } });
    expect(parsed(submission({ state: { values: {} } }))).toMatchObject({ ok: false, error: { kind: "malformed" } });
  });

  const INTERACTION: SlackInteraction = {
    kind: "approve",
    appId: "A0STANDIN",
    teamId: "T0STANDIN",
    enterpriseId: null,
    userId: ALICE.id,
    userTeamId: "T0STANDIN",
    approvalId: CANCEL.id,
    approvalDigest: shortDigest(CANCEL.approvalDigest),
    channelId: "C0APPROVALS",
    messageTs: "1763600000.000001",
    triggerId: "1.2.a",
    actionTs: "1763600000.000002",
    typed: null,
    comment: null,
  };
  const POSTED: PostedMessage = {
    appId: "A0STANDIN",
    teamId: "T0STANDIN",
    channelId: "C0APPROVALS",
    messageTs: "1763600000.000001",
    approvalId: CANCEL.id,
    approvalDigest: CANCEL.approvalDigest,
  };

  test("the message that was posted for the proposal matches", () => {
    expect(matchPosted(INTERACTION, POSTED)).toEqual({ ok: true, value: undefined });
    expect(matchPosted({ ...INTERACTION, userTeamId: null }, POSTED)).toEqual({ ok: true, value: undefined });
  });

  test.each<[string, Partial<SlackInteraction>]>([
    ["wrong-app", { appId: "A0OTHER" }],
    ["wrong-team", { teamId: "T0OTHER", userTeamId: "T0OTHER" }],
    ["external-user", { userTeamId: "T0OTHER" }],
    ["wrong-approval", { approvalId: "apr_zzzzzzzzzzzzzzzzzzzzzzzzzz" }],
    ["wrong-digest", { approvalDigest: "f".repeat(32) }],
    ["wrong-channel", { channelId: "C0OTHER" }],
    ["wrong-message", { messageTs: "1763600000.000002" }],
  ])("%s: refused", (cause, changes) => {
    expect(matchPosted({ ...INTERACTION, ...changes }, POSTED)).toEqual({ ok: false, error: cause });
  });
});

describe("SLK-05 who acted is an id", () => {
  test("a person who calls themself alice is somebody else", async () => {
    const place = await post(SUBMIT);
    const mallory = { id: "U0MALLORY", name: "alice" };
    const interaction = accepted(clickOn(place, ACTION_IDS.approve, { user: mallory }));
    expect(interaction.userId).toBe(mallory.id);
    expect(JSON.stringify(interaction)).not.toContain("alice");
  });
});

describe("SLK-07 one click counts once", () => {
  test("a retry by Slack and a re-sent request have the click's own key", async () => {
    const request = clickOn(await post(SUBMIT), ACTION_IDS.approve);
    const keys = [request, resent(request, 1), resent(request, 2), resent(request, 3)].map((one) =>
      dedupeKey(accepted(one)),
    );
    expect(new Set(keys).size).toBe(1);
  });

  test("another click, person, workspace or proposal has another key", async () => {
    const place = await post(SUBMIT);
    const first = accepted(clickOn(place, ACTION_IDS.approve));
    const others = [
      accepted(clickOn(place, ACTION_IDS.approve)),
      { ...first, userId: "U0BOB0001" },
      { ...first, teamId: "T0OTHER" },
      { ...first, approvalId: "apr_zzzzzzzzzzzzzzzzzzzzzzzzzz" },
    ];
    expect(new Set([first, ...others].map(dedupeKey)).size).toBe(5);
  });
});

test("SLK-09 no address in a payload is read", async () => {
  const overrides = {
    response_url: "http://169.254.169.254/latest/meta-data",
    response_urls: [{ response_url: "http://[::1]/" }],
  };
  const interaction = accepted(clickOn(await post(SUBMIT), ACTION_IDS.approve, { overrides }));
  expect(JSON.stringify(interaction)).not.toMatch(/http|169\.254/);
});
