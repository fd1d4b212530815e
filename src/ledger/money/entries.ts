import { integerOf, textOf, textOrNull } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { EntryRow } from "./finance-port.ts";
import { addToWindows, type Spender, type Sums } from "./windows.ts";

/** What one line of the book says besides its amounts. */
export type Line = {
  readonly reservation: string;
  readonly kind: EntryRow["kind"];
  readonly basis: string;
  readonly priceVersion: string | null;
};

/**
 * Books a change of money: one line of the append-only book and the sums of its windows, in the caller's transaction. Nothing
 * else changes a sum, so each is the sum of its lines. Lines of one month are numbered without gaps.
 */
export function book(sql: SqlStorage, spender: Spender, line: Line, change: Sums, now: EpochMs): void {
  if (change.heldMicros === 0 && change.settledMicros === 0 && change.grossMicros === 0) return;
  sql.exec(
    `INSERT INTO entries (monthly_window, number, daily_window, at, reservation, kind, principal, team, action,
       held_micros, settled_micros, gross_micros, basis, price_version)
     VALUES (?1, (SELECT coalesce(max(number), 0) + 1 FROM entries WHERE monthly_window = ?1), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    spender.monthlyWindow,
    spender.dailyWindow,
    now,
    line.reservation,
    line.kind,
    spender.principal,
    spender.team,
    spender.action,
    change.heldMicros,
    change.settledMicros,
    change.grossMicros,
    line.basis,
    line.priceVersion,
  );
  addToWindows(sql, spender, change);
}

/** Lines of one month after `after`, in order. */
export function readEntries(sql: SqlStorage, month: string, after: number, limit: number): readonly EntryRow[] {
  return sql
    .exec("SELECT * FROM entries WHERE monthly_window = ? AND number > ? ORDER BY number LIMIT ?", month, after, limit)
    .toArray()
    .map((row) => ({
      monthlyWindow: textOf(row, "monthly_window"),
      number: integerOf(row, "number"),
      dailyWindow: textOf(row, "daily_window"),
      at: integerOf(row, "at"),
      reservation: textOf(row, "reservation"),
      kind: asKind(textOf(row, "kind")),
      principal: textOf(row, "principal"),
      team: textOrNull(row, "team"),
      action: textOf(row, "action"),
      heldMicros: integerOf(row, "held_micros"),
      settledMicros: integerOf(row, "settled_micros"),
      basis: textOf(row, "basis"),
      priceVersion: textOrNull(row, "price_version"),
    }));
}

const asKind = (text: string): EntryRow["kind"] =>
  text === "hold" || text === "release" || text === "settle" ? text : "adjust";
