import { appendEntry } from "../../audit/journal.ts";
import { blankEntry } from "../../audit/record.ts";
import { TIERS } from "../../vocabulary.ts";
import type { AdmissionScope } from "../admission.ts";
import { approvalById } from "./approval-rows.ts";
import { withDecisions } from "./approval-with-decisions.ts";
import { interestOf, requesterOf } from "./approvals.ts";
import type { Approver } from "../contract.ts";
import type { Decider, DecisionOutcome } from "./decisions.ts";
import { refused } from "./endings.ts";
import { reviewOf } from "./reviews.ts";

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
  return { kind: "recorded", ...withDecisions(sql, approval) };
}
