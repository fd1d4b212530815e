import { NO_TENANT } from "../audit/recorder.ts";
import { writeIssuer } from "../db/issuer-directory.ts";
import type { Gate } from "../gateway/gate.ts";
import { readRequest } from "../gateway/read-request.ts";
import { problemResponse } from "../gateway/respond.ts";
import { openTrail, refusalEntry } from "../gateway/trail.ts";
import { readIssuer } from "../identity/issuers.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { checkBootstrapSecret } from "./bootstrap.ts";

/**
 * Registers an issuer of access tokens for a tenant. Whoever signs tokens speaks for people, so this is not a tenant's
 * operator's to do: it needs the deployment's bootstrap secret. Registering the same issuer again replaces it.
 */
export async function registerIssuer(
  request: Request,
  gate: Gate,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<Response> {
  const trail = openTrail(request, Date.now());
  const outcome = await run(request, gate, trail.requestId, trail.receivedAt);
  if (outcome.ok) return Response.json(outcome.value, { status: 201, headers: { "cache-control": "no-store" } });
  const entry = refusalEntry(trail, gate.redactor, outcome.error, Date.now());
  gate.recorder.refusal(NO_TENANT, `${trail.requestId}/request`, entry, waitUntil);
  return problemResponse(trail, outcome.error, "problem", Date.now());
}

async function run(request: Request, gate: Gate, requestId: string, now: number): Promise<Result<JsonObject, Refusal>> {
  const unauthorised = checkBootstrapSecret(request, gate);
  if (unauthorised !== null) return err(unauthorised);
  const strict = await readRequest(request);
  if (!strict.ok) return strict;
  const text = strict.value.body === undefined ? "" : canonicalJson(strict.value.body);
  const registration = readIssuer(text, gate.config.environment);
  if (!registration.ok) return err({ kind: "malformed-request", reason: `body: ${registration.error}` });
  const { issuer, tenant, id } = registration.value;
  const ledger = ledgerOf(gate.env.LEDGER, tenant);
  if ((await ledger.snapshot()) === null) return err({ kind: "not-found" });
  await ledger.recordAct(DEPLOYMENT, requestId, "issuer-registered", `${id}: ${issuer}`);
  await writeIssuer(gate.env.DB, { issuer, tenant, registration: text }, gate.keys.pepper, now);
  return ok({ registered: true, tenant, id, issuer });
}

/** Whoever holds the deployment's bootstrap secret: no person of the tenant. */
const DEPLOYMENT = {
  subject: "deployment",
  class: "deployment",
  credentialId: "bootstrap-secret",
  demo: false,
  roles: [],
};
