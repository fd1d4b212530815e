import { describe, expect, test } from "vitest";
import type { ShownAlert } from "../../src/notify/delivery.ts";
import { alertEvent } from "../../src/notify/alert-event.ts";
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

  test("of every event of a change under one type, with how the change stands now", () => {
    for (const event of EVENTS) {
      expect(eventOf(changed(event, { state: "withdrawn" }))).toMatchObject({
        type: "budget.change",
        data: { event, state: "withdrawn" },
      });
    }
  });
});
