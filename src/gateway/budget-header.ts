import type { BudgetView, BudgetWindowView } from "../ledger/contract.ts";

/**
 * `Gate-Budget: daily;cap_micros=…;held_micros=…;settled_micros=…;remaining_micros=…, monthly;…` (an RFC 9651 list).
 * Integers of micro-USD: structured-field decimals have three fractional digits only.
 */
export const budgetHeader = (budget: BudgetView): string =>
  `daily${parametersOf(budget.daily)}, monthly${parametersOf(budget.monthly)}`;

const parametersOf = (window: BudgetWindowView): string =>
  `;cap_micros=${window.cap_micros};held_micros=${window.held_micros}` +
  `;settled_micros=${window.settled_micros};remaining_micros=${window.remaining_micros}`;
