import { Temporal } from "temporal-polyfill";
import { dropOldest } from "../platform/drop-oldest.ts";
import type { EpochMs } from "../vocabulary.ts";

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

/** Zones kept: a tenant has one, and two while it changes; `UTC` serves what concerns no window. */
const ZONES_MAX = 4;

type Kept = { readonly from: EpochMs; readonly until: EpochMs; readonly windows: BudgetWindows };

/**
 * `windowsAt` with the last answer of each zone kept: zone arithmetic costs more than the rest of an admission, and the
 * answer changes once a day. A clock that steps back asks again.
 */
export function windowClock(): (now: EpochMs, timezone: string) => BudgetWindows {
  const kept = new Map<string, Kept>();
  return (now, timezone) => {
    const last = kept.get(timezone);
    if (last !== undefined && now >= last.from && now < last.until) return last.windows;
    const windows = windowsAt(now, timezone);
    kept.set(timezone, { from: now, until: Math.min(windows.daily.endsAt, windows.monthly.endsAt), windows });
    dropOldest(kept, ZONES_MAX);
    return windows;
  };
}
