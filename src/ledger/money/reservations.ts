import { assert } from "../../platform/assert.ts";
import { integerOf, integerOrNull, textOf, textOrNull, type SqlRow } from "../../platform/sql-row.ts";
import type { EpochMs, Micros } from "../../vocabulary.ts";
import { endCounted } from "../aggregates/aggregate-endings.ts";
import type { BudgetWindows } from "./budget-windows.ts";
import { book } from "./entries.ts";
import type { ScopeCap } from "./finance-port.ts";
import { beginScopes, sumsOf, type Spender } from "./windows.ts";

const STATES = ["held", "dispatching", "committed", "unknown", "settled", "released"] as const;
export type ReservationState = (typeof STATES)[number];

/**
 * What a settlement rests on. `price`: nothing runs on, so it costs what the gate's price says. `response`, `status`: the
 * control plane's own word. `ceiling`: the run time is over and nothing was heard. `usage`: billing. `people`: two of them.
 */
const SETTLED_BY = ["price", "response", "status", "ceiling", "usage", "people"] as const;
export type SettledBy = (typeof SETTLED_BY)[number];

/** A hold in one daily and one monthly window. It belongs to the windows it was admitted in, whenever it resolves. */
export type Reservation = Spender & {
  readonly id: string;
  readonly state: ReservationState;
  readonly ceilingMicros: Micros;
  /** Null while it is held. Above the ceiling: an overrun. */
  readonly settledMicros: Micros | null;
  readonly settledBy: SettledBy | null;
  readonly basis: string | null;
  readonly priceVersion: string | null;
  /** What runs, while it is committed. */
  readonly resource: string | null;
  /** What it had cost at most when it was last made smaller, and when that was; null where it never was. */
  readonly spentMicros: Micros;
  readonly spentAt: EpochMs | null;
  /** When the control plane was seen to report an end. */
  readonly endedAt: EpochMs | null;
  readonly createdAt: EpochMs;
};

/** Whether a reservation in this state still counts as held in its windows. */
export const isHeld = (state: ReservationState): boolean => state !== "settled" && state !== "released";

/** SQL of the states that count as held, as the partial index `reservations_open` has them. */
export const HELD_STATES = "('held','dispatching','committed','unknown')";

/**
 * Records a reservation and books it. The caller has checked `shortages` in the same transaction; a hold is never shrunk to
 * fit. Amounts beyond exact integers are a bug upstream of here.
 */
export function reserve(
  sql: SqlStorage,
  reservation: Pick<Reservation, "id" | "principal" | "team" | "action" | "priceVersion"> & {
    readonly state: "held" | "dispatching";
    /** Caps inside the tenant's that it counts in. */
    readonly per: readonly ScopeCap[];
  },
  windows: BudgetWindows,
  ceilingMicros: Micros,
  now: EpochMs,
): void {
  assert(Number.isSafeInteger(ceilingMicros) && ceilingMicros >= 0, "a hold is a non-negative integer");
  const { id, state, principal, team, action, priceVersion } = reservation;
  sql.exec(
    `INSERT INTO reservations (id, state, principal, team, action, daily_window, monthly_window, ceiling_micros, price_version, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    id,
    state,
    principal,
    team,
    action,
    windows.daily.id,
    windows.monthly.id,
    ceilingMicros,
    priceVersion,
    now,
  );
  if (ceilingMicros === 0) return;
  beginScopes(sql, windows, reservation.per);
  const spender = { dailyWindow: windows.daily.id, monthlyWindow: windows.monthly.id, principal, team, action };
  const line = {
    reservation: id,
    kind: "hold",
    basis: state === "held" ? "proposal" : "dispatch",
    priceVersion,
  } as const;
  const grossMicros = state === "held" ? 0 : ceilingMicros;
  book(sql, spender, line, { heldMicros: ceilingMicros, settledMicros: 0, grossMicros }, now);
}

/** The reservation with this id, null where there is none. */
export function findReservation(sql: SqlStorage, id: string): Reservation | null {
  const row = sql.exec("SELECT * FROM reservations WHERE id = ?", id).toArray()[0];
  return row === undefined ? null : reservationOf(row);
}

/** A row of `reservations`. */
export function reservationOf(row: SqlRow): Reservation {
  const state = STATES.find((known) => known === row["state"]);
  assert(state !== undefined, "a reservation has a known state");
  return {
    id: textOf(row, "id"),
    state,
    principal: textOf(row, "principal"),
    team: textOrNull(row, "team"),
    action: textOf(row, "action"),
    dailyWindow: textOf(row, "daily_window"),
    monthlyWindow: textOf(row, "monthly_window"),
    ceilingMicros: integerOf(row, "ceiling_micros"),
    settledMicros: integerOrNull(row, "settled_micros"),
    settledBy: SETTLED_BY.find((known) => known === row["settled_by"]) ?? null,
    basis: textOrNull(row, "basis"),
    priceVersion: textOrNull(row, "price_version"),
    resource: textOrNull(row, "resource"),
    spentMicros: integerOf(row, "spent_micros"),
    spentAt: integerOrNull(row, "spent_at"),
    endedAt: integerOrNull(row, "ended_at"),
    createdAt: integerOf(row, "created_at"),
  };
}

/** What runs under this resource's id and is paid for: its committed reservations, oldest first. */
export const runningOf = (sql: SqlStorage, resource: string): readonly Reservation[] =>
  sql
    .exec("SELECT * FROM reservations WHERE resource = ? AND state = 'committed' ORDER BY created_at, id", resource)
    .toArray()
    .map(reservationOf);

/** Keeps the whole ceiling of a dispatch whose outcome nobody has seen. */
export function holdUnknown(sql: SqlStorage, id: string): void {
  sql.exec(
    "UPDATE reservations SET state = 'unknown', basis = 'outcome not seen' WHERE id = ? AND state = 'dispatching'",
    id,
  );
}

/** Keeps the ceiling for as long as what was made may run. */
export function commitRunning(sql: SqlStorage, id: string, resource: string | null): void {
  sql.exec(
    `UPDATE reservations SET state = 'committed', basis = 'running', resource = ?
     WHERE id = ? AND state IN ('dispatching','unknown')`,
    resource,
    id,
  );
}

/** Gives a hold back whole: nothing was bought. Returns false, changing nothing, when it is resolved already. */
export function release(sql: SqlStorage, id: string, basis: string, now: EpochMs): boolean {
  const found = findReservation(sql, id);
  if (found === null || !isHeld(found.state)) return false;
  sql.exec(
    "UPDATE reservations SET state = 'released', settled_micros = 0, basis = ?, resolved_at = ? WHERE id = ?",
    basis,
    now,
    id,
  );
  // What was never dispatched was never submitted.
  const grossMicros = found.state === "held" ? 0 : -found.ceilingMicros;
  const change = { heldMicros: -found.ceilingMicros, settledMicros: 0, grossMicros };
  book(sql, found, { reservation: id, kind: "release", basis, priceVersion: found.priceVersion }, change, now);
  if (found.state !== "held") endCounted(sql, id, found.resource);
  return true;
}

/**
 * Books what something cost, in the windows that it was admitted in. Once: an unresolved hold gives its rest back; a
 * settlement that billing corrects, and a hold that was given back although something was bought (nothing of it is held any
 * more: all of it is an overrun), are adjusted by the difference. More than the ceiling is booked as it is: the money is spent. Nothing that would take a window beyond
 * exact integers is booked: no later request could be judged.
 */
export function settle(
  sql: SqlStorage,
  id: string,
  settledMicros: Micros,
  by: SettledBy,
  basis: string,
  now: EpochMs,
): void {
  assert(Number.isSafeInteger(settledMicros) && settledMicros >= 0, "a settlement is a non-negative integer");
  const found = findReservation(sql, id);
  assert(found !== null, "only what was reserved is settled");
  for (const sums of sumsOf(sql, [found.dailyWindow, found.monthlyWindow]).values())
    assert(Number.isSafeInteger(sums.settledMicros + settledMicros), "a window's sums are exact integers");
  sql.exec(
    `UPDATE reservations SET state = 'settled', settled_micros = ?, settled_by = ?, basis = ?, resolved_at = ?,
       ceiling_micros = CASE WHEN state = 'released' THEN 0 ELSE ceiling_micros END WHERE id = ?`,
    settledMicros,
    by,
    basis,
    now,
    id,
  );
  const wasHeld = isHeld(found.state);
  const change = {
    heldMicros: wasHeld ? -found.ceilingMicros : 0,
    settledMicros: settledMicros - (found.settledMicros ?? 0),
    grossMicros: 0,
  };
  const kind = wasHeld ? "settle" : "adjust";
  book(sql, found, { reservation: id, kind, basis, priceVersion: found.priceVersion }, change, now);
  if (wasHeld) endCounted(sql, id, found.resource);
}

/**
 * Lowers the ceiling of something that runs on as less than it was, to no less than it has cost so far (`spentMicros`): the
 * difference returns to its windows.
 */
export function shrink(
  sql: SqlStorage,
  reservation: Reservation,
  { ceilingMicros, spentMicros }: { readonly ceilingMicros: Micros; readonly spentMicros: Micros },
  now: EpochMs,
): void {
  const rest = reservation.ceilingMicros - ceilingMicros;
  assert(
    reservation.state === "committed" && rest > 0 && ceilingMicros >= spentMicros && spentMicros >= 0,
    "only what runs is shrunk, only shrunk, and not below what it has cost",
  );
  const basis = "made smaller";
  sql.exec(
    "UPDATE reservations SET ceiling_micros = ?, spent_micros = ?, spent_at = ?, basis = ? WHERE id = ?",
    ceilingMicros,
    spentMicros,
    now,
    basis,
    reservation.id,
  );
  const line = { reservation: reservation.id, kind: "release", basis, priceVersion: reservation.priceVersion } as const;
  book(sql, reservation, line, { heldMicros: -rest, settledMicros: 0, grossMicros: 0 }, now);
}

/** Notes that the control plane reported an end. */
export const noteEnd = (sql: SqlStorage, id: string, now: EpochMs): void =>
  void sql.exec("UPDATE reservations SET ended_at = ? WHERE id = ? AND ended_at IS NULL", now, id);
