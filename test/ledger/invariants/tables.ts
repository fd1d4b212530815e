/** A row of SQLite, as these tables have them: no blobs. */
export type Row = Readonly<Record<string, string | number | null>>;

const TABLES = {
  reservations: `SELECT id, state, principal, team, action, daily_window, monthly_window, ceiling_micros, settled_micros, settled_by, basis,
      resource, created_at, resolved_at, ended_at FROM reservations`,
  windows: "SELECT window, held_micros, settled_micros, gross_micros FROM windows",
  operations: `SELECT request_id, principal, request_digest, state, resource, route, sent IS NOT NULL AS can_look_up, completed_at
      FROM operations`,
  approvals: "SELECT id, state, principal, request_digest, expires_at, consumed_by, grant_jti FROM approvals",
  receipts: "SELECT receipt, consumed_by FROM receipts",
  standing_approvals: "SELECT id, uses, cap_micros, used, used_micros FROM standing_approvals",
  standing_uses: "SELECT request_id, approval_id, micros FROM standing_uses",
  busy_resources: "SELECT resource, request_id FROM busy_resources",
  due: "SELECT at, job, ref FROM due",
  calendar: "SELECT period, window, timezone, ends_at FROM calendar",
  budget_changes:
    "SELECT id, kind, state, period, cap_micros, needed, asked_by, effective_at, ends_at, expires_at FROM budget_changes",
  budget_decisions: "SELECT change_id, subject, decision FROM budget_decisions",
  usage_reports: "SELECT request_id, evidence, actual_micros, reported_by, confirmed_by, state FROM usage_reports",
} as const;

/** How far the two append-only tables were read: the last journal row, and the last line of each month's book. */
export type Cursor = { readonly journal: number; readonly entries: Readonly<Record<string, number>> };
export const FROM_THE_START: Cursor = { journal: 0, entries: {} };

/** A ledger's tables at one moment. `alarmAt`: when the object wakes, null where nothing wakes it, undefined where no object is. */
export type Tables = Readonly<Record<keyof typeof TABLES | "entries" | "journal", readonly Row[]>> & {
  readonly alarmAt: number | null | undefined;
};

/** Reads them. Only what is checked: the stored requests and answers beside it are long. */
export function readTables(
  query: (text: string, ...bindings: readonly (string | number)[]) => readonly Row[],
  after: Cursor,
  alarmAt: number | null | undefined,
): Tables {
  return {
    reservations: query(TABLES.reservations),
    windows: query(TABLES.windows),
    operations: query(TABLES.operations),
    approvals: query(TABLES.approvals),
    receipts: query(TABLES.receipts),
    standing_approvals: query(TABLES.standing_approvals),
    standing_uses: query(TABLES.standing_uses),
    busy_resources: query(TABLES.busy_resources),
    due: query(TABLES.due),
    calendar: query(TABLES.calendar),
    budget_changes: query(TABLES.budget_changes),
    budget_decisions: query(TABLES.budget_decisions),
    usage_reports: query(TABLES.usage_reports),
    entries: query(
      `SELECT monthly_window, number, daily_window, reservation, kind, principal, team, action, held_micros, settled_micros,
         gross_micros, basis FROM entries WHERE number > coalesce(? ->> monthly_window, 0) ORDER BY monthly_window, number`,
      JSON.stringify(after.entries),
    ),
    journal: query("SELECT sequence, hash, record FROM journal WHERE sequence > ? ORDER BY sequence", after.journal),
    alarmAt,
  };
}

/** A column that holds text (or nothing). */
export const text = (row: Row | undefined, column: string): string => String(row?.[column] ?? "");

/** A column that holds a number; nothing counts as zero. */
export const number = (row: Row | undefined, column: string): number => Number(row?.[column] ?? 0);

/** Stops where an invariant does not hold. Not `expect`: a hundred thousand steps ask it a hundred times each. */
export function holds(condition: boolean, what: () => string): void {
  if (!condition) throw new Error(`does not hold: ${what()}`);
}
