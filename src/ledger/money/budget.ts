import { usd } from "../../platform/money.ts";
import { integerOf } from "../../platform/sql-row.ts";
import type { WindowShortage } from "../../refusal.ts";
import type { EpochMs, Micros } from "../../vocabulary.ts";
import type { BudgetTerms, BudgetView, BudgetWindowView } from "../contract.ts";
import type { BudgetWindow, BudgetWindows } from "./budget-windows.ts";
import type { BudgetPeriod, TenantTerms } from "./finance-port.ts";
import { isHeld, type Reservation } from "./reservations.ts";
import { scopedWindow, scopesOf, scopeSums, sumsOf, type Sums } from "./windows.ts";

/** Caps of the tenant as a whole that are in force: the lower of the policy's and finance's. */
export type CapsInForce = { readonly daily: Micros; readonly monthly: Micros; readonly gross: Micros };

/** Unless the policy says otherwise, twice the daily cap may be submitted in a day: cancelling frees a cap once, not for ever. */
const GROSS_PER_DAILY_CAP = 2;

/** The caps in force at `now`. Reads only. */
export function capsInForce(sql: SqlStorage, terms: TenantTerms, now: EpochMs): CapsInForce {
  const finance = financeCaps(sql, now);
  const daily = Math.min(terms.dailyCapMicros, finance.daily ?? terms.dailyCapMicros);
  const monthly = Math.min(terms.monthlyCapMicros, finance.monthly ?? terms.monthlyCapMicros);
  return {
    daily,
    monthly,
    gross: terms.grossDailyCapMicros ?? Math.min(daily * GROSS_PER_DAILY_CAP, Number.MAX_SAFE_INTEGER),
  };
}

/**
 * What finance has set, null where it never did: of the approved changes that have begun and not ended, the one that began last.
 * So a lowering ends a temporary raise, and when a temporary raise ends, what held before it holds again. One person lowers,
 * so a lowering never widens what it follows, whatever it was measured against when it was made, and one that was made at once
 * holds although the clock steps back behind it. `without`: leaves one out.
 */
export function financeCaps(
  sql: SqlStorage,
  now: EpochMs,
  without: string | null = null,
): Readonly<Record<BudgetPeriod, Micros | null>> {
  const caps: Record<BudgetPeriod, Micros | null> = { daily: null, monthly: null };
  const rows = sql
    .exec(
      `SELECT id, kind, period, cap_micros FROM budget_changes
       WHERE state = 'approved' AND (ends_at IS NULL OR ends_at > ?1)
         AND (effective_at <= ?1 OR (kind = 'lower' AND effective_at <= asked_at)) ORDER BY effective_at, rowid`,
      now,
    )
    .toArray();
  for (const row of rows) {
    if (row["id"] === without) continue;
    const period = row["period"] === "monthly" ? "monthly" : "daily";
    const cap = integerOf(row, "cap_micros");
    caps[period] = row["kind"] === "lower" ? Math.min(caps[period] ?? cap, cap) : cap;
  }
  return caps;
}

/** The budget as people see it: cap, settled, held and remaining of both windows. `extraMicros` shows it as if held. */
export function budgetView(
  sql: SqlStorage,
  windows: BudgetWindows,
  terms: TenantTerms,
  now: EpochMs,
  extraMicros: Micros = 0,
): BudgetView {
  const caps = capsInForce(sql, terms, now);
  const sums = sumsOf(sql, [windows.daily.id, windows.monthly.id]);
  return {
    daily: windowView(sums.get(windows.daily.id), windows.daily, caps.daily, extraMicros),
    monthly: windowView(sums.get(windows.monthly.id), windows.monthly, caps.monthly, extraMicros),
  };
}

/** One window with its cap, for people and programs. */
export function windowView(
  sums: Pick<Sums, "heldMicros" | "settledMicros"> | undefined,
  window: BudgetWindow,
  cap: Micros,
  extra: Micros = 0,
): BudgetWindowView {
  const settled = sums?.settledMicros ?? 0;
  const held = (sums?.heldMicros ?? 0) + extra;
  const remaining = Math.max(0, cap - settled - held);
  return {
    window: window.id,
    cap_usd: usd(cap),
    settled_usd: usd(settled),
    held_usd: usd(held),
    remaining_usd: usd(remaining),
    resets_at: new Date(window.endsAt).toISOString(),
    cap_micros: cap,
    settled_micros: settled,
    held_micros: held,
    remaining_micros: remaining,
  };
}

/**
 * Every cap that `requestedMicros` does not fit: `settled + held + requested ≤ cap` for the tenant's day and month and for each
 * cap inside them, and for the day what was submitted. `own` is a hold of the same request (its proposal's) that would be
 * released in the same transaction, and so does not count against it. Empty: it fits all of them. Reads only.
 */
export function shortages(
  sql: SqlStorage,
  windows: BudgetWindows,
  terms: BudgetTerms,
  requestedMicros: Micros,
  own: Reservation | null,
  now: EpochMs,
): readonly WindowShortage[] {
  if (requestedMicros === 0) return [];
  const caps = capsInForce(sql, terms, now);
  const tenant = sumsOf(sql, [windows.daily.id, windows.monthly.id]);
  const inner = scopeSums(sql, windows, terms.per);
  const short: WindowShortage[] = [];
  const check = (
    period: BudgetPeriod,
    scope: WindowShortage["scope"],
    cap: Micros | null,
    sums: Sums | undefined,
  ): void => {
    if (cap === null || sums === undefined) return;
    const window = windows[period];
    const counted = { settledMicros: sums.settledMicros, heldMicros: sums.heldMicros - ownIn(own, window.id, scope) };
    const missing = counted.settledMicros + counted.heldMicros + requestedMicros - cap;
    if (missing > 0) short.push(shortage(period, window, cap, counted, requestedMicros, missing, scope));
  };
  check("daily", "window", caps.daily, tenant.get(windows.daily.id));
  check("monthly", "window", caps.monthly, tenant.get(windows.monthly.id));
  const gross = tenant.get(windows.daily.id)?.grossMicros ?? 0;
  const over = gross + requestedMicros - caps.gross;
  if (over > 0) {
    const submitted = { settledMicros: 0, heldMicros: gross };
    short.push(shortage("daily", windows.daily, caps.gross, submitted, requestedMicros, over, "gross"));
  }
  for (const { scope, dailyCapMicros, monthlyCapMicros } of terms.per) {
    check("daily", scope, dailyCapMicros, inner.get(scopedWindow(windows.daily.id, scope)));
    check("monthly", scope, monthlyCapMicros, inner.get(scopedWindow(windows.monthly.id, scope)));
  }
  return short;
}

function ownIn(own: Reservation | null, window: string, scope: string): Micros {
  if (own === null || !isHeld(own.state) || (own.dailyWindow !== window && own.monthlyWindow !== window)) return 0;
  // The policy may have moved the requester to another team since.
  return scope === "window" || scopesOf(own).includes(scope) ? own.ceilingMicros : 0;
}

/** One shortage with numbers that add up: `settled + held + requested - cap = short`. */
export function shortage(
  period: BudgetPeriod,
  window: BudgetWindow,
  cap: Micros,
  sums: Pick<Sums, "heldMicros" | "settledMicros">,
  requested: Micros,
  short: Micros,
  scope: WindowShortage["scope"],
): WindowShortage {
  return {
    window: window.id,
    period,
    scope,
    cap_usd: usd(cap),
    settled_usd: usd(sums.settledMicros),
    held_usd: usd(sums.heldMicros),
    requested_usd: usd(requested),
    short_usd: usd(short),
    resets_at: new Date(window.endsAt).toISOString(),
    cap_micros: cap,
    settled_micros: sums.settledMicros,
    held_micros: sums.heldMicros,
    requested_micros: requested,
    short_micros: short,
  };
}
