import { appendEntry } from "../../audit/journal.ts";
import type { AuditEntry } from "../../audit/record.ts";
import type { ContextField } from "../../policy/types.ts";
import type { AdmissionScope } from "../admission.ts";
import { approvalById, decisionsOf } from "./approval-rows.ts";
import { approvalDigest, type ApprovalTerms } from "./approvals.ts";
import { shortages } from "../money/budget.ts";
import { budgetExceeded } from "../money/holds.ts";
import type { BudgetTerms, ProposalBounds, RequestContext } from "../contract.ts";
import { withDecisions } from "./approval-with-decisions.ts";
import type { Decider, DecisionOutcome } from "./decisions.ts";
import { plan } from "../due.ts";
import { alreadyDecided, doneBy, isRequesterOrOwner, refused, storedEntry } from "./endings.ts";
import { isDerived, NOT_THE_CATALOGUES } from "../incidents/incident-record.ts";
import { claimIncident, incidentRefusal } from "../incidents/incidents.ts";
import { pendingShortages } from "./pending-bounds.ts";
import { announce } from "./proposals.ts";
import { reserve } from "../money/reservations.ts";
import { reservationMember } from "../money/settlement-record.ts";
import { tellThresholds } from "../money/thresholds.ts";

/**
 * Completes a draft into a pending proposal: context comes in, the money is held, the clock of the proposal starts. One
 * transaction; nothing changes when required context is still missing or the windows have no room.
 */
export function completeDraft(
  scope: AdmissionScope,
  request: {
    readonly requestId: string;
    readonly approvalId: string;
    readonly by: Decider;
    readonly context: RequestContext;
    readonly required: readonly ContextField[];
    readonly budget: BudgetTerms;
    readonly bounds: ProposalBounds;
    /** How long a claim of its incident lasts without activity. */
    readonly claimMs: number;
  },
): DecisionOutcome {
  const { sql, now } = scope;
  const approval = approvalById(sql, request.approvalId);
  if (approval === null || !isRequesterOrOwner(approval, request.by.subject)) return refused({ kind: "not-found" });
  if (approval.state !== "draft") return refused(alreadyDecided(approval, decisionsOf(sql, approval.id)));
  if (approval.expiresAt <= now)
    return refused({ kind: "approval-expired", reason: "The draft expired before it was completed." });
  const terms: ApprovalTerms = {
    ...approval.terms,
    reason: request.context.reason ?? approval.terms.reason,
    evidence: request.context.evidence ?? approval.terms.evidence,
    backOut: request.context.backOut ?? approval.terms.backOut,
    incident: request.context.incident ?? approval.terms.incident,
  };
  const { ceilingMicros, principal, owner, action, derivedIncident } = approval;
  const key = derivedIncident ?? terms.incident;
  const present = {
    reason: terms.reason,
    evidence: terms.evidence ?? terms.evidenceRef,
    back_out: terms.backOut,
    incident: key,
  };
  const missing = request.required.filter((field) => present[field] === null);
  if (missing.length > 0) return refused({ kind: "reason-required", missing });
  if (terms.incident !== null && isDerived(terms.incident) && terms.incident !== key)
    return refused({ kind: "malformed-request", reason: NOT_THE_CATALOGUES });
  const claiming = key === null ? null : { key, claimMs: request.claimMs, given: terms.incident };
  const taken = incidentRefusal(sql, claiming, principal, now);
  if (taken !== null) return refused(taken);
  const short = [
    ...shortages(sql, scope.windows, request.budget, ceilingMicros, null, now),
    ...pendingShortages(sql, scope.windows, request.budget, request.bounds, principal, ceilingMicros, now),
  ];
  if (short.length > 0) return refused(budgetExceeded(sql, short, principal));
  const expiresAt = now + approval.timeoutMs;
  const entry: AuditEntry = {
    ...storedEntry(sql, approval),
    time: new Date(now).toISOString(),
    reason: terms.reason,
    evidence: terms.evidence,
    back_out: terms.backOut,
    incident: terms.incident ?? derivedIncident,
  };
  sql.exec(
    "UPDATE approvals SET state = 'pending', terms = ?, entry = ?, approval_digest = ?, expires_at = ? WHERE id = ?",
    JSON.stringify(terms),
    JSON.stringify(entry),
    approvalDigest(approval.requestDigest, terms),
    expiresAt,
    approval.id,
  );
  const { team, per } = request.budget;
  reserve(
    sql,
    { id: approval.id, state: "held", principal, team, action, priceVersion: entry.price_version, per },
    scope.windows,
    ceilingMicros,
    now,
  );
  tellThresholds(sql, scope.windows, request.budget, now);
  plan(sql, "approval-expiry", approval.id, expiresAt);
  announce(sql, approval.id, approval.timeoutMs, now);
  appendEntry(
    sql,
    scope.place,
    `${approval.id}/completed`,
    {
      ...entry,
      // Whose words these are: the owner may have written what the agent left out.
      ...doneBy(request),
      kind: "proposal",
      decision: null,
      reason_code: "opened",
      approval_id: approval.id,
      reservation: reservationMember(sql, approval.id),
      outcome: null,
    },
    now,
  );
  const work = { requester: { subject: principal, owner }, action, entry, approvalId: approval.id, instead: null };
  claimIncident(sql, scope.place, claiming, work, now);
  return { kind: "recorded", ...withDecisions(sql, approvalById(sql, approval.id) ?? approval) };
}
