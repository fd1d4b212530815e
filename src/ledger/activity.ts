import type { ActivityAlert } from "../notify/activity.ts";
import { assert } from "../platform/assert.ts";
import { integerOf, textOf, textOrNull, type SqlRow } from "../platform/sql-row.ts";
import { TIERS, type EpochMs, type Tier } from "../vocabulary.ts";
import { plan } from "./due.ts";
import { noteActivity } from "./notices.ts";

/** Requests of one principal for one action at one tier that were let through, and that people are to be told of. */
export type ActivityLine = ActivityAlert["lines"][number] & {
  /** Within which time, as the newest of them was judged. */
  readonly tellAfterMs: EpochMs;
};

/** What a log of requests hands over once: the same id again is the same requests. */
export type ActivityBatch = { readonly id: string; readonly lines: readonly ActivityLine[] };

/** One row per line; a step of the ledger's schema and of the request log's. */
export const ACTIVITY_SCHEMA = `
  CREATE TABLE activity (
    action TEXT NOT NULL, principal TEXT NOT NULL, tier INTEGER NOT NULL, count INTEGER NOT NULL,
    first_request TEXT NOT NULL, first_at INTEGER NOT NULL, last_request TEXT NOT NULL, last_at INTEGER NOT NULL,
    reason TEXT, tell_after_ms INTEGER NOT NULL,
    PRIMARY KEY (action, principal, tier)
  ) WITHOUT ROWID;
`;

/** The batch that each log of requests handed over last; the ledger's own. */
export const ACTIVITY_BATCH_SCHEMA =
  "CREATE TABLE activity_batches (log TEXT PRIMARY KEY, batch TEXT NOT NULL) WITHOUT ROWID;";

/** Lines in one message; of the rest it says how many there are. */
export const LINES_PER_MESSAGE = 20;

/** A reason in a message; the whole one stands in the audit record. */
const REASON_MAX = 200;

/** Adds requests to what stands there of the same principal, action and tier. One upsert. */
export function addActivity(sql: SqlStorage, line: ActivityLine): void {
  sql.exec(
    `INSERT INTO activity (action, principal, tier, count, first_request, first_at, last_request, last_at, reason, tell_after_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (action, principal, tier) DO UPDATE SET
       count = count + excluded.count,
       first_request = CASE WHEN excluded.first_at < first_at THEN excluded.first_request ELSE first_request END,
       last_request = CASE WHEN excluded.last_at >= last_at THEN excluded.last_request ELSE last_request END,
       reason = CASE WHEN excluded.last_at >= last_at THEN coalesce(excluded.reason, reason) ELSE coalesce(reason, excluded.reason) END,
       tell_after_ms = CASE WHEN excluded.last_at >= last_at THEN excluded.tell_after_ms ELSE tell_after_ms END,
       first_at = min(first_at, excluded.first_at),
       last_at = max(last_at, excluded.last_at)`,
    line.action,
    line.principal,
    line.tier,
    line.count,
    line.firstRequestId,
    line.firstAt,
    line.lastRequestId,
    line.lastAt,
    line.reason,
    line.tellAfterMs,
  );
}

/** The lines that stand there, at most `limit`: what is graver first, then what is more. */
export const activityLines = (sql: SqlStorage, limit: number): readonly ActivityLine[] =>
  sql
    .exec("SELECT * FROM activity ORDER BY tier DESC, count DESC, action, principal LIMIT ?", limit)
    .toArray()
    .map(lineOf);

/**
 * Counts a request of the ledger's own that people are to be told of: with the first of a period their message is planned. Joins
 * the transaction of the admission.
 */
export function countActivity(sql: SqlStorage, line: ActivityLine, now: EpochMs): void {
  const isFirst = sql.exec("SELECT 1 FROM activity LIMIT 1").toArray().length === 0;
  addActivity(sql, line);
  if (isFirst) plan(sql, "activity", "all", now + line.tellAfterMs);
}

/**
 * Takes in what a log of requests hands over. A batch that comes again, because the answer to it was lost, counts nothing twice.
 * Run inside `transactionSync`.
 */
export function takeBatch(sql: SqlStorage, log: string, { id, lines }: ActivityBatch, now: EpochMs): void {
  const isNew =
    sql
      .exec(
        `INSERT INTO activity_batches (log, batch) VALUES (?, ?)
         ON CONFLICT (log) DO UPDATE SET batch = excluded.batch WHERE batch <> excluded.batch RETURNING 1`,
        log,
        id,
      )
      .toArray().length === 1;
  if (isNew) for (const line of lines) countActivity(sql, line, now);
}

/** Ends a period: people are told in one message what came in it, and the next request begins another. Run inside `transactionSync`. */
export function tellActivity(sql: SqlStorage, now: EpochMs): void {
  const lines = activityLines(sql, LINES_PER_MESSAGE);
  if (lines.length === 0) return;
  const all = sql
    .exec(
      "SELECT count(*) AS lines, sum(count) AS requests, min(first_at) AS since, max(last_at) AS until FROM activity",
    )
    .one();
  const first = sql.exec("SELECT first_request FROM activity ORDER BY first_at, first_request LIMIT 1").one();
  const requests = integerOf(all, "requests");
  const alert: ActivityAlert = {
    kind: "activity",
    requests,
    since: integerOf(all, "since"),
    until: integerOf(all, "until"),
    lines: lines.map(({ tellAfterMs: _after, reason, ...line }) => ({ ...line, reason: cut(reason) })),
    more: {
      lines: integerOf(all, "lines") - lines.length,
      requests: requests - lines.reduce((sum, { count }) => sum + count, 0),
    },
  };
  // Each request is in one message only: the first of them names it.
  noteActivity(sql, textOf(first, "first_request"), alert, now);
  sql.exec("DELETE FROM activity");
}

const cut = (text: string | null): string | null =>
  text === null || text.length <= REASON_MAX ? text : `${text.slice(0, REASON_MAX - 1).toWellFormed()}…`;

/** The tier in a row that is about a request. */
export function tierOf(row: SqlRow): Tier {
  const tier = TIERS.find((one) => one === row["tier"]);
  assert(tier !== undefined, "a request that was let through has a tier");
  return tier;
}

function lineOf(row: SqlRow): ActivityLine {
  return {
    action: textOf(row, "action"),
    principal: textOf(row, "principal"),
    tier: tierOf(row),
    count: integerOf(row, "count"),
    firstRequestId: textOf(row, "first_request"),
    firstAt: integerOf(row, "first_at"),
    lastRequestId: textOf(row, "last_request"),
    lastAt: integerOf(row, "last_at"),
    reason: textOrNull(row, "reason"),
    tellAfterMs: integerOf(row, "tell_after_ms"),
  };
}
