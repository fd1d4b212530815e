import type { AuditEntry } from "../audit/record.ts";
import { integerOf, integerOrNull, textOf, type SqlRow } from "../platform/sql-row.ts";
import type { EpochMs } from "../vocabulary.ts";
import { tell } from "./signals.ts";

/** One operation whose outcome is missing past its bound. */
type OpenOperation = {
  readonly requestId: string;
  /** `dispatching`: its deadline is over and the sweep has not come to it yet. `unknown`: nobody has seen what became of it. */
  readonly state: "dispatching" | "unknown";
  readonly principal: string;
  readonly action: string | null;
  readonly admittedAt: EpochMs;
  readonly lookUps: number;
};

/** Intents without an outcome: how many there are, since when the oldest, and the oldest of them one by one. */
export type OpenOperations = {
  readonly dispatching: OpenCount;
  readonly unknown: OpenCount;
  readonly operations: readonly OpenOperation[];
};
type OpenCount = { readonly count: number; readonly oldest: EpochMs | null };

/** Dispatches whose deadline has passed: their job still stands there. The key of `due` finds them; there are hardly ever any. */
const OVERDUE = `FROM due JOIN operations ON operations.request_id = due.ref
  WHERE due.at <= ? AND due.job = 'dispatch-deadline' AND operations.state = 'dispatching'`;
const UNKNOWN = "FROM operations INDEXED BY operations_unknown WHERE state = 'unknown'";

/**
 * Operations that are `dispatching` past their deadline, or `unknown`; at most `limit` of each, oldest first. Reads only. What the
 * deadline has made unknown is on record as such; what is listed as dispatching shows that the ledger's alarm is late.
 */
export function openOperations(sql: SqlStorage, limit: number, now: EpochMs): OpenOperations {
  const counted = (from: string, ...bindings: readonly number[]): OpenCount => {
    const row = sql.exec(`SELECT count(*) AS count, min(admitted_at) AS oldest ${from}`, ...bindings).one();
    return { count: integerOf(row, "count"), oldest: integerOrNull(row, "oldest") };
  };
  const listed = (from: string, ...bindings: readonly number[]): readonly OpenOperation[] =>
    sql
      .exec(
        `SELECT request_id, operations.state AS state, principal, entry, admitted_at, look_ups ${from}
         ORDER BY admitted_at, request_id LIMIT ?`,
        ...bindings,
        limit,
      )
      .toArray()
      .map(operationOf);
  return {
    dispatching: counted(OVERDUE, now),
    unknown: counted(UNKNOWN),
    operations: [...listed(OVERDUE, now), ...listed(UNKNOWN)],
  };
}

/** Tells people of an outcome that is still unknown. Run inside `transactionSync`. */
export function tellUnknown(sql: SqlStorage, requestId: string, now: EpochMs): void {
  const row = sql
    .exec(
      "SELECT request_id, state, principal, entry, admitted_at, look_ups FROM operations WHERE request_id = ? AND state = 'unknown'",
      requestId,
    )
    .toArray()[0];
  if (row === undefined) return;
  const { action, principal, admittedAt: since } = operationOf(row);
  tell(sql, { signal: "outcome-unknown", requestId, action, principal, since }, now);
}

function operationOf(row: SqlRow): OpenOperation {
  // Serialised by admission.ts.
  const entry: AuditEntry = JSON.parse(textOf(row, "entry"));
  return {
    requestId: textOf(row, "request_id"),
    state: row["state"] === "unknown" ? "unknown" : "dispatching",
    principal: textOf(row, "principal"),
    action: entry.action,
    admittedAt: integerOf(row, "admitted_at"),
    lookUps: integerOf(row, "look_ups"),
  };
}
