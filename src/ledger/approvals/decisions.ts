import { appendEntry } from "../../audit/journal.ts";
import { blankEntry, type AuditEntry } from "../../audit/record.ts";
import type { PrincipalClass } from "../../identity/principal.ts";
import { newId } from "../../platform/ids.ts";
import { formatUsd } from "../../platform/money.ts";
import { filledPlaces, placesOf } from "../../policy/approver-groups.ts";
import type { ApproverGroup } from "../../policy/types.ts";
import type { Refusal } from "../../refusal.ts";
import { TIERS, type EpochMs, type Micros } from "../../vocabulary.ts";
import type { AdmissionScope } from "../admission.ts";
import { approvalById, decisionsOf, grantApproval, storedRequest } from "./approval-rows.ts";
import { eligibleApprovers, GRANT_LIFETIME_MS, interestOf, requesterOf, type Approval } from "./approvals.ts";
import { withDecisions, type ApprovalWithDecisions } from "./approval-with-decisions.ts";
import type { Approver } from "../contract.ts";
import { noteAttempt } from "./attempts.ts";
import { plan } from "../due.ts";
import { alreadyDecided, endApproval, refused } from "./endings.ts";
import { note } from "../notices.ts";
import { awaitingReview, requireReview } from "./reviews.ts";
import { standingApproval } from "./standing-approvals.ts";

/** The person who decides, as authenticated: nobody can decide in another's name. */
export type Decider = {
  readonly subject: string;
  readonly class: PrincipalClass;
  readonly credentialId: string;
  readonly demo: boolean;
};

export type DecisionRequest = {
  readonly requestId: string;
  readonly approvalId: string;
  readonly decider: Decider & {
    /** Why the credential does not speak for the person here, null where it does. */
    readonly fault: string | null;
  };
  readonly decision: "approve" | "deny" | "break-glass";
  readonly comment: string | null;
  /** By which signed decision it came, for the record; absent where the person decided here. */
  readonly provenance?: string;
  /** People who may stand in for approvers under the policy in force now. */
  readonly breakGlass: readonly string[];
  /** The most that may be at stake for that. */
  readonly breakGlassMaxMicros: Micros;
  /** Who may decide this proposal's tier under the policy in force now. */
  readonly approvers: readonly Approver[];
  readonly groups: readonly ApproverGroup[];
};

export type DecisionOutcome =
  | ({ readonly kind: "recorded" } & ApprovalWithDecisions)
  | { readonly kind: "refused"; readonly refusal: Refusal };

/**
 * Records one person's decision. Counts only people who are on the list now and are neither requester, owner nor issuer;
 * one decision per person; any denial vetoes; terminal states never move. Refused attempts are journaled too. Run inside
 * `transactionSync`.
 */
export function decide(scope: AdmissionScope, request: DecisionRequest): DecisionOutcome {
  const { sql, now } = scope;
  const approval = approvalById(sql, request.approvalId);
  if (approval === null) return refused({ kind: "not-found" });
  const why = ineligible(approval, request) ?? glassFault(sql, approval, request);
  if (why !== null) {
    const { decider, decision } = request;
    noteAttempt(sql, approval.id, { subject: decider.subject, decision, reason: why, attemptedAt: now });
    journalDecision(scope, approval, request, "not-eligible", why);
    return refused({ kind: "not-eligible", reason: why });
  }
  const given = decisionsOf(sql, approval.id);
  const mine = given.find((d) => d.subject === request.decider.subject);
  const repeated = mine?.decision === request.decision;
  if (approval.state !== "pending") {
    return repeated ? { kind: "recorded", ...withDecisions(sql, approval) } : refused(alreadyDecided(approval, given));
  }
  if (approval.expiresAt <= now) {
    endApproval(sql, scope.place, approval, "expired", ledgerEntry(approval, request, now), now);
    return refused({ kind: "approval-expired", reason: "The proposal expired before it was decided." });
  }
  if (!repeated) recordDecision(scope, approval, request);
  if (request.decision === "deny") {
    endApproval(sql, scope.place, approval, "denied", ledgerEntry(approval, request, now), now);
  } else if (request.decision === "break-glass") {
    // Replaces the missing approvers and nothing else: budget, freeze and policy are judged again at execution.
    const approving = decisionsOf(sql, approval.id).filter((d) => d.decision === "approve");
    grant(scope, approval, request, [...new Set([...approving.map((d) => d.subject), request.decider.subject])]);
    requireReview(sql, approval.id, request.decider.subject, now);
    note(sql, "break-glass", approval.id, null, now);
  } else {
    // Also when repeated: an approval counts again once the policy lists its giver again.
    grantIfComplete(scope, approval, request);
  }
  return { kind: "recorded", ...withDecisions(sql, approvalById(sql, approval.id) ?? approval) };
}

function recordDecision(scope: AdmissionScope, approval: Approval, request: DecisionRequest): void {
  scope.sql.exec(
    `INSERT INTO decisions (approval_id, subject, decision, comment, credential_id, demo, decided_at) VALUES (?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (approval_id, subject) DO UPDATE SET decision = excluded.decision, comment = excluded.comment,
       credential_id = excluded.credential_id, demo = excluded.demo, decided_at = excluded.decided_at`,
    approval.id,
    request.decider.subject,
    request.decision,
    request.comment,
    request.decider.credentialId,
    request.decider.demo ? 1 : 0,
    scope.now,
  );
  journalDecision(scope, approval, request, request.decision, request.comment);
  note(scope.sql, "decided", approval.id, request.requestId, scope.now);
}

/** Grants when enough people who are eligible *now* have approved; earlier approvals of people since removed do not count. */
function grantIfComplete(scope: AdmissionScope, approval: Approval, request: DecisionRequest): void {
  const { sql } = scope;
  const eligible = new Set(eligibleApprovers(request.approvers, requesterOf(approval)).map((a) => a.subject));
  const approving = decisionsOf(sql, approval.id).filter((d) => d.decision === "approve" && eligible.has(d.subject));
  const filled = filledPlaces(
    request.groups,
    approving.map((d) => d.subject),
  );
  if (filled < approval.needed || filled < placesOf(request.groups)) return;
  grant(
    scope,
    approval,
    request,
    approving.map((d) => d.subject),
  );
}

/** Makes a grant of a proposal: single use, for half an hour at most; or a standing one, until the end that was asked for. */
function grant(
  scope: AdmissionScope,
  approval: Approval,
  request: DecisionRequest,
  approvers: readonly string[],
): void {
  const { sql, now } = scope;
  const standing = standingApproval(sql, approval.id);
  const expiresAt = standing?.endsAt ?? now + Math.min(GRANT_LIFETIME_MS, approval.timeoutMs);
  grantApproval(sql, approval.id, standing === null ? newId("grt") : null, expiresAt, now);
  plan(sql, "approval-expiry", approval.id, expiresAt);
  appendEntry(
    sql,
    scope.place,
    `${approval.id}/approved`,
    { ...ledgerEntry(approval, request, now), reason_code: "approved", approvers },
    now,
  );
  note(sql, "approved", approval.id, null, now);
  if (storedRequest(sql, approval.id) !== null) note(sql, "execute", approval.id, null, now);
}

/** Why this person's word on this proposal does not count, null where it does. Reads nothing. */
export function ineligible(approval: Approval, request: DecisionRequest): string | null {
  const { subject, class: deciderClass } = request.decider;
  if (request.decider.fault !== null) return request.decider.fault;
  if (deciderClass !== "person") return "Only people decide; this credential is not a person's.";
  const interest = interestOf(subject, requesterOf(approval));
  if (interest !== null) return interest;
  if (request.decision !== "break-glass" && !request.approvers.some((a) => a.subject === subject))
    return "This person is not an approver of this tier.";
  return approval.state === "draft" ? "The draft still lacks context; it cannot be decided yet." : null;
}

/** What else breaking the glass needs: the role that the policy names, a reason, its cap, and no unreviewed earlier one. */
function glassFault(sql: SqlStorage, approval: Approval, request: DecisionRequest): string | null {
  if (request.decision !== "break-glass") return null;
  const { subject } = request.decider;
  if (standingApproval(sql, approval.id) !== null)
    return "The glass is broken for one request, not for a standing approval.";
  if (!request.breakGlass.includes(subject)) return "This person does not hold the role that may break the glass.";
  if (request.comment === null) return "Breaking the glass needs a comment that says why.";
  if (approval.ceilingMicros > request.breakGlassMaxMicros)
    return `It may cost up to ${formatUsd(approval.ceilingMicros)} USD, and the glass is broken for at most ${formatUsd(request.breakGlassMaxMicros)} USD.`;
  const unreviewed = awaitingReview(sql, subject);
  return unreviewed === null || unreviewed === approval.id
    ? null
    : `${unreviewed}, for which this person broke the glass before, still awaits its review.`;
}

function ledgerEntry(approval: Approval, request: DecisionRequest, now: EpochMs): AuditEntry {
  return {
    // A class of its own in the audit record: whoever looks for broken glass finds all of it.
    ...blankEntry(request.decision === "break-glass" ? "break-glass" : "decision", request.requestId, now),
    principal: request.decider.subject,
    principal_class: request.decider.class,
    credential_id: request.decider.credentialId,
    demo: request.decider.demo,
    action: approval.action,
    tier: TIERS.find((tier) => tier === approval.tier) ?? null,
    request_digest: `sha256:${approval.requestDigest.slice("sha256:".length)}`,
    approval_id: approval.id,
    reason: approval.terms.reason,
    incident: approval.terms.incident ?? approval.derivedIncident,
    cost_micros: approval.ceilingMicros,
  };
}

function journalDecision(
  scope: AdmissionScope,
  approval: Approval,
  request: DecisionRequest,
  code: string,
  detail: string | null,
): void {
  appendEntry(
    scope.sql,
    scope.place,
    // One call may bring several people's decisions.
    `${approval.id}/${request.requestId}/${request.decider.subject}/${code}`,
    {
      ...ledgerEntry(approval, request, scope.now),
      reason_code: code,
      detail: [request.provenance, detail].filter((part) => (part ?? null) !== null).join(": ") || null,
    },
    scope.now,
  );
}
