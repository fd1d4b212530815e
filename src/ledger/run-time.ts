import { integerOf, integerOrNull } from "../platform/sql-row.ts";
import type { EpochMs, Micros } from "../vocabulary.ts";

/**
 * What something has cost so far at most: the share of its ceiling that its time is of its run time, rounded up. `ranMs` is what
 * the control plane says; null: all the time since admission, which is never less. Never more than the ceiling.
 */
export function usedSoFar(
  sql: SqlStorage,
  requestId: string,
  ceilingMicros: Micros,
  now: EpochMs,
  ranMs: number | null = null,
): Micros {
  const row = sql.exec("SELECT admitted_at, duration_ms FROM operations WHERE request_id = ?", requestId).toArray()[0];
  const durationMs = row === undefined ? null : integerOrNull(row, "duration_ms");
  if (row === undefined || durationMs === null || durationMs === 0) return ceilingMicros;
  const sinceMs = Math.max(0, now - integerOf(row, "admitted_at"));
  return shareOf(ceilingMicros, Math.min(ranMs ?? sinceMs, durationMs), durationMs);
}

/** `micros * part / whole`, rounded up, exact: the product may leave the exact integers. */
function shareOf(micros: Micros, part: number, whole: number): Micros {
  const [total, share] = [BigInt(whole), BigInt(micros) * BigInt(Math.ceil(part))];
  return Math.min(micros, Number((share + total - 1n) / total));
}
