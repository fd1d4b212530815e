import type { Notice, NoticeKind } from "../notify/notice.ts";
import { NOTICE_KINDS } from "../notify/notice.ts";
import { assert } from "../platform/assert.ts";
import { integerOf, textOf, textOrNull } from "../platform/sql-row.ts";
import type { EpochMs } from "../vocabulary.ts";
import { plan } from "./due.ts";

/** Notices per hand-over to the outbox; the next alarm takes the rest. */
const NOTICES_PER_HAND_OVER = 100;

/** When an unconfirmed hand-over is tried again. */
const HAND_OVER_RETRY_MS = 30_000;

/** A notice of the ledger's own, or the order to run an approved request that the gate has kept. */
export type HandOver = Omit<Notice, "kind" | "detail"> & { readonly kind: NoticeKind | "execute" };

/**
 * Notes that people are to be told, in the transaction of the event itself. A crash after it leaves the row; the job hands
 * it over when the object wakes. `state`: tells events of one kind about one request apart.
 */
export function note(
  sql: SqlStorage,
  kind: HandOver["kind"],
  approvalId: string,
  requestId: string | null,
  now: EpochMs,
  state: string | null = null,
): void {
  const id = [approvalId, kind, requestId, state].filter((part) => part !== null).join("/");
  sql.exec(
    "INSERT OR IGNORE INTO notices (id, kind, approval_id, request_id, at) VALUES (?, ?, ?, ?, ?)",
    id,
    kind,
    approvalId,
    requestId,
    now,
  );
  plan(sql, "notices", "all", now);
}

/**
 * What waits to be handed over, oldest first. Plans the next try at once: rows leave only with `confirmHandOver`, so a
 * hand-over that is lost half-way is repeated, and the outbox knows it by its ids.
 */
export function takeNotices(sql: SqlStorage, now: EpochMs): readonly HandOver[] {
  const rows = sql.exec("SELECT * FROM notices ORDER BY at, id LIMIT ?", NOTICES_PER_HAND_OVER).toArray();
  if (rows.length > 0) plan(sql, "notices", "all", now + HAND_OVER_RETRY_MS);
  return rows.map((row) => ({
    id: textOf(row, "id"),
    kind: asKind(textOf(row, "kind")),
    approvalId: textOf(row, "approval_id"),
    requestId: textOrNull(row, "request_id"),
    at: integerOf(row, "at"),
  }));
}

/** The outbox has them durably. What came meanwhile waits for its own job. */
export function confirmHandOver(sql: SqlStorage, handedOver: readonly HandOver[], now: EpochMs): void {
  for (const { id } of handedOver) sql.exec("DELETE FROM notices WHERE id = ?", id);
  if (handedOver.length === NOTICES_PER_HAND_OVER) plan(sql, "notices", "all", now);
}

function asKind(text: string): HandOver["kind"] {
  const kind = text === "execute" ? text : NOTICE_KINDS.find((known) => known === text);
  assert(kind !== undefined, "a notice has a known kind");
  return kind;
}
