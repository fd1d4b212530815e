import type { EpochMs } from "../vocabulary.ts";
import { pruneCounts } from "./aggregates/aggregate-parts.ts";
import { pruneIncidents } from "./incidents/incident-rows.ts";
import { ALERT_RETENTION_MS } from "./notices.ts";
import { KEY_RETENTION_MS } from "./replay.ts";
import { pruneSignals } from "./signals.ts";

/** Once an hour is enough: retention is measured in days, and each run deletes a bounded number of rows. */
export const PRUNE_EVERY_MS = 3_600_000;

/** Receipts stay recognisable as spent or expired for a day, then go. */
const RECEIPT_RETENTION_MS = 24 * 3_600_000;

/**
 * Drops what nothing may refer to any more: old receipts, old idempotency keys, the stored responses behind them, which
 * alerts of past windows were told, and what signals and aggregates of past windows were
 * counted from.
 * Operations, reservations, windows and approvals stay: they are the books. A deleted receipt or key denies (positive
 * records), it never re-opens anything.
 */
export function prune(sql: SqlStorage, now: EpochMs): void {
  sql.exec("DELETE FROM receipts WHERE expires_at < ?", now - RECEIPT_RETENTION_MS);
  // A key whose operation has no outcome yet is never forgotten: the same request would be dispatched a second time.
  sql.exec(
    `DELETE FROM idempotency WHERE created_at < ? AND NOT EXISTS (SELECT 1 FROM operations
       WHERE operations.request_id = idempotency.request_id AND operations.state IN ('dispatching','unknown'))`,
    now - KEY_RETENTION_MS,
  );
  sql.exec(
    "UPDATE operations SET response = NULL WHERE response IS NOT NULL AND completed_at < ?",
    now - KEY_RETENTION_MS,
  );
  sql.exec("DELETE FROM alerts WHERE at < ?", now - ALERT_RETENTION_MS);
  pruneSignals(sql, now);
  pruneCounts(sql, now);
  pruneIncidents(sql, now);
}
