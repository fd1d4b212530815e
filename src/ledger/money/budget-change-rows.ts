import { assert } from "../../platform/assert.ts";
import { integerOf, integerOrNull, textOf, textOrNull, type SqlRow } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { BudgetChange } from "./finance-port.ts";

/** A row of `budget_changes`. */
export type ChangeRow = Omit<BudgetChange, "decisions"> & {
  /** Owner and issuer of the asking credential: neither decides. */
  readonly owner: string;
  readonly issuer: string;
};

const KINDS = ["lower", "raise", "request"] as const;
const STATES = ["pending", "approved", "denied", "withdrawn", "expired"] as const;

/** Records a change. */
export function insertChange(sql: SqlStorage, row: ChangeRow): void {
  sql.exec(
    `INSERT INTO budget_changes (id, kind, state, period, cap_micros, from_micros, asked_by, owner, issuer, reason, incident,
       needed, effective_at, ends_at, asked_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    row.id,
    row.kind,
    row.state,
    row.period,
    row.capMicros,
    row.fromMicros,
    row.askedBy,
    row.owner,
    row.issuer,
    row.reason,
    row.incident,
    row.needed,
    row.effectiveAt,
    row.endsAt,
    row.askedAt,
    row.expiresAt,
  );
}

/** Moves a change to another state; `effectiveAt` is when it counts from. */
export const moveChange = (sql: SqlStorage, id: string, state: BudgetChange["state"], effectiveAt: EpochMs): void =>
  void sql.exec("UPDATE budget_changes SET state = ?, effective_at = ? WHERE id = ?", state, effectiveAt, id);

/** The change with this id, null where there is none. */
export function findChange(sql: SqlStorage, id: string): ChangeRow | null {
  const row = sql.exec("SELECT * FROM budget_changes WHERE id = ?", id).toArray()[0];
  return row === undefined ? null : fromRow(row);
}

/** Changes, the last one made first, all of them or those in one state. */
export function changesOf(sql: SqlStorage, state: BudgetChange["state"] | null, limit = 1_000): readonly ChangeRow[] {
  const rows =
    state === null
      ? sql.exec("SELECT * FROM budget_changes ORDER BY rowid DESC LIMIT ?", limit)
      : sql.exec("SELECT * FROM budget_changes WHERE state = ? ORDER BY rowid DESC LIMIT ?", state, limit);
  return rows.toArray().map(fromRow);
}

/** What people of finance said about a change, in order. */
export const decisionsOnChange = (sql: SqlStorage, id: string): BudgetChange["decisions"] =>
  sql
    .exec("SELECT * FROM budget_decisions WHERE change_id = ? ORDER BY decided_at, subject", id)
    .toArray()
    .map((row) => ({
      subject: textOf(row, "subject"),
      decision: row["decision"] === "deny" ? "deny" : "approve",
      comment: textOrNull(row, "comment"),
      decidedAt: integerOf(row, "decided_at"),
    }));

function fromRow(row: SqlRow): ChangeRow {
  const kind = KINDS.find((known) => known === row["kind"]);
  const state = STATES.find((known) => known === row["state"]);
  assert(kind !== undefined && state !== undefined, "a change has a known kind and state");
  return {
    id: textOf(row, "id"),
    kind,
    state,
    period: row["period"] === "monthly" ? "monthly" : "daily",
    capMicros: integerOf(row, "cap_micros"),
    fromMicros: integerOf(row, "from_micros"),
    askedBy: textOf(row, "asked_by"),
    owner: textOf(row, "owner"),
    issuer: textOf(row, "issuer"),
    reason: textOf(row, "reason"),
    incident: textOrNull(row, "incident"),
    needed: integerOf(row, "needed"),
    effectiveAt: integerOf(row, "effective_at"),
    endsAt: integerOrNull(row, "ends_at"),
    askedAt: integerOf(row, "asked_at"),
    expiresAt: integerOf(row, "expires_at"),
  };
}
