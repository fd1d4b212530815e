import { Temporal } from "temporal-polyfill";
import { formatUsd } from "../platform/money.ts";
import type { EpochMs, Micros } from "../vocabulary.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A day younger than this says nothing about its rest: one job would be drawn out to the evening. */
const DAILY_HISTORY_MS = HOUR_MS;

/** Complete days whose mean is the month's rate: a week, so that week-ends count as often as they come. */
export const FORECAST_DAYS = 7;

/** A window as it stands. `used` is what its cap is compared with: settled and held. */
export type WindowState = {
  readonly window: string;
  readonly capMicros: Micros;
  readonly usedMicros: Micros;
  readonly endsAt: EpochMs;
};

/** Where a window is going if use goes on as it did. */
export type Forecast = {
  /** USD use per 24 hours, in micro-USD; null where there is too little history to say. */
  readonly rateMicrosPerDay: Micros | null;
  /** What the window will have used when it ends; null with the rate. */
  readonly projectedMicros: Micros | null;
  /** When the cap is reached; null where that is not before the window ends, or cannot be said. */
  readonly capReachedAt: EpochMs | null;
  /** How the rate came about, in a sentence. */
  readonly basis: string;
};

/** Burn-down of the day: what was used since it began, spread evenly over the time since then. Pure. */
export function forecastDay(day: WindowState, timezone: string, now: EpochMs): Forecast {
  const elapsedMs = now - startOfDay(day.endsAt, timezone);
  if (elapsedMs < DAILY_HISTORY_MS)
    return unknown(day, now, "Too little history: the day began less than an hour ago.");
  const ratePerMs = day.usedMicros / elapsedMs;
  const hours = Math.floor(elapsedMs / HOUR_MS);
  const basis = `Today's use so far, ${formatUsd(day.usedMicros)} USD in ${hours} ${hours === 1 ? "hour" : "hours"}, going on evenly.`;
  return project(day, ratePerMs, now, basis);
}

/**
 * Burn-down of the month: the mean of the last `FORECAST_DAYS` complete days, a day without any use counting as zero, on top
 * of what the month has used. `use` are days that had any use, by id. Pure.
 */
export function forecastMonth(
  month: WindowState,
  use: ReadonlyMap<string, Micros>,
  timezone: string,
  now: EpochMs,
): Forecast {
  const days = completeDays(now, timezone).filter((day) => use.has(day));
  if (days.length === 0)
    return unknown(month, now, `Too little history: nothing was used in the last ${FORECAST_DAYS} complete days.`);
  const sum = days.reduce((total, day) => total + (use.get(day) ?? 0), 0);
  const basis =
    `The mean of the last ${FORECAST_DAYS} complete days, ${formatUsd(sum)} USD in all` +
    (days.length === FORECAST_DAYS ? "" : `; ${FORECAST_DAYS - days.length} of them had no use and count as zero`) +
    ".";
  return project(month, sum / FORECAST_DAYS / DAY_MS, now, basis);
}

/** Ids of the last complete days of the zone, newest first. */
export function completeDays(now: EpochMs, timezone: string): readonly string[] {
  const today = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timezone).toPlainDate();
  return Array.from({ length: FORECAST_DAYS }, (_, index) => today.subtract({ days: index + 1 }).toString());
}

/** When the day began that ends at `endsAt`: 23, 24 or 25 hours before, as the zone has it. */
function startOfDay(endsAt: EpochMs, timezone: string): EpochMs {
  const lastMoment = Temporal.Instant.fromEpochMilliseconds(endsAt - 1).toZonedDateTimeISO(timezone);
  return lastMoment.startOfDay().epochMilliseconds;
}

function project(window: WindowState, ratePerMs: number, now: EpochMs, basis: string): Forecast {
  const leftMs = Math.max(0, window.endsAt - now);
  return {
    rateMicrosPerDay: Math.round(ratePerMs * DAY_MS),
    projectedMicros: window.usedMicros + Math.round(ratePerMs * leftMs),
    capReachedAt: reachedAt(window, ratePerMs, now),
    basis,
  };
}

/** Without a rate only one thing can be said of the cap: whether it is reached already. */
const unknown = (window: WindowState, now: EpochMs, basis: string): Forecast => ({
  rateMicrosPerDay: null,
  projectedMicros: null,
  capReachedAt: reachedAt(window, 0, now),
  basis,
});

function reachedAt({ capMicros, usedMicros, endsAt }: WindowState, ratePerMs: number, now: EpochMs): EpochMs | null {
  if (usedMicros >= capMicros) return now;
  if (ratePerMs <= 0) return null;
  const at = Math.ceil(now + (capMicros - usedMicros) / ratePerMs);
  return at < endsAt ? at : null;
}
