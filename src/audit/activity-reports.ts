import { ACTIVITY_SCHEMA, activityLines, addActivity, tierOf, type ActivityBatch } from "../ledger/activity.ts";
import { newId } from "../platform/ids.ts";
import { integerOf, textOf, textOrNull } from "../platform/sql-row.ts";

/**
 * What a log of requests counts for the messages of its tenant's policy (`notify`); a step of the object's schema.
 * `tell_after_ms`: as the Worker judged the request; null where nobody is told of it. `activity_report`: the one batch that the ledger
 * has not acknowledged yet.
 */
export const LOG_ACTIVITY_SCHEMA = `
  ALTER TABLE journal ADD COLUMN tell_after_ms INTEGER;
  ${ACTIVITY_SCHEMA}
  CREATE TABLE activity_report (only INTEGER PRIMARY KEY CHECK (only = 1), batch TEXT NOT NULL);
`;

/** Lines per report: with the longest reasons some 200 KB. The next report takes the rest. */
const LINES_PER_REPORT = 150;

/**
 * Counts what was let through and is to be told among the records chained since `after`. Joins the transaction that chained them,
 * so each is counted once.
 */
export function countServed(sql: SqlStorage, after: number): void {
  const rows = sql
    .exec(
      `SELECT tell_after_ms, record ->> 'action' AS action, record ->> 'principal' AS principal, record ->> 'tier' AS tier,
         record ->> 'request_id' AS request_id, record ->> 'time' AS time, record ->> 'reason' AS reason
       FROM journal WHERE sequence > ? AND hash IS NOT NULL AND tell_after_ms IS NOT NULL AND record ->> 'action' IS NOT NULL
         AND record ->> 'principal' IS NOT NULL AND record ->> 'tier' IN (0, 1, 2, 3, 4) ORDER BY sequence`,
      after,
    )
    .toArray();
  for (const row of rows) {
    const requestId = textOf(row, "request_id");
    const at = Date.parse(textOf(row, "time"));
    addActivity(sql, {
      action: textOf(row, "action"),
      principal: textOf(row, "principal"),
      tier: tierOf(row),
      count: 1,
      firstRequestId: requestId,
      firstAt: at,
      lastRequestId: requestId,
      lastAt: at,
      reason: textOrNull(row, "reason"),
      tellAfterMs: integerOf(row, "tell_after_ms"),
    });
  }
}

/** Whether there is anything that the ledger has not been told. */
export const hasActivity = (sql: SqlStorage): boolean =>
  sql.exec("SELECT 1 FROM activity_report UNION ALL SELECT 1 FROM activity LIMIT 1").toArray().length > 0;

/**
 * What the ledger is to be told next, null for nothing. Until `dropBatch` the same again under the same id, whatever has been
 * counted since. Run inside `transactionSync`.
 */
export function nextBatch(sql: SqlStorage): ActivityBatch | null {
  const waiting = sql.exec("SELECT batch FROM activity_report").toArray()[0];
  if (waiting !== undefined) return JSON.parse(textOf(waiting, "batch"));
  const lines = activityLines(sql, LINES_PER_REPORT);
  if (lines.length === 0) return null;
  const batch: ActivityBatch = { id: newId("act"), lines };
  sql.exec("INSERT INTO activity_report (only, batch) VALUES (1, ?)", JSON.stringify(batch));
  for (const { action, principal, tier } of lines)
    sql.exec("DELETE FROM activity WHERE action = ? AND principal = ? AND tier = ?", action, principal, tier);
  return batch;
}

/** The ledger has it. */
export const dropBatch = (sql: SqlStorage): void => void sql.exec("DELETE FROM activity_report");
