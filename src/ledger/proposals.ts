import { assert } from "../platform/assert.ts";
import { newId } from "../platform/ids.ts";
import { appendEntry, type Place } from "../audit/journal.ts";
import type { AuditEntry } from "../audit/record.ts";
import { filledPlaces } from "../policy/approver-groups.ts";
import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";
import {
  approvalByJti,
  approvalDigest,
  decisionsOf,
  DENIAL_COOL_DOWN_MS,
  DRAFT_LIFETIME_MS,
  eligibleApprovers,
  insertApproval,
  lastEnded,
  latestApproval,
  OPEN_APPROVALS_MAX,
  openApprovals,
  setApprovalState,
  summaryOf,
  approvalById,
  type Approval,
  type ApprovalRequirement,
  type ApprovalTerms,
} from "./approvals.ts";
import { budgetExceeded, findReservation, reserve, resolveReservation, shortages } from "./budget.ts";
import type { BudgetWindows } from "./budget-windows.ts";
import type { AdmissionRequest, ProposalBounds, RequestContext } from "./contract.ts";
import { plan } from "./due.ts";
import { note } from "./notices.ts";
import { pendingShortages } from "./pending-bounds.ts";

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
  const token = request.handles.tokens[0];
  if (token !== undefined) {
    const approval = approvalByJti(sql, token.jti);
    if (approval === null || approval.id !== token.approvalId || approval.principal !== request.requester.subject) {
      return refused({ kind: "approval-invalid", reason: "No such approval was given to this principal." });
    }
    if (approval.requestDigest !== request.requestDigest || approval.approvalDigest !== token.approvalDigest) {
      return refused({ kind: "approval-invalid", reason: "The approval was given for a different request." });
    }
    return checkGrant(sql, request, requirement, approval, now, true);
  }
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
  const approvers = decisionsOf(sql, approval.id)
    .filter((d) => d.decision === "approve" && eligible.has(d.subject))
    .map((d) => d.subject);
  const stoodIn = decisionsOf(sql, approval.id)
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
function termsOf(
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
  const crowded = tooManyOpen(sql, request, supersedes, now) ?? coolingDown(sql, request, requirement.bounds, now);
  if (crowded !== null) return crowded;
  if (supersedes !== null)
    endApproval(sql, place, supersedes, supersedes.expiresAt <= now ? "expired" : "invalidated", request.entry, now);
  const draft = requirement.missingContext.length > 0;
  const { terms } = termsOf(request, requirement, null);
  if (!draft) {
    const short = [
      ...shortages(sql, windows, request.budget, terms.ceilingMicros, null),
      ...pendingShortages(
        sql,
        windows,
        request.budget,
        requirement.bounds,
        request.requester.subject,
        terms.ceilingMicros,
      ),
    ];
    if (short.length > 0) return budgetExceeded(short);
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
    reserve(
      sql,
      { id, state: "held", principal: request.requester.subject, action: request.action },
      windows,
      terms.ceilingMicros,
      now,
    );
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
      outcome: null,
    },
    now,
  );
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

/** Taking one back to correct it is fine; each one had people look at it. */
const WITHDRAWALS_MAX = 3;

function tooManyOpen(
  sql: SqlStorage,
  request: AdmissionRequest,
  supersedes: Approval | null,
  now: EpochMs,
): Refusal | null {
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
  { requester, action }: AdmissionRequest,
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

const tooFewApprovers = (request: AdmissionRequest, requirement: ApprovalRequirement, eligible: number): Refusal => ({
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

/** Ends an open approval for good: releases its hold, journals why. Does nothing to one that has ended. */
export function endApproval(
  sql: SqlStorage,
  place: Place,
  approval: Approval,
  state: "expired" | "withdrawn" | "invalidated" | "denied",
  entry: AuditEntry,
  now: EpochMs,
): void {
  if (approval.state !== "draft" && approval.state !== "pending" && approval.state !== "approved") return;
  // A draft was never announced: nobody is told that it is gone.
  if (approval.state !== "draft") note(sql, state, approval.id, null, now);
  setApprovalState(sql, approval.id, state, now);
  if (findReservation(sql, approval.id) !== null)
    resolveReservation(sql, approval.id, "released", 0, `proposal ${state}`, now);
  appendEntry(
    sql,
    place,
    `${approval.id}/${state}`,
    {
      ...entry,
      kind: "proposal",
      time: new Date(now).toISOString(),
      decision: null,
      reason_code: state,
      approval_id: approval.id,
      outcome: null,
    },
    now,
  );
}

const refused = (refusal: Refusal): GrantSearch => ({ kind: "refused", refusal });
