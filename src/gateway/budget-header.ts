import { serializeList } from "structured-headers";
import { Token } from "structured-headers";
import type { BudgetView, BudgetWindowView } from "../ledger/contract.ts";

/**
 * `Gate-Budget: daily;cap_micros=…;held_micros=…;settled_micros=…;remaining_micros=…, monthly;…` (an RFC 9651 list).
 * Integers of micro-USD: structured-field decimals have three fractional digits only.
 */
export const budgetHeader = (budget: BudgetView): string =>
  serializeList([
    [new Token("daily"), parametersOf(budget.daily)],
    [new Token("monthly"), parametersOf(budget.monthly)],
  ]);

const parametersOf = (window: BudgetWindowView): Map<string, number> =>
  new Map([
    ["cap_micros", window.cap_micros],
    ["held_micros", window.held_micros],
    ["settled_micros", window.settled_micros],
    ["remaining_micros", window.remaining_micros],
  ]);
