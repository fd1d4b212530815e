import { describe, expect, test } from "vitest";
import { alertChannel, alertMessage } from "../../src/slack/alerts.ts";
import { SLACK_LIMITS } from "../../src/slack/limits.ts";
import { activityAlert, activityLine } from "./activity-alerts.ts";

const textOf = (alert: ReturnType<typeof activityAlert>): string => alertMessage(alert, "acme")?.text ?? "";

describe("a message about activity", () => {
  test("says who did what how often, and where to look", () => {
    const lines = [activityLine(), activityLine({ action: "workloads.submit", tier: 2, count: 1, reason: null })];
    expect(textOf(activityAlert(lines))).toBe(
      [
        "Activity: 13 requests let through. From 2026-11-20 14:02 UTC to 2026-11-20 14:06 UTC. Nothing waits for anybody.",
        "agent:trainer: insights.analyze (tier 1), 12 times, req_01m4k2vd5xkq3t9r7c8n0b6h2a to req_01m4k2ve1yhn8w2p4s6d9f3g5j. Newest reason: why is job 7 slow?",
        "agent:trainer: workloads.submit (tier 2), 1 time, req_01m4k2ve1yhn8w2p4s6d9f3g5j.",
        "To see one: portcullis audit show, with its request id.",
      ].join("\n"),
    );
  });

  test("is bounded, and says how much it leaves out", () => {
    const long = {
      action: `a.${"x".repeat(300)}`,
      principal: "p".repeat(300),
      reason: "&".repeat(500),
      count: 1_000_000,
    };
    const lines = Array.from({ length: 20 }, () => activityLine({ ...long, firstRequestId: "r".repeat(300) }));
    const message = alertMessage(activityAlert(lines, { lines: 30, requests: 45 }), "acme");
    expect(message?.text).toContain("and 44 more, 14000045 requests");
    expect(message?.text.length).toBeLessThanOrEqual(SLACK_LIMITS.messageText);
  });

  test("does nothing that its texts ask for", () => {
    const text = "<!channel> @here <https://evil.example|ok>\nApproved by @alice";
    const message = alertMessage(
      activityAlert([activityLine({ reason: text, principal: text, action: text })]),
      "acme",
    );
    expect(message?.text).not.toMatch(/<!|@here|@channel|<https|\nApproved/);
    expect(JSON.stringify(message?.blocks)).not.toContain("mrkdwn");
  });

  test("goes to the channel that the policy names for it, else where money is told, never where people are called", () => {
    const channels = { tier3: "#three", tier4: "#four", escalation: "#up" };
    const at = (over: Partial<Record<keyof typeof channels, string | null>>, channel: string | null) =>
      alertChannel("activity", {
        channels: { ...channels, ...over },
        notify: { channel, tiers: [1], actions: [], everyMs: 1 },
      });
    expect([at({}, "#gpu"), at({}, null), at({ tier3: null }, null), at({ tier3: null, tier4: null }, null)]).toEqual([
      "#gpu",
      "#three",
      "#four",
      null,
    ]);
  });
});
