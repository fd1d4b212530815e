import { describe, expect, test } from "vitest";
import type { ShownAlert } from "../../src/notify/delivery.ts";
import { alertChannel, alertMessage } from "../../src/slack/alerts.ts";
import { SLACK_LIMITS } from "../../src/slack/limits.ts";
import { blocksProblem } from "../support/slack-payload-rules.ts";
import { AT, CHANGE, changed, EVENTS, OVERRUN, REFUSED, SHORT_DAY, SHORT_MONTH, THRESHOLD } from "./money-alerts.ts";

function shown(alert: ShownAlert): string {
  const message = alertMessage(alert, "acme");
  if (message === null) throw new Error("nothing was said");
  expect(blocksProblem(message.blocks)).toBeNull();
  return message.text;
}

const approved = (subject: string, comment: string | null = null) =>
  ({ subject, decision: "approve", comment, decidedAt: AT }) as const;

describe("what finance reads", () => {
  test.each<[string, ShownAlert, string, readonly string[]]>([
    [
      "a threshold: how much is taken and what is left",
      THRESHOLD,
      "Budget: 80 % of the cap of day 2026-11-20 is taken.",
      ["Spent and held: 412.50 USD of 500.00 USD. Left: 87.50 USD.", "portcullis budget holds"],
    ],
    [
      "a cap that is reached, or passed by an overrun: nothing is left",
      { ...THRESHOLD, window: "2026-11", percent: 100, usedMicros: 500_000_001 },
      "Budget: 100 % of the cap of month 2026-11 is taken.",
      ["500.000001 USD of 500.00 USD. Left: 0.00 USD.", "What costs money is refused from now on"],
    ],
    [
      "a refusal: who asked for what, what is short where, when it resets, and how to ask for more",
      { ...REFUSED, windows: [SHORT_DAY, SHORT_MONTH] },
      "Refused, over budget: workloads.submit.",
      [
        "agent:trainer asked for workloads.submit for up to 96.00 USD.",
        "Day 2026-11-20: short by 66.00 USD. Cap 500.00 USD, spent 120.00 USD, held 350.00 USD. Resets 2026-11-21 05:00 UTC.",
        "Month 2026-11, team:research: short by 66.00 USD.",
        "Resets 2026-12-01 05:00 UTC.",
        'portcullis budget request --window daily --cap 566.00 --reason "…", or POST /_gate/v1/budget/requests',
        "Caps inside the tenant's, and shares, are the policy's: an operator changes them.",
      ],
    ],
    [
      "a share of proposals that wait is not taken for the cap",
      { ...REFUSED, windows: [{ ...SHORT_DAY, scope: "pending-of-principal" }] },
      "Refused, over budget: workloads.submit.",
      [
        "Day 2026-11-20, share for waiting proposals of one requester: short by 66.00 USD. Cap 500.00 USD, spent 120.00 USD, held 350.00 USD. Resets 2026-11-21 05:00 UTC.\nLess may fit",
        "are the policy's: an operator changes them.",
      ],
    ],
    [
      "an overrun: held, real and the difference",
      OVERRUN,
      "Overrun: 34.25 USD more than was held.",
      ["cost 130.25 USD; 96.00 USD were held", "portcullis operations show req_40f939kdt7585newgytnb2684h"],
    ],
    [
      "a change that waits: who asked, from, to, until when, why, and how to decide",
      changed("asked", { decisions: [approved("person:fiona")] }),
      "Budget, to be decided: day's cap 500.00 → 800.00 USD.",
      [
        "agent:trainer asks. It needs the approval of 2 people of finance, 1 given, by 2026-11-21 14:02 UTC; otherwise nothing changes.",
        "At once, until 2026-11-22 00:00 UTC; then the cap before it holds again.",
        "Reason given (incident INC-2041): The evaluation of release 7 needs 60 H100 hours more today.",
        `portcullis budget decide ${CHANGE.id} approve`,
      ],
    ],
    [
      "a raise that needs one person more, for a month, later and for good",
      changed("asked", {
        kind: "raise",
        period: "monthly",
        needed: 1,
        effectiveAt: Date.UTC(2026, 11, 1),
        endsAt: null,
        incident: null,
      }),
      "Budget, to be decided: month's cap 500.00 → 800.00 USD.",
      ["1 person of finance, 0 given", "From 2026-12-01 00:00 UTC, with no end.", "Reason given: The evaluation"],
    ],
    [
      "an approved one: by whom, and what they said",
      changed("approved", { decisions: [approved("person:fiona", "until Sunday"), approved("person:frank")] }),
      "Budget raised: day's cap 500.00 → 800.00 USD.",
      ["Approved by person:fiona: until Sunday\nApproved by person:frank\n", "until 2026-11-22 00:00 UTC"],
    ],
    [
      "a denied one: nothing changes",
      changed("denied", { decisions: [{ ...approved("person:fiona", "next week"), decision: "deny" }] }),
      "Budget, denied: day's cap 500.00 → 800.00 USD.",
      ["The cap stays as it is.", "Denied by person:fiona: next week"],
    ],
    ["one taken back", changed("withdrawn"), "Budget, taken back: day's cap", ["It holds no longer, or never will."]],
    [
      "one that nobody decided",
      changed("expired"),
      "Budget, nobody decided in time: day's cap",
      ["The cap stays as it is. To ask again: portcullis budget request --window daily --cap 800.00 "],
    ],
    [
      "a lowering, which holds at once and touches nothing that runs",
      changed("lowered", { kind: "lower", capMicros: 300_000_000, endsAt: null, askedBy: "person:fiona" }),
      "Budget lowered: day's cap 500.00 → 300.00 USD.",
      ["By person:fiona. What no longer fits is refused; nothing that runs is touched.", "At once, with no end."],
    ],
  ])("%s", (_, alert, title, parts) => {
    const text = shown(alert);
    expect(text.startsWith(title)).toBe(true);
    for (const part of parts) expect(text).toContain(part);
  });

  test("says how finance is asked only where finance can help: never for a cap of the policy's", () => {
    expect(shown(REFUSED)).not.toContain("the policy's");
    expect(shown({ ...REFUSED, windows: [SHORT_MONTH] })).not.toContain("portcullis budget request");
  });

  test("names the tenant: several may share a channel", () => {
    for (const alert of [THRESHOLD, REFUSED, OVERRUN, ...EVENTS.map((event) => changed(event))]) {
      expect(JSON.stringify(alertMessage(alert, "acme")?.blocks)).toContain("Tenant acme");
    }
  });

  test("is not asked to decide what has been decided", () => {
    for (const state of ["approved", "denied", "withdrawn", "expired"] as const)
      expect(alertMessage(changed("asked", { state }), "acme")).toBeNull();
  });

  test("at its longest is one message that Slack takes, and says how much it leaves out", () => {
    const long = "x".repeat(5_000);
    const most = Number.MAX_SAFE_INTEGER;
    const window = {
      ...SHORT_DAY,
      window: long,
      scope: long,
      resets_at: long,
      cap_micros: most,
      settled_micros: most,
      held_micros: most,
      requested_micros: most,
      short_micros: most,
    };
    const refused = shown({
      ...REFUSED,
      principal: long,
      action: long,
      windows: Array.from({ length: 20 }, () => window),
    });
    expect(refused).toContain("and 14 more");
    const change = shown(
      changed("approved", {
        id: long,
        askedBy: long,
        reason: long,
        incident: long,
        capMicros: most,
        fromMicros: most,
        decisions: Array.from({ length: 20 }, () => approved(long, long)),
      }),
    );
    for (const text of [refused, change]) expect(text.length).toBeLessThan(SLACK_LIMITS.messageText);
  });
});

describe("money and signals are told", () => {
  const channels = { tier3: "#three", tier4: "#four", escalation: "#up" };
  const notify = { channel: "#activity", tiers: [], actions: [], everyMs: 1 };
  const policyWith = (named: Parameters<typeof alertChannel>[1]["channels"]) => ({ channels: named, notify });
  test.each<[ShownAlert["kind"], Partial<typeof channels>, string | null]>([
    ["budget-threshold", channels, "#three"],
    ["budget-refused", { tier4: "#four", escalation: "#up" }, "#four"],
    ["budget-change", { escalation: "#up" }, "#up"],
    ["budget-overrun", channels, "#up"],
    ["budget-overrun", { tier3: "#three", tier4: "#four" }, "#three"],
    ["budget-overrun", { tier4: "#four" }, "#four"],
    ["audit-signal", channels, "#up"],
    ["audit-signal", { tier3: "#three", tier4: "#four" }, "#three"],
    ["budget-threshold", {}, null],
  ])("%s with %j in %s", (kind, named, expected) => {
    expect(alertChannel(kind, policyWith({ tier3: null, tier4: null, escalation: null, ...named }))).toBe(expected);
  });
});
