import { countingOf } from "./aggregates/aggregates.ts";
import { busyRefusal, commonChecks, ownHold, type AdmissionScope } from "./admission.ts";
import { eligibleApprovers } from "./approvals/approvals.ts";
import { budgetView, shortages } from "./money/budget.ts";
import type { AdmissionRequest, PlanOutcome } from "./contract.ts";
import { budgetExceeded } from "./money/holds.ts";
import { claimedByOther, incidentOf, tooManyClaims } from "./incidents/incidents.ts";
import { raised } from "./aggregates/lift.ts";
import { issueReceipt } from "./receipts.ts";
import { ceilingOf, sized } from "./money/sized.ts";

/**
 * A dry run: every check that an execution would meet (but receipt and approval), the budget before and after, and a
 * receipt where `issue` asks for one. Holds nothing. Run inside `transactionSync`.
 */
export function planRequest(scope: AdmissionScope, asked: AdmissionRequest, issue: boolean): PlanOutcome {
  const { sql, now } = scope;
  const fitted = sized(sql, asked, now);
  // A plan repeats nothing: handles that would replay an execution do not apply to it.
  const bare = {
    ...fitted,
    handles: { idempotencyKey: null, byDigest: false, receipt: null, tokens: [], signed: [], tokenFault: null },
  };
  const stop = commonChecks(scope, bare);
  if (stop !== null) {
    if (stop.kind === "stale" || stop.kind === "refused") return stop;
    return {
      kind: "refused",
      refusal: { kind: "unavailable", dependency: "ledger", cause: "a plan cannot replay" },
      budget: null,
    };
  }
  const { windows } = scope;
  const counting = countingOf(sql, fitted, now);
  const { request, tally } = raised(sql, fitted, counting, now);
  const before = budgetView(sql, windows, request.budget, now);
  const claiming = incidentOf(sql, request);
  const { subject } = request.requester;
  const taken = claimedByOther(sql, claiming, subject, now)?.refusal ?? tooManyClaims(sql, claiming, subject, now);
  if (taken !== null) return { kind: "refused", refusal: taken, budget: before };
  const busy = busyRefusal(sql, request.resource);
  if (busy !== null) return { kind: "refused", refusal: busy, budget: before };
  if (counting.refusal !== null) return { kind: "refused", refusal: counting.refusal, budget: before, tally };
  const own = ownHold(sql, request);
  const ceiling = ceilingOf(request);
  const short = shortages(sql, windows, request.budget, ceiling, own, now);
  if (short.length > 0)
    return { kind: "refused", refusal: budgetExceeded(sql, short, request.requester.subject), budget: before, tally };
  const eligible =
    request.requirement.kind === "approval"
      ? eligibleApprovers(request.requirement.approvers, request.requester).length
      : 0;
  return {
    kind: "planned",
    addsMicros: ceiling,
    before,
    after: budgetView(sql, windows, request.budget, now, ceiling - (own?.ceilingMicros ?? 0)),
    eligible,
    // What people have to approve is run on their approval, not on a receipt.
    receipt:
      issue && tally.lifted === null ? issueReceipt(sql, request.requester.subject, request.requestDigest, now) : null,
    tally,
  };
}
