import { assert } from "../platform/assert.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import type { JsonObject } from "../platform/json.ts";
import type { ApprovalSummary } from "../refusal.ts";
import type { Digest, EpochMs, Micros } from "../vocabulary.ts";
import type { AdmissionRequest, Approver, RequestContext, Requirement } from "./contract.ts";
import { textOf, integerOf, textOrNull, integerOrNull, type SqlRow } from "../platform/sql-row.ts";

export type ApprovalState =
  | "draft"
  | "pending"
  | "approved"
  | "denied"
  | "expired"
  | "withdrawn"
  | "invalidated"
  | "consumed";

/** A draft waits ten minutes for its context (wire contract, section 9). */
export const DRAFT_LIFETIME_MS = 10 * 60_000;

/** A grant lives at most half an hour after the last decision (wire contract, section 9). */
export const GRANT_LIFETIME_MS = 30 * 60_000;

/** After a denial the same request is not put before people again for this long. */
export const DENIAL_COOL_DOWN_MS = 10 * 60_000;

/**
 * Drafts and proposals of one principal that may be open at once. More than people read in half an hour, and a quarter of
 * what a list shows, so that one agent's flood neither buries another's proposal nor fills the ledger.
 */
export const OPEN_APPROVALS_MAX = 50;

export type ApprovalRequirement = Extract<Requirement, { kind: "approval" }>;

/** What people saw and signed besides the request itself: every member is bound by the approval digest. */
export type ApprovalTerms = RequestContext & {
  readonly resource: string | null;
  readonly affected: Digest | null;
  readonly resourceVersion: string | null;
  readonly ceilingMicros: Micros;
  readonly ruleDigest: Digest;
};

export type Approval = {
  readonly id: string;
  readonly state: ApprovalState;
  readonly principal: string;
  readonly owner: string;
  readonly issuer: string;
  readonly requestDigest: string;
  readonly approvalDigest: string;
  readonly tier: number;
  readonly action: string;
  readonly needed: number;
  readonly terms: ApprovalTerms;
  readonly shown: JsonObject;
  readonly ceilingMicros: Micros;
  readonly timeoutMs: number;
  readonly openedAt: EpochMs;
  readonly expiresAt: EpochMs;
  readonly grantJti: string | null;
  readonly decidedAt: EpochMs | null;
  readonly consumedBy: string | null;
};

export type Decision = {
  readonly subject: string;
  readonly decision: "approve" | "deny" | "break-glass";
  readonly comment: string | null;
  readonly demo: boolean;
  readonly decidedAt: EpochMs;
};

/** The digest of what is approved: the request digest plus everything in `terms`. A new member binds by being there. */
export const approvalDigest = (requestDigest: string, terms: ApprovalTerms): Digest =>
  digestOf("portcullis/approval/v1", canonicalJson({ request_digest: requestDigest, ...terms }));

/** People who may decide a request of this requester: on the list now, and none of requester, owner, issuer. */
export const eligibleApprovers = (
  approvers: readonly Approver[],
  requester: { readonly subject: string; readonly owner: string; readonly issuer: string },
): readonly Approver[] =>
  approvers.filter(
    (a) => a.subject !== requester.subject && a.subject !== requester.owner && a.subject !== requester.issuer,
  );

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
  request: AdmissionRequest,
  requirement: ApprovalRequirement,
  approval: {
    readonly id: string;
    readonly state: "draft" | "pending";
    readonly terms: ApprovalTerms;
    readonly openedAt: EpochMs;
    readonly expiresAt: EpochMs;
  },
): void {
  sql.exec(
    `INSERT INTO approvals (id, state, principal, owner, issuer, request_digest, approval_digest, tier, needed, terms, shown, entry,
       action, stored, ceiling_micros, timeout_ms, opened_at, expires_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    approval.id,
    approval.state,
    request.requester.subject,
    request.requester.owner,
    request.requester.issuer,
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

/** Turns a pending approval into a grant: single use, with an id of its own and its own end. */
export function grantApproval(sql: SqlStorage, id: string, jti: string, expiresAt: EpochMs, now: EpochMs): void {
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

/** What the requester is told about a proposal. */
export function summaryOf(
  approval: Approval,
  given: number,
  eligible: readonly Approver[],
  missing: readonly string[],
): ApprovalSummary {
  return {
    id: approval.id,
    url: `/_gate/v1/approvals/${approval.id}`,
    state: approval.state === "draft" ? "draft" : "pending",
    needed: approval.needed,
    given,
    eligible: eligible.length,
    approvers: eligible.map((a) => a.handle),
    expires_at: new Date(approval.expiresAt).toISOString(),
    request_digest: approval.requestDigest,
    missing,
  };
}

function fromRow(row: SqlRow): Approval {
  const text = (name: string): string => textOf(row, name);
  return {
    id: text("id"),
    state: asState(text("state")),
    principal: text("principal"),
    owner: text("owner"),
    issuer: text("issuer"),
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
