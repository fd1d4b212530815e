import { assert } from "../platform/assert.ts";
import { usd } from "../platform/money.ts";
import type { WindowShortage } from "../refusal.ts";
import type { EpochMs, Micros } from "../vocabulary.ts";
import type { BudgetTerms, BudgetView, BudgetWindowView } from "./contract.ts";
import type { BudgetWindow, BudgetWindows } from "./budget-windows.ts";
import { textOf, integerOf, integerOrNull } from "../platform/sql-row.ts";

export type ReservationState = "held" | "dispatching" | "committed" | "unknown" | "settled" | "released";

/** A hold in one daily and one monthly window. It belongs to the windows it was admitted in, whenever it resolves. */
export type Reservation = {
  readonly id: string;
  readonly state: ReservationState;
  readonly dailyWindow: string;
  readonly monthlyWindow: string;
  readonly ceilingMicros: Micros;
  readonly settledMicros: Micros | null;
};

export type Sums = { readonly heldMicros: Micros; readonly settledMicros: Micros };

const NOTHING: Sums = { heldMicros: 0, settledMicros: 0 };

/** The sums of both windows, in one look. */
function sumsOf(sql: SqlStorage, windows: BudgetWindows): { readonly daily: Sums; readonly monthly: Sums } {
  const rows = sql
    .exec(
      "SELECT window, held_micros, settled_micros FROM windows WHERE window IN (?, ?)",
      windows.daily.id,
      windows.monthly.id,
    )
    .toArray();
  const of = (window: BudgetWindow): Sums => {
    const row = rows.find((one) => one["window"] === window.id);
    if (row === undefined) return NOTHING;
    return { heldMicros: integerOf(row, "held_micros"), settledMicros: integerOf(row, "settled_micros") };
  };
  return { daily: of(windows.daily), monthly: of(windows.monthly) };
}

/** The budget as people see it: cap, settled, held and remaining of both windows. `extraMicros` shows it as if held. */
export function budgetView(
  sql: SqlStorage,
  windows: BudgetWindows,
  terms: BudgetTerms,
  extraMicros: Micros = 0,
): BudgetView {
  const sums = sumsOf(sql, windows);
  return {
    daily: windowView(sums.daily, windows.daily, terms.dailyCapMicros, extraMicros),
    monthly: windowView(sums.monthly, windows.monthly, terms.monthlyCapMicros, extraMicros),
  };
}

function windowView(sums: Sums, window: BudgetWindow, cap: Micros, extra: Micros): BudgetWindowView {
  const held = sums.heldMicros + extra;
  const remaining = Math.max(0, cap - sums.settledMicros - held);
  return {
    window: window.id,
    cap_usd: usd(cap),
    settled_usd: usd(sums.settledMicros),
    held_usd: usd(held),
    remaining_usd: usd(remaining),
    resets_at: new Date(window.endsAt).toISOString(),
    cap_micros: cap,
    settled_micros: sums.settledMicros,
    held_micros: held,
    remaining_micros: remaining,
  };
}

/**
 * Whether `requestedMicros` fits both windows: `settled + held + requested ≤ cap`. `own` is a hold of the same request
 * (its proposal's) that would be released in the same transaction, and so does not count against it. Reads only.
 */
export function shortages(
  sql: SqlStorage,
  windows: BudgetWindows,
  terms: BudgetTerms,
  requestedMicros: Micros,
  own: Reservation | null,
): readonly WindowShortage[] {
  if (requestedMicros === 0) return [];
  const ownIn = (window: string): Micros =>
    own !== null && isHeld(own.state) && (own.dailyWindow === window || own.monthlyWindow === window)
      ? own.ceilingMicros
      : 0;
  const both = sumsOf(sql, windows);
  const check = (period: "daily" | "monthly", cap: Micros): readonly WindowShortage[] => {
    const [window, sums] = [windows[period], both[period]];
    const held = sums.heldMicros - ownIn(window.id);
    const short = sums.settledMicros + held + requestedMicros - cap;
    return short > 0 ? [shortage(period, window, cap, { ...sums, heldMicros: held }, requestedMicros, short)] : [];
  };
  return [...check("daily", terms.dailyCapMicros), ...check("monthly", terms.monthlyCapMicros)];
}

/** One shortage with numbers that add up: `settled + held + requested - cap = short`. */
export function shortage(
  period: "daily" | "monthly",
  window: BudgetWindow,
  cap: Micros,
  sums: Sums,
  requested: Micros,
  short: Micros,
  scope: WindowShortage["scope"] = "window",
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

/**
 * Records a reservation and adds it to its windows. The caller has checked `shortages` in the same transaction; a hold
 * is never shrunk to fit. Amounts beyond exact integers are a bug upstream of here.
 */
export function reserve(
  sql: SqlStorage,
  reservation: {
    readonly id: string;
    readonly state: "held" | "dispatching";
    readonly principal: string;
    readonly action: string;
  },
  windows: BudgetWindows,
  ceilingMicros: Micros,
  now: EpochMs,
): void {
  assert(Number.isSafeInteger(ceilingMicros) && ceilingMicros >= 0, "a hold is a non-negative integer");
  sql.exec(
    `INSERT INTO reservations (id, state, principal, action, daily_window, monthly_window, ceiling_micros, created_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    reservation.id,
    reservation.state,
    reservation.principal,
    reservation.action,
    windows.daily.id,
    windows.monthly.id,
    ceilingMicros,
    now,
  );
  if (ceilingMicros === 0) return;
  addToWindows(sql, windows.daily.id, windows.monthly.id, ceilingMicros, 0);
}

/** Adds to a daily and its monthly window. A window begins with its first hold, so a release finds both. */
function addToWindows(sql: SqlStorage, daily: string, monthly: string, held: Micros, settled: Micros): void {
  // Not an upsert: its INSERT half would be checked with the negative amount of a release.
  const updated = sql
    .exec(
      `UPDATE windows SET held_micros = held_micros + ?, settled_micros = settled_micros + ? WHERE window IN (?, ?)
       RETURNING window`,
      held,
      settled,
      daily,
      monthly,
    )
    .toArray()
    .map((row) => row["window"]);
  for (const window of [daily, monthly]) {
    if (updated.includes(window)) continue;
    sql.exec("INSERT INTO windows (window, held_micros, settled_micros) VALUES (?, ?, ?)", window, held, settled);
  }
}

/** The reservation with this id, null where there is none. */
export function findReservation(sql: SqlStorage, id: string): Reservation | null {
  const row = sql.exec("SELECT * FROM reservations WHERE id = ?", id).toArray()[0];
  if (row === undefined) return null;
  return {
    id: textOf(row, "id"),
    state: asState(textOf(row, "state")),
    dailyWindow: textOf(row, "daily_window"),
    monthlyWindow: textOf(row, "monthly_window"),
    ceilingMicros: integerOf(row, "ceiling_micros"),
    settledMicros: integerOrNull(row, "settled_micros"),
  };
}

/** Moves an unresolved reservation to another unresolved state; the windows do not change. */
export function moveReservation(sql: SqlStorage, id: string, to: "committed" | "unknown", basis: string): void {
  sql.exec(
    "UPDATE reservations SET state = ?, basis = ? WHERE id = ? AND state IN ('dispatching','unknown')",
    to,
    basis,
    id,
  );
}

/**
 * Resolves a reservation once: takes its ceiling out of `held` and books `settledMicros` (0 ≤ x ≤ ceiling) in the
 * windows it was admitted in. Returns false, changing nothing, when it is resolved already.
 */
export function resolveReservation(
  sql: SqlStorage,
  id: string,
  to: "settled" | "released",
  settledMicros: Micros,
  basis: string,
  now: EpochMs,
): boolean {
  const reservation = findReservation(sql, id);
  if (reservation === null || !isHeld(reservation.state)) return false;
  assert(
    settledMicros >= 0 && settledMicros <= reservation.ceilingMicros,
    "a settlement lies between zero and its hold",
  );
  sql.exec(
    "UPDATE reservations SET state = ?, settled_micros = ?, basis = ?, resolved_at = ? WHERE id = ?",
    to,
    settledMicros,
    basis,
    now,
    id,
  );
  if (reservation.ceilingMicros > 0) {
    const { dailyWindow, monthlyWindow, ceilingMicros } = reservation;
    addToWindows(sql, dailyWindow, monthlyWindow, -ceilingMicros, settledMicros);
  }
  return true;
}

/** Whether a reservation in this state still counts as held in its windows. */
export const isHeld = (state: ReservationState): boolean =>
  state === "held" || state === "dispatching" || state === "committed" || state === "unknown";

function asState(text: string): ReservationState {
  assert(
    text === "held" ||
      text === "dispatching" ||
      text === "committed" ||
      text === "unknown" ||
      text === "settled" ||
      text === "released",
    "a reservation has a known state",
  );
  return text;
}
