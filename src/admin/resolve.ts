import { z } from "zod";
import { areShownLines } from "../gateway/shown-text.ts";
import { readBody } from "./body.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { microsOf, moneyActor, usdAmount } from "./money.ts";

const UNSHOWABLE = "text that is not blank, without control characters or direction overrides";

const resolveBody = z.strictObject({
  outcome: z.enum(["succeeded", "failed"]),
  /** What it cost, where that is known. */
  actual_usd: usdAmount.optional(),
  evidence: z.string().min(1).max(8_192).refine(areShownLines, UNSHOWABLE),
});

/** Two people settle an outcome that the gate could not see (wire contract, section 7). */
export const resolveRoutes: readonly AdminRoute[] = [
  {
    method: "POST",
    path: "/_gate/v1/operations/:id/resolve",
    roles: ["operator", "finance"],
    body: resolveBody,
    handle: resolve,
  },
];

async function resolve(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, resolveBody);
  if (!body.ok) return refuse(body.error);
  const { outcome, actual_usd: actual, evidence } = body.value;
  const operation = call.param("id");
  const recorded = await call.ledger.resolveOperation(moneyActor(call), {
    requestId: call.trail.requestId,
    operation,
    outcome,
    actualMicros: actual === undefined ? null : microsOf(actual),
    evidence: call.gate.redactor.longText(evidence),
  });
  if (recorded.kind === "refused") return refuse(recorded.refusal);
  return json({ request_id: operation, state: recorded.state, given: [...recorded.given] });
}
