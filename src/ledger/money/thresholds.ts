import type { EpochMs, Micros } from "../../vocabulary.ts";
import { capsInForce } from "./budget.ts";
import type { BudgetWindows } from "./budget-windows.ts";
import type { TenantTerms } from "./finance-port.ts";
import { noteAlert } from "../notices.ts";
import { shareOf } from "./run-time.ts";
import { sumsOf } from "./windows.ts";

/**
 * Has people told when a window is used up to one of the policy's shares of its cap: once per window and share, and of several
 * that are passed at once only the highest. Called after money was held, in the same transaction.
 */
export function tellThresholds(sql: SqlStorage, windows: BudgetWindows, terms: TenantTerms, now: EpochMs): void {
  if (terms.thresholdsPercent.length === 0) return;
  const caps = capsInForce(sql, terms, now);
  const sums = sumsOf(sql, [windows.daily.id, windows.monthly.id]);
  const tell = (window: string, capMicros: Micros): void => {
    const used = sums.get(window);
    if (used === undefined || capMicros === 0) return;
    const usedMicros = used.settledMicros + used.heldMicros;
    // Rounded up, so that no share is told before it is reached.
    const passed = terms.thresholdsPercent.filter((percent) => usedMicros >= shareOf(capMicros, percent, 100));
    const highest = passed.at(-1);
    if (highest !== undefined)
      noteAlert(sql, { kind: "budget-threshold", window, percent: highest, usedMicros, capMicros }, now);
  };
  tell(windows.daily.id, caps.daily);
  tell(windows.monthly.id, caps.monthly);
}
