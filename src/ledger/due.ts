import type { EpochMs } from "../vocabulary.ts";
import { textOf, integerOf } from "../platform/sql-row.ts";

/**
 * What the ledger has to do later. `dispatch-deadline`: a dispatch without conclusion becomes unknown. `reconcile`: ask
 * the outbox to look an unknown outcome up. `ceiling`: a committed hold whose run time is over settles at its ceiling.
 * `status-poll`: ask the outbox how what runs fares, again and again; `status-check`: once, because something changed.
 * `outcome-unknown`: people are told of one that still is. `budget-change-expiry`: a change of a cap that nobody confirmed ends.
 * `approval-expiry`: an open proposal or unused grant ends. `approval-reminder`: its
 * approvers are reminded. `incident-expiry`: a claim under which nothing was done for long ends. `notices`: what people are to be told goes to the outbox. `activation`: a scheduled version comes in force. `activity`: people are told what was let through. `prune`: old idempotency keys and receipts go.
 * `audit-retention`: audit records older than the policy keeps lose their text.
 */
export const JOBS = [
  "dispatch-deadline",
  "reconcile",
  "ceiling",
  "status-poll",
  "status-check",
  "outcome-unknown",
  "budget-change-expiry",
  "approval-expiry",
  "approval-reminder",
  "incident-expiry",
  "notices",
  "activation",
  "activity",
  "prune",
  "audit-retention",
] as const;
export type Job = (typeof JOBS)[number];
const KNOWN = `('${JOBS.join("','")}')`;
export type DueRow = { readonly at: EpochMs; readonly job: Job; readonly ref: string };

/**
 * Plans a job. When one comes due it looks at the row it is about and does nothing if that has moved on, so a job can
 * neither be lost nor do harm by firing late or twice. Striking one off that would find nothing to do only saves work.
 */
export function plan(sql: SqlStorage, job: Job, ref: string, at: EpochMs): void {
  sql.exec("INSERT OR IGNORE INTO due (at, job, ref) VALUES (?, ?, ?)", at, job, ref);
}

/** The jobs due at `now`, earliest first, at most `limit`. */
export function dueAt(sql: SqlStorage, now: EpochMs, limit: number): readonly DueRow[] {
  return sql
    .exec(`SELECT at, job, ref FROM due WHERE at <= ? AND job IN ${KNOWN} ORDER BY at LIMIT ?`, now, limit)
    .toArray()
    .flatMap((row) => {
      const job = JOBS.find((known) => known === row["job"]);
      return job === undefined ? [] : [{ at: integerOf(row, "at"), job, ref: textOf(row, "ref") }];
    });
}

/** Strikes a job off: it was done, or there is nothing left for it to do. */
export function done(sql: SqlStorage, row: DueRow): void {
  sql.exec("DELETE FROM due WHERE at = ? AND job = ? AND ref = ?", row.at, row.job, row.ref);
}

/** Puts a job that failed off, unless its own transaction has struck it off already. */
export function postpone(sql: SqlStorage, row: DueRow, until: EpochMs): void {
  if (
    sql.exec("DELETE FROM due WHERE at = ? AND job = ? AND ref = ? RETURNING 1", row.at, row.job, row.ref).toArray()
      .length === 0
  )
    return;
  plan(sql, row.job, row.ref, until);
}

/** When the next job is due, null when none is. A newer build's jobs wait for it: they must not wake this one in a loop. */
export function nextDue(sql: SqlStorage): EpochMs | null {
  const row = sql.exec(`SELECT at FROM due WHERE job IN ${KNOWN} ORDER BY at LIMIT 1`).toArray()[0];
  return row === undefined ? null : integerOf(row, "at");
}
