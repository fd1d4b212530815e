import type { HoldView, Refusal, WindowShortage } from "../../refusal.ts";
import { usd } from "../../platform/money.ts";
import { reservationOf, type Reservation } from "./reservations.ts";
import { scopesOf } from "./windows.ts";

/** Holds that a refusal lists: the largest come first, and the rest are a sum that adds up. */
const HOLDS_LISTED = 20;

/**
 * The refusal for windows without room, with the holds that make up their `held`: what a reader needs to see why the number is
 * what it is, and whom to ask. Largest first; what is not listed stands in `other_holds`. `principal`: who asked.
 */
export function budgetExceeded(sql: SqlStorage, windows: readonly WindowShortage[], principal: string): Refusal {
  const rows = sql
    .exec(
      `SELECT * FROM reservations INDEXED BY reservations_open
       WHERE state IN ('held','dispatching','committed','unknown') AND ceiling_micros > 0 ORDER BY ceiling_micros DESC, id`,
    )
    .toArray()
    .map(reservationOf)
    .filter((one) => windows.some((window) => countsIn(one, window, principal)));
  const holds = rows.map((one): HoldView => ({
    id: one.id,
    state: one.state,
    principal: one.principal,
    action: one.action,
    held_usd: usd(one.ceilingMicros),
    held_micros: one.ceilingMicros,
    since: new Date(one.createdAt).toISOString(),
  }));
  const others = holds.slice(HOLDS_LISTED);
  const othersMicros = others.reduce((sum, hold) => sum + hold.held_micros, 0);
  return {
    kind: "budget-exceeded",
    windows,
    holds: holds.slice(0, HOLDS_LISTED),
    other_holds: { count: others.length, held_usd: usd(othersMicros), held_micros: othersMicros },
    nearest: null,
  };
}

/** Whether a hold is part of what fills this cap. */
function countsIn(hold: Reservation, { window, scope }: WindowShortage, principal: string): boolean {
  if (hold.dailyWindow !== window && hold.monthlyWindow !== window) return false;
  switch (scope) {
    case "window":
      return true;
    case "gross":
      // A proposal was not submitted yet.
      return hold.state !== "held";
    case "pending-of-tenant":
      return hold.state === "held";
    case "pending-of-principal":
      return hold.state === "held" && hold.principal === principal;
    default:
      return scopesOf(hold).includes(scope);
  }
}
