import { describe, expect, test } from "vitest";
import { alertEvent } from "../../src/notify/alert-event.ts";
import { signalId, type Signal, type SignalAlert } from "../../src/notify/signal.ts";
import { alertMessage } from "../../src/slack/alerts.ts";
import { SLACK_LIMITS } from "../../src/slack/limits.ts";
import type { JsonObject } from "../../src/platform/json.ts";
import { blocksProblem } from "../support/slack-payload-rules.ts";
import { AT } from "./money-alerts.ts";

const SINCE = new Date(AT).toISOString();

/** Every signal, what a webhook is told, and what people read of it. */
const SIGNALS: readonly (readonly [Signal, JsonObject, string, readonly string[]])[] = [
  [
    { signal: "denials", principal: "agent:trainer", count: 73, minutes: 10, since: AT },
    { principal: "agent:trainer", count: 73, minutes: 10 },
    "Refused 73 times in 10 minutes: agent:trainer",
    ["portcullis audit list --principal agent:trainer --decision refuse", "/_gate/v1/freeze"],
  ],
  [
    { signal: "ineligible-approvals", person: "person:mallory", count: 3, minutes: 60, since: AT },
    { person: "person:mallory", count: 3, minutes: 60 },
    "Tried 3 times to decide without being eligible: person:mallory",
    ["Within 60 minutes. None of it counted.", "portcullis audit list --principal person:mallory"],
  ],
  [
    { signal: "frozen", scope: "principal:agent:trainer", by: "person:sam", reason: "a key *leaked*\nhere", since: AT },
    { scope: "principal:agent:trainer", by: "person:sam", reason: "a key *leaked*\nhere" },
    "Frozen: principal:agent:trainer",
    ["By person:sam, 2026-11-20 14:02 UTC.", "Reason given: "],
  ],
  [
    { signal: "unfrozen", scope: "tenant", by: "person:sam", since: AT },
    { scope: "tenant", by: "person:sam" },
    "No longer frozen: tenant",
    ["Lifted by person:sam, 2026-11-20 14:02 UTC."],
  ],
  [
    { signal: "audit-backlog", log: "requests-2", rows: 5_000, since: AT },
    { log: "requests-2", rows: 5_000 },
    "Audit log requests-2: 5000 records wait for D1",
    ["None is lost", "GET /_gate/ready"],
  ],
  [
    { signal: "audit-halted", log: "ledger", cause: "D1 holds another record under ledger/7", since: AT },
    { log: "ledger", cause: "D1 holds another record under ledger/7" },
    "Audit log ledger has halted",
    ["D1 holds another record under ledger/7."],
  ],
  [
    { signal: "audit-unsigned", log: "requests-1", cause: "the tree of 9 records does not continue", since: AT },
    { log: "requests-1", cause: "the tree of 9 records does not continue" },
    "Audit log requests-1 is not signed any more",
    ["the tree of 9 records does not continue.", "verify an export against the checkpoints"],
  ],
  [
    { signal: "audit-copy-late", log: "ledger", copy: "webhook", rows: 4_000, minutes: 61, since: AT },
    { log: "ledger", copy: "webhook", rows: 4_000, minutes: 61 },
    "Audit log ledger: its copy by webhook is 61 minutes behind",
    ["4000 records wait for it", "None is lost"],
  ],
  [
    {
      signal: "outcome-unknown",
      requestId: "req_1",
      action: "workloads.submit",
      principal: "agent:trainer",
      since: AT,
    },
    { request_id: "req_1", action: "workloads.submit", principal: "agent:trainer" },
    "Outcome unknown for an hour: workloads.submit",
    ["Request req_1 of agent:trainer, admitted 2026-11-20 14:02 UTC.", "portcullis operations show req_1"],
  ],
];

const alertOf = (signal: Signal): SignalAlert => ({ kind: "audit-signal", ...signal });

describe("a signal", () => {
  test.each(SIGNALS)("is told to a webhook in the envelope of the other events: %j", (signal, data) => {
    expect(alertEvent({ tenant: { tenant: "acme" }, at: AT, alert: alertOf(signal) })).toEqual({
      version: 1,
      type: "audit.signal",
      timestamp: SINCE,
      tenant: "acme",
      data: { signal: signal.signal, ...data, since: SINCE },
    });
  });

  test.each(SIGNALS)("is one message that says what to do next: %j", (signal, _data, title, parts) => {
    const message = alertMessage(alertOf(signal), "acme");
    expect(blocksProblem(message?.blocks ?? [])).toBeNull();
    expect(message?.text.startsWith(title)).toBe(true);
    for (const part of parts) expect(message?.text).toContain(part);
    expect(JSON.stringify(message?.blocks)).toContain("Tenant acme");
  });

  test("has one id per episode", () => {
    const ids = SIGNALS.flatMap(([signal]) => [signal, { ...signal, since: AT + 1 }]).map((one) =>
      signalId(alertOf(one)),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids[0]).toBe(`audit-signal/denials/agent:trainer/${AT}`);
  });

  test("shows what people wrote in one line, and at its longest is one message that Slack takes", () => {
    const long = "x\n".repeat(5_000);
    for (const [signal] of SIGNALS) {
      const texts = Object.entries(signal).map(([key, value]) => [
        key,
        typeof value === "string" && key !== "signal" ? long : value,
      ]);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the same members, with longer texts
      const message = alertMessage(alertOf(Object.fromEntries(texts) as Signal), "acme");
      expect(blocksProblem(message?.blocks ?? [])).toBeNull();
      expect(message?.text.length).toBeLessThan(SLACK_LIMITS.messageText);
      expect(message?.text).not.toContain("x\nx");
    }
  });
});
