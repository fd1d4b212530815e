import { Temporal } from "temporal-polyfill";
import { integerOf, textOf } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { windowsAt, type BudgetWindow, type BudgetWindows } from "./budget-windows.ts";
import type { BudgetPeriod } from "./finance-port.ts";

type OpenWindow = BudgetWindow & { readonly timezone: string };

/** The windows that are open now, and the zone that each was opened in. */
export type Calendar = {
  /**
   * The daily and monthly window that money counts in at `now`. A window once opened stays until it ends: neither a clock that
   * steps back nor another `timezone` moves it, so no cap is ever had twice for one name. What opens next is counted in the
   * `timezone` of that moment; null keeps the zone there is.
   */
  readonly at: (sql: SqlStorage, now: EpochMs, timezone: string | null) => BudgetWindows;
  /** Forgets what is kept in memory: its transaction was rolled back. */
  readonly forget: () => void;
};

/** Where no policy has said anything yet. */
const DEFAULT_ZONE = "UTC";

/** One calendar per ledger. The rows are the truth; memory only spares reading them, and zone arithmetic, at each admission. */
export function budgetCalendar(): Calendar {
  let kept: Partial<Record<BudgetPeriod, OpenWindow>> = {};
  const open = (sql: SqlStorage, period: BudgetPeriod, now: EpochMs, timezone: string | null): OpenWindow => {
    const last = kept[period] ?? readWindow(sql, period);
    const current =
      last !== undefined && now < last.endsAt
        ? last
        : nextWindow(period, last, now, timezone ?? last?.timezone ?? DEFAULT_ZONE);
    if (current !== last) writeWindow(sql, period, current);
    kept[period] = current;
    return current;
  };
  return {
    at: (sql, now, timezone) => ({
      daily: open(sql, "daily", now, timezone),
      monthly: open(sql, "monthly", now, timezone),
    }),
    forget: () => {
      kept = {};
    },
  };
}

/**
 * The window after `last`. West of the old zone the same date (or month) may come again: it goes on under its name until it ends
 * in the new zone, so that its cap is not had anew.
 */
function nextWindow(period: BudgetPeriod, last: OpenWindow | undefined, now: EpochMs, timezone: string): OpenWindow {
  const next = windowsAt(now, timezone)[period];
  // ISO dates of four-digit years sort as text.
  if (last === undefined || next.id > last.id) return { ...next, timezone };
  return { id: last.id, endsAt: endOf(last.id, period, timezone), timezone };
}

function endOf(id: string, period: BudgetPeriod, timezone: string): EpochMs {
  const end =
    period === "daily"
      ? Temporal.PlainDate.from(id).add({ days: 1 })
      : Temporal.PlainYearMonth.from(id).add({ months: 1 }).toPlainDate({ day: 1 });
  return end.toZonedDateTime(timezone).epochMilliseconds;
}

function readWindow(sql: SqlStorage, period: BudgetPeriod): OpenWindow | undefined {
  const row = sql.exec("SELECT window, timezone, ends_at FROM calendar WHERE period = ?", period).toArray()[0];
  return row === undefined
    ? undefined
    : { id: textOf(row, "window"), timezone: textOf(row, "timezone"), endsAt: integerOf(row, "ends_at") };
}

function writeWindow(sql: SqlStorage, period: BudgetPeriod, { id, timezone, endsAt }: OpenWindow): void {
  sql.exec(
    "INSERT OR REPLACE INTO calendar (period, window, timezone, ends_at) VALUES (?, ?, ?, ?)",
    period,
    id,
    timezone,
    endsAt,
  );
}
