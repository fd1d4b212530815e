import { AUDIT_KINDS } from "../../src/audit/record-schema.ts";
import type { AuditRecord } from "../../src/audit/record.ts";
import { auditLog } from "./records.ts";

const NOTHING_KNOWN = {
  principal: null,
  principal_class: null,
  owner: null,
  credential_id: null,
  method: null,
  path: null,
  action: null,
  tier: null,
  decision: null,
  rule: null,
  facts: null,
  cost_micros: null,
  price_version: null,
  reason: null,
  outcome: null,
} as const;

const EVENTS = ["proposal", "decision", "break-glass", "settlement", "admin"] as const;
const REFUSALS = ["unauthenticated", "out-of-scope", "budget-exceeded", "approval-required", "unavailable"];
const OUTCOMES = ["succeeded", "failed", "unknown", "not-sent", "not-seen", "settled", "replayed", null];

/** Records of every kind, and of every shape that one may have: what is known of a request ends somewhere. */
export const everyKind: readonly AuditRecord[] = auditLog([
  ...AUDIT_KINDS.flatMap((kind) => [{ kind }, { ...NOTHING_KNOWN, kind }]),
  ...REFUSALS.map((reason) => ({
    kind: "request" as const,
    decision: "refuse" as const,
    reason_code: reason,
    outcome: "refused",
  })),
  ...OUTCOMES.map((outcome) => ({ kind: "outcome" as const, outcome, upstream_status: 201, duration_ms: 12 })),
  ...["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"].map((method) => ({ method, tier: null })),
  ...([0, 1, 2, 3, 4, 5] as const).map((tier) => ({ tier })),
  ...["person", "service", "agent", "deployment", "gate"].map((principal_class) => ({ principal_class })),
  ...["approve", "deny", "approved", "denied", "not-eligible", "already-decided"].map((reason_code) => ({
    ...NOTHING_KNOWN,
    kind: "decision" as const,
    principal: "person:alice",
    principal_class: "person",
    reason_code,
  })),
  ...EVENTS.map((kind) => ({ kind, detail: "@alice: fine", approval_id: "apr_1", approvers: ["person:alice"] })),
  {
    demo: true,
    path: "/v1/workloads?dry_run=true&x=?",
    evidence: "e\u0000\u202e\r\n=1+1",
    back_out: "cancel",
    incident: "INC-1",
  },
  { count: 17, kind: "request" as const, decision: "refuse" as const, detail: "17 like refusals of this principal" },
  { facts: { resource: "job-7", pins: ["a", "b"], gpus: 0.5, urgent: true } },
  {
    kind: "settlement" as const,
    reservation: {
      id: "req_1",
      state: "settled",
      daily: "2026-11-20",
      monthly: "2026-11",
      held_micros: 0,
      settled_micros: 5,
    },
  },
]);
