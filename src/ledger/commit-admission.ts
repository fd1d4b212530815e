import { appendEntry } from "../audit/journal.ts";
import { formatUsd } from "../platform/money.ts";
import type { EpochMs, Micros } from "../vocabulary.ts";
import { countActivity } from "./activity.ts";
import { countIn, type Counting } from "./aggregates/aggregates.ts";
import { consumeApproval } from "./approvals/approval-rows.ts";
import type { Approval } from "./approvals/approvals.ts";
import type { AdmissionRequest, RequestContext } from "./contract.ts";
import { plan } from "./due.ts";
import { note } from "./notices.ts";
import { claimIncident, claimingOf } from "./incidents/incidents.ts";
import { release, reserve } from "./money/reservations.ts";
import { tellThresholds } from "./money/thresholds.ts";
import { consumeReceipt } from "./receipts.ts";
import { rememberHandles } from "./replay.ts";
import { takeUse, type StandingApproval } from "./approvals/standing-approvals.ts";
import { STANDING_USE, type StandingUse } from "./approvals/use-standing-approval.ts";
import type { AdmissionScope } from "./admission.ts";
import { ceilingOf } from "./money/sized.ts";

/** What an admission spends of what was given before. */
export type Spending =
  | { readonly kind: "receipt"; readonly receipt: string }
  | { readonly kind: "grant"; readonly approval: Approval; readonly approvers: readonly string[] }
  | ({ readonly kind: "standing" } & StandingUse)
  | { readonly kind: "nothing" };

/** A request that may run: as it is admitted, as it was asked, what it spends, and the context of what people approved. */
type Admitted = {
  readonly request: AdmissionRequest;
  readonly asked: AdmissionRequest;
  readonly spending: Spending;
  readonly context: RequestContext;
  readonly counting: Counting;
};

/**
 * The writes of an admission. MUST run in the transaction of its checks. A crash before the commit leaves nothing of them; after it,
 * all of them, and the dispatch deadline among them finds out what became of the request.
 */
export function commitAdmission(scope: AdmissionScope, admitted: Admitted): void {
  const { sql, now, windows, place } = scope;
  const { request, asked, spending, context, counting } = admitted;
  const ceiling = ceilingOf(request);
  if (spending.kind === "receipt") consumeReceipt(sql, spending.receipt, request.requestId);
  if (spending.kind === "grant") {
    consumeApproval(sql, spending.approval.id, request.requestId);
    // The proposal's hold ends and the execution's begins in the windows of this moment: never both, never neither.
    release(sql, spending.approval.id, `moved to ${request.requestId}`, now);
    note(sql, "consumed", spending.approval.id, request.requestId, now);
  }
  if (spending.kind === "standing") takeUse(sql, spending.standing.id, request.requestId, ceiling, now);
  const { team, per } = request.budget;
  const { subject: principal } = request.requester;
  const priceVersion = request.cost.kind === "priced" ? request.cost.priceVersion : null;
  reserve(
    sql,
    { id: request.requestId, state: "dispatching", principal, team, action: request.action, priceVersion, per },
    windows,
    ceiling,
    now,
  );
  tellThresholds(sql, windows, request.budget, now);
  const entry = {
    ...request.entry,
    kind: "intent" as const,
    time: new Date(now).toISOString(),
    decision: "allow" as const,
    cost_micros: ceiling,
    reason: context.reason,
    evidence: context.evidence,
    back_out: context.backOut,
    incident: context.incident ?? request.incident.derived,
    approval_id: "approval" in spending ? spending.approval.id : null,
    approvers: "approval" in spending ? spending.approvers : [],
    ...(spending.kind === "standing" ? { reason_code: STANDING_USE, detail: useOf(spending.standing, ceiling) } : {}),
    reservation: {
      id: request.requestId,
      state: "dispatching",
      daily: windows.daily.id,
      monthly: windows.monthly.id,
      held_micros: ceiling,
      settled_micros: null,
    },
    outcome: "dispatching",
  };
  sql.exec(
    `INSERT INTO operations (request_id, principal, request_digest, sent, catalogue, route, resource, state, duration_ms, result_micros, entry, admitted_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, 'dispatching', ?, ?, ?, ?)`,
    request.requestId,
    request.requester.subject,
    request.requestDigest,
    request.sent,
    request.authority.catalogue,
    request.route,
    request.resource,
    request.cost.kind === "priced" ? request.cost.durationMs : null,
    // What the whole thing costs once it is changed: less than what is committed gives the difference back on success.
    asked.cost.kind === "priced" && asked.cost.currentMicros !== null ? asked.cost.ceilingMicros : null,
    JSON.stringify(entry),
    now,
  );
  countIn(sql, request, counting.parts);
  rememberHandles(sql, request, now);
  if (request.resource !== null) {
    sql.exec("INSERT INTO busy_resources (resource, request_id) VALUES (?, ?)", request.resource, request.requestId);
  }
  plan(sql, "dispatch-deadline", request.requestId, now + scope.dispatchDeadlineMs);
  appendEntry(sql, place, `${request.requestId}/intent`, entry, now);
  const { requester, action } = request;
  const instead = spending.kind === "grant" ? spending.approval.id : null;
  const work = { requester, action, entry, approvalId: null, instead };
  claimIncident(sql, place, claimingOf(request, context.incident), work, now);
  tellOf(sql, request, context, now);
}

/** Counts what was admitted for the message about it, where the policy has people told. */
function tellOf(sql: SqlStorage, request: AdmissionRequest, { reason }: RequestContext, now: EpochMs): void {
  const { action, tier, requestId, tellAfterMs } = request;
  if (tellAfterMs === null) return;
  const { subject: principal } = request.requester;
  const at = { firstRequestId: requestId, firstAt: now, lastRequestId: requestId, lastAt: now };
  countActivity(sql, { action, principal, tier, count: 1, ...at, reason, tellAfterMs }, now);
}

/** Which use of a standing approval a record is about. */
const useOf = ({ id, used, uses, usedMicros, capMicros }: StandingApproval, micros: Micros): string =>
  `use ${used + 1} of ${uses} of ${id}, ${formatUsd(usedMicros + micros)} of ${formatUsd(capMicros)} USD`;
