import type { Constraints } from "../../catalogue/constraints.ts";
import type { AuditEntry } from "../../audit/record.ts";
import { appendEntry } from "../../audit/journal.ts";
import { assert } from "../../platform/assert.ts";
import { newId } from "../../platform/ids.ts";
import type { JsonObject } from "../../platform/json.ts";
import { filledPlaces } from "../../policy/approver-groups.ts";
import type { Digest, EpochMs, Micros } from "../../vocabulary.ts";
import type { AdmissionScope } from "../admission.ts";
import { approvalById, decisionsOf, insertApproval, latestApproval } from "./approval-rows.ts";
import { withDecisions } from "./approval-with-decisions.ts";
import { DENIAL_COOL_DOWN_MS, eligibleApprovers, type ApprovalTerms } from "./approvals.ts";
import type { Approver, ProposalBounds, Requester, StandingRules } from "../contract.ts";
import type { Decider, DecisionOutcome } from "./decisions.ts";
import { plan } from "../due.ts";
import { alreadyDecided, doneBy, endApproval, refused, storedEntry } from "./endings.ts";
import { announce, crowding, tooFewApprovers } from "./proposals.ts";
import { insertStandingApproval, standingApproval } from "./standing-approvals.ts";

/** A person's ask for a standing approval, as the Worker has checked it against catalogue, policy and caps. */
export type StandingAsk = {
  readonly asker: Requester;
  readonly action: string;
  readonly pins: Constraints;
  readonly uses: number;
  readonly capMicros: Micros;
  readonly endsAt: EpochMs;
  readonly reason: string;
  /** Digest of tenant, asker and all of the above but the reason: how the same ask is recognised. */
  readonly requestDigest: Digest;
  readonly rules: StandingRules;
  readonly timeoutMs: number;
  readonly bounds: ProposalBounds;
  readonly entry: AuditEntry;
  readonly shown: JsonObject;
};

/**
 * Puts the ask before people: a proposal like any other, at the highest tier that the policy has the action approved at, but for
 * its money, which each use takes when it comes. The same ask while an earlier one waits or stands is that one. Run inside
 * `transactionSync`.
 */
export function askStandingApproval(scope: AdmissionScope, ask: StandingAsk): DecisionOutcome {
  const { sql, place, now } = scope;
  const { asker, rules } = ask;
  const latest = latestApproval(sql, asker.subject, ask.requestDigest);
  if (latest !== null) {
    const open = latest.state === "pending" || latest.state === "approved";
    if (open && latest.expiresAt > now) return { kind: "recorded", ...withDecisions(sql, latest) };
    if (latest.state === "denied" && now < (latest.decidedAt ?? 0) + DENIAL_COOL_DOWN_MS) {
      const denied = decisionsOf(sql, latest.id).filter((d) => d.decision === "deny");
      return refused({ kind: "approval-denied", decided_by: denied.map((d) => d.subject) });
    }
  }
  const fillable = filledPlaces(
    rules.groups,
    eligibleApprovers(rules.approvers, asker).map((a) => a.subject),
  );
  const asked = { requester: asker, action: ask.action, requestDigest: ask.requestDigest };
  if (fillable < rules.needed) return refused(tooFewApprovers(asked, { ...rules, missingContext: [] }, fillable));
  const crowded = crowding(sql, asked, null, ask.bounds, now);
  if (crowded !== null) return refused(crowded);
  const id = newId("apr");
  const expiresAt = Math.min(now + ask.timeoutMs, ask.endsAt);
  insertApproval(
    sql,
    { ...asked, tier: rules.tier, shown: ask.shown, entry: ask.entry, stored: null },
    { needed: rules.needed, timeoutMs: ask.timeoutMs },
    { id, state: "pending", terms: termsOf(ask), openedAt: now, expiresAt },
  );
  insertStandingApproval(sql, {
    id,
    owner: asker.subject,
    action: ask.action,
    pins: ask.pins,
    uses: ask.uses,
    capMicros: ask.capMicros,
    endsAt: ask.endsAt,
  });
  plan(sql, "approval-expiry", id, expiresAt);
  announce(sql, id, expiresAt - now, now);
  appendEntry(sql, place, `${id}/opened`, { ...ask.entry, reason_code: "opened", approval_id: id }, now);
  const approval = approvalById(sql, id);
  assert(approval !== null, "a proposal that was just inserted exists");
  return { kind: "recorded", ...withDecisions(sql, approval) };
}

/** What approvers sign: the ask is in the request digest; its reason, its cap and the rules of this moment are added to it. */
const termsOf = (ask: StandingAsk): ApprovalTerms => ({
  reason: ask.reason,
  evidence: null,
  evidenceRef: null,
  backOut: null,
  incident: null,
  resource: null,
  affected: null,
  resourceVersion: null,
  ceilingMicros: ask.capMicros,
  ruleDigest: ask.rules.ruleDigest,
});

/**
 * Ends a standing approval at once, before or after it was given: by the person who asked for it, by anybody who approved it or may
 * approve it now, or by security. What has been dispatched under it goes on.
 */
export function endStandingApproval(
  scope: AdmissionScope,
  request: {
    readonly requestId: string;
    readonly approvalId: string;
    readonly by: Decider;
    readonly approvers: readonly Approver[];
    readonly isSecurity: boolean;
  },
): DecisionOutcome {
  const { sql, now } = scope;
  const { by, isSecurity } = request;
  const approval = approvalById(sql, request.approvalId);
  if (approval === null || standingApproval(sql, approval.id) === null) return refused({ kind: "not-found" });
  const given = decisionsOf(sql, approval.id);
  const concerned =
    by.subject === approval.principal ||
    given.some((d) => d.subject === by.subject) ||
    request.approvers.some((a) => a.subject === by.subject);
  if (!concerned && !isSecurity) return refused({ kind: "not-found" });
  if (approval.state !== "pending" && approval.state !== "approved") return refused(alreadyDecided(approval, given));
  endApproval(sql, scope.place, approval, "withdrawn", { ...storedEntry(sql, approval), ...doneBy(request) }, now);
  return { kind: "recorded", ...withDecisions(sql, approvalById(sql, approval.id) ?? approval) };
}
