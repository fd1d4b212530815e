import { appendEntry } from "../audit/journal.ts";
import { blankEntry } from "../audit/record.ts";
import { integerOf, integerOrNull, textOf, textOrNull } from "../platform/sql-row.ts";
import { TIERS, type EpochMs } from "../vocabulary.ts";
import type { AdmissionScope } from "./admission.ts";
import { approvalById, decisionsOf } from "./approval-rows.ts";
import { interestOf, requesterOf } from "./approvals.ts";
import type { Approver } from "./contract.ts";
import type { Decider, DecisionOutcome } from "./decisions.ts";
import { refused } from "./endings.ts";

/** The review that every breaking of the glass needs afterwards: by somebody else who could have approved. */
export type Review = {
  readonly brokenBy: string;
  readonly brokenAt: EpochMs;
  readonly reviewedBy: string | null;
  readonly comment: string | null;
  readonly reviewedAt: EpochMs | null;
};

/** Asks for the review of a proposal whose glass was just broken. */
export function requireReview(sql: SqlStorage, approvalId: string, brokenBy: string, now: EpochMs): void {
  sql.exec(
    "INSERT OR IGNORE INTO reviews (approval_id, broken_by, broken_at) VALUES (?, ?, ?)",
    approvalId,
    brokenBy,
    now,
  );
}

/** The review that a proposal had or still needs; null where nobody broke the glass. */
export function reviewOf(sql: SqlStorage, approvalId: string): Review | null {
  const row = sql.exec("SELECT * FROM reviews WHERE approval_id = ?", approvalId).toArray()[0];
  if (row === undefined) return null;
  return {
    brokenBy: textOf(row, "broken_by"),
    brokenAt: integerOf(row, "broken_at"),
    reviewedBy: textOrNull(row, "reviewed_by"),
    comment: textOrNull(row, "comment"),
    reviewedAt: integerOrNull(row, "reviewed_at"),
  };
}

/** The proposal for which this person broke the glass and which nobody has reviewed yet; null where there is none. */
export function awaitingReview(sql: SqlStorage, subject: string): string | null {
  const row = sql
    .exec("SELECT approval_id FROM reviews WHERE broken_by = ? AND reviewed_at IS NULL LIMIT 1", subject)
    .toArray()[0];
  return row === undefined ? null : textOf(row, "approval_id");
}

/**
 * Records the review: by a person who may approve the tier (or security, as `reviewers` says), never by whoever broke the
 * glass nor by the requester's side. Once; it changes nothing of what ran. Run inside `transactionSync`.
 */
export function review(
  scope: AdmissionScope,
  request: {
    readonly requestId: string;
    readonly approvalId: string;
    readonly by: Decider;
    readonly comment: string;
    readonly reviewers: readonly Approver[];
  },
): DecisionOutcome {
  const { sql, now } = scope;
  const approval = approvalById(sql, request.approvalId);
  const open = approval === null ? null : reviewOf(sql, approval.id);
  if (approval === null || open === null) return refused({ kind: "not-found" });
  const { subject } = request.by;
  const involved = subject === open.brokenBy || interestOf(subject, requesterOf(approval)) !== null;
  if (request.by.class !== "person" || involved || !request.reviewers.some((one) => one.subject === subject)) {
    return refused({
      kind: "not-eligible",
      reason: "The review is for another person who may decide proposals of this tier, or for security.",
    });
  }
  if (open.reviewedAt !== null)
    return refused({ kind: "already-decided", state: "reviewed", decided_by: [open.reviewedBy ?? ""] });
  sql.exec(
    "UPDATE reviews SET reviewed_by = ?, comment = ?, reviewed_at = ? WHERE approval_id = ?",
    subject,
    request.comment,
    now,
    approval.id,
  );
  appendEntry(
    sql,
    scope.place,
    `${approval.id}/reviewed`,
    {
      ...blankEntry("break-glass", request.requestId, now),
      principal: subject,
      principal_class: request.by.class,
      credential_id: request.by.credentialId,
      demo: request.by.demo,
      action: approval.action,
      tier: TIERS.find((tier) => tier === approval.tier) ?? null,
      approval_id: approval.id,
      reason_code: "reviewed",
      detail: request.comment,
    },
    now,
  );
  return { kind: "recorded", approval, decisions: decisionsOf(sql, approval.id), review: reviewOf(sql, approval.id) };
}
