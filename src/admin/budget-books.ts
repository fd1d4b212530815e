import { budgetChangeJson } from "../approval/budget-change-json.ts";
import type { BudgetPeriod, WindowUse } from "../ledger/money/finance-port.ts";
import { windowsAt } from "../ledger/money/budget-windows.ts";
import type { JsonObject } from "../platform/json.ts";
import { usd } from "../platform/money.ts";
import type { EpochMs } from "../vocabulary.ts";
import { queryInteger, queryValue, unknownQuery } from "./body.ts";
import { entryJson, holdJson, useJson } from "./budget-views.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { completeDays, forecastDay, forecastMonth, type Forecast, type WindowState } from "./forecast.ts";
import { money, tenantTerms, timeText } from "./money.ts";

/** Most records of one answer. */
export const BOOKS_LIST_MAX = 500;
export const MONTH = /^\d{4}-(?:0[1-9]|1[0-2])$/;
export const WINDOW = /^\d{4}-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?$/;
/** Lines of one month's book: nine digits are more than a month can have. */
const ENTRY_NUMBER_MAX = 999_999_999;

/** Why every number of the budget is what it is. */
export const budgetBookRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/budget/history", roles: ["finance"], handle: history },
  { method: "GET", path: "/_gate/v1/budget/holds", roles: ["finance"], handle: holds },
  { method: "GET", path: "/_gate/v1/budget/unresolved", roles: ["finance", "operator"], handle: unresolved },
  { method: "GET", path: "/_gate/v1/budget/entries", roles: ["finance"], handle: entries },
  { method: "GET", path: "/_gate/v1/budget/forecast", roles: null, handle: forecast },
];

async function history(call: AdminCall): Promise<AdminAnswer> {
  const limit = limitOf(call, ["limit"]);
  if (typeof limit !== "number") return limit;
  const { ledger } = call;
  const [changes, daily, monthly] = await Promise.all([
    ledger.budgetChanges(null, limit),
    ledger.windowUse("daily", limit),
    ledger.windowUse("monthly", limit),
  ]);
  return json({
    changes: changes.map(budgetChangeJson),
    windows: { daily: daily.map(useJson), monthly: monthly.map(useJson) },
  });
}

async function holds(call: AdminCall): Promise<AdminAnswer> {
  const limit = limitOf(call, ["window", "limit"]);
  if (typeof limit !== "number") return limit;
  const window = queryValue(call.strict, "window");
  if (window !== null && !WINDOW.test(window))
    return malformed("query: window is a day or a month of the tenant, such as 2026-11-20 or 2026-11");
  const found = await call.ledger.budgetHolds(window, limit);
  return json({ records: found.map(holdJson), next_cursor: null });
}

async function unresolved(call: AdminCall): Promise<AdminAnswer> {
  const limit = limitOf(call, ["limit"]);
  if (typeof limit !== "number") return limit;
  const found = await call.ledger.unresolvedHolds(limit);
  return json({ records: found.map(holdJson), next_cursor: null });
}

async function entries(call: AdminCall): Promise<AdminAnswer> {
  const limit = limitOf(call, ["month", "after", "limit"]);
  if (typeof limit !== "number") return limit;
  const month = monthOf(call);
  if (month === null) return malformed(MONTH_TEXT);
  const after = queryInteger(call.strict, "after", 0, ENTRY_NUMBER_MAX);
  if (after === null) return malformed("query: after is the number of the last line that you have");
  const found = await call.ledger.budgetEntries(month, after, limit);
  const last = found.length === limit ? found.at(-1) : undefined;
  return json({
    month,
    records: found.map(entryJson),
    // As `after` of the next call.
    next_cursor: last === undefined ? null : String(last.number),
  });
}

async function forecast(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, []);
  if (unknown !== null) return refuse(unknown);
  const now = call.trail.receivedAt;
  const { ledger } = call;
  const [report, use] = await Promise.all([
    ledger.budgetReport(tenantTerms(call.context), []),
    // Today, and the days that the month's rate is made from.
    ledger.windowUse("daily", completeDays(now, call.context.policy.timezone).length + 1),
  ]);
  const { timezone } = report;
  const [day, month] = [stateOf(report.daily), stateOf(report.monthly)];
  return json({
    timezone,
    as_of: timeText(now),
    daily: forecastJson("daily", day, forecastDay(day, timezone, now)),
    monthly: forecastJson("monthly", month, forecastMonth(month, usedByDay(use), timezone, now)),
  });
}

const stateOf = (
  cap: Readonly<Record<"cap_micros" | "settled_micros" | "held_micros", number>> & {
    readonly window: string;
    readonly resets_at: string;
  },
): WindowState => ({
  window: cap.window,
  capMicros: cap.cap_micros,
  usedMicros: cap.settled_micros + cap.held_micros,
  endsAt: Date.parse(cap.resets_at),
});

const usedByDay = (use: readonly WindowUse[]): ReadonlyMap<string, number> =>
  new Map(use.map((one) => [one.window, one.settledMicros + one.heldMicros]));

const forecastJson = (period: BudgetPeriod, state: WindowState, outlook: Forecast): JsonObject => ({
  period,
  window: state.window,
  resets_at: timeText(state.endsAt),
  ...money("cap", state.capMicros),
  ...money("used", state.usedMicros),
  rate_usd_per_day: outlook.rateMicrosPerDay === null ? null : usd(outlook.rateMicrosPerDay),
  rate_micros_per_day: outlook.rateMicrosPerDay,
  ...money("projected", outlook.projectedMicros),
  cap_reached_at: outlook.capReachedAt === null ? null : timeText(outlook.capReachedAt),
  basis: outlook.basis,
});

export const MONTH_TEXT = "query: month is a month of the tenant, such as 2026-11";

/** The month that the call names, the tenant's current one where it names none; null for what is no month. */
export function monthOf({ strict, context, trail }: AdminCall): string | null {
  const written = queryValue(strict, "month");
  if (written === null) return currentMonth(trail.receivedAt, context.policy.timezone);
  return MONTH.test(written) ? written : null;
}

const currentMonth = (now: EpochMs, timezone: string): string => windowsAt(now, timezone).monthly.id;

/** `limit` of a query that knows these keys, or the refusal. */
function limitOf({ strict }: AdminCall, known: readonly string[]): number | AdminAnswer {
  const unknown = unknownQuery(strict, known);
  if (unknown !== null) return refuse(unknown);
  const limit = queryInteger(strict, "limit", 100, BOOKS_LIST_MAX);
  return limit === null || limit === 0 ? malformed(`query: limit is a number from 1 to ${BOOKS_LIST_MAX}`) : limit;
}
