import { z } from "zod";
import { budgetChangeJson } from "../approval/budget-change-json.ts";
import { INCIDENT } from "../gateway/gate-headers.ts";
import type { BudgetChange, ChangeOutcome } from "../ledger/money/finance-port.ts";
import { usd } from "../platform/money.ts";
import type { Refusal } from "../refusal.ts";
import { queryInteger, queryValue, readBody, unknownQuery } from "./body.ts";
import { readTimes } from "./budget-times.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { longPoll } from "./long-poll.ts";
import { instant, isFinance, microsOf, moneyActor, reasonText, seesAllMoney, tenantTerms, usdAmount } from "./money.ts";

/** Most changes of one answer. */
export const CHANGE_LIST_MAX = 200;
export const CHANGE_STATES = ["pending", "approved", "denied", "withdrawn", "expired"] as const;

const requestBody = z.strictObject({
  window: z.enum(["daily", "monthly"]),
  cap_usd: usdAmount,
  reason: reasonText,
  incident: z.string().regex(INCIDENT).optional(),
  until: instant.optional(),
});

/** Asking finance for more: anybody of the tenant, agents included. Decided at /approvals/{id}/decisions. */
export const budgetChangeRoutes: readonly AdminRoute[] = [
  { method: "POST", path: "/_gate/v1/budget/requests", roles: null, body: requestBody, handle: ask },
  { method: "GET", path: "/_gate/v1/budget/requests", roles: null, handle: list },
  {
    method: "DELETE",
    path: "/_gate/v1/budget/requests/:id",
    roles: null,
    handle: withdrawChange,
  },
];

/** Whether an id of `/approvals/{id}` is one of a change of a cap, and not of a proposal. */
export const isBudgetChangeId = (id: string): boolean => id.startsWith("bud_");

async function ask(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, requestBody);
  if (!body.ok) return refuse(body.error);
  const { window: period, cap_usd: cap, until, incident } = body.value;
  const times = readTimes({ until }, call.trail.receivedAt);
  if (!times.ok) return refuse(times.error);
  const terms = tenantTerms(call.context);
  const capMicros = microsOf(cap);
  const inForce = (await call.ledger.budgetReport(terms, []))[period].cap_micros;
  // Lowering is finance's, and needs no request: this route must not become another way to it.
  if (capMicros <= inForce)
    return malformed(
      `body /cap_usd: the ${period} cap in force is ${usd(inForce)} USD already; ask for more than that`,
    );
  const { redactor } = call.gate;
  return answered(
    await call.ledger.changeBudget(moneyActor(call), terms, {
      requestId: call.trail.requestId,
      period,
      capMicros,
      reason: redactor.text(body.value.reason) ?? "",
      incident: redactor.text(incident ?? null),
      ...times.value,
    }),
    201,
  );
}

async function list(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, ["state", "limit"]);
  if (unknown !== null) return refuse(unknown);
  const written = queryValue(call.strict, "state");
  const state = CHANGE_STATES.find((one) => one === written) ?? null;
  if (written !== null && state === null) return malformed(`query: state is one of ${CHANGE_STATES.join(", ")}`);
  const limit = queryInteger(call.strict, "limit", 50, CHANGE_LIST_MAX);
  if (limit === null) return malformed(`query: limit is a number up to ${CHANGE_LIST_MAX}`);
  const found = await call.ledger.budgetChanges(state, CHANGE_LIST_MAX);
  const visible = found.filter((change) => change.kind !== "lower" && maySee(call, change)).slice(0, limit);
  return json({ records: visible.map(budgetChangeJson), next_cursor: null });
}

/** One change for whoever may see it, once it is no longer pending or `waitS` seconds are over. */
export async function showChange(call: AdminCall, waitS: number): Promise<AdminAnswer> {
  const found = await longPoll(
    call.principal,
    waitS,
    () => visibleChange(call),
    (change) => change?.state === "pending",
  );
  return found === null ? refuse({ kind: "not-found" }) : json(budgetChangeJson(found));
}

/** One person's word on a change: finance alone decides, and the glass of a cap is not broken. */
export async function decideChange(
  call: AdminCall,
  word: {
    readonly decision: "approve" | "deny" | "break-glass";
    readonly comment?: string | undefined;
    readonly confirm?: string | undefined;
  },
): Promise<AdminAnswer> {
  const found = await visibleChange(call);
  if (found === null) return refuse({ kind: "not-found" });
  if (word.decision === "break-glass")
    return ineligible("A cap has no glass to break: a person of finance approves or denies the change.");
  if (word.confirm !== undefined) return malformed("body /confirm: a change of a cap asks for no confirmation text");
  if (!isFinance(call)) return ineligible("Only people with role finance decide a change of a cap.");
  return answered(
    await call.ledger.decideBudgetChange(moneyActor(call), {
      requestId: call.trail.requestId,
      id: found.id,
      decision: word.decision,
      comment: call.gate.redactor.text(word.comment ?? null),
    }),
    200,
  );
}

/** Takes a change back, or ends a temporary one now: whoever asked for it, or finance. */
export async function withdrawChange(call: AdminCall): Promise<AdminAnswer> {
  const found = await visibleChange(call);
  if (found === null) return refuse({ kind: "not-found" });
  if (found.askedBy !== call.principal.subject && !isFinance(call))
    return ineligible("Only who asked for the change, or a person with role finance, takes it back.");
  return answered(await call.ledger.withdrawBudgetChange(moneyActor(call), call.trail.requestId, found.id), 200);
}

async function visibleChange(call: AdminCall): Promise<BudgetChange | null> {
  const id = call.param("id");
  const found = isBudgetChangeId(id) ? await call.ledger.budgetChange(id) : null;
  return found !== null && maySee(call, found) ? found : null;
}

const maySee = (call: AdminCall, { askedBy }: BudgetChange): boolean =>
  seesAllMoney(call) || askedBy === call.principal.subject;

const answered = (outcome: ChangeOutcome, status: 200 | 201): AdminAnswer =>
  outcome.kind === "refused" ? refuse(outcome.refusal) : json(budgetChangeJson(outcome.change), status);

const ineligible = (reason: string): AdminAnswer => refuse({ kind: "not-eligible", reason } satisfies Refusal);
