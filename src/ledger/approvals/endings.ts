import { appendEntry, type Place } from "../../audit/journal.ts";
import type { AuditEntry } from "../../audit/record.ts";
import { textOf } from "../../platform/sql-row.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { AdmissionScope } from "../admission.ts";
import { approvalById, decisionsOf, setApprovalState } from "./approval-rows.ts";
import type { Approval, Decision } from "./approvals.ts";
import { release } from "../money/reservations.ts";
import { reservationMember } from "../money/settlement-record.ts";
import { withDecisions } from "./approval-with-decisions.ts";
import type { Decider, DecisionOutcome } from "./decisions.ts";
import { plan } from "../due.ts";
import { endWork } from "../incidents/incident-endings.ts";
import { note } from "../notices.ts";

/** Withdraws an open proposal or unused grant: by its requester or the owner of its credential. */
export function withdraw(
  scope: AdmissionScope,
  request: { readonly requestId: string; readonly approvalId: string; readonly by: Decider },
): DecisionOutcome {
  const { sql, now } = scope;
  const approval = approvalById(sql, request.approvalId);
  if (approval === null || !isRequesterOrOwner(approval, request.by.subject)) return refused({ kind: "not-found" });
  if (approval.state !== "draft" && approval.state !== "pending" && approval.state !== "approved") {
    return refused(alreadyDecided(approval, decisionsOf(sql, approval.id)));
  }
  const entry = { ...storedEntry(sql, approval), ...doneBy(request) };
  endApproval(sql, scope.place, approval, "withdrawn", entry, now);
  return { kind: "recorded", ...withDecisions(sql, approvalById(sql, approval.id) ?? approval) };
}

/** Expires an open approval whose time has come; one whose end was moved by a decision waits for its later job. */
export function expireApproval(scope: Pick<AdmissionScope, "sql" | "place" | "now">, approvalId: string): void {
  const approval = approvalById(scope.sql, approvalId);
  if (approval === null) return;
  // Its own job may come early too, when the clock has stepped back: then it must come again.
  if (approval.expiresAt > scope.now) return plan(scope.sql, "approval-expiry", approval.id, approval.expiresAt);
  endApproval(scope.sql, scope.place, approval, "expired", storedEntry(scope.sql, approval), scope.now);
}

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
  release(sql, approval.id, `proposal ${state}`, now);
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
      reservation: reservationMember(sql, approval.id),
      outcome: null,
    },
    now,
  );
  endWork(sql, place, approval.id, state === "invalidated" ? state : "dropped", entry, now);
}

/** Who may take a proposal back or complete its draft. */
export const isRequesterOrOwner = (approval: Approval, subject: string): boolean =>
  subject === approval.principal || subject === approval.owner;

/** Who acted on a proposal, and with which call: not who opened it. */
export const doneBy = ({
  requestId,
  by,
}: {
  readonly requestId: string;
  readonly by: Decider;
}): Pick<AuditEntry, "request_id" | "principal" | "principal_class" | "credential_id" | "demo"> => ({
  request_id: requestId,
  principal: by.subject,
  principal_class: by.class,
  credential_id: by.credentialId,
  demo: by.demo,
});

/** The entry of the request that opened the proposal: written by `insertApproval`. */
export function storedEntry(sql: SqlStorage, approval: Approval): AuditEntry {
  return JSON.parse(textOf(sql.exec("SELECT entry FROM approvals WHERE id = ?", approval.id).one(), "entry"));
}

/** The refusal of whatever comes after the end. */
export const alreadyDecided = (approval: Approval, given: readonly Decision[]): Refusal => ({
  kind: "already-decided",
  state: approval.state,
  decided_by: given.map((d) => d.subject),
});

export const refused = (refusal: Refusal): DecisionOutcome => ({ kind: "refused", refusal });
