import type { HoldView, Refusal, WindowShortage } from "../refusal.ts";
import { usd } from "../platform/money.ts";
import { integerOf, textOf } from "../platform/sql-row.ts";

/** Holds that a refusal lists: the largest come first, and the rest are a sum that adds up. */
const HOLDS_LISTED = 20;

/**
 * The refusal for windows without room, with the holds that make up their `held`: what a reader needs to see why the number is
 * what it is, and whom to ask. Largest first; what is not listed stands in `other_holds`.
 */
export function budgetExceeded(sql: SqlStorage, windows: readonly WindowShortage[]): Refusal {
  const ids = windows.map(({ window }) => window);
  const rows = sql
    .exec(
      `SELECT id, state, principal, action, ceiling_micros, created_at FROM reservations INDEXED BY reservations_open
       WHERE state IN ('held','dispatching','committed','unknown') AND ceiling_micros > 0
         AND (daily_window IN (SELECT value FROM json_each(?)) OR monthly_window IN (SELECT value FROM json_each(?)))
       ORDER BY ceiling_micros DESC, id`,
      JSON.stringify(ids),
      JSON.stringify(ids),
    )
    .toArray();
  const holds = rows.map((row): HoldView => {
    const micros = integerOf(row, "ceiling_micros");
    return {
      id: textOf(row, "id"),
      state: textOf(row, "state"),
      principal: textOf(row, "principal"),
      action: textOf(row, "action"),
      held_usd: usd(micros),
      held_micros: micros,
      since: new Date(integerOf(row, "created_at")).toISOString(),
    };
  });
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
