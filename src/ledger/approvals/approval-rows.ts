import { assert } from "../../platform/assert.ts";
import { integerOf, integerOrNull, textOf, textOrNull, type SqlRow } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";
import {
  approvalDigest,
  type Approval,
  type ApprovalRequirement,
  type ApprovalState,
  type ApprovalTerms,
  type Decision,
} from "./approvals.ts";
import type { AdmissionRequest } from "../contract.ts";

/**
 * The latest approval of this principal for this request, null where none was opened. Latest by order of opening, not by
 * clock: after a step back an older one would hide the open one, and a second would be held beside it.
 */
export function latestApproval(sql: SqlStorage, principal: string, requestDigest: string): Approval | null {
  const row = sql
    .exec(
      "SELECT * FROM approvals WHERE principal = ? AND request_digest = ? ORDER BY rowid DESC LIMIT 1",
      principal,
      requestDigest,
    )
    .toArray()[0];
  return row === undefined ? null : fromRow(row);
}

export function approvalById(sql: SqlStorage, id: string): Approval | null {
  const row = sql.exec("SELECT * FROM approvals WHERE id = ?", id).toArray()[0];
  return row === undefined ? null : fromRow(row);
}

export function approvalByJti(sql: SqlStorage, jti: string): Approval | null {
  const row = sql.exec("SELECT * FROM approvals WHERE grant_jti = ?", jti).toArray()[0];
  return row === undefined ? null : fromRow(row);
}

/** Approvals in one state (or all), newest first, at most `limit`. */
export function listApprovals(sql: SqlStorage, state: string | null, limit: number): readonly Approval[] {
  const rows =
    state === null
      ? sql.exec("SELECT * FROM approvals ORDER BY opened_at DESC, rowid DESC LIMIT ?", limit)
      : sql.exec("SELECT * FROM approvals WHERE state = ? ORDER BY opened_at DESC, rowid DESC LIMIT ?", state, limit);
  return rows.toArray().map(fromRow);
}

/** Standing approvals in one state (or all), newest first, at most `limit`. */
export function listStandingApprovals(sql: SqlStorage, state: string | null, limit: number): readonly Approval[] {
  return sql
    .exec(
      `SELECT approvals.* FROM approvals JOIN standing_approvals USING (id) WHERE state = coalesce(?, state)
       ORDER BY opened_at DESC, approvals.rowid DESC LIMIT ?`,
      state,
      limit,
    )
    .toArray()
    .map(fromRow);
}

/** The request that the gate keeps for an approved proposal, sealed; null where it keeps none. */
export function storedRequest(sql: SqlStorage, id: string): string | null {
  const row = sql.exec("SELECT stored FROM approvals WHERE id = ? AND state = 'approved'", id).toArray()[0];
  return row === undefined ? null : textOrNull(row, "stored");
}

/** When this principal's last proposals of this action ended in this way, latest first. */
export function lastEnded(
  sql: SqlStorage,
  principal: string,
  action: string,
  state: "denied" | "withdrawn",
  limit: number,
): readonly EpochMs[] {
  return sql
    .exec(
      `SELECT decided_at FROM approvals WHERE principal = ? AND action = ? AND state = ? AND decided_at IS NOT NULL
       ORDER BY decided_at DESC LIMIT ?`,
      principal,
      action,
      state,
      limit,
    )
    .toArray()
    .map((row) => integerOf(row, "decided_at"));
}

/** Open drafts and proposals of a principal but `except`: how many, and when the first of them ends. */
export function openApprovals(
  sql: SqlStorage,
  principal: string,
  except: string | null,
  now: EpochMs,
): { readonly count: number; readonly firstEndsAt: EpochMs | null } {
  const row = sql
    .exec(
      `SELECT count(*) AS count, min(expires_at) AS ends FROM approvals INDEXED BY approvals_by_state
       WHERE state IN ('draft','pending') AND principal = ? AND id IS NOT ? AND expires_at > ?`,
      principal,
      except,
      now,
    )
    .one();
  return { count: integerOf(row, "count"), firstEndsAt: integerOrNull(row, "ends") };
}

export function decisionsOf(sql: SqlStorage, approvalId: string): readonly Decision[] {
  return sql
    .exec("SELECT * FROM decisions WHERE approval_id = ? ORDER BY decided_at, subject", approvalId)
    .toArray()
    .map((row) => ({
      subject: textOf(row, "subject"),
      decision: row["decision"] === "deny" ? "deny" : row["decision"] === "break-glass" ? "break-glass" : "approve",
      comment: textOrNull(row, "comment"),
      demo: row["demo"] === 1,
      decidedAt: integerOf(row, "decided_at"),
    }));
}

/** Records an approval. The caller holds its money in the same transaction unless it is a draft. */
export function insertApproval(
  sql: SqlStorage,
  request: Pick<AdmissionRequest, "requester" | "action" | "tier" | "requestDigest" | "stored" | "shown" | "entry">,
  requirement: Pick<ApprovalRequirement, "needed" | "timeoutMs">,
  approval: {
    readonly id: string;
    readonly state: "draft" | "pending";
    readonly terms: ApprovalTerms;
    readonly openedAt: EpochMs;
    readonly expiresAt: EpochMs;
  },
): void {
  sql.exec(
    `INSERT INTO approvals (id, state, principal, owner, issuer, delegation, request_digest, approval_digest, tier, needed, terms, shown,
       entry, action, stored, ceiling_micros, timeout_ms, opened_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    approval.id,
    approval.state,
    request.requester.subject,
    request.requester.owner,
    request.requester.issuer,
    JSON.stringify(request.requester.delegation),
    request.requestDigest,
    approvalDigest(request.requestDigest, approval.terms),
    request.tier,
    requirement.needed,
    JSON.stringify(approval.terms),
    JSON.stringify(request.shown),
    JSON.stringify(request.entry),
    request.action,
    request.stored,
    approval.terms.ceilingMicros,
    requirement.timeoutMs,
    approval.openedAt,
    approval.expiresAt,
  );
}

/**
 * Ends an approval. Terminal states never move: the caller checked the state in this transaction. What was kept for its
 * execution goes.
 */
export function setApprovalState(sql: SqlStorage, id: string, state: ApprovalState, now: EpochMs): void {
  sql.exec("UPDATE approvals SET state = ?, decided_at = ?, stored = NULL WHERE id = ?", state, now, id);
}

/** Turns a pending approval into a grant with its own end: single use under an id of its own, or (null) a standing one. */
export function grantApproval(sql: SqlStorage, id: string, jti: string | null, expiresAt: EpochMs, now: EpochMs): void {
  sql.exec(
    "UPDATE approvals SET state = 'approved', grant_jti = ?, expires_at = ?, decided_at = ? WHERE id = ?",
    jti,
    expiresAt,
    now,
    id,
  );
}

/** Spends a grant. The caller checked in this transaction that it is approved and unspent. */
export function consumeApproval(sql: SqlStorage, id: string, requestId: string): void {
  sql.exec(
    "UPDATE approvals SET state = 'consumed', consumed_by = ?, stored = NULL WHERE id = ? AND state = 'approved'",
    requestId,
    id,
  );
}

function fromRow(row: SqlRow): Approval {
  const text = (name: string): string => textOf(row, name);
  return {
    id: text("id"),
    state: asState(text("state")),
    principal: text("principal"),
    owner: text("owner"),
    issuer: text("issuer"),
    // As the two below: serialised by this module.
    delegation: JSON.parse(text("delegation")),
    requestDigest: text("request_digest"),
    approvalDigest: text("approval_digest"),
    tier: integerOf(row, "tier"),
    action: text("action"),
    needed: integerOf(row, "needed"),
    // Both columns hold what this module serialised itself.
    terms: JSON.parse(text("terms")),
    shown: JSON.parse(text("shown")),
    ceilingMicros: integerOf(row, "ceiling_micros"),
    timeoutMs: integerOf(row, "timeout_ms"),
    openedAt: integerOf(row, "opened_at"),
    expiresAt: integerOf(row, "expires_at"),
    grantJti: textOrNull(row, "grant_jti"),
    decidedAt: integerOrNull(row, "decided_at"),
    consumedBy: textOrNull(row, "consumed_by"),
    derivedIncident: textOrNull(row, "derived_incident"),
  };
}

const STATES: readonly ApprovalState[] = [
  "draft",
  "pending",
  "approved",
  "denied",
  "expired",
  "withdrawn",
  "invalidated",
  "consumed",
];

function asState(text: string): ApprovalState {
  const state = STATES.find((known) => known === text);
  assert(state !== undefined, "an approval has a known state");
  return state;
}
