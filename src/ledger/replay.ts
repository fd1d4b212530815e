import { assert } from "../platform/assert.ts";
import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { AdmissionRequest, StoredOutcome, StoredResponse } from "./contract.ts";
import { integerOf, integerOrNull, textOf, textOrNull } from "../platform/sql-row.ts";
import { RECEIPT_LIFETIME_MS } from "./receipts.ts";

/** How long a stored outcome answers a request without a key, counted from completion (wire contract, section 3). */
export const KEYLESS_REPLAY_MS = 10 * 60_000;

/** How long an idempotency key is remembered (contract: ≥ 24 h). */
export const KEY_RETENTION_MS = 48 * 3_600_000;

export const operationUrl = (requestId: string): string => `/_gate/v1/operations/${requestId}`;

/** A row of `operations`. */
export type Operation = {
  readonly requestId: string;
  readonly principal: string;
  readonly requestDigest: string;
  readonly state: "dispatching" | "succeeded" | "failed" | "unknown" | "not-sent";
  readonly completedAt: EpochMs | null;
  readonly response: StoredResponse | null;
};

type Replay =
  | { readonly kind: "fresh" }
  | { readonly kind: "replay"; readonly outcome: StoredOutcome }
  | { readonly kind: "refused"; readonly refusal: Refusal };

const FRESH: Replay = { kind: "fresh" };

/**
 * Whether the request repeats one that was already dispatched. A key decides alone; without one, a presented receipt or
 * token, else the digest of a spent grant, replays to the same principal for ten minutes. With a *new* key, a spent
 * receipt or token is a conflict. Nothing here ever leads to a second dispatch. Reads only.
 */
export function findReplay(sql: SqlStorage, request: AdmissionRequest, now: EpochMs): Replay {
  const { idempotencyKey } = request.handles;
  if (idempotencyKey !== null) {
    const known = sql
      .exec(
        "SELECT request_id, request_digest FROM idempotency WHERE handle = ?",
        keyHandle(request.requester.subject, idempotencyKey),
      )
      .toArray()[0];
    if (known !== undefined) {
      if (known["request_digest"] !== request.requestDigest)
        return { kind: "refused", refusal: { kind: "idempotency-key-reused" } };
      return answerFrom(findOperation(sql, textOf(known, "request_id")), null, now);
    }
  }
  const spentBy = spentHandle(sql, request);
  if (spentBy !== null) {
    if (idempotencyKey !== null) return consumed(spentBy);
    const operation = findOperation(sql, spentBy);
    if (operation?.principal !== request.requester.subject || operation.requestDigest !== request.requestDigest)
      return consumed(spentBy);
    return answerFrom(operation, KEYLESS_REPLAY_MS, now);
  }
  if (idempotencyKey === null && (request.handles.byDigest || request.lift !== null)) {
    const known = sql
      .exec(
        "SELECT request_id, created_at FROM idempotency WHERE handle = ?",
        digestHandle(request.requester.subject, request.requestDigest),
      )
      .toArray()[0];
    const isRepeat = known !== undefined && !isNewer(sql, request.handles.receipt, integerOf(known, "created_at"));
    const operation = !isRepeat ? null : findOperation(sql, textOf(known, "request_id"));
    if (operation !== null && !isStale(operation, now)) return answerFrom(operation, KEYLESS_REPLAY_MS, now);
  }
  return FRESH;
}

/**
 * Whether a receipt was given after a request ran on an approval: then it asks for another execution. One from before was sent along
 * with the request that people had to approve in the end.
 */
const isNewer = (sql: SqlStorage, receipt: string | null, ranAt: EpochMs): boolean =>
  receipt !== null &&
  sql
    .exec("SELECT 1 FROM receipts WHERE receipt = ? AND expires_at <= ?", receipt, ranAt + RECEIPT_LIFETIME_MS)
    .toArray().length === 0;

/** Remembers what this request may later be repeated by. Part of the admission transaction. */
export function rememberHandles(sql: SqlStorage, request: AdmissionRequest, now: EpochMs): void {
  const { subject } = request.requester;
  const remember = (handle: string): void => {
    sql.exec(
      `INSERT INTO idempotency (handle, request_id, request_digest, created_at) VALUES (?, ?, ?, ?)
       ON CONFLICT (handle) DO UPDATE SET request_id = excluded.request_id, request_digest = excluded.request_digest, created_at = excluded.created_at`,
      handle,
      request.requestId,
      request.requestDigest,
      now,
    );
  };
  if (request.handles.idempotencyKey !== null) remember(keyHandle(subject, request.handles.idempotencyKey));
  if (request.handles.byDigest) remember(digestHandle(subject, request.requestDigest));
}

// Subjects contain no newline (vocabulary.ts), so the pair cannot collide with another.
const keyHandle = (subject: string, key: string): string => `key\n${subject}\n${key}`;
const digestHandle = (subject: string, digest: string): string => `digest\n${subject}\n${digest}`;

/** The request that spent the presented receipt, or the grant that a presented token or signed decision is about. Another principal's are not known here. */
function spentHandle(sql: SqlStorage, request: AdmissionRequest): string | null {
  const { subject } = request.requester;
  if (request.handles.receipt !== null) {
    const row = sql
      .exec("SELECT consumed_by FROM receipts WHERE receipt = ? AND principal = ?", request.handles.receipt, subject)
      .toArray()[0];
    if (row !== undefined && row["consumed_by"] !== null) return textOf(row, "consumed_by");
  }
  const { tokens } = request.handles;
  // Beside one that was given for this request, what else a client sends says nothing of it.
  const fitting = tokens.filter((token) => token.requestDigest === request.requestDigest);
  for (const token of fitting.length > 0 ? fitting : tokens) {
    const spentBy = spentApproval(sql, "grant_jti", token.jti, subject);
    if (spentBy !== null) return spentBy;
  }
  for (const { approvalId } of request.handles.signed) {
    const spentBy = spentApproval(sql, "id", approvalId, subject);
    if (spentBy !== null) return spentBy;
  }
  return null;
}

function spentApproval(sql: SqlStorage, by: "grant_jti" | "id", value: string, principal: string): string | null {
  const row = sql
    .exec(`SELECT consumed_by FROM approvals WHERE ${by} = ? AND principal = ?`, value, principal)
    .toArray()[0];
  return row === undefined ? null : textOrNull(row, "consumed_by");
}

const isStale = (operation: Operation, now: EpochMs): boolean =>
  operation.state === "not-sent" || (operation.completedAt !== null && now > operation.completedAt + KEYLESS_REPLAY_MS);

function answerFrom(operation: Operation | null, withinMs: number | null, now: EpochMs): Replay {
  if (operation === null) return FRESH;
  if (operation.state === "dispatching") {
    return {
      kind: "refused",
      refusal: { kind: "idempotency-in-progress", operation_url: operationUrl(operation.requestId) },
    };
  }
  if (operation.state === "not-sent") {
    return {
      kind: "refused",
      refusal: { kind: "unavailable", dependency: "upstream", cause: "the original request was never sent" },
    };
  }
  if (withinMs !== null && operation.completedAt !== null && now > operation.completedAt + withinMs)
    return consumed(operation.requestId);
  return {
    kind: "replay",
    outcome: { requestId: operation.requestId, state: operation.state, response: operation.response },
  };
}

const consumed = (requestId: string): Replay => ({
  kind: "refused",
  refusal: { kind: "approval-consumed", operation_url: operationUrl(requestId) },
});

/** The operation of this request, null where nothing was admitted under this id. */
export function findOperation(sql: SqlStorage, requestId: string): Operation | null {
  const row = sql
    .exec(
      "SELECT request_id, principal, request_digest, state, completed_at, response FROM operations WHERE request_id = ?",
      requestId,
    )
    .toArray()[0];
  if (row === undefined) return null;
  return {
    requestId: textOf(row, "request_id"),
    principal: textOf(row, "principal"),
    requestDigest: textOf(row, "request_digest"),
    state: asOperationState(textOf(row, "state")),
    completedAt: integerOrNull(row, "completed_at"),
    response: row["response"] === null ? null : parseStoredResponse(textOf(row, "response")),
  };
}

function asOperationState(text: string): Operation["state"] {
  assert(
    text === "dispatching" || text === "succeeded" || text === "failed" || text === "unknown" || text === "not-sent",
    "an operation has a known state",
  );
  return text;
}

/** The ledger writes these rows itself; a shape it did not write is a bug, not input. */
function parseStoredResponse(text: string): StoredResponse {
  const value: unknown = JSON.parse(text);
  assert(
    typeof value === "object" && value !== null && "status" in value && "body" in value && "contentType" in value,
    "stored response",
  );
  const { status, body, contentType } = value;
  assert(typeof status === "number" && typeof body === "string", "stored response has status and body");
  return { status, body, contentType: typeof contentType === "string" ? contentType : null };
}
