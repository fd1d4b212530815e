import { writeIssuer } from "../db/issuer-directory.ts";
import type { Gate } from "../gateway/gate.ts";
import { readIssuer } from "../identity/issuers.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import { err, ok } from "../platform/result.ts";
import { answerDeployment, DEPLOYMENT } from "./deployment-call.ts";

/**
 * Registers an issuer of access tokens for a tenant. Whoever signs tokens speaks for people, so this is not a tenant's
 * operator's to do: it needs the deployment's bootstrap secret. Registering the same issuer again replaces it.
 */
export async function registerIssuer(
  request: Request,
  gate: Gate,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<Response> {
  return answerDeployment(request, gate, waitUntil, async ({ body }, requestId, now) => {
    const text = body === undefined ? "" : canonicalJson(body);
    const registration = readIssuer(text, gate.config.environment);
    if (!registration.ok) return err({ kind: "malformed-request", reason: `body: ${registration.error}` });
    const { issuer, tenant, id } = registration.value;
    const ledger = ledgerOf(gate.env.LEDGER, tenant);
    if ((await ledger.snapshot()) === null) return err({ kind: "not-found" });
    await ledger.recordAct(DEPLOYMENT, requestId, "issuer-registered", `${id}: ${issuer}`);
    await writeIssuer(gate.env.DB, { issuer, tenant, registration: text }, gate.keys.pepper, now);
    return ok({ registered: true, tenant, id, issuer });
  });
}
