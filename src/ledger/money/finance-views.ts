import { integerOf, integerOrNull, textOf, textOrNull, type SqlRow } from "../../platform/sql-row.ts";
import type { EpochMs, Micros } from "../../vocabulary.ts";
import { listFreezes, SPENDING } from "../authority.ts";
import { capsInForce, financeCaps, windowView } from "./budget.ts";
import { budgetChange } from "./budget-change-record.ts";
import { changesOf } from "./budget-change-rows.ts";
import type { BudgetWindows } from "./budget-windows.ts";
import type {
  BooksReport,
  BudgetPeriod,
  BudgetReport,
  CapView,
  HoldRow,
  ScopeCap,
  TenantCapView,
  TenantTerms,
  WindowUse,
} from "./finance-port.ts";
import { HELD_STATES, reservationOf } from "./reservations.ts";
import { scopedWindow, scopeSums, sumsOf } from "./windows.ts";

/** Everything that bounds the tenant's spending now, and how far it is used. Reads only. */
export function budgetReport(
  sql: SqlStorage,
  windows: BudgetWindows,
  terms: TenantTerms,
  caps: readonly ScopeCap[],
  now: EpochMs,
): BudgetReport {
  const inForce = capsInForce(sql, terms, now);
  const finance = financeCaps(sql, now);
  const sums = sumsOf(sql, [windows.daily.id, windows.monthly.id]);
  const tenant = (period: BudgetPeriod, policyCapMicros: Micros): TenantCapView => ({
    ...windowView(sums.get(windows[period].id), windows[period], inForce[period]),
    scope: "tenant",
    period,
    policyCapMicros,
    financeCapMicros: finance[period],
    heldByState: heldByState(sql, period, windows[period].id),
  });
  const submitted = { heldMicros: sums.get(windows.daily.id)?.grossMicros ?? 0, settledMicros: 0 };
  const frozen = listFreezes(sql).find(({ scope }) => scope === SPENDING);
  return {
    timezone: terms.timezone,
    daily: tenant("daily", terms.dailyCapMicros),
    monthly: tenant("monthly", terms.monthlyCapMicros),
    gross: { ...windowView(submitted, windows.daily, inForce.gross), scope: "gross", period: "daily" },
    scopes: scopeViews(sql, windows, caps),
    pending: changesOf(sql, "pending").flatMap(({ id }) => budgetChange(sql, id) ?? []),
    spendingFrozen: frozen === undefined ? null : { by: frozen.frozenBy, reason: frozen.reason, since: frozen.since },
  };
}

function scopeViews(sql: SqlStorage, windows: BudgetWindows, caps: readonly ScopeCap[]): readonly CapView[] {
  const sums = scopeSums(sql, windows, caps);
  const view = (scope: string, period: BudgetPeriod, cap: Micros | null): readonly CapView[] =>
    cap === null
      ? []
      : [{ ...windowView(sums.get(scopedWindow(windows[period].id, scope)), windows[period], cap), scope, period }];
  return caps.flatMap(({ scope, dailyCapMicros, monthlyCapMicros }) => [
    ...view(scope, "daily", dailyCapMicros),
    ...view(scope, "monthly", monthlyCapMicros),
  ]);
}

function heldByState(sql: SqlStorage, period: BudgetPeriod, window: string): TenantCapView["heldByState"] {
  const column = period === "daily" ? "daily_window" : "monthly_window";
  const by = { held: 0, dispatching: 0, committed: 0, unknown: 0 };
  const rows = sql
    .exec(
      `SELECT state, sum(ceiling_micros) AS micros FROM reservations INDEXED BY reservations_open
       WHERE state IN ${HELD_STATES} AND ${column} = ? GROUP BY state`,
      window,
    )
    .toArray();
  for (const row of rows) {
    const { state } = row;
    if (state === "held" || state === "dispatching" || state === "committed" || state === "unknown")
      by[state] = integerOf(row, "micros");
  }
  return by;
}

const HOLD_COLUMNS = "reservations.*, operations.admitted_at, operations.duration_ms";
const WITH_OPERATION = "LEFT JOIN operations ON operations.request_id = reservations.id";

/** Every hold that counts now, largest first; `window` null for all windows. */
export function budgetHolds(sql: SqlStorage, window: string | null, limit: number): readonly HoldRow[] {
  return sql
    .exec(
      `SELECT ${HOLD_COLUMNS} FROM reservations INDEXED BY reservations_open ${WITH_OPERATION}
       WHERE reservations.state IN ${HELD_STATES} AND ceiling_micros > 0 AND (?1 IS NULL OR ?1 IN (daily_window, monthly_window))
       ORDER BY ceiling_micros DESC, id LIMIT ?2`,
      window,
      limit,
    )
    .toArray()
    .map(holdRow);
}

/** Settled at the ceiling with nothing heard, and outcomes nobody has seen; oldest first. */
export function unresolvedHolds(sql: SqlStorage, limit: number): readonly HoldRow[] {
  return sql
    .exec(
      `SELECT * FROM (
         SELECT ${HOLD_COLUMNS} FROM reservations INDEXED BY reservations_unresolved ${WITH_OPERATION} WHERE settled_by = 'ceiling'
         UNION ALL
         SELECT ${HOLD_COLUMNS} FROM reservations INDEXED BY reservations_open ${WITH_OPERATION}
         WHERE reservations.state IN ${HELD_STATES} AND reservations.state = 'unknown'
       ) ORDER BY created_at, id LIMIT ?`,
      limit,
    )
    .toArray()
    .map(holdRow);
}

function holdRow(row: SqlRow): HoldRow {
  const one = reservationOf(row);
  const [admittedAt, durationMs] = [integerOrNull(row, "admitted_at"), integerOrNull(row, "duration_ms")];
  const { id, state, principal, team, action, dailyWindow, monthlyWindow, ceilingMicros, settledMicros } = one;
  return {
    id,
    state,
    principal,
    team,
    action,
    dailyWindow,
    monthlyWindow,
    ceilingMicros,
    settledMicros,
    priceVersion: one.priceVersion,
    basis: one.basis,
    since: one.createdAt,
    until: state === "committed" && admittedAt !== null && durationMs !== null ? admittedAt + durationMs : null,
    resource: textOrNull(row, "resource"),
  };
}

/** Days or months of the tenant that had any use, newest first. */
export function windowUse(sql: SqlStorage, period: BudgetPeriod, limit: number): readonly WindowUse[] {
  return sql
    .exec(
      `SELECT window, held_micros, settled_micros, gross_micros FROM windows WHERE window GLOB ? ORDER BY window DESC LIMIT ?`,
      period === "daily" ? "????-??-??" : "????-??",
      limit,
    )
    .toArray()
    .map((row) => ({
      window: textOf(row, "window"),
      heldMicros: integerOf(row, "held_micros"),
      settledMicros: integerOf(row, "settled_micros"),
      grossMicros: integerOf(row, "gross_micros"),
    }));
}

/**
 * One month three times over: the running sums, the reservations, and the book's lines; with what billing reported of it. A look
 * at every reservation: for people who reconcile, not for a request path.
 */
export function booksOf(sql: SqlStorage, month: string): BooksReport {
  const one = (query: string): SqlRow => sql.exec(query, month).one();
  const sums = sumsOf(sql, [month]).get(month);
  const reserved = one(
    `SELECT coalesce(sum(ceiling_micros) FILTER (WHERE state IN ${HELD_STATES}), 0) AS held,
       coalesce(sum(settled_micros), 0) AS settled,
       coalesce(sum(settled_micros - ceiling_micros) FILTER (WHERE settled_micros > ceiling_micros), 0) AS overrun,
       coalesce(sum(settled_micros) FILTER (WHERE settled_by = 'ceiling'), 0) AS unresolved,
       count(*) FILTER (WHERE settled_by = 'ceiling') AS unresolved_count
     FROM reservations WHERE monthly_window = ?`,
  );
  const lines = one(
    "SELECT coalesce(sum(held_micros), 0) AS held, coalesce(sum(settled_micros), 0) AS settled FROM entries WHERE monthly_window = ?",
  );
  const usage = one(
    `SELECT count(*) AS reports, coalesce(sum(usage_reports.actual_micros), 0) AS reported,
       coalesce(sum(reservations.settled_micros), 0) AS settled
     FROM usage_reports JOIN reservations ON reservations.id = usage_reports.request_id
     WHERE usage_reports.state = 'applied' AND reservations.monthly_window = ?`,
  );
  return {
    window: month,
    windows: { heldMicros: sums?.heldMicros ?? 0, settledMicros: sums?.settledMicros ?? 0 },
    reservations: { heldMicros: integerOf(reserved, "held"), settledMicros: integerOf(reserved, "settled") },
    entries: { heldMicros: integerOf(lines, "held"), settledMicros: integerOf(lines, "settled") },
    usage: {
      reports: integerOf(usage, "reports"),
      reportedMicros: integerOf(usage, "reported"),
      settledMicros: integerOf(usage, "settled"),
    },
    unresolved: { count: integerOf(reserved, "unresolved_count"), settledMicros: integerOf(reserved, "unresolved") },
    overrunMicros: integerOf(reserved, "overrun"),
  };
}
