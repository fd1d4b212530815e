import { appendEntry, type Place } from "../../audit/journal.ts";
import { blankEntry, type AuditEntry } from "../../audit/record.ts";
import type { JsonObject } from "../../platform/json.ts";
import { textOf } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { MoneyActor } from "./finance-port.ts";
import { findReservation, isHeld } from "./reservations.ts";

/** A reservation as audit records show it, null where there is none. */
export function reservationMember(sql: SqlStorage, id: string): JsonObject | null {
  const reservation = findReservation(sql, id);
  if (reservation === null) return null;
  return {
    id,
    state: reservation.state,
    daily: reservation.dailyWindow,
    monthly: reservation.monthlyWindow,
    held_micros: isHeld(reservation.state) ? reservation.ceilingMicros : 0,
    settled_micros: reservation.settledMicros,
  };
}

/** Journals what became of an operation's money after its outcome. `id` tells settlements of one operation apart. */
export function recordSettlement(
  sql: SqlStorage,
  place: Place,
  requestId: string,
  {
    id,
    code,
    detail,
    by,
  }: { readonly id: string; readonly code: string; readonly detail: string; readonly by: MoneyActor | null },
  now: EpochMs,
): void {
  const row = sql.exec("SELECT entry FROM operations WHERE request_id = ?", requestId).toArray()[0];
  // Serialised by admission.ts itself.
  const entry: AuditEntry =
    row === undefined ? blankEntry("settlement", requestId, now) : JSON.parse(textOf(row, "entry"));
  appendEntry(
    sql,
    place,
    `${requestId}/settlement/${id}`,
    {
      ...entry,
      ...(by === null ? {} : actorOf(by)),
      kind: "settlement",
      time: new Date(now).toISOString(),
      decision: null,
      reason_code: code,
      detail,
      reservation: reservationMember(sql, requestId),
      // Null while it still holds its money: a report that waits, a hold made smaller.
      outcome: isSettled(sql, requestId) ? "settled" : null,
    },
    now,
  );
}

function isSettled(sql: SqlStorage, id: string): boolean {
  const reservation = findReservation(sql, id);
  return reservation !== null && !isHeld(reservation.state);
}

/** Who did something with the tenant's money, for its record. */
export const actorOf = ({
  subject,
  class: principalClass,
  owner,
  credentialId,
  demo,
}: MoneyActor): Pick<AuditEntry, "principal" | "principal_class" | "owner" | "credential_id" | "demo"> => ({
  principal: subject,
  principal_class: principalClass,
  owner,
  credential_id: credentialId,
  demo,
});
