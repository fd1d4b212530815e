import { z } from "zod";
import { subjectOf } from "./documents.ts";
import type { Documents } from "./documents.ts";

/** Names of a demo tenant's credentials, as in demo.json. */
export const CREDENTIAL_NAMES = [
  "agent",
  "agent2",
  "alice",
  "bob",
  "carol",
  "finance",
  "finance2",
  "security",
  "operator",
] as const;

/** API keys by name. */
export type TenantKeys = Readonly<Record<(typeof CREDENTIAL_NAMES)[number], string>>;

export type Seed = {
  readonly gate: string;
  readonly bootstrapSecret: string;
  readonly tenant: string;
  readonly documents: Documents;
  /** What the gate presents upstream for this tenant. */
  readonly upstreamCredential: Readonly<Record<string, string>>;
};

/** Demo credentials end by themselves. Days. */
const EXPIRES_IN_DAYS = 30;
/** Nothing of a seeding takes this long; without a limit a hanging gate would hang the start. Milliseconds. */
const CALL_TIMEOUT_MS = 30_000;

const ISSUED = z.object({ key: z.string().min(1) });
const BOOTSTRAPPED = z.object({ operator: ISSUED, security: ISSUED, finance: ISSUED });

/**
 * Makes a tenant with its first operator (the bootstrap secret is good for one per tenant), then, as that operator,
 * the demo's credentials. Everything goes through the gate's own API: the demo has no back door. Throws with the
 * gate's refusal.
 */
export async function seedTenant(seed: Seed): Promise<TenantKeys> {
  const subject = (handle: string): string => subjectOf(seed.documents.people, handle);
  const { operator, security, finance } = BOOTSTRAPPED.parse(
    await post(seed.gate, "/_gate/v1/bootstrap", seed.bootstrapSecret, {
      tenant: seed.tenant,
      documents: seed.documents,
      upstream_credential: seed.upstreamCredential,
      operator: { subject: subject("operator") },
      security: { subject: subject("security") },
      finance: { subject: subject("finance") },
      demo: true,
    }),
  );
  const issue = async (claims: object, by = operator.key): Promise<string> => {
    const body = { ...claims, expires_in_days: EXPIRES_IN_DAYS, demo: true };
    return ISSUED.parse(await post(seed.gate, "/_gate/v1/credentials", by, body)).key;
  };
  // dana owns the agents and approves nothing, so that the tier-4 approvers are free to decide what the agents ask.
  const agent = (name: string): Promise<string> =>
    issue({ subject: `agent:${name}`, class: "agent", owner: subject("dana"), actions: ["*"], max_tier: 4, roles: [] });
  const person = (handle: string, roles: readonly string[] = [], by?: string): Promise<string> => {
    const self = subject(handle);
    return issue({ subject: self, class: "person", owner: self, actions: [], max_tier: 0, roles }, by);
  };
  return {
    agent: await agent("trainer"),
    agent2: await agent("sweeper"),
    alice: await person("alice"),
    bob: await person("bob"),
    carol: await person("carol"),
    finance: finance.key,
    // Nobody hands out a role that they do not hold: the second finance person is the first one's doing.
    finance2: await person("finance2", ["finance"], finance.key),
    security: security.key,
    operator: operator.key,
  };
}

async function post(gate: string, path: string, credential: string, body: object): Promise<unknown> {
  const response = await fetch(`${gate}${path}`, {
    method: "POST",
    headers: { authorization: `Bearer ${credential}`, "content-type": "application/json" },
    body: JSON.stringify(body),
    redirect: "error",
    signal: AbortSignal.timeout(CALL_TIMEOUT_MS),
  });
  const text = await response.text();
  // A refusal holds no secret; a success holds keys and is never quoted.
  if (response.status !== 201) throw new Error(`POST ${path} answered ${response.status}: ${text.slice(0, 2_000)}`);
  return JSON.parse(text);
}
