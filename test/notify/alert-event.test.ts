import { describe, expect, test } from "vitest";
import type { ShownAlert } from "../../src/notify/delivery.ts";
import { alertEvent } from "../../src/notify/alert-event.ts";
import { activityAlert, activityLine } from "../slack/activity-alerts.ts";
import { AT, CHANGE, changed, EVENTS, OVERRUN, REFUSED, SHORT_DAY, THRESHOLD } from "../slack/money-alerts.ts";

const eventOf = (alert: ShownAlert) => alertEvent({ tenant: { tenant: "acme" }, at: AT, alert });

describe("a webhook is told about money", () => {
  test.each<[string, ShownAlert, object]>([
    [
      "budget.threshold",
      THRESHOLD,
      {
        window: "2026-11-20",
        percent: 80,
        used_usd: 412.5,
        used_micros: 412_500_000,
        cap_usd: 500,
        cap_micros: 500_000_000,
      },
    ],
    ["budget.refused", REFUSED, { principal: "agent:trainer", action: "workloads.submit", windows: [SHORT_DAY] }],
    [
      "budget.overrun",
      OVERRUN,
      {
        request_id: OVERRUN.requestId,
        held_usd: 96,
        held_micros: 96_000_000,
        actual_usd: 130.25,
        actual_micros: 130_250_000,
      },
    ],
    [
      "budget.change",
      changed("asked", {
        decisions: [{ subject: "person:fiona", decision: "approve", comment: null, decidedAt: AT + 60_000 }],
      }),
      {
        event: "asked",
        id: CHANGE.id,
        url: `/_gate/v1/approvals/${CHANGE.id}`,
        kind: "request",
        state: "pending",
        period: "daily",
        cap_usd: 800,
        cap_micros: 800_000_000,
        from_usd: 500,
        from_micros: 500_000_000,
        asked_by: "agent:trainer",
        reason: CHANGE.reason,
        incident: "INC-2041",
        effective_at: "2026-11-20T14:02:00.000Z",
        ends_at: "2026-11-22T00:00:00.000Z",
        asked_at: "2026-11-20T14:02:00.000Z",
        expires_at: "2026-11-21T14:02:00.000Z",
        needed: 2,
        given: 1,
        decisions: [
          { subject: "person:fiona", decision: "approve", comment: null, decided_at: "2026-11-20T14:03:00.000Z" },
        ],
      },
    ],
  ])("as %s, in the envelope of the other events", (type, alert, data) => {
    expect(eventOf(alert)).toEqual({ version: 1, type, timestamp: "2026-11-20T14:02:00.000Z", tenant: "acme", data });
  });

  test("and about activity, line by line", () => {
    const { lines: _, ...rest } = activityAlert([activityLine()], { lines: 3, requests: 4 });
    expect(eventOf({ ...rest, lines: [activityLine(), activityLine({ reason: null })] })).toMatchObject({
      type: "activity",
      data: {
        requests: 16,
        since: "2026-11-20T14:02:00.000Z",
        until: "2026-11-20T14:06:00.000Z",
        lines: [
          {
            action: "insights.analyze",
            principal: "agent:trainer",
            tier: 1,
            count: 12,
            first_request_id: "req_01m4k2vd5xkq3t9r7c8n0b6h2a",
            first_at: "2026-11-20T14:02:00.000Z",
            last_request_id: "req_01m4k2ve1yhn8w2p4s6d9f3g5j",
            last_at: "2026-11-20T14:06:00.000Z",
            reason: "why is job 7 slow?",
          },
          { reason: null },
        ],
        more: { lines: 3, requests: 4 },
      },
    });
  });

  test("of every event of a change under one type, with how the change stands now", () => {
    for (const event of EVENTS) {
      expect(eventOf(changed(event, { state: "withdrawn" }))).toMatchObject({
        type: "budget.change",
        data: { event, state: "withdrawn" },
      });
    }
  });
});
