import { timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { NO_TENANT } from "../audit/recorder.ts";
import { writeDocuments, writeUpstreamCredential } from "../db/tenant-rows.ts";
import type { Gate } from "../gateway/gate.ts";
import { READ_LIMITS, readRequest } from "../gateway/read-request.ts";
import { problemResponse } from "../gateway/respond.ts";
import { sealingContext } from "../gateway/tenant-context.ts";
import { openTrail, refusalEntry } from "../gateway/trail.ts";
import { KEY_RANDOM_BYTES, mintApiKey } from "../identity/api-key.ts";
import { readBearer } from "../identity/carriers.ts";
import { seal } from "../identity/sealed.ts";
import { ledgerOf } from "../ledger/ledger-port.ts";
import { newId } from "../platform/ids.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { TENANT_ID } from "../vocabulary.ts";
import { readBody } from "./body.ts";
import { checkDocuments } from "./documents.ts";
import { upstreamCredentialSchema } from "./upstream-credential.ts";

/** The first operator's key: time enough to hand over to people's own sign-in. */
const OPERATOR_KEY_DAYS = 30;

const TEXT_MAX = 256 * 1024;
const text = z.string().min(1).max(TEXT_MAX);
/** Body of the call that creates a tenant. */
export const bootstrapBody = z.strictObject({
  tenant: z.string().regex(TENANT_ID),
  documents: z.strictObject({ policy: text, people: text, catalogue: text, prices: text }),
  upstream_credential: upstreamCredentialSchema,
  operator: z.strictObject({ subject: z.string().max(128) }),
  demo: z.boolean().default(false),
});

/**
 * Creates a tenant: its first documents, its sealed upstream credential and its first operator. Needs the deployment's
 * bootstrap secret, works once per tenant, and never touches a tenant that exists. Unset the secret afterwards.
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
  const strict = await readRequest(request, { ...READ_LIMITS, bodyBytes: 1024 * 1024 });
  if (!strict.ok) return strict;
  const presented = readBearer(strict.value.header("authorization"));
  if (!presented.ok) return presented;
  if (!matches(presented.value, gate.config.bootstrapSecret))
    return err({ kind: "unauthenticated", cause: "not the bootstrap secret" });
  const body = readBody(strict.value, bootstrapBody);
  if (!body.ok) return body;
  const { tenant, operator } = body.value;
  const checked = checkDocuments(body.value.documents);
  if (!checked.ok) return checked;
  const minted = mintApiKey(
    {
      keyId: newId("key"),
      tenant,
      subject: operator.subject,
      class: "person",
      owner: operator.subject,
      issuer: operator.subject,
      scopes: { actions: [], maxTier: 0 },
      roles: ["operator"],
      issuedAt: now,
      expiresAt: now + OPERATOR_KEY_DAYS * 86_400_000,
      demo: body.value.demo,
    },
    crypto.getRandomValues(new Uint8Array(KEY_RANDOM_BYTES)),
    gate.keys.credential,
    gate.config.environment,
  );
  if (!minted.ok) return err({ kind: "malformed-request", reason: `body: ${minted.error}` });
  const ledger = ledgerOf(gate.env.LEDGER, tenant);
  if ((await ledger.snapshot()) !== null)
    return err({ kind: "already-decided", state: "bootstrapped", decided_by: [] });
  // Documents and credential first, the ledger last: a crash in between leaves a tenant that still denies everything, and
  // the same call may be made again.
  await writeDocuments(gate.env.DB, checked.value.rows, now);
  const sealed = await seal(body.value.upstream_credential, gate.keys.sealing, sealingContext(tenant));
  await writeUpstreamCredential(gate.env.DB, tenant, sealed, gate.keys.pepper, now);
  const { key, record } = minted.value;
  const credential = {
    credentialId: record.keyId,
    subject: record.subject,
    record: JSON.stringify(record),
    expiresAt: record.expiresAt,
  };
  const done = await ledger.bootstrap({ tenant, requestId, terms: checked.value.terms, operator: credential });
  if (done.kind === "refused") return err(done.refusal);
  gate.tenants.forget(tenant);
  return ok({
    tenant,
    operator: { key, key_id: record.keyId },
    warnings: checked.value.warnings.map((warning) => ({ ...warning })),
  });
}

function matches(presented: string | null, secret: string | null): boolean {
  if (presented === null || secret === null) return false;
  const [a, b] = [new TextEncoder().encode(presented), new TextEncoder().encode(secret)];
  return a.length === b.length && timingSafeEqual(a, b);
}
