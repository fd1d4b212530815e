import type { WindowShortage } from "../../refusal.ts";
import { integerOf } from "../../platform/sql-row.ts";
import type { EpochMs, Micros } from "../../vocabulary.ts";
import { capsInForce, shortage } from "../money/budget.ts";
import type { BudgetWindows } from "../money/budget-windows.ts";
import type { BudgetTerms, ProposalBounds } from "../contract.ts";

/**
 * Whether one more pending hold of `requestedMicros` stays within the shares of each window that waiting proposals (and
 * unused grants) of one principal, and of the whole tenant, may take: one agent's asks must not lock up the day's budget.
 * A share bounds what is added to other pending holds. A lone one may pass it: otherwise nothing dear could ever be put
 * before people. Reads only.
 */
export function pendingShortages(
  sql: SqlStorage,
  windows: BudgetWindows,
  terms: BudgetTerms,
  bounds: ProposalBounds,
  principal: string,
  requestedMicros: Micros,
  now: EpochMs,
): readonly WindowShortage[] {
  if (requestedMicros === 0) return [];
  const check = (period: "daily" | "monthly", cap: Micros): readonly WindowShortage[] => {
    const window = windows[period];
    const column = period === "daily" ? "daily_window" : "monthly_window";
    const row = sql
      .exec(
        `SELECT coalesce(sum(ceiling_micros), 0) AS tenant, coalesce(sum(ceiling_micros) FILTER (WHERE principal = ?), 0) AS mine
         FROM reservations WHERE state = 'held' AND ${column} = ?`,
        principal,
        window.id,
      )
      .one();
    const pending = [
      ["pending-of-principal", integerOf(row, "mine"), bounds.principalPercent],
      ["pending-of-tenant", integerOf(row, "tenant"), bounds.tenantPercent],
    ] as const;
    return pending.flatMap(([scope, heldMicros, percent]) => {
      const share = Math.floor(cap / 100) * percent;
      const short = heldMicros + requestedMicros - share;
      if (heldMicros === 0 || short <= 0) return [];
      return [shortage(period, window, share, { heldMicros, settledMicros: 0 }, requestedMicros, short, scope)];
    });
  };
  const caps = capsInForce(sql, terms, now);
  return [...check("daily", caps.daily), ...check("monthly", caps.monthly)];
}
