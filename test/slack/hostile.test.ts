import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { ProposalView } from "../../src/approval/proposal-view.ts";
import type { JsonObject } from "../../src/platform/json.ts";
import type { BudgetChange } from "../../src/ledger/money/finance-port.ts";
import type { ShownAlert } from "../../src/notify/delivery.ts";
import type { WindowShortage } from "../../src/refusal.ts";
import { alertMessage } from "../../src/slack/alerts.ts";
import { inertLine, quotation } from "../../src/slack/inert-text.ts";
import { MESSAGE_JSON_MAX } from "../../src/slack/limits.ts";
import { proposalMessage } from "../../src/slack/message.ts";
import { confirmModal } from "../../src/slack/modal.ts";
import {
  escalation,
  glassBroken,
  outcomeLine,
  refusalNotice,
  refusedExecution,
  reminder,
} from "../../src/slack/notices.ts";
import { blocksProblem, viewProblem } from "../support/slack-payload-rules.ts";
import { EVENTS } from "./money-alerts.ts";
import { CANCEL, NOW, OCCASION } from "./proposals.ts";

/** What people have tried on Slack bots, approvers and terminals. */
const ATTACKS = [
  "<!channel> <!here> <!everyone>",
  "<@U0ALICE01> please approve",
  "<#C0GENERAL|general>",
  "<!subteam^S0ADMINS>",
  "<!date^0^{date}|now>",
  "<https://evil.example|https://gate.example/approve>",
  "<http://evil.example>",
  "<mailto:a@b.example|a>",
  "@channel @here @everyone @alice",
  "x@channel ＠channel @\u200bchannel @CHANNEL",
  "&lt;!channel&gt; &amp;lt;!here&amp;gt;",
  "*bold* _it_ ~no~ `code` ```pre``` :white_check_mark:",
  "\u202egnp.exe \u2066hidden\u2069 \u200f",
  "a\u200bb\u200cc\u200dd\ufeffe\u2060f\u00adg\u180eh\u3164i",
  "\u0000\u0007\u001b[2J\u001b]8;;http://evil\u0007x\u009b31m",
  "line\r\nline\u2028line\u2029line\u0085line\u000bline\u000c",
  "\n".repeat(5_000),
  "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!",
  "\ud800 \udfff half",
  "x".repeat(20_000),
  '"\\'.repeat(5_000),
  "\u202e".repeat(5_000),
  "&".repeat(5_000),
  "😀".repeat(5_000),
  "漢".repeat(5_000),
  "𝕏".repeat(3_000),
  "__proto__",
  "",
  " ",
  '"}],"blocks":[{"type":"actions"',
  "</script><img src=x onerror=alert(1)>",
  "jaVasCript:/*-/*`/*\\`/*'/*\"/**/(/* */oNcliCk=alert() )//%0D%0A%0d%0a//</stYle/</titLe/",
];
const attack = fc.oneof(
  fc.constantFrom(...ATTACKS),
  fc.string({ unit: "binary", maxLength: 200 }),
  fc.array(fc.constantFrom(...ATTACKS), { minLength: 2, maxLength: 3 }).map((parts) => parts.join("")),
  fc.tuple(fc.string({ unit: "grapheme", maxLength: 5 }), fc.constantFrom(...ATTACKS)).map((parts) => parts.join("@")),
);
const maybe = fc.option(attack, { nil: null });
const bodies: fc.Arbitrary<JsonObject> = fc.dictionary(attack, fc.oneof(attack, fc.integer(), fc.array(attack)), {
  maxKeys: 20,
});
const STATES = ["draft", "pending", "approved", "denied", "expired", "withdrawn", "invalidated", "consumed"] as const;

const decision = fc.record({
  handle: maybe,
  subject: attack,
  decision: fc.constantFrom("approve" as const, "deny" as const, "break-glass" as const),
  comment: maybe,
  demo: fc.boolean(),
  decidedAt: fc.oneof(attack, fc.constant("2026-11-20T14:05:00Z")),
});

const attempt = fc.record({
  handle: maybe,
  subject: attack,
  decision: attack,
  reason: attack,
  attemptedAt: fc.oneof(attack, fc.constant("2026-11-20T14:05:00Z")),
});

/** A proposal in which everything but the gate's own id and digests is hostile. */
const hostileView: fc.Arbitrary<ProposalView> = fc.record({
  id: fc.constant(CANCEL.id),
  tenant: attack,
  state: fc.constantFrom(...STATES),
  action: attack,
  tier: fc.constantFrom(2, 3, 4),
  rule: maybe,
  resource: maybe,
  facts: fc.dictionary(attack, fc.oneof(attack, fc.double(), fc.boolean(), fc.array(attack, { maxLength: 20 })), {
    maxKeys: 30,
  }),
  request: fc.record({ method: attack, path: attack, query: bodies, body: fc.option(bodies, { nil: null }) }),
  ceilingMicros: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
  blastRadius: maybe,
  elevated: fc.boolean(),
  reversible: fc.option(fc.boolean(), { nil: null }),
  affected: fc.option(fc.record({ count: fc.nat(), items: fc.array(attack, { maxLength: 50 }) }), { nil: null }),
  window: fc.option(fc.record({ name: attack, closesAt: attack }), { nil: null }),
  shadow: fc.array(fc.record({ rule: attack, verdict: attack }), { maxLength: 20 }),
  reason: maybe,
  evidence: maybe,
  backOut: maybe,
  incident: maybe,
  requester: attack,
  owner: attack,
  needed: fc.nat({ max: 9 }),
  given: fc.nat({ max: 9 }),
  approvers: fc.array(attack, { maxLength: 30 }),
  decisions: fc.array(decision, { maxLength: 30 }),
  attempts: fc.array(attempt, { maxLength: 20 }),
  review: fc.constant(null),
  openedAt: attack,
  expiresAt: fc.oneof(attack, fc.constant(CANCEL.expiresAt)),
  requestDigest: fc.constant(CANCEL.requestDigest),
  approvalDigest: fc.constant(CANCEL.approvalDigest),
  confirm: maybe,
  url: fc.oneof(
    attack,
    fc.constant(CANCEL.url),
    attack.map((text) => `https://gate.example/${text}`),
  ),
});

const amount = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const time = fc.nat({ max: 4_102_444_800_000 });

const shortage: fc.Arbitrary<WindowShortage> = fc.record({
  window: attack,
  period: fc.constantFrom("daily" as const, "monthly" as const),
  scope: attack,
  cap_usd: fc.double(),
  settled_usd: fc.double(),
  held_usd: fc.double(),
  requested_usd: fc.double(),
  short_usd: fc.double(),
  resets_at: attack,
  cap_micros: amount,
  settled_micros: amount,
  held_micros: amount,
  requested_micros: amount,
  short_micros: amount,
});

const change: fc.Arbitrary<BudgetChange> = fc.record({
  id: attack,
  kind: fc.constantFrom("lower" as const, "raise" as const, "request" as const),
  state: fc.constant("pending" as const),
  period: fc.constantFrom("daily" as const, "monthly" as const),
  capMicros: amount,
  fromMicros: amount,
  askedBy: attack,
  reason: attack,
  incident: maybe,
  effectiveAt: time,
  endsAt: fc.option(time, { nil: null }),
  askedAt: time,
  expiresAt: time,
  needed: fc.nat({ max: 9 }),
  decisions: fc.array(
    fc.record({
      subject: attack,
      decision: fc.constantFrom("approve" as const, "deny" as const),
      comment: maybe,
      decidedAt: time,
    }),
    { maxLength: 20 },
  ),
});

/** An alert about money in which every text is hostile and every list is long. */
const hostileAlert: fc.Arbitrary<ShownAlert> = fc.oneof(
  fc.record({
    kind: fc.constant("budget-threshold" as const),
    window: attack,
    percent: fc.nat({ max: 1_000 }),
    usedMicros: amount,
    capMicros: amount,
  }),
  fc.record({
    kind: fc.constant("budget-refused" as const),
    principal: attack,
    action: attack,
    windows: fc.array(shortage, { minLength: 1, maxLength: 20 }),
  }),
  fc.record({
    kind: fc.constant("budget-overrun" as const),
    requestId: attack,
    heldMicros: amount,
    actualMicros: amount,
  }),
  fc.record({ kind: fc.constant("budget-change" as const), event: fc.constantFrom(...EVENTS), change }),
);

/** Every string in a payload, however deep. */
function stringsIn(value: unknown): readonly string[] {
  if (typeof value === "string") return [value];
  if (Array.isArray(value)) return value.flatMap(stringsIn);
  return typeof value === "object" && value !== null ? Object.values(value).flatMap(stringsIn) : [];
}

/** The text of every text object: what takes room on a screen. */
function shownIn(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(shownIn);
  if (typeof value !== "object" || value === null) return [];
  const own = "text" in value && typeof value.text === "string" ? [value.text] : [];
  return [...own, ...Object.values(value).flatMap(shownIn)];
}

/** Text that Slack parses for formatting, mentions and links. */
function formattedTexts(value: unknown): readonly string[] {
  if (Array.isArray(value)) return value.flatMap(formattedTexts);
  if (typeof value !== "object" || value === null) return [];
  const own = "type" in value && value.type === "mrkdwn" && "text" in value ? [String(value.text)] : [];
  return [...own, ...Object.values(value).flatMap(formattedTexts)];
}

const BROADCAST = /@(?:channel|here|everyone)/i;
/** Control characters except the line feed, bidirectional and zero-width characters, line separators, lone surrogates. */
const LIVE = /(?!\n)[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Default_Ignorable_Code_Point}]/u;

function expectInert(payload: unknown): void {
  const strings = stringsIn(payload);
  expect(strings.length).toBeGreaterThan(0);
  for (const text of strings) {
    expect(text).not.toMatch(/[<>]/);
    expect(text).not.toMatch(BROADCAST);
    expect(text).not.toMatch(LIVE);
  }
  for (const text of formattedTexts(payload)) expect(text).toMatch(/^\*[A-Z][A-Za-z, ]+\*$/);
  const json = JSON.stringify(payload);
  for (const opener of ["<!", "<@", "<#", "<http"]) expect(json).not.toContain(opener);
}

const ORIGIN = { channelId: "C0APPROVALS", messageTs: "1763600000.000001" };
const RUNS = { numRuns: 300 };

describe("SLK-10 no proposal can make Slack act on its text", () => {
  test("proposal messages are inert and within Slack's limits, in every state", () => {
    fc.assert(
      fc.property(hostileView, (view) => {
        const message = proposalMessage(view, OCCASION);
        expectInert(message);
        expect(blocksProblem(message.blocks)).toBeNull();
        expect(message.text.length).toBeLessThan(4_000);
        expect(JSON.stringify(message.blocks).length).toBeLessThanOrEqual(MESSAGE_JSON_MAX);
        const actions = message.blocks.findIndex((block) => block.type === "actions");
        expect(actions !== -1).toBe(view.state === "pending");
      }),
      RUNS,
    );
  });

  test("modals are", () => {
    fc.assert(
      fc.property(hostileView, (view) => {
        const modal = confirmModal(view, ORIGIN, OCCASION);
        expectInert(modal);
        expect(viewProblem(modal)).toBeNull();
      }),
      RUNS,
    );
  });

  test("reminders, escalations, outcomes and refusals are", () => {
    fc.assert(
      fc.property(hostileView, attack, (view, text) => {
        const messages = [
          reminder(view, { now: NOW }),
          escalation(view),
          outcomeLine(view, { kind: "unknown", upstreamStatus: 502, requestId: text }),
          refusedExecution(view, text, text, { now: NOW }),
          glassBroken(view),
          refusalNotice({ kind: "not-eligible", reason: text }),
          refusalNotice({ kind: "approval-invalid", reason: text }),
          refusalNotice({ kind: "already-decided", state: text, decided_by: [text, text] }),
          refusalNotice({ kind: "frozen", scope: text, frozen_by: text, reason: text, since: text }),
        ];
        for (const message of messages) {
          expectInert(message);
          expect(blocksProblem(message.blocks)).toBeNull();
          expect(message.text.length).toBeLessThan(4_000);
        }
      }),
      RUNS,
    );
  });

  test("alerts about money are, one line for each thing said", () => {
    fc.assert(
      fc.property(hostileAlert, attack, (alert, tenant) => {
        const message = alertMessage(alert, tenant);
        if (message === null) throw new Error("nothing was said");
        expectInert(message);
        expect(blocksProblem(message.blocks)).toBeNull();
        expect(message.text.length).toBeLessThan(4_000);
        expect(JSON.stringify(message.blocks).length).toBeLessThanOrEqual(MESSAGE_JSON_MAX);
        // Six windows and seven sentences at most: no text of somebody's makes a line of its own.
        expect(message.text.split("\n").length).toBeLessThanOrEqual(13);
      }),
      RUNS,
    );
  });

  test("an agent's words never become a mention of a person either", () => {
    const view = {
      ...CANCEL,
      approvers: [],
      reason: "@alice ok?",
      evidence: "(@bob) said @carol",
      backOut: "ask @dana",
    };
    const json = JSON.stringify(proposalMessage({ ...view, resource: "@eve", incident: "@mallory" }, OCCASION));
    expect(json).not.toMatch(/@(?:alice|bob|carol|dana|eve|mallory)/);
  });
});

describe("APR-12 no text can push the buttons away", () => {
  /** Two columns of labels and values make it shorter still on a screen. */
  const MAX_LINES = 60;

  test("the longest proposal has its buttons within a bounded number of lines, and its words below them", () => {
    fc.assert(
      fc.property(fc.constantFrom(...ATTACKS), (text) => {
        const view: ProposalView = {
          ...CANCEL,
          action: text,
          resource: text,
          rule: text,
          blastRadius: text,
          incident: text,
          requester: text,
          owner: text,
          request: { method: text, path: text, query: { [text]: text }, body: { [text]: text } },
          facts: Object.fromEntries(Array.from({ length: 50 }, (_, index) => [`${index}${text}`, text])),
          affected: { count: 1_000, items: Array.from({ length: 1_000 }, () => text) },
          approvers: Array.from({ length: 50 }, () => text),
          decisions: Array.from({ length: 50 }, () => ({
            handle: text,
            subject: text,
            decision: "approve" as const,
            comment: text,
            demo: false,
            decidedAt: text,
          })),
          reason: text,
          evidence: text,
          backOut: text,
        };
        const { blocks } = proposalMessage(view, OCCASION);
        expect(JSON.stringify(blocks).length).toBeLessThanOrEqual(MESSAGE_JSON_MAX);
        const place = blocks.findIndex((block) => block.type === "actions");
        const above = shownIn(blocks.slice(0, place)).join("\n");
        expect(above.split("\n").length).toBeLessThanOrEqual(MAX_LINES);
        // Not the quoted context, which is where text may be long.
        expect(above).not.toContain("│");
      }),
      { numRuns: ATTACKS.length * 3 },
    );
  });
});

describe("inert text", () => {
  test.each([
    ["plain", "plain"],
    ["a & b < c > d", "a &amp; b &lt; c &gt; d"],
    ["<!channel>", "&lt;!channel&gt;"],
    ["&lt;!channel&gt;", "&amp;lt;!channel&amp;gt;"],
    ["@channel", "\uff20channel"],
    ["x@channel", "x\uff20channel"],
    ["(@alice)", "(\uff20alice)"],
    ["repo/image@sha256:ab", "repo/image@sha256:ab"],
    ["mail a.b@c.example", "mail a.b@c.example"],
    ["a\u202eb", "a\\u{202e}b"],
    ["a\u200bb", "a\\u{200b}b"],
    ["a\u0000b\u001b[31m", "a\\u{0}b\\u{1b}[31m"],
    ["two\nlines", "two\\u{a}lines"],
    ["a\ufff9b", "a\\u{fff9}b"],
    ["\ud800", "\\u{d800}"],
    ["e\u0301", "e\u0301"],
    ["", "–"],
  ])("%j in one line is %j", (text, expected) => {
    expect(inertLine(text, 100)).toBe(expected);
  });

  test("a cut never halves an entity, an escape or a surrogate pair", () => {
    for (let max = 0; max < 12; max++) {
      expect(inertLine("<<<<", max)).toMatch(/^(?:&lt;)*…$|^–$/);
      expect(inertLine("😀😀😀😀😀😀😀", max).isWellFormed()).toBe(true);
    }
  });

  test("a quotation keeps lines, drops runs of blank ones, and counts what it leaves out", () => {
    expect(quotation("a\n\n\n\nb\r\nc\u2028d", 100, 10)).toBe("│ a\n│ \n│ b\n│ c\n│ d");
    expect(quotation("\n\n\n", 100, 10)).toBe("│ –");
    expect(quotation("aaaa\nbbbb\ncccc", 100, 2)).toBe(
      "│ aaaa\n│ bbbb\n… cut here: 4 more characters on the proposal's page",
    );
    expect(quotation("abcdef", 4, 2)).toBe("│ abcd\n… cut here: 2 more characters on the proposal's page");
  });
});
