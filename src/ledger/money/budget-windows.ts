import { Temporal } from "temporal-polyfill";
import type { EpochMs } from "../../vocabulary.ts";

/** One day or month of a tenant's budget. The id is part of every key, so nothing is ever reset. */
export type BudgetWindow = { readonly id: string; readonly endsAt: EpochMs };
export type BudgetWindows = { readonly daily: BudgetWindow; readonly monthly: BudgetWindow };

/**
 * The daily (`2026-11-20`) and monthly (`2026-11`) window that `now` falls into in an IANA zone, and when each ends.
 * Days of 23 and 25 hours come out right because ends are the start of the next local day, not 24 hours later.
 */
export function windowsAt(now: EpochMs, timezone: string): BudgetWindows {
  const today = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timezone).toPlainDate();
  const firstOfMonth = today.with({ day: 1 });
  return {
    daily: { id: today.toString(), endsAt: startOf(today.add({ days: 1 }), timezone) },
    monthly: {
      id: firstOfMonth.toPlainYearMonth().toString(),
      endsAt: startOf(firstOfMonth.add({ months: 1 }), timezone),
    },
  };
}

function startOf(date: Temporal.PlainDate, timezone: string): EpochMs {
  return date.toZonedDateTime(timezone).epochMilliseconds;
}
