import { app } from "./app.ts";
import { NO_TENANT } from "./audit/recorder.ts";
import type { Env } from "./env.ts";
import { openGate, type Gate } from "./gateway/gate.ts";
import { handleRequest } from "./gateway/pipeline.ts";
import { problemResponse } from "./gateway/respond.ts";
import { openTrail, refusalEntry } from "./gateway/trail.ts";
import { describeError } from "./platform/describe-error.ts";
import { log } from "./platform/log.ts";
import type { Refusal } from "./refusal.ts";

type WaitUntil = (work: Promise<unknown>) => void;

/** The gate's own namespace as a raw URL spells it. What only decodes to it is refused by the data plane, which takes no `%`. */
const OWN_NAMESPACE = /^https?:\/\/[^/]*\/_gate(?:[/?#]|$)/;

/**
 * What the Worker answers with. `/_gate/` is the gate's own and routed by `app.ts`. Everything else is the data plane, which
 * has one handler for every path and pays for no router.
 */
export async function serve(request: Request, env: Env, ctx: ExecutionContext): Promise<Response> {
  if (OWN_NAMESPACE.test(request.url)) return app.fetch(request, env, ctx);
  const gate = await openGate(env);
  // The app says what is missing in the configuration.
  if (!gate.ok) return app.fetch(request, env, ctx);
  const waitUntil = (work: Promise<unknown>): void => ctx.waitUntil(work);
  try {
    return await handleRequest(request, gate.value, waitUntil);
  } catch (error) {
    return unexpected(error, request, gate.value, waitUntil);
  }
}

/** A bug: whatever it was, the answer says nothing of it, and a write that was not admitted was not sent. */
function unexpected(error: unknown, request: Request, gate: Gate, waitUntil: WaitUntil): Response {
  const cause = describeError(error);
  log("error", "unexpected", { cause });
  const refusal: Refusal = { kind: "unavailable", dependency: "gate", cause };
  const trail = openTrail(request, Date.now());
  const entry = refusalEntry(trail, gate.redactor, refusal, Date.now());
  gate.recorder.refusal(NO_TENANT, `${trail.requestId}/request`, entry, waitUntil);
  return problemResponse(trail, refusal, "problem", Date.now());
}
