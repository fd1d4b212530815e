import { z } from "zod";
import { budgetChangeJson } from "../approval/budget-change-json.ts";
import type { BudgetChange, BudgetPeriod, BudgetReport, ChangeAsk } from "../ledger/money/finance-port.ts";
import type { JsonObject } from "../platform/json.ts";
import { toProblem } from "../problem.ts";
import type { Refusal } from "../refusal.ts";
import { instanceOf } from "../gateway/trail.ts";
import { readBody, unknownQuery } from "./body.ts";
import { reportJson } from "./budget-views.ts";
import { readTimes } from "./budget-times.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import {
  instant,
  microsOf,
  moneyActor,
  reasonText,
  seesAllMoney,
  tenantTerms,
  usdAmount,
  visibleCaps,
} from "./money.ts";

const capsBody = z
  .strictObject({
    daily_cap_usd: usdAmount.optional(),
    monthly_cap_usd: usdAmount.optional(),
    reason: reasonText,
    /** Absent: now. */
    effective_at: instant.optional(),
    /** When the cap before it holds again; absent: it lasts. */
    until: instant.optional(),
  })
  .refine((body) => body.daily_cap_usd !== undefined || body.monthly_cap_usd !== undefined, {
    error: "state daily_cap_usd, monthly_cap_usd or both",
  });

/** What may be spent, and finance's own caps within the policy's (wire contract, sections 7 and 10). */
export const budgetRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/budget", roles: null, handle: show },
  { method: "PUT", path: "/_gate/v1/budget", roles: ["finance"], body: capsBody, handle: setCaps },
];

async function show(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, []);
  return unknown === null ? json(await budgetView(call)) : refuse(unknown);
}

/** The tenant's money as the caller may see it: other principals' caps and asks are people of finance's business. */
async function budgetView(call: AdminCall): Promise<JsonObject> {
  const caps = visibleCaps(call);
  const report = await call.ledger.budgetReport(tenantTerms(call.context), [...caps]);
  if (seesAllMoney(call)) return reportJson(report);
  const scopes = new Set(caps.map(({ scope }) => scope));
  const own: BudgetReport = {
    ...report,
    scopes: report.scopes.filter(({ scope }) => scopes.has(scope)),
    pending: report.pending.filter(({ askedBy }) => askedBy === call.principal.subject),
  };
  return reportJson(own);
}

/**
 * Sets finance's caps. Each period is a change of its own: a lower cap is in force with the answer, a higher one waits for
 * a second person of finance. Where the first is refused nothing is done; where only the second is, the answer says so
 * beside what was done.
 */
async function setCaps(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, capsBody);
  if (!body.ok) return refuse(body.error);
  const times = readTimes(body.value, call.trail.receivedAt);
  if (!times.ok) return refuse(times.error);
  const terms = tenantTerms(call.context);
  const done: Partial<Record<BudgetPeriod, BudgetChange>> = {};
  let refused: { readonly period: BudgetPeriod; readonly refusal: Refusal } | null = null;
  for (const period of ["daily", "monthly"] as const) {
    const amount = body.value[`${period}_cap_usd`];
    if (amount === undefined || refused !== null) continue;
    const ask: ChangeAsk = {
      requestId: call.trail.requestId,
      period,
      capMicros: microsOf(amount),
      reason: call.gate.redactor.text(body.value.reason) ?? "",
      incident: null,
      ...times.value,
    };
    const outcome = await call.ledger.changeBudget(moneyActor(call), terms, ask);
    if (outcome.kind === "changed") done[period] = outcome.change;
    else refused = { period, refusal: outcome.refusal };
  }
  const changes = Object.values(done);
  if (refused !== null && changes.length === 0) return refuse(refused.refusal);
  const answer: JsonObject = {
    daily: done.daily === undefined ? null : budgetChangeJson(done.daily),
    monthly: done.monthly === undefined ? null : budgetChangeJson(done.monthly),
    refused: refused === null ? null : { period: refused.period, problem: problemOf(call, refused.refusal) },
    budget: await budgetView(call),
  };
  return json(answer, changes.some(({ state }) => state === "pending") ? 202 : 200);
}

const problemOf = ({ trail }: AdminCall, refusal: Refusal): JsonObject =>
  toProblem(refusal, { requestId: trail.requestId, instance: instanceOf(trail), action: null, tier: null }).body;
