import { NO_TENANT } from "../audit/recorder.ts";
import type { Gate } from "../gateway/gate.ts";
import { readRequest } from "../gateway/read-request.ts";
import { problemResponse } from "../gateway/respond.ts";
import { openTrail, refusalEntry } from "../gateway/trail.ts";
import type { Actor } from "../ledger/ledger-port.ts";
import type { JsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";
import { checkBootstrapSecret } from "./deployment-secret.ts";

/** Whoever holds the deployment's bootstrap secret: no person of the tenant. */
export const DEPLOYMENT: Actor = {
  subject: "deployment",
  class: "deployment",
  credentialId: "bootstrap-secret",
  demo: false,
  roles: [],
};

/** What such a call does once the call was let in and read. `now` is when it arrived. */
type Act = (strict: StrictRequest, requestId: string, now: number) => Promise<Result<JsonObject, Refusal>>;

/**
 * Answers a call of the deployment's own: bootstrap secret first, before anything of the body is read, then `act`. A refusal is
 * recorded under no tenant; what was done is journaled by `act`.
 */
export async function answerDeployment(
  request: Request,
  gate: Gate,
  waitUntil: (work: Promise<unknown>) => void,
  act: Act,
  status: 200 | 201 | 202 = 201,
): Promise<Response> {
  const trail = openTrail(request, Date.now());
  const refuse = (refusal: Refusal): Response => {
    const entry = refusalEntry(trail, gate.redactor, refusal, Date.now());
    gate.recorder.refusal(NO_TENANT, `${trail.requestId}/request`, entry, waitUntil);
    return problemResponse(trail, refusal, "problem", Date.now());
  };
  const unauthorised = checkBootstrapSecret(request, gate);
  if (unauthorised !== null) return refuse(unauthorised);
  const strict = await readRequest(request);
  if (!strict.ok) return refuse(strict.error);
  const outcome = await act(strict.value, trail.requestId, trail.receivedAt);
  return outcome.ok
    ? Response.json(outcome.value, { status, headers: { "cache-control": "no-store" } })
    : refuse(outcome.error);
}
