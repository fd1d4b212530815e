import { integerOf, integerOrNull } from "../../platform/sql-row.ts";
import type { EpochMs, Micros } from "../../vocabulary.ts";
import type { Reservation } from "./reservations.ts";

/**
 * What something has cost so far at most: the share of its ceiling that its time is of its run time, rounded up; once it was made
 * smaller, what it had cost until then and the like share of the rest. `ranMs` is what the control plane says; null: all the
 * time since admission, which is never less. Never more than the ceiling, and all of it where time says nothing.
 */
export function usedSoFar(sql: SqlStorage, running: Reservation, now: EpochMs, ranMs: number | null = null): Micros {
  const { ceilingMicros, spentMicros, spentAt } = running;
  const time = runTime(sql, running.id);
  if (time === null || now < time.beganAt) return ceilingMicros;
  const since = spentAt ?? time.beganAt;
  const wholeMs = time.endsAt - since;
  const partMs = spentAt === null ? (ranMs ?? now - since) : Math.min(ranMs ?? Infinity, Math.max(0, now - since));
  return partMs >= wholeMs ? ceilingMicros : spentMicros + shareOf(ceilingMicros - spentMicros, partMs, wholeMs);
}

/** When an operation was admitted, and when its run time is over at the earliest; null where it has none. */
export function runTime(
  sql: SqlStorage,
  requestId: string,
): { readonly beganAt: EpochMs; readonly endsAt: EpochMs } | null {
  const row = sql.exec("SELECT admitted_at, duration_ms FROM operations WHERE request_id = ?", requestId).toArray()[0];
  const durationMs = row === undefined ? null : integerOrNull(row, "duration_ms");
  if (row === undefined || durationMs === null || durationMs === 0) return null;
  const beganAt = integerOf(row, "admitted_at");
  return { beganAt, endsAt: beganAt + durationMs };
}

/** `micros * part / whole`, rounded up, exact: the product may leave the exact integers. */
export function shareOf(micros: Micros, part: number, whole: number): Micros {
  const [total, share] = [BigInt(Math.ceil(whole)), BigInt(micros) * BigInt(Math.ceil(part))];
  return Math.min(micros, Number((share + total - 1n) / total));
}
