import { filledPlaces } from "../../policy/approver-groups.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { approvalByJti, decisionsOf, latestApproval } from "./approval-rows.ts";
import {
  approvalDigest,
  DENIAL_COOL_DOWN_MS,
  eligibleApprovers,
  type Approval,
  type ApprovalRequirement,
  type ApprovalTerms,
} from "./approvals.ts";
import type { AdmissionRequest, RequestContext } from "../contract.ts";

/** What the approval requirement says about a request: a grant to consume, or why it cannot run yet. */
export type GrantSearch =
  | {
      readonly kind: "granted";
      readonly approval: Approval;
      readonly approvers: readonly string[];
      readonly context: RequestContext;
    }
  | { readonly kind: "refused"; readonly refusal: Refusal }
  /** No usable grant: open a proposal, ending `supersedes` (its rule, price or context no longer holds) first. */
  | { readonly kind: "open"; readonly supersedes: Approval | null }
  | { readonly kind: "join"; readonly approval: Approval };

/**
 * Finds the grant for a request: by presented token, else by request digest and principal. Everything that people saw is
 * compared with the request as it is now. Reads only.
 */
export function findGrant(
  sql: SqlStorage,
  request: AdmissionRequest,
  requirement: ApprovalRequirement,
  now: EpochMs,
): GrantSearch {
  if (request.handles.tokens.length > 0) return grantByToken(sql, request, requirement, now);
  const approval = latestApproval(sql, request.requester.subject, request.requestDigest);
  if (approval === null) return { kind: "open", supersedes: null };
  if (approval.state === "denied" && now < (approval.decidedAt ?? 0) + DENIAL_COOL_DOWN_MS) {
    const deniedBy = decisionsOf(sql, approval.id).filter((d) => d.decision === "deny");
    return refused({ kind: "approval-denied", decided_by: deniedBy.map((d) => d.subject) });
  }
  if (approval.state === "draft" || approval.state === "pending") {
    if (approval.expiresAt <= now) return { kind: "open", supersedes: approval };
    const terms = termsOf(request, requirement, approval.terms);
    if (terms.differences.length > 0) return { kind: "open", supersedes: approval };
    // A draft completed by re-sending with the missing headers becomes a new, pending proposal.
    if (approval.state === "draft" && requirement.missingContext.length === 0)
      return { kind: "open", supersedes: approval };
    return { kind: "join", approval };
  }
  if (approval.state === "approved") return checkGrant(sql, request, requirement, approval, now, false);
  return { kind: "open", supersedes: null };
}

/**
 * Of several tokens the one that was given for exactly this request counts, and of several such the one whose grant stands: a
 * client may send what it has. None of them: refused.
 */
function grantByToken(
  sql: SqlStorage,
  request: AdmissionRequest,
  requirement: ApprovalRequirement,
  now: EpochMs,
): GrantSearch {
  const known = request.handles.tokens.flatMap((token) => {
    const approval = approvalByJti(sql, token.jti);
    const own = approval?.id === token.approvalId && approval.principal === request.requester.subject;
    return approval !== null && own ? [{ approval, token }] : [];
  });
  const fitting = known.filter(
    ({ approval, token }) =>
      approval.requestDigest === request.requestDigest && approval.approvalDigest === token.approvalDigest,
  );
  const chosen = fitting.find(({ approval }) => approval.state === "approved") ?? fitting[0];
  if (chosen !== undefined) return checkGrant(sql, request, requirement, chosen.approval, now, true);
  const reason =
    known.length === 0
      ? "No such approval was given to this principal."
      : "The approval was given for a different request.";
  return refused({ kind: "approval-invalid", reason });
}

function checkGrant(
  sql: SqlStorage,
  request: AdmissionRequest,
  requirement: ApprovalRequirement,
  approval: Approval,
  now: EpochMs,
  byToken: boolean,
): GrantSearch {
  if (approval.state !== "approved") {
    return refused({ kind: "approval-invalid", reason: `The approval is ${approval.state}.` });
  }
  if (approval.expiresAt <= now) {
    return byToken
      ? refused({ kind: "approval-expired", reason: "The approval was not used in time." })
      : { kind: "open", supersedes: approval };
  }
  const terms = termsOf(request, requirement, approval.terms);
  const contextDifferences = terms.differences.filter((name) => name !== "rule" && name !== "cost");
  if (contextDifferences.length > 0) return refused({ kind: "resource-changed", differences: contextDifferences });
  if (terms.differences.length > 0 || approvalDigest(request.requestDigest, terms.terms) !== approval.approvalDigest) {
    return byToken
      ? refused({
          kind: "approval-invalid",
          reason: `Since the approval the ${terms.differences.join(" and ")} changed.`,
        })
      : { kind: "open", supersedes: approval };
  }
  const eligible = new Set(eligibleApprovers(requirement.approvers, request.requester).map((a) => a.subject));
  const decisions = decisionsOf(sql, approval.id);
  const approvers = decisions.filter((d) => d.decision === "approve" && eligible.has(d.subject)).map((d) => d.subject);
  const stoodIn = decisions
    .filter((d) => d.decision === "break-glass" && requirement.breakGlass.includes(d.subject))
    .map((d) => d.subject);
  const filled = filledPlaces(requirement.groups, approvers);
  if (approval.tier !== request.tier || (filled < requirement.needed && stoodIn.length === 0)) {
    return refused({
      kind: "approval-invalid",
      reason: `${filled} of the approvals still count, ${requirement.needed} are needed.`,
    });
  }
  const { reason, evidence, evidenceRef, backOut, incident } = approval.terms;
  return {
    kind: "granted",
    approval,
    approvers: [...new Set([...approvers, ...stoodIn])],
    context: { reason, evidence, evidenceRef, backOut, incident },
  };
}

/**
 * The terms of a request as it stands now. Context that a re-sent request omits is inherited from what was approved;
 * what is present and different is a difference, as is a changed resource, price or rule.
 */
export function termsOf(
  request: AdmissionRequest,
  requirement: ApprovalRequirement,
  approved: ApprovalTerms | null,
): { readonly terms: ApprovalTerms; readonly differences: readonly string[] } {
  const { context } = request;
  const terms: ApprovalTerms = {
    reason: context.reason ?? approved?.reason ?? null,
    evidence: context.evidence ?? approved?.evidence ?? null,
    evidenceRef: context.evidenceRef ?? approved?.evidenceRef ?? null,
    backOut: context.backOut ?? approved?.backOut ?? null,
    incident: context.incident ?? approved?.incident ?? null,
    resource: request.resource,
    affected: request.observed.affected,
    resourceVersion: request.observed.version,
    ceilingMicros: request.cost.kind === "priced" ? request.cost.ceilingMicros : 0,
    ruleDigest: requirement.ruleDigest,
  };
  if (approved === null) return { terms, differences: [] };
  const names: readonly (readonly [keyof ApprovalTerms, string])[] = [
    ["reason", "reason"],
    ["evidence", "evidence"],
    ["evidenceRef", "evidence_ref"],
    ["backOut", "back_out"],
    ["incident", "incident"],
    ["resource", "resource"],
    ["affected", "affected"],
    ["resourceVersion", "resource_version"],
    ["ceilingMicros", "cost"],
    ["ruleDigest", "rule"],
  ];
  return { terms, differences: names.filter(([key]) => terms[key] !== approved[key]).map(([, name]) => name) };
}

const refused = (refusal: Refusal): GrantSearch => ({ kind: "refused", refusal });
