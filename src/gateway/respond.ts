import { budgetHeader } from "./budget-header.ts";
import type { ErrorDialect } from "../catalogue/types.ts";
import type { BudgetView, StoredResponse } from "../ledger/contract.ts";
import type { JsonObject } from "../platform/json.ts";
import { toProblem } from "../problem.ts";
import type { Refusal } from "../refusal.ts";
import { speak } from "./dialect.ts";
import { instanceOf, type Trail } from "./trail.ts";

export type Decision = "allow" | "plan" | "refuse";

/** The response headers that every answer on the data plane carries (wire contract, section 4). */
export function gateHeaders(trail: Trail, decision: Decision, now: number): Record<string, string> {
  return {
    ...trail.headers,
    "gate-request-id": trail.requestId,
    "gate-decision": decision,
    ...(trail.operation === null ? {} : { "gate-action": trail.operation.action }),
    ...(trail.tier === null ? {} : { "gate-tier": String(trail.tier) }),
    "server-timing": `gate;dur=${Math.max(0, now - trail.receivedAt)}`,
    "cache-control": "no-store",
  };
}

/** Adds the budget to an answer's headers. */
export const showBudget = (trail: Trail, budget: BudgetView | null): void => {
  if (budget !== null) trail.headers["gate-budget"] = budgetHeader(budget);
};

/** A refusal as a response, in the catalogue's error dialect once the catalogue is known. */
export function problemResponse(trail: Trail, refusal: Refusal, dialect: ErrorDialect, now: number): Response {
  const problem = toProblem(refusal, {
    requestId: trail.requestId,
    instance: instanceOf(trail),
    action: trail.operation?.action ?? null,
    tier: trail.tier,
  });
  const { contentType, body } = speak(dialect, problem.body);
  return new Response(JSON.stringify(body), {
    status: problem.status,
    headers: { ...gateHeaders(trail, "refuse", now), ...problem.headers, "content-type": contentType },
  });
}

/** A JSON answer of the gate's own (plans). */
export const jsonResponse = (trail: Trail, decision: Decision, body: JsonObject, now: number): Response =>
  new Response(JSON.stringify(body), {
    headers: { ...gateHeaders(trail, decision, now), "content-type": "application/json" },
  });

/** Statuses that must not carry a body (RFC 9110, 6.4.1). */
const BODILESS = new Set([204, 205, 304]);

/** An upstream answer, streamed through: status and body unchanged, headers by allow-list. */
export function passThrough(trail: Trail, response: Response, allowed: readonly string[], now: number): Response {
  const headers = gateHeaders(trail, "allow", now);
  for (const name of allowed) {
    const value = response.headers.get(name);
    // The gate's own headers (no-store among them) are not for upstream to replace.
    if (value !== null && headers[name] === undefined) headers[name] = value;
  }
  return new Response(BODILESS.has(response.status) ? null : response.body, { status: response.status, headers });
}

/** A stored answer: the one just received, or one replayed. */
export function storedResponse(trail: Trail, stored: StoredResponse, replayed: boolean, now: number): Response {
  const headers = gateHeaders(trail, "allow", now);
  if (stored.contentType !== null) headers["content-type"] = stored.contentType;
  if (replayed) headers["idempotency-replayed"] = "?1";
  return new Response(BODILESS.has(stored.status) ? null : stored.body, { status: stored.status, headers });
}
