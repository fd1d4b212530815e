import { readBody } from "../../admin/body.ts";
import type { Registry } from "../../admin/registration.ts";
import { deleteChannelRow } from "../../db/channel-rows.ts";
import { endSignInsOfTenant } from "../../db/sign-in-rows.ts";
import type { Gate } from "../../gateway/gate.ts";
import { assert } from "../../platform/assert.ts";
import type { JsonObject } from "../../platform/json.ts";
import { err, ok } from "../../platform/result.ts";
import type { Refusal } from "../../refusal.ts";
import {
  brokenSettings,
  openSettings,
  readSignInSettings,
  saveSignIn,
  sealSettings,
  signInBody,
  tenantsOfApplication,
  type SignInSettings,
} from "./settings.ts";

/** There is one way of signing in per tenant: it has no id of its own. */
export const SIGN_IN_ID = "sign-in";

/** How a tenant's people sign in to the page: whoever says who people are speaks for them. Its secrets are never shown. */
export const signInRegistry: Registry = {
  kind: "sign-in",
  path: "/_gate/v1/sign-in",
  read: async (strict, gate) => {
    const body = readBody(strict, signInBody);
    if (!body.ok) return body;
    const { tenant } = body.value;
    const settings: SignInSettings = { oidc: body.value.oidc ?? null, access: body.value.access ?? null };
    const broken = brokenSettings(settings, gate.config.environment);
    if (broken !== null) return err({ kind: "malformed-request", reason: broken });
    const text = await sealSettings(gate, tenant, settings);
    return ok({ tenant, id: SIGN_IN_ID, issuer: waysOf(settings), text });
  },
  taken: async (gate, tenant, text) => applicationOfAnother(gate, tenant, await opened(gate, tenant, text)),
  store: async (gate, tenant, text, now) => {
    const settings = await opened(gate, tenant, text);
    await saveSignIn(gate, tenant, settings, now);
    return waysOf(settings);
  },
  list: async (gate, tenant) => {
    const settings = await readSignInSettings(gate, tenant);
    return settings.ok && settings.value !== null
      ? [{ id: SIGN_IN_ID, issuer: waysOf(settings.value), json: shownOf(settings.value) }]
      : [];
  },
  shown: async (gate, tenant, text) => shownOf(await opened(gate, tenant, text)),
  remove: async ({ env }, tenant) => {
    await deleteChannelRow(env.DB, tenant, "sign-in");
    const ended = await endSignInsOfTenant(env.DB, tenant);
    assert(ended.ok, "sessions could be ended: until then the call has not succeeded");
  },
  more: () => ({}),
};

async function opened(gate: Gate, tenant: string, text: string): Promise<SignInSettings> {
  const settings = await openSettings(gate, tenant, text);
  assert(settings.ok, "what waits was sealed for this tenant");
  return settings.value;
}

/** What the record says was set; no secret is among it. */
const waysOf = ({ oidc, access }: SignInSettings): string =>
  [
    ...(oidc === null ? [] : [`oidc ${oidc.issuer}`]),
    ...(access === null ? [] : [`access ${access.team_domain} ${access.audience}`]),
  ].join("; ");

/** Everything but the client's secret. */
function shownOf({ oidc, access }: SignInSettings): JsonObject {
  if (oidc === null) return { oidc, access };
  const { issuer, client_id: clientId, subject_prefix: prefix, algorithms } = oidc;
  return { oidc: { issuer, client_id: clientId, subject_prefix: prefix, algorithms }, access };
}

/** An assertion names its application and nothing else: one that two tenants had would speak for both. */
async function applicationOfAnother(gate: Gate, tenant: string, { access }: SignInSettings): Promise<Refusal | null> {
  if (access === null) return null;
  const tenants = await tenantsOfApplication(gate, access.team_domain, access.audience);
  if (!tenants.ok) return { kind: "unavailable", dependency: "d1", cause: tenants.error };
  return tenants.value.every((one) => one === tenant)
    ? null
    : { kind: "malformed-request", reason: "body /access/audience: the application is another tenant's" };
}
