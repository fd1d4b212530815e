import type { Constraints } from "../../catalogue/constraints.ts";
import { assert } from "../../platform/assert.ts";
import { integerOf, textOf, type SqlRow } from "../../platform/sql-row.ts";
import type { EpochMs, Micros } from "../../vocabulary.ts";

/**
 * What a standing approval allows beyond one request: so many uses of one action, together worth so much, by credentials of one
 * owner, while the pins hold and until its end. Its approval (of the same id) says who gave it and whether it stands.
 */
export type StandingApproval = {
  readonly id: string;
  /** The person who asked for it: whoever owns the credential of a request may use it. */
  readonly owner: string;
  readonly action: string;
  /** Constraints over the request's facts, as in a policy. All of them hold, or it is not for this request. */
  readonly pins: Constraints;
  readonly uses: number;
  readonly capMicros: Micros;
  readonly endsAt: EpochMs;
  readonly used: number;
  readonly usedMicros: Micros;
};

/** Records the terms of a standing approval, unused. Part of the transaction that opens its proposal. */
export function insertStandingApproval(sql: SqlStorage, standing: Omit<StandingApproval, "used" | "usedMicros">): void {
  sql.exec(
    "INSERT INTO standing_approvals (id, owner, action, pins, uses, cap_micros, ends_at) VALUES (?, ?, ?, ?, ?, ?, ?)",
    standing.id,
    standing.owner,
    standing.action,
    JSON.stringify(standing.pins),
    standing.uses,
    standing.capMicros,
    standing.endsAt,
  );
}

/** The terms and uses of a standing approval; null where the approval is for one request. */
export function standingApproval(sql: SqlStorage, id: string): StandingApproval | null {
  const row = sql.exec("SELECT * FROM standing_approvals WHERE id = ?", id).toArray()[0];
  return row === undefined ? null : fromRow(row);
}

/** Those of one owner for one action that have a use and `micros` left at `now`, the first to end first. */
export const standingApprovalsFor = (
  sql: SqlStorage,
  owner: string,
  action: string,
  micros: Micros,
  now: EpochMs,
): readonly StandingApproval[] =>
  sql
    .exec(
      `SELECT * FROM standing_approvals WHERE owner = ? AND action = ? AND ends_at > ? AND used < uses AND used_micros + ? <= cap_micros
       ORDER BY ends_at, id`,
      owner,
      action,
      now,
      micros,
    )
    .toArray()
    .map(fromRow);

/**
 * Takes one use and its ceiling out of a standing approval. The caller found in this transaction that both are left. Nothing gives
 * them back, whatever becomes of the request.
 */
export function takeUse(sql: SqlStorage, id: string, requestId: string, micros: Micros, now: EpochMs): void {
  const taken = sql
    .exec(
      `UPDATE standing_approvals SET used = used + 1, used_micros = used_micros + ?1
       WHERE id = ?2 AND used < uses AND used_micros + ?1 <= cap_micros RETURNING 1`,
      micros,
      id,
    )
    .toArray();
  assert(taken.length === 1, "a use that was found is left");
  sql.exec(
    "INSERT INTO standing_uses (request_id, approval_id, micros, used_at) VALUES (?, ?, ?, ?)",
    requestId,
    id,
    micros,
    now,
  );
}

function fromRow(row: SqlRow): StandingApproval {
  return {
    id: textOf(row, "id"),
    owner: textOf(row, "owner"),
    action: textOf(row, "action"),
    // Serialised by this module.
    pins: JSON.parse(textOf(row, "pins")),
    uses: integerOf(row, "uses"),
    capMicros: integerOf(row, "cap_micros"),
    endsAt: integerOf(row, "ends_at"),
    used: integerOf(row, "used"),
    usedMicros: integerOf(row, "used_micros"),
  };
}
