import { textOf } from "../../platform/sql-row.ts";
import type { Refusal } from "../../refusal.ts";
import type { AdmissionScope } from "../admission.ts";
import { approvalById } from "./approval-rows.ts";
import type { ApprovalRequirement } from "./approvals.ts";
import type { AdmissionRequest, SignedDecision } from "../contract.ts";
import { withDecisions } from "./approval-with-decisions.ts";
import { decide, ineligible, type DecisionOutcome, type DecisionRequest } from "./decisions.ts";
import { refused } from "./endings.ts";
import { termsOf } from "./grants.ts";
import { isRemoved } from "../lifecycle/registrations.ts";

/** Who may decide under the policy in force now, as for any decision. */
type Rules = Pick<DecisionRequest, "approvers" | "groups">;

/**
 * Counts the signed decisions that a request brings, each as one person's decision on the request's own open proposal. All or
 * nothing: one that does not hold refuses the request, and none is counted or used up. Null: they are counted, also where
 * more are needed. Beside one of the gate's own tokens they are not needed and not looked at. Run inside `transactionSync`.
 */
export function countSigned(
  scope: AdmissionScope,
  request: AdmissionRequest,
  requirement: ApprovalRequirement,
): Refusal | null {
  const { signed, tokens } = request.handles;
  if (signed.length === 0 || tokens.length > 0) return null;
  const fresh: SignedDecision[] = [];
  for (const decision of signed) {
    const twin = fresh.find(({ issuer, jti }) => issuer === decision.issuer && jti === decision.jti);
    const use = twin === undefined ? useOf(scope.sql, decision) : isSame(twin, decision) ? "counted" : "elsewhere";
    if (use === "elsewhere") return ELSEWHERE;
    const fault = faultOf(scope, request, requirement, decision);
    if (fault !== null) return fault;
    if (use === "fresh") fresh.push(decision);
  }
  for (const decision of fresh) count(scope, decision, decisionRequest(decision, request.requestId, requirement));
  return null;
}

/** Why a signed decision does not fit this request and its proposal as both stand now, null where it does. Reads only. */
function faultOf(
  { sql, now }: AdmissionScope,
  request: AdmissionRequest,
  requirement: ApprovalRequirement,
  decision: SignedDecision,
): Refusal | null {
  if (isRemoved(sql, "approval", decision.authority)) return REMOVED;
  const approval = approvalById(sql, decision.approvalId);
  if (approval === null || approval.principal !== request.requester.subject)
    return invalid("The signed decision is about no proposal of this principal.");
  if (approval.requestDigest !== request.requestDigest || approval.approvalDigest !== decision.approvalDigest)
    return DIFFERENT;
  if (decision.expiresAt <= now) return EXPIRED;
  // Others have completed it since: nothing is left to decide, and the grant is checked when it is used.
  if (approval.state === "approved") return null;
  if (approval.state !== "pending") return invalid(`The proposal is ${approval.state}.`);
  if (approval.expiresAt <= now) return EXPIRED;
  const { differences } = termsOf(request, requirement, approval.terms);
  const changed = differences.filter((name) => name !== "rule" && name !== "cost");
  if (changed.length > 0) return { kind: "resource-changed", differences: changed };
  if (differences.length > 0) return invalid(`Since the proposal the ${differences.join(" and ")} changed.`);
  const why = ineligible(approval, decisionRequest(decision, request.requestId, requirement));
  return why === null ? null : invalid(`${decision.subject}: ${why}`);
}

/**
 * Counts one signed decision that arrives by itself: the same as if its person decided here. Attempts of people who may not
 * decide are journaled like theirs. One that was counted on this proposal before changes nothing. Run inside `transactionSync`.
 */
export function decideSigned(
  scope: AdmissionScope,
  requestId: string,
  decision: SignedDecision,
  rules: Rules,
): DecisionOutcome {
  const { sql, now } = scope;
  const approval = approvalById(sql, decision.approvalId);
  if (approval === null) return refused({ kind: "not-found" });
  if (approval.approvalDigest !== decision.approvalDigest) return refused(DIFFERENT);
  if (isRemoved(sql, "approval", decision.authority)) return refused(REMOVED);
  const use = useOf(sql, decision);
  if (use === "elsewhere") return refused(ELSEWHERE);
  if (use === "counted") return { kind: "recorded", ...withDecisions(sql, approval) };
  if (decision.expiresAt <= now) return refused(EXPIRED);
  return count(scope, decision, decisionRequest(decision, requestId, rules));
}

/** Decides in the person's name; if that had any effect, the signature's id is used up. */
function count(scope: AdmissionScope, decision: SignedDecision, request: DecisionRequest): DecisionOutcome {
  const outcome = decide(scope, request);
  if (outcome.kind !== "recorded") return outcome;
  scope.sql.exec(
    "INSERT INTO signed_decisions (issuer, jti, approval_id, subject, counted_at) VALUES (?, ?, ?, ?, ?)",
    decision.issuer,
    decision.jti,
    decision.approvalId,
    decision.subject,
    scope.now,
  );
  return outcome;
}

const decisionRequest = (
  { authority, issuer, jti, subject, approvalId }: SignedDecision,
  requestId: string,
  { approvers, groups }: Rules,
): DecisionRequest => ({
  requestId,
  approvalId,
  decider: { subject, class: "person", credentialId: `approval:${authority}:${jti}`, demo: false, fault: null },
  decision: "approve",
  comment: null,
  provenance: `signed by ${issuer}, jti ${jti}`,
  approvers,
  groups,
  // A signature approves; it breaks no glass.
  breakGlass: [],
  breakGlassMaxMicros: 0,
});

/** Single use is keyed on issuer and jti. Seen on its own proposal it is the same decision once more; anywhere else it is refused. */
function useOf(sql: SqlStorage, decision: SignedDecision): "fresh" | "counted" | "elsewhere" {
  const row = sql
    .exec(
      "SELECT approval_id, subject FROM signed_decisions WHERE issuer = ? AND jti = ?",
      decision.issuer,
      decision.jti,
    )
    .toArray()[0];
  if (row === undefined) return "fresh";
  const counted = { approvalId: textOf(row, "approval_id"), subject: textOf(row, "subject") };
  return isSame(counted, decision) ? "counted" : "elsewhere";
}

type Counted = Pick<SignedDecision, "approvalId" | "subject">;
const isSame = (a: Counted, b: Counted): boolean => a.approvalId === b.approvalId && a.subject === b.subject;

const invalid = (reason: string): Refusal => ({ kind: "approval-invalid", reason });
const DIFFERENT = invalid("The signed decision was given for a different request.");
const ELSEWHERE = invalid("The signed decision was used for another one.");
const REMOVED = invalid("The approval authority that signed it was removed.");
const EXPIRED: Refusal = { kind: "approval-expired", reason: "The signed decision or its proposal has expired." };
