import { NO_TENANT } from "../../audit/recorder.ts";
import type { Gate } from "../../gateway/gate.ts";
import { confirmable, identify } from "../../gateway/identify.ts";
import { readRequest } from "../../gateway/read-request.ts";
import { problemResponse } from "../../gateway/respond.ts";
import { openTrail, refusalEntry, type Trail } from "../../gateway/trail.ts";
import { ledgerOf } from "../../ledger/ledger-port.ts";
import type { JsonObject } from "../../platform/json.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import type { Refusal } from "../../refusal.ts";
import { hasLinks, makeLink } from "./link.ts";

/**
 * `POST /_gate/v1/sign-in/links`: a one-time link to the page for the person whose demonstration key asks. Local gates only;
 * everywhere else there is no such thing, and no key of any kind signs a person in.
 */
export async function answerMakeLink(
  request: Request,
  gate: Gate,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<Response> {
  const trail = openTrail(request, Date.now());
  const outcome = await run(request, gate, trail);
  if (outcome.ok) return Response.json(outcome.value, { status: 201, headers: { "cache-control": "no-store" } });
  const entry = refusalEntry(trail, gate.redactor, outcome.error, Date.now());
  const tenant = trail.principal?.tenant ?? NO_TENANT;
  gate.recorder.refusal(tenant, `${trail.requestId}/request`, entry, waitUntil);
  return problemResponse(trail, outcome.error, "problem", Date.now());
}

async function run(request: Request, gate: Gate, trail: Trail): Promise<Result<JsonObject, Refusal>> {
  if (!hasLinks(gate)) return err({ kind: "not-found" });
  const strict = await readRequest(request);
  if (!strict.ok) return strict;
  const identified = await identify(strict.value.header, gate, trail.receivedAt);
  if (!identified.ok) return identified;
  const principal = identified.value;
  trail.principal = principal;
  const { tenant, subject } = principal;
  const ledger = ledgerOf(gate.env.LEDGER, tenant);
  const fault = await ledger.credentialFault(confirmable(principal));
  if (fault !== null) return err({ kind: "unauthenticated", cause: fault });
  if (!principal.demo || principal.class !== "person")
    return err({ kind: "out-of-scope", required_scope: "a person's demonstration key" });
  const link = await makeLink(gate, { tenant, subject }, trail.receivedAt);
  if (!link.ok) return err({ kind: "unavailable", dependency: "d1", cause: link.error });
  const { credentialId, class: principalClass, demo, roles } = principal;
  const actor = { subject, class: principalClass, credentialId, demo, roles };
  await ledger.recordAct(actor, trail.requestId, "sign-in-link-made", "");
  const { token, expiresAt } = link.value;
  return ok({ path: `/_gate/sign-in/link/${token}`, expires_at: new Date(expiresAt).toISOString() });
}
