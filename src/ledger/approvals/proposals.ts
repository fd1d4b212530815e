import { assert } from "../../platform/assert.ts";
import { newId } from "../../platform/ids.ts";
import { appendEntry, type Place } from "../../audit/journal.ts";
import { filledPlaces } from "../../policy/approver-groups.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { AdmissionScope } from "../admission.ts";
import { approvalById, insertApproval, lastEnded, openApprovals } from "./approval-rows.ts";
import {
  DRAFT_LIFETIME_MS,
  eligibleApprovers,
  OPEN_APPROVALS_MAX,
  summaryOf,
  type Approval,
  type ApprovalRequirement,
} from "./approvals.ts";
import { shortages } from "../money/budget.ts";
import { budgetExceeded } from "../money/holds.ts";
import type { BudgetWindows } from "../money/budget-windows.ts";
import type { AdmissionRequest, ProposalBounds } from "../contract.ts";
import { plan } from "../due.ts";
import { endApproval } from "./endings.ts";
import { termsOf } from "./grants.ts";
import { claimForProposal } from "../incidents/incidents.ts";
import { note } from "../notices.ts";
import { pendingShortages } from "./pending-bounds.ts";
import { reserve } from "../money/reservations.ts";
import { reservationMember } from "../money/settlement-record.ts";
import { tellThresholds } from "../money/thresholds.ts";

/**
 * Opens a proposal (or a draft, when required context is missing) and holds its money: approving is allocating. Journaled
 * in the same transaction. Opens nothing when too few people may decide, when the principal has too many open already, or
 * when the windows have no room.
 */
export function openProposal(
  sql: SqlStorage,
  place: Place,
  request: AdmissionRequest,
  requirement: ApprovalRequirement,
  windows: BudgetWindows,
  supersedes: Approval | null,
  now: EpochMs,
): Refusal {
  const eligible = eligibleApprovers(requirement.approvers, request.requester);
  const fillable = filledPlaces(
    requirement.groups,
    eligible.map((a) => a.subject),
  );
  if (fillable < requirement.needed) return tooFewApprovers(request, requirement, fillable);
  const crowded = crowding(sql, request, supersedes, requirement.bounds, now);
  if (crowded !== null) return crowded;
  if (supersedes !== null)
    endApproval(sql, place, supersedes, supersedes.expiresAt <= now ? "expired" : "invalidated", request.entry, now);
  const draft = requirement.missingContext.length > 0;
  const { terms } = termsOf(request, requirement, null);
  if (!draft) {
    const short = [
      ...shortages(sql, windows, request.budget, terms.ceilingMicros, null, now),
      ...pendingShortages(
        sql,
        windows,
        request.budget,
        requirement.bounds,
        request.requester.subject,
        terms.ceilingMicros,
        now,
      ),
    ];
    if (short.length > 0) return budgetExceeded(sql, short, request.requester.subject);
  }
  const id = newId("apr");
  const expiresAt = now + (draft ? Math.min(DRAFT_LIFETIME_MS, requirement.timeoutMs) : requirement.timeoutMs);
  insertApproval(sql, request, requirement, {
    id,
    state: draft ? "draft" : "pending",
    terms,
    openedAt: now,
    expiresAt,
  });
  if (!draft) {
    const { team, per } = request.budget;
    const { subject: principal } = request.requester;
    const priceVersion = request.cost.kind === "priced" ? request.cost.priceVersion : null;
    reserve(
      sql,
      { id, state: "held", principal, team, action: request.action, priceVersion, per },
      windows,
      terms.ceilingMicros,
      now,
    );
    tellThresholds(sql, windows, request.budget, now);
  }
  plan(sql, "approval-expiry", id, expiresAt);
  if (!draft) announce(sql, id, requirement.timeoutMs, now);
  appendEntry(
    sql,
    place,
    `${id}/opened`,
    {
      ...request.entry,
      kind: "proposal",
      decision: null,
      reason_code: draft ? "draft" : "opened",
      approval_id: id,
      reservation: reservationMember(sql, id),
      outcome: null,
    },
    now,
  );
  claimForProposal(sql, place, request, id, draft, now);
  const approval = approvalById(sql, id);
  assert(approval !== null, "a proposal that was just inserted exists");
  return { kind: "approval-required", approval: summaryOf(approval, 0, eligible, requirement.missingContext) };
}

/** Share of a proposal's time after which its approvers are reminded. */
const REMINDER_AFTER = 2 / 3;

/** A proposal is before people now: they are told, and told again before its time is over. */
export function announce(sql: SqlStorage, id: string, timeoutMs: number, now: EpochMs): void {
  note(sql, "opened", id, null, now);
  plan(sql, "approval-reminder", id, now + Math.floor(timeoutMs * REMINDER_AFTER));
}

/** Reminds of a proposal that is still open, once. */
export function remind(scope: Pick<AdmissionScope, "sql" | "now">, approvalId: string): void {
  const approval = approvalById(scope.sql, approvalId);
  if (approval?.state === "pending" && approval.expiresAt > scope.now)
    note(scope.sql, "reminder", approvalId, null, scope.now);
}

/** Taking one back to correct it is fine; each one had people look at it. */
const WITHDRAWALS_MAX = 3;

/** Who asks people for what. */
type Asked = Pick<AdmissionRequest, "requester" | "action" | "requestDigest">;

/** Why people are not asked just now: too much of this principal waits already, or they were asked too often. */
export const crowding = (
  sql: SqlStorage,
  asked: Asked,
  supersedes: Approval | null,
  bounds: ProposalBounds,
  now: EpochMs,
): Refusal | null => tooManyOpen(sql, asked, supersedes, now) ?? coolingDown(sql, asked, bounds, now);

function tooManyOpen(sql: SqlStorage, request: Asked, supersedes: Approval | null, now: EpochMs): Refusal | null {
  const open = openApprovals(sql, request.requester.subject, supersedes?.id ?? null, now);
  if (open.count < OPEN_APPROVALS_MAX) return null;
  return wait(`${OPEN_APPROVALS_MAX} open proposals of one principal`, (open.firstEndsAt ?? now) - now);
}

/**
 * After a no, and after several proposals were taken back, people are left alone for a while with this principal's asks for
 * the same action, whatever their digest.
 */
function coolingDown(
  sql: SqlStorage,
  { requester, action }: Asked,
  { deniedCoolDownMs, withdrawnCoolDownMs }: ProposalBounds,
  now: EpochMs,
): Refusal | null {
  const [denied] = lastEnded(sql, requester.subject, action, "denied", 1);
  if (denied !== undefined && now < denied + deniedCoolDownMs)
    return wait(
      `proposals for ${action} after one was denied`,
      Math.min(deniedCoolDownMs, denied + deniedCoolDownMs - now),
    );
  const withdrawn = lastEnded(sql, requester.subject, action, "withdrawn", WITHDRAWALS_MAX);
  const first = withdrawn.at(-1);
  if (withdrawn.length === WITHDRAWALS_MAX && first !== undefined && now < first + withdrawnCoolDownMs) {
    return wait(
      `proposals for ${action} after ${WITHDRAWALS_MAX} were taken back`,
      Math.min(withdrawnCoolDownMs, first + withdrawnCoolDownMs - now),
    );
  }
  return null;
}

const wait = (limit: string, leftMs: number): Refusal => ({
  kind: "rate-limited",
  limit,
  retry_after_s: Math.max(1, Math.ceil(leftMs / 1_000)),
});

/** The refusal where nobody is asked, because too few people could ever say yes. */
export const tooFewApprovers = (
  request: Asked,
  requirement: Pick<ApprovalRequirement, "needed" | "approvers" | "missingContext">,
  eligible: number,
): Refusal => ({
  kind: "approval-required",
  approval: {
    id: null,
    url: null,
    state: null,
    needed: requirement.needed,
    given: 0,
    eligible,
    approvers: requirement.approvers.map((a) => a.handle),
    expires_at: null,
    request_digest: request.requestDigest,
    missing: requirement.missingContext,
  },
});
