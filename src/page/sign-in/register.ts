import { readBody } from "../../admin/body.ts";
import { answerDeployment, DEPLOYMENT } from "../../admin/deployment-call.ts";
import type { Gate } from "../../gateway/gate.ts";
import { ledgerOf } from "../../ledger/ledger-port.ts";
import { err, ok } from "../../platform/result.ts";
import type { Refusal } from "../../refusal.ts";
import { brokenSettings, saveSignIn, signInBody, tenantsOfApplication, type SignInSettings } from "./settings.ts";

/**
 * `POST /_gate/v1/sign-in`: says how a tenant's people sign in to the page. Whoever says who people are speaks for them, so
 * this is not a tenant's operator's to do: it needs the deployment's bootstrap secret. Saying it again replaces it.
 */
export async function registerSignIn(
  request: Request,
  gate: Gate,
  waitUntil: (work: Promise<unknown>) => void,
): Promise<Response> {
  return answerDeployment(request, gate, waitUntil, async (strict, requestId, now) => {
    const body = readBody(strict, signInBody);
    if (!body.ok) return body;
    const { tenant } = body.value;
    const settings: SignInSettings = { oidc: body.value.oidc ?? null, access: body.value.access ?? null };
    const broken = brokenSettings(settings, gate.config.environment);
    if (broken !== null) return err({ kind: "malformed-request", reason: broken });
    const ledger = ledgerOf(gate.env.LEDGER, tenant);
    if ((await ledger.snapshot()) === null) return err({ kind: "not-found" });
    const taken = await applicationOfAnother(gate, tenant, settings);
    if (taken !== null) return err(taken);
    await ledger.recordAct(DEPLOYMENT, requestId, "sign-in-set", waysOf(settings));
    await saveSignIn(gate, tenant, settings, now);
    return ok({ registered: true, tenant, oidc: settings.oidc !== null, access: settings.access !== null });
  });
}

/** What the record says was set; no secret is among it. */
const waysOf = ({ oidc, access }: SignInSettings): string =>
  [
    ...(oidc === null ? [] : [`oidc ${oidc.issuer}`]),
    ...(access === null ? [] : [`access ${access.team_domain} ${access.audience}`]),
  ].join("; ");

/** An assertion names its application and nothing else: one that two tenants had would speak for both. */
async function applicationOfAnother(gate: Gate, tenant: string, { access }: SignInSettings): Promise<Refusal | null> {
  if (access === null) return null;
  const tenants = await tenantsOfApplication(gate, access.team_domain, access.audience);
  if (!tenants.ok) return { kind: "unavailable", dependency: "d1", cause: tenants.error };
  return tenants.value.every((one) => one === tenant)
    ? null
    : { kind: "malformed-request", reason: "body /access/audience: the application is another tenant's" };
}
