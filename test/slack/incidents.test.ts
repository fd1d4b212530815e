import { describe, expect, test } from "vitest";
import { alertEvent } from "../../src/notify/alert-event.ts";
import {
  escalationAlertId,
  incidentAlertId,
  type EscalationAlert,
  type IncidentAlert,
} from "../../src/notify/incident-alert.ts";
import { alertChannel, alertMessage } from "../../src/slack/alerts.ts";
import { SLACK_LIMITS } from "../../src/slack/limits.ts";
import { blocksProblem } from "../support/slack-payload-rules.ts";
import { AT } from "./money-alerts.ts";

const incident = (event: IncidentAlert["event"], over: Partial<IncidentAlert> = {}): IncidentAlert => ({
  kind: "incident",
  event,
  key: "INC-7",
  claim: `${AT}-1`,
  isDerived: false,
  owner: "agent:trainer",
  action: "workloads.cancel",
  requestId: "req_1",
  startedAt: AT,
  by: null,
  outcome: null,
  note: null,
  at: AT,
  ...over,
});

const ESCALATION: EscalationAlert = {
  kind: "escalation",
  event: "opened",
  id: "esc_1",
  incident: "INC-7",
  by: "agent:trainer",
  hypothesis: "the switch *drops*\nframes",
  evidence: "NCCL timeout",
  tried: "restarted twice",
  note: null,
  at: AT,
};

/** Every event, its title, and what else people read. */
const EVENTS: readonly (readonly [IncidentAlert, string, readonly string[]])[] = [
  [
    incident("claimed"),
    "Incident INC-7: agent:trainer is at it",
    ["2026-11-20 14:02 UTC, workloads.cancel, request req_1"],
  ],
  [incident("contended", { by: "agent:tuner" }), "Incident INC-7: two want to work on it", ["agent:tuner was refused"]],
  [incident("handed-over", { by: "person:olga", note: "night" }), "Incident INC-7: now agent:trainer", ["Note: night"]],
  [incident("resolved", { by: "person:dana", outcome: "fixed" }), "Incident INC-7: fixed", ["Said by person:dana."]],
  [incident("resolved", { outcome: "failed" }), "Incident INC-7: failed", ["has ended"]],
  [incident("released"), "Incident INC-7: given up", ["It is free."]],
  [incident("expired"), "Incident INC-7: nobody is at it any more", ["It is free."]],
];

describe("what becomes of an incident", () => {
  test.each(EVENTS)("is one message that says what to do: %o", (alert, title, parts) => {
    const message = alertMessage(alert, "acme");
    expect(blocksProblem(message?.blocks ?? [])).toBeNull();
    expect(message?.text.startsWith(title)).toBe(true);
    for (const part of parts) expect(message?.text).toContain(part);
  });

  test("under a key of the catalogue's is told of when two meet, and from then on", () => {
    for (const [alert] of EVENTS) {
      const derived = { ...alert, isDerived: true };
      const isFirst = alert.event === "contended";
      expect(alertMessage(derived, "acme") !== null).toBe(isFirst);
      // Below the message of that meeting; the claim itself was before it.
      expect(alertMessage(derived, "acme", true)).not.toBeNull();
    }
  });

  test("has one id per event of one claim", () => {
    const other = incident("claimed", { claim: `${AT}-2` });
    const again = incident("handed-over", { at: AT + 1 });
    const ids = [...EVENTS.map(([alert]) => alert), other, again].map(incidentAlertId);
    // A claim is resolved once, whatever is said of it.
    expect(new Set(ids).size).toBe(ids.length - 1);
  });

  test("reaches a webhook in the envelope of the other events", () => {
    const types = EVENTS.map(([alert]) => alertEvent({ tenant: { tenant: "acme" }, at: AT, alert })["type"]);
    expect(new Set(types)).toEqual(
      new Set([
        "incident.claimed",
        "incident.contended",
        "incident.handed_over",
        "incident.resolved",
        "incident.released",
        "incident.expired",
      ]),
    );
    const alert = incident("resolved", { key: "catalogue:workload:wl-1", outcome: "succeeded" });
    expect(alertEvent({ tenant: { tenant: "acme" }, at: AT, alert })).toEqual({
      version: 1,
      type: "incident.resolved",
      timestamp: "2026-11-20T14:02:00.000Z",
      tenant: "acme",
      data: {
        key: "catalogue:workload:wl-1",
        url: "/_gate/v1/incidents/~?key=catalogue:workload:wl-1",
        owner: "agent:trainer",
        action: "workloads.cancel",
        request_id: "req_1",
        started_at: "2026-11-20T14:02:00.000Z",
        by: null,
        outcome: "succeeded",
        note: null,
      },
    });
  });
});

describe("an escalation", () => {
  test("goes where people are called for, with the agent's words in one line each", () => {
    const channels = { tier3: "#three", tier4: "#four", escalation: "#help" };
    const notify = { channel: null, tiers: [], actions: [], everyMs: 60_000 };
    expect(alertChannel("escalation", { channels, notify })).toBe("#help");
    const message = alertMessage(ESCALATION, "acme");
    expect(message?.text).toContain("Needs people: agent:trainer cannot find the cause");
    expect(message?.text).not.toContain("drops*\nframes");
    for (const part of ["INC-7", "NCCL timeout", "restarted twice", "portcullis escalation close esc_1"])
      expect(message?.text).toContain(part);
    const closed = alertMessage({ ...ESCALATION, event: "closed", by: "person:alice", note: "cable" }, "acme");
    expect(closed?.text).toContain("By person:alice: cable");
    expect(escalationAlertId(ESCALATION)).toBe("esc_1/opened");
  });

  test("at its longest is one message that Slack takes, and whole for a webhook", () => {
    const long = "x\n".repeat(4_000);
    const alert = { ...ESCALATION, hypothesis: long, evidence: long, tried: long, incident: "i".repeat(128) };
    const message = alertMessage(alert, "acme");
    expect(blocksProblem(message?.blocks ?? [])).toBeNull();
    expect(message?.text.length).toBeLessThan(SLACK_LIMITS.messageText);
    const event = alertEvent({ tenant: { tenant: "acme" }, at: AT, alert });
    expect(event["type"]).toBe("escalation.opened");
    expect(event["data"]).toMatchObject({ hypothesis: long, evidence: long, tried: long });
    const keys = incident("claimed", { key: "k".repeat(128), owner: `agent:${"o".repeat(100)}`, note: long });
    expect(blocksProblem(alertMessage(keys, "acme")?.blocks ?? [])).toBeNull();
  });
});
