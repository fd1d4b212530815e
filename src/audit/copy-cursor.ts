import { integerOf, integerOrNull, textOf } from "../platform/sql-row.ts";
import type { EpochMs } from "../vocabulary.ts";

/**
 * How far each further copy of a log is; part of the schema steps of the log's object. `planned`: the last record of the
 * run that is under way. It is stored before anything is sent, so that a run that is repeated writes the same records under
 * the same name. A sink has no row before its first run.
 */
export const SINK_SCHEMA = `
  CREATE TABLE sinks (
    name TEXT PRIMARY KEY, confirmed INTEGER NOT NULL, planned INTEGER, written_at INTEGER NOT NULL
  ) WITHOUT ROWID;
`;

/** The copies that there may be besides D1: objects in R2, and the tenant's own webhook. */
export type CopyName = "r2" | "webhook";

/** `confirmed`: all records up to this one are in the copy. `writtenAt`: when the newest of them were, or when the copy began. */
export type Cursor = { readonly confirmed: number; readonly planned: number | null; readonly writtenAt: EpochMs };

/** A record's exact canonical text, which is what every copy of it has. */
export type CopyRow = { readonly sequence: number; readonly record: string };

export function copyCursor(sql: SqlStorage, name: CopyName = "r2"): Cursor {
  const row = sql.exec("SELECT confirmed, planned, written_at FROM sinks WHERE name = ?", name).toArray()[0];
  if (row === undefined) return { confirmed: 0, planned: null, writtenAt: 0 };
  return {
    confirmed: integerOf(row, "confirmed"),
    planned: integerOrNull(row, "planned"),
    writtenAt: integerOf(row, "written_at"),
  };
}

/** Where the copy is, which begins with the log's first record if it has not begun yet. */
export function beginCopy(sql: SqlStorage, name: CopyName, now: EpochMs): Cursor {
  sql.exec("INSERT OR IGNORE INTO sinks (name, confirmed, written_at) VALUES (?, 0, ?)", name, now);
  return copyCursor(sql, name);
}

/** Whether the copy has begun: one that is switched on for each log by itself is on from then on. */
export const isCopyOn = (sql: SqlStorage, name: CopyName): boolean =>
  sql.exec("SELECT 1 FROM sinks WHERE name = ?", name).toArray().length > 0;

/** Begins a copy with the next record, or forgets it. One that is on goes on where it is. */
export function switchCopy(sql: SqlStorage, name: CopyName, isOn: boolean, now: EpochMs): void {
  if (!isOn) return void sql.exec("DELETE FROM sinks WHERE name = ?", name);
  sql.exec("INSERT OR IGNORE INTO sinks (name, confirmed, written_at) VALUES (?, ?, ?)", name, heads(sql).newest, now);
}

/** Says that the next run ends with `last`. */
export const planRun = (sql: SqlStorage, name: CopyName, last: number): void =>
  void sql.exec("UPDATE sinks SET planned = ? WHERE name = ?", last, name);

/** What was planned is there. Said again, or of what is not planned any more, it changes nothing. */
export function confirmWritten(sql: SqlStorage, name: CopyName, last: number, now: EpochMs): void {
  sql.exec(
    "UPDATE sinks SET confirmed = planned, planned = NULL, written_at = ? WHERE name = ? AND planned = ?",
    now,
    name,
    last,
  );
}

/**
 * Chained records of the journal from `from` to `through`, in order, as many as stay below `maxChars` characters, one at least.
 * The journal begins somewhere and has no gaps: where the first of these is not `from`, that one has left it.
 */
export function journalRows(sql: SqlStorage, from: number, through: number, maxChars: number): readonly CopyRow[] {
  const rows: CopyRow[] = [];
  let chars = 0;
  const found = sql.exec(
    "SELECT sequence, record FROM journal WHERE sequence BETWEEN ? AND ? AND hash IS NOT NULL ORDER BY sequence",
    from,
    through,
  );
  for (const row of found) {
    const record = textOf(row, "record");
    chars += record.length;
    if (rows.length > 0 && chars > maxChars) break;
    rows.push({ sequence: integerOf(row, "sequence"), record });
  }
  return rows;
}

/** When this record was appended, null where the journal does not have it any more. */
export function appendedAt(sql: SqlStorage, sequence: number): EpochMs | null {
  const row = sql.exec("SELECT appended_at FROM journal WHERE sequence = ?", sequence).toArray()[0];
  return row === undefined ? null : integerOf(row, "appended_at");
}

/** The newest record that is chained, and the newest of all; 0 for none. */
export function heads(sql: SqlStorage): { readonly chained: number; readonly newest: number } {
  // Records are chained in order: whatever follows the newest chained one is not.
  const row = sql
    .exec(
      `SELECT coalesce((SELECT sequence FROM journal WHERE hash IS NOT NULL ORDER BY sequence DESC LIMIT 1), 0) AS chained,
         coalesce((SELECT max(sequence) FROM journal), 0) AS newest`,
    )
    .one();
  return { chained: integerOf(row, "chained"), newest: integerOf(row, "newest") };
}
