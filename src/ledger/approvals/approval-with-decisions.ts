import { decisionsOf } from "./approval-rows.ts";
import type { Approval, Decision } from "./approvals.ts";
import { attemptsOf, type Attempt } from "./attempts.ts";
import { reviewOf, type Review } from "./reviews.ts";
import { standingApproval, type StandingApproval } from "./standing-approvals.ts";

/** An approval with all that people have said about it. */
export type ApprovalWithDecisions = {
  readonly approval: Approval;
  readonly decisions: readonly Decision[];
  /** Null where nobody broke the glass. */
  readonly review: Review | null;
  /** Of people whose word does not count. */
  readonly attempts: readonly Attempt[];
  /** Its terms and uses where it is a standing approval, null where it is for one request. */
  readonly standing: StandingApproval | null;
};

/** What the tables say about it now. */
export const withDecisions = (sql: SqlStorage, approval: Approval): ApprovalWithDecisions => ({
  approval,
  decisions: decisionsOf(sql, approval.id),
  review: reviewOf(sql, approval.id),
  attempts: attemptsOf(sql, approval.id),
  standing: standingApproval(sql, approval.id),
});
