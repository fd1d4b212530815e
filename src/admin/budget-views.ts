import { budgetChangeJson } from "../approval/budget-change-json.ts";
import type {
  BudgetReport,
  CapView,
  EntryRow,
  HoldRow,
  TenantCapView,
  WindowUse,
} from "../ledger/money/finance-port.ts";
import type { JsonObject } from "../platform/json.ts";
import { money, timeText } from "./money.ts";

/** One cap's window: what may be spent in it, what is, and what is left. */
export const capJson = (cap: CapView): JsonObject => ({
  scope: cap.scope,
  period: cap.period,
  window: cap.window,
  resets_at: cap.resets_at,
  ...money("cap", cap.cap_micros),
  ...money("settled", cap.settled_micros),
  ...money("held", cap.held_micros),
  ...money("remaining", cap.remaining_micros),
});

const tenantCapJson = (cap: TenantCapView): JsonObject => ({
  ...capJson(cap),
  ...money("policy_cap", cap.policyCapMicros),
  ...money("finance_cap", cap.financeCapMicros),
  held_by_state: {
    ...money("held", cap.heldByState.held),
    ...money("dispatching", cap.heldByState.dispatching),
    ...money("committed", cap.heldByState.committed),
    ...money("unknown", cap.heldByState.unknown),
  },
});

/** The whole of `GET /budget`; which scopes and pending changes are in it is the caller's to decide. */
export const reportJson = (report: BudgetReport): JsonObject => ({
  timezone: report.timezone,
  daily: tenantCapJson(report.daily),
  monthly: tenantCapJson(report.monthly),
  gross: capJson(report.gross),
  scopes: report.scopes.map(capJson),
  pending: report.pending.map(budgetChangeJson),
  spending_frozen:
    report.spendingFrozen === null
      ? null
      : {
          by: report.spendingFrozen.by,
          reason: report.spendingFrozen.reason,
          since: timeText(report.spendingFrozen.since),
        },
});

/** One reservation that counts in a window. */
export const holdJson = (hold: HoldRow): JsonObject => ({
  id: hold.id,
  state: hold.state,
  principal: hold.principal,
  team: hold.team,
  action: hold.action,
  resource: hold.resource,
  daily_window: hold.dailyWindow,
  monthly_window: hold.monthlyWindow,
  ...money("ceiling", hold.ceilingMicros),
  ...money("settled", hold.settledMicros),
  price_version: hold.priceVersion,
  basis: hold.basis,
  since: timeText(hold.since),
  until: hold.until === null ? null : timeText(hold.until),
});

/** What one window took. */
export const useJson = (use: WindowUse): JsonObject => ({
  window: use.window,
  ...money("settled", use.settledMicros),
  ...money("held", use.heldMicros),
  ...money("gross", use.grossMicros),
});

/** One line of the book; amounts are changes. */
export const entryJson = (entry: EntryRow): JsonObject => ({
  month: entry.monthlyWindow,
  number: entry.number,
  day: entry.dailyWindow,
  time: timeText(entry.at),
  reservation: entry.reservation,
  kind: entry.kind,
  principal: entry.principal,
  team: entry.team,
  action: entry.action,
  ...money("held", entry.heldMicros),
  ...money("settled", entry.settledMicros),
  basis: entry.basis,
  price_version: entry.priceVersion,
});
