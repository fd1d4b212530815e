import { backlog, type Place } from "../audit/journal.ts";
import { BACKLOG_LIMIT_ROWS } from "../audit/projection.ts";
import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";
import { countingOf } from "./aggregates/aggregates.ts";
import { decisionsOf, latestApproval } from "./approvals/approval-rows.ts";
import { eligibleApprovers, summaryOf, type Approval, type ApprovalRequirement } from "./approvals/approvals.ts";
import { credentialFault, freezeRefusal, listFreezes, standing } from "./authority.ts";
import { budgetView, shortages } from "./money/budget.ts";
import type { BudgetWindows } from "./money/budget-windows.ts";
import {
  LEDGER_RPC_VERSION,
  type AdmissionOutcome,
  type AdmissionRequest,
  type BudgetView,
  type RequestContext,
} from "./contract.ts";
import { budgetExceeded } from "./money/holds.ts";
import { noteAlert } from "./notices.ts";
import { endApproval } from "./approvals/endings.ts";
import { findGrant, type GrantSearch } from "./approvals/grants.ts";
import { releaseIdle } from "./incidents/incident-endings.ts";
import { incidentOf, incidentRefusal } from "./incidents/incidents.ts";
import { raised } from "./aggregates/lift.ts";
import { openProposal } from "./approvals/proposals.ts";
import { findReservation, type Reservation } from "./money/reservations.ts";
import { ceilingOf, sized } from "./money/sized.ts";
import { receiptRefusal } from "./receipts.ts";
import { findReplay, operationUrl } from "./replay.ts";
import { countSigned } from "./approvals/signed-decisions.ts";
import { findStandingUse } from "./approvals/use-standing-approval.ts";
import { beginScopes } from "./money/windows.ts";
import { textOf } from "../platform/sql-row.ts";
import { commitAdmission, type Spending } from "./commit-admission.ts";

/** What one admission runs with. `dispatchDeadlineMs`: how long after admission a silent dispatch becomes `unknown`. */
export type AdmissionScope = {
  readonly sql: SqlStorage;
  readonly place: Place;
  /** Opened when first looked at, in the policy's zone: so not before the request is known to rest on the policy in force. */
  readonly windows: BudgetWindows;
  readonly now: EpochMs;
  readonly dispatchDeadlineMs: number;
};

type Stop = Exclude<AdmissionOutcome, { kind: "admitted" }>;
/**
 * Decides one write and, if it may run, commits everything that makes it so: spent receipt or grant, idempotency
 * handles, daily and monthly hold, the operation, and the audit intent. MUST run inside `transactionSync`, with no
 * `await` anywhere below it: all checks come first, all writes after, together or not at all. One write comes earlier:
 * decisions that arrive signed with the request are counted before the grant is looked for, and stay counted where more are
 * needed.
 *
 * A crash after the commit leaves a reservation in `dispatching`, which means *possibly sent*: its dispatch deadline
 * turns it into `unknown`, and reconciliation finds out (operations.ts).
 */
export function admit(scope: AdmissionScope, asked: AdmissionRequest): AdmissionOutcome {
  const { sql, now } = scope;
  const stop = commonChecks(scope, asked);
  if (stop !== null) return stop;
  const { windows } = scope;
  const fitted = sized(sql, asked, now);
  const counting = countingOf(sql, fitted, now);
  const { request, tally } = raised(sql, fitted, counting, now);
  const refuse = (refusal: Refusal): AdmissionOutcome => ({
    kind: "refused",
    refusal,
    budget: budgetView(sql, windows, request.budget, now),
    tally,
  });
  const lacking = tally.lifted === null ? (request.lift?.otherwise ?? null) : null;
  if (lacking !== null) return refuse(lacking);

  const taken = incidentRefusal(sql, incidentOf(sql, request), request.requester.subject, now);
  if (taken !== null) return refuse(taken);
  const busy = busyRefusal(sql, request.resource);
  if (busy !== null) return refuse(busy);
  if (request.requirement.kind === "receipt") {
    const refusal = receiptRefusal(sql, request.handles.receipt, request.requester.subject, request.requestDigest, now);
    if (refusal !== null) return refuse(refusal);
  }
  if (counting.refusal !== null) return refuse(counting.refusal);
  const own = ownHold(sql, request);
  const short = shortages(sql, windows, request.budget, ceilingOf(request), own, now);
  if (short.length > 0) {
    const { action, requester, budget } = request;
    // Read from the book once, not again for each of a flood of refusals.
    beginScopes(sql, windows, budget.per);
    noteAlert(sql, { kind: "budget-refused", principal: requester.subject, action, windows: short }, now);
    return refuse(budgetExceeded(sql, short, request.requester.subject));
  }

  let spending: Spending = { kind: "nothing" };
  let context: RequestContext = request.context;
  if (request.requirement.kind === "receipt" && request.handles.receipt !== null) {
    spending = { kind: "receipt", receipt: request.handles.receipt };
  }
  if (request.requirement.kind === "approval") {
    if (request.handles.tokenFault !== null) return refuse(request.handles.tokenFault);
    const uncounted = countSigned(scope, request, request.requirement);
    if (uncounted !== null) return refuse(uncounted);
    const search = findGrant(sql, request, request.requirement, now);
    if (search.kind === "refused") return refuse(search.refusal);
    if (search.kind === "granted") {
      spending = { kind: "grant", approval: search.approval, approvers: search.approvers };
      context = search.context;
    } else {
      // Given beforehand for one request at a time, it says nothing of what many of them add up to.
      const isBeyond = counting.exceeded.length > 0;
      const use = isBeyond ? null : findStandingUse(sql, request, request.requirement, ceilingOf(request), now);
      if (use === null) return refuse(putBeforePeople(scope, request, request.requirement, search));
      // Whatever was open for this request is answered by it, and must not run it once more.
      const open = search.kind === "join" ? search.approval : search.supersedes;
      if (open !== null) endApproval(sql, scope.place, open, "invalidated", request.entry, now);
      spending = { kind: "standing", ...use };
    }
  }
  if (request.lift !== null && tally.lifted === null) endOpen(scope, request);
  commitAdmission(scope, { request, asked, spending, context, counting });
  if (spending.kind === "standing") releaseIdle(sql, scope.place, request.requester.subject, request.entry, now);
  return {
    kind: "admitted",
    budget: budgetView(sql, windows, request.budget, now),
    approvalId: "approval" in spending ? spending.approval.id : null,
    approvers: "approval" in spending ? spending.approvers : [],
    context,
    tally,
  };
}

/** There was no room under an aggregate, and there is now: what was put before people because of that is answered by this. */
function endOpen({ sql, place, now }: AdmissionScope, request: AdmissionRequest): void {
  const open = latestApproval(sql, request.requester.subject, request.requestDigest);
  if (open !== null) endApproval(sql, place, open, "invalidated", request.entry, now);
}

/** Opens a proposal for a request that nothing lets run yet, or says which one is open. */
function putBeforePeople(
  { sql, place, windows, now }: AdmissionScope,
  request: AdmissionRequest,
  requirement: ApprovalRequirement,
  search: Extract<GrantSearch, { kind: "open" | "join" }>,
): Refusal {
  if (search.kind === "open") {
    const opened = openProposal(sql, place, request, requirement, windows, search.supersedes, now);
    releaseIdle(sql, place, request.requester.subject, request.entry, now);
    return opened;
  }
  return { kind: "approval-required", approval: joinSummary(sql, request, search.approval) };
}

/** The checks that admissions and plans share, in the order of refusals. Reads only. */
export function commonChecks(scope: AdmissionScope, request: AdmissionRequest): Stop | null {
  const { sql, now } = scope;
  if (request.rpcVersion !== LEDGER_RPC_VERSION) return unavailable("ledger", `RPC version ${request.rpcVersion}`);
  const authority = standing(sql, request.authority);
  if (authority === "none") return unavailable("ledger", "the tenant has no active policy version");
  if (authority === "stale") return { kind: "stale" };
  const budget = (): BudgetView => budgetView(sql, scope.windows, request.budget, now);
  const fault = credentialFault(sql, request.requester, now);
  if (fault !== null) return { kind: "refused", refusal: { kind: "unauthenticated", cause: fault }, budget: null };
  const { rows, halted } = backlog(sql);
  if (halted !== null) return unavailable("audit", halted);
  if (rows >= BACKLOG_LIMIT_ROWS) return unavailable("audit", `${rows} audit rows wait for D1`);
  const replay = findReplay(sql, request, now);
  if (replay.kind === "replay") return { kind: "replay", outcome: replay.outcome, budget: budget() };
  if (replay.kind === "refused") return { kind: "refused", refusal: replay.refusal, budget: budget() };
  const frozen = freezeRefusal(listFreezes(sql), request.requester, request.action, ceilingOf(request));
  if (frozen !== null) return { kind: "refused", refusal: frozen, budget: budget() };
  const refusal = request.refusal ?? closedRefusal(request, now);
  return refusal === null ? null : { kind: "refused", refusal, budget: budget() };
}

/** A window that closed between the Worker's judgement and this moment lets nothing through: the ledger's clock decides. */
const closedRefusal = ({ open }: AdmissionRequest, now: EpochMs): Refusal | null =>
  open !== null && now >= open.closesAt ? open.after : null;

/** A hold that this very request's open proposal or grant already has. */
export function ownHold(sql: SqlStorage, request: AdmissionRequest): Reservation | null {
  if (request.requirement.kind !== "approval" && request.lift === null) return null;
  const approval = latestApproval(sql, request.requester.subject, request.requestDigest);
  if (approval === null || (approval.state !== "pending" && approval.state !== "approved")) return null;
  const reservation = findReservation(sql, approval.id);
  return reservation?.state === "held" ? reservation : null;
}

function joinSummary(sql: SqlStorage, request: AdmissionRequest, approval: Approval): ReturnType<typeof summaryOf> {
  const requirement = request.requirement;
  const approvers = requirement.kind === "approval" ? requirement.approvers : [];
  const given = decisionsOf(sql, approval.id).filter((d) => d.decision === "approve").length;
  const missing = approval.state === "draft" && requirement.kind === "approval" ? requirement.missingContext : [];
  return summaryOf(approval, given, eligibleApprovers(approvers, request.requester), missing);
}

/** Why the request has to wait for another change of its resource, null where it need not. */
export function busyRefusal(sql: SqlStorage, resource: string | null): Refusal | null {
  if (resource === null) return null;
  const row = sql.exec("SELECT request_id FROM busy_resources WHERE resource = ?", resource).toArray()[0];
  return row === undefined
    ? null
    : { kind: "resource-busy", resource, operation_url: operationUrl(textOf(row, "request_id")) };
}

const unavailable = (dependency: string, cause: string): Stop => ({
  kind: "refused",
  refusal: { kind: "unavailable", dependency, cause },
  budget: null,
});
