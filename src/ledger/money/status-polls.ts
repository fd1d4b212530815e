import type { Place } from "../../audit/journal.ts";
import { integerOrNull, textOf, textOrNull } from "../../platform/sql-row.ts";
import type { EpochMs, Micros } from "../../vocabulary.ts";
import { plan } from "../due.ts";
import type { StatusCheck, StatusFinding } from "./finance-port.ts";
import { noteAlert } from "../notices.ts";
import { findReservation, noteEnd, runningOf, settle, type Reservation } from "./reservations.ts";
import { usedSoFar } from "./run-time.ts";
import { recordSettlement } from "./settlement-record.ts";
import { applyWaitingReport } from "./usage.ts";

/** A run is looked at fifty times, but no more often than each minute and no less often than each quarter of an hour. */
const POLLS_PER_RUN = 50;
const POLL_MIN_MS = 60_000;
const POLL_MAX_MS = 15 * 60_000;

/** How soon after a change (a cancellation) what it changed is looked at. */
const POLL_AFTER_CHANGE_MS = 1_000;

const everyMs = (durationMs: number): number =>
  Math.min(POLL_MAX_MS, Math.max(POLL_MIN_MS, Math.floor(durationMs / POLLS_PER_RUN)));

/** Begins to look after something that runs. */
export const planFirstPoll = (sql: SqlStorage, id: string, durationMs: number, now: EpochMs): void =>
  plan(sql, "status-poll", id, now + everyMs(durationMs));

/** Something was done to a resource: whatever of it is paid for is looked at once, soon. */
export function pollNow(sql: SqlStorage, resource: string, now: EpochMs): void {
  for (const { id } of runningOf(sql, resource)) plan(sql, "status-check", id, now + POLL_AFTER_CHANGE_MS);
}

/**
 * What the outbox needs to ask how something that runs fares; null when its money is settled, or when it cannot be asked.
 * Plans the next `status-poll` before this one is made, so that a lost one is not the last.
 */
export function statusCheck(
  sql: SqlStorage,
  job: "status-poll" | "status-check",
  id: string,
  now: EpochMs,
): StatusCheck | null {
  const reservation = findReservation(sql, id);
  if (reservation?.state !== "committed" || reservation.resource === null) return null;
  const row = sql.exec("SELECT catalogue, route, duration_ms FROM operations WHERE request_id = ?", id).toArray()[0];
  const route = row === undefined ? null : textOrNull(row, "route");
  if (row === undefined || route === null) return null;
  if (job === "status-poll") planFirstPoll(sql, id, integerOrNull(row, "duration_ms") ?? 0, now);
  const catalogue = `sha256:${textOf(row, "catalogue").slice("sha256:".length)}` as const;
  return { requestId: id, catalogue, route, resource: reservation.resource };
}

/**
 * Books an end that the control plane reported: everything committed to the resource costs what it says, or its share of
 * the run time, and the rest returns to the windows it came from. What billing reported before counts before that. Anything
 * but a clear end changes nothing. Run inside `transactionSync`.
 */
export function settleByStatus(sql: SqlStorage, place: Place, finding: StatusFinding, now: EpochMs): void {
  const asked = findReservation(sql, finding.requestId);
  if (finding.verdict !== "ended" || asked?.state !== "committed" || asked.resource === null) return;
  let leftMicros = finding.actualMicros;
  const unreported = runningOf(sql, asked.resource).filter((one) => {
    noteEnd(sql, one.id, now);
    const reported = applyWaitingReport(sql, place, one.id, now);
    if (reported !== null && leftMicros !== null) leftMicros = Math.max(0, leftMicros - reported);
    return reported === null;
  });
  for (const [index, one] of unreported.entries()) {
    const isLast = index === unreported.length - 1;
    // Of several commitments to one resource the older are used up first; the last one bears what is left, however much.
    const actual: Micros =
      leftMicros === null
        ? usedSoFar(sql, one, now, finding.ranMs)
        : isLast
          ? leftMicros
          : Math.min(leftMicros, one.ceilingMicros);
    if (leftMicros !== null) leftMicros -= actual;
    settleEnded(
      sql,
      place,
      one,
      actual,
      finding.actualMicros === null ? "its share of the run time" : "stated by the control plane",
      now,
    );
  }
}

function settleEnded(
  sql: SqlStorage,
  place: Place,
  one: Reservation,
  actualMicros: Micros,
  basis: string,
  now: EpochMs,
): void {
  settle(sql, one.id, actualMicros, "status", basis, now);
  if (actualMicros > one.ceilingMicros)
    noteAlert(sql, { kind: "budget-overrun", requestId: one.id, heldMicros: one.ceilingMicros, actualMicros }, now);
  recordSettlement(sql, place, one.id, { id: "status", code: "ended", detail: basis, by: null }, now);
}
