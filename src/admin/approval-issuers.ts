import { readApprovalIssuer, signedAudience } from "../approval/approval-issuers.ts";
import { writeApprovalIssuer } from "../db/approval-issuer-directory.ts";
import type { Gate } from "../gateway/gate.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import { err, ok } from "../platform/result.ts";
import { answerDeployment, DEPLOYMENT } from "./deployment-call.ts";

/**
 * Registers an approval authority of a tenant: a system that signs what people decided there. Whoever signs speaks for people,
 * so it needs the deployment's bootstrap secret. Registering the same issuer again replaces it.
 */
export async function registerApprovalIssuer(
  request: Request,
  gate: Gate,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<Response> {
  return answerDeployment(request, gate, waitUntil, async ({ body }, requestId, now) => {
    const text = body === undefined ? "" : canonicalJson(body);
    const registration = readApprovalIssuer(text, gate.config.environment);
    if (!registration.ok) return err({ kind: "malformed-request", reason: `body: ${registration.error}` });
    const { issuer, tenant, id } = registration.value;
    const ledger = ledgerOf(gate.env.LEDGER, tenant);
    if ((await ledger.snapshot()) === null) return err({ kind: "not-found" });
    await ledger.recordAct(DEPLOYMENT, requestId, "approval-issuer-registered", `${id}: ${issuer}`);
    await writeApprovalIssuer(gate.env.DB, { tenant, issuer, registration: text }, gate.keys.pepper, now);
    return ok({ registered: true, tenant, id, issuer, audience: signedAudience(tenant) });
  });
}
