import { checkConstraints } from "../../catalogue/constraints.ts";
import { filledPlaces } from "../../policy/approver-groups.ts";
import type { EpochMs, Micros } from "../../vocabulary.ts";
import { approvalById, decisionsOf } from "./approval-rows.ts";
import { eligibleApprovers, type Approval, type ApprovalRequirement } from "./approvals.ts";
import type { AdmissionRequest } from "../contract.ts";
import { standingApprovalsFor, type StandingApproval } from "./standing-approvals.ts";

/** `reason_code` of the records of a use: the approvers gave it beforehand, and are not told of each. */
export const STANDING_USE = "standing-approval";

/** A standing approval that this request may use, and those of its approvers who count for it. */
export type StandingUse = {
  readonly standing: StandingApproval;
  readonly approval: Approval;
  readonly approvers: readonly string[];
};

/**
 * Finds the standing approval that lets a request run for which no grant was given: for its action and the owner of its credential,
 * approved and not at its end, a use and the whole ceiling left, every pin holding on its facts, under the very rules by which it
 * was given. Its approvers must still be enough by these rules, and none of them on the requester's side. Reason, evidence and
 * back-out are the request's own to bring. Reads only.
 */
export function findStandingUse(
  sql: SqlStorage,
  request: AdmissionRequest,
  requirement: ApprovalRequirement,
  ceilingMicros: Micros,
  now: EpochMs,
): StandingUse | null {
  const { standing: rules, missingContext } = requirement;
  if (rules === null || request.tier > rules.tier || missingContext.length > 0) return null;
  const eligible = new Set(eligibleApprovers(rules.approvers, request.requester).map((a) => a.subject));
  for (const standing of standingApprovalsFor(sql, request.requester.owner, request.action, ceilingMicros, now)) {
    if (!checkConstraints(standing.pins, request.facts).holds) continue;
    const approval = approvalById(sql, standing.id);
    if (approval?.state !== "approved" || approval.expiresAt <= now) continue;
    if (approval.tier !== rules.tier || approval.terms.ruleDigest !== rules.ruleDigest) continue;
    const approvers = decisionsOf(sql, standing.id)
      .filter((d) => d.decision === "approve" && eligible.has(d.subject))
      .map((d) => d.subject);
    if (filledPlaces(rules.groups, approvers) >= rules.needed) return { standing, approval, approvers };
  }
  return null;
}
