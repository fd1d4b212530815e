import { z } from "zod";
import { NO_TENANT } from "../audit/recorder.ts";
import { readDeploymentFreeze } from "../db/deployment-freeze.ts";
import { writeDocuments, writeUpstreamCredential } from "../db/tenant-rows.ts";
import type { Gate } from "../gateway/gate.ts";
import { READ_LIMITS, readRequest } from "../gateway/read-request.ts";
import { problemResponse } from "../gateway/respond.ts";
import { sealingContext } from "../gateway/tenant-context.ts";
import { openTrail, refusalEntry } from "../gateway/trail.ts";
import { KEY_RANDOM_BYTES, mintApiKey, type ApiKeyRecord } from "../identity/api-key.ts";
import type { Role } from "../identity/principal.ts";
import { seal } from "../identity/sealed.ts";
import type { DeploymentFreeze } from "../ledger/contract.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { describeError } from "../platform/describe-error.ts";
import { newId } from "../platform/ids.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { TENANT_ID } from "../vocabulary.ts";
import { readBody } from "./body.ts";
import { DEPLOYMENT } from "./deployment-call.ts";
import { checkBootstrapSecret } from "./deployment-secret.ts";
import { checkDocuments } from "./documents.ts";
import { upstreamCredentialSchema } from "./upstream-credential.ts";

/** The founders' keys: time enough for each to mint a longer-lived one. */
const FOUNDER_KEY_DAYS = 30;

const TEXT_MAX = 256 * 1024;
const text = z.string().min(1).max(TEXT_MAX);
const founder = z.strictObject({ subject: z.string().max(128) });
const FOUNDING_ROLES = ["operator", "security", "finance"] as const satisfies readonly Role[];

/** Body of the call that creates a tenant. */
export const bootstrapBody = z.strictObject({
  tenant: z.string().regex(TENANT_ID),
  documents: z.strictObject({ policy: text, people: text, catalogue: text, prices: text }),
  upstream_credential: upstreamCredentialSchema,
  /** Three people: what one of them changes, another has to agree to. */
  operator: founder,
  security: founder,
  finance: founder,
  demo: z.boolean().default(false),
});

/**
 * Creates a tenant: its first documents, its sealed upstream credential, and its first operator, security and finance
 * person, because nobody hands out a role later that they do not hold. Needs the deployment's bootstrap secret, works
 * once per tenant, and never touches a tenant that exists. Unset the secret afterwards.
 */
export async function bootstrap(
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
  const authorised = checkBootstrapSecret(request, gate);
  if (authorised !== null) return err(authorised);
  const strict = await readRequest(request, { ...READ_LIMITS, bodyBytes: 2 * 1024 * 1024 });
  if (!strict.ok) return strict;
  const body = readBody(strict.value, bootstrapBody);
  if (!body.ok) return body;
  const { tenant } = body.value;
  const checked = checkDocuments(body.value.documents);
  if (!checked.ok) return checked;
  const minted = mintFounders(gate, body.value, now);
  if (!minted.ok) return err({ kind: "malformed-request", reason: `body: ${minted.error}` });
  const ledger = ledgerOf(gate.env.LEDGER, tenant);
  if ((await ledger.snapshot()) !== null)
    return err({ kind: "already-decided", state: "bootstrapped", decided_by: [] });
  // Documents and credential first, the ledger last: a crash in between leaves a tenant that still denies everything, and
  // the same call may be made again.
  await writeDocuments(gate.env.DB, checked.value.rows, now);
  const sealed = await seal(body.value.upstream_credential, gate.keys.sealing, sealingContext(tenant));
  await writeUpstreamCredential(gate.env.DB, tenant, sealed, gate.keys.pepper, now);
  const founders = minted.value.map(({ record }) => ({
    credentialId: record.keyId,
    subject: record.subject,
    record: JSON.stringify(record),
    expiresAt: record.expiresAt,
  }));
  // Read after the tenant's row was written: a freeze of all tenants that is ordered from here on finds that row.
  const order = await deploymentOrder(gate);
  if (!order.ok) return order;
  const deployment = order.value === null ? null : { actor: DEPLOYMENT, order: order.value };
  const done = await ledger.bootstrap({ tenant, requestId, terms: checked.value.terms, founders, deployment });
  if (done.kind === "refused") return err(done.refusal);
  gate.tenants.forget(tenant);
  return ok({
    tenant,
    ...Object.fromEntries(minted.value.map(({ role, key, record }) => [role, { key, key_id: record.keyId }])),
    warnings: checked.value.warnings.map((warning) => ({ ...warning })),
  });
}

/** What the deployment says about all tenants: a new one begins frozen while they are. */
async function deploymentOrder(gate: Gate): Promise<Result<DeploymentFreeze | null, Refusal>> {
  try {
    return ok(await readDeploymentFreeze(gate.env.DB));
  } catch (error) {
    return err({ kind: "unavailable", dependency: "d1", cause: describeError(error) });
  }
}

type Founder = { readonly role: Role; readonly key: string; readonly record: ApiKeyRecord };

function mintFounders(
  gate: Gate,
  body: z.infer<typeof bootstrapBody>,
  now: number,
): Result<readonly Founder[], string> {
  const subjects = FOUNDING_ROLES.map((role) => body[role].subject);
  if (new Set(subjects.map((subject) => subject.toLowerCase())).size < subjects.length) {
    return err("operator, security and finance must be three people");
  }
  const founders: Founder[] = [];
  for (const role of FOUNDING_ROLES) {
    const { subject } = body[role];
    const minted = mintApiKey(
      {
        keyId: newId("key"),
        tenant: body.tenant,
        subject,
        class: "person",
        owner: subject,
        issuer: subject,
        scopes: { actions: [], maxTier: 0 },
        roles: [role],
        issuedAt: now,
        expiresAt: now + FOUNDER_KEY_DAYS * 86_400_000,
        demo: body.demo,
      },
      crypto.getRandomValues(new Uint8Array(KEY_RANDOM_BYTES)),
      gate.keys.credential,
      gate.config.environment,
    );
    if (!minted.ok) return minted;
    founders.push({ role, ...minted.value });
  }
  return ok(founders);
}
