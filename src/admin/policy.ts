import { inArray } from "drizzle-orm";
import { z } from "zod";
import { openDatabase } from "../db/client.ts";
import { documents } from "../db/schema.ts";
import { writeDocuments } from "../db/tenant-rows.ts";
import type { PolicyVersion } from "../ledger/versions.ts";
import type { JsonObject } from "../platform/json.ts";
import type { Digest } from "../vocabulary.ts";
import { readBody } from "./body.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { checkDocuments } from "./documents.ts";

/** As large as the document reader allows. */
const TEXT_MAX = 256 * 1024;

/** Four documents of at most 256 KiB, escaped as JSON strings. */
const VERSION_BODY_BYTES = 2 * 1024 * 1024;

const document = z.string().min(1).max(TEXT_MAX).optional();
const versionBody = z.strictObject({
  policy: document,
  people: document,
  catalogue: document,
  prices: document,
  reason: z.string().min(1).max(1_024),
  git_commit: z
    .string()
    .regex(/^[0-9a-f]{7,64}$/)
    .optional(),
});
const activateBody = z.strictObject({ version: z.int().min(1) });

/** Versions of policy, people, catalogue and prices. One person adds, another activates. */
export const policyRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/policy", roles: null, handle: active },
  { method: "GET", path: "/_gate/v1/policy/versions", roles: ["operator", "security", "finance"], handle: versions },
  {
    method: "POST",
    path: "/_gate/v1/policy/versions",
    roles: ["operator"],
    bodyBytes: VERSION_BODY_BYTES,
    body: versionBody,
    handle: push,
  },
  {
    method: "POST",
    path: "/_gate/v1/policy/activate",
    roles: ["security", "finance"],
    body: activateBody,
    handle: activate,
  },
];

async function active(call: AdminCall): Promise<AdminAnswer> {
  const { authority, version } = call.context.snapshot;
  const texts = await textsOf(call, [authority.policy]);
  return json({
    version,
    policy: texts.get(authority.policy) ?? null,
    digests: {
      policy: authority.policy,
      people: authority.people,
      catalogue: authority.catalogue,
      prices: authority.prices,
    },
  });
}

async function versions({ ledger }: AdminCall): Promise<AdminAnswer> {
  return json({ records: (await ledger.versions()).map(view), next_cursor: null });
}

/** Checks the documents against each other and stores them; what is not sent stays as it is in force. */
async function push(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, versionBody);
  if (!body.ok) return refuse(body.error);
  const { authority } = call.context.snapshot;
  const texts = await textsOf(call, [authority.policy, authority.people, authority.catalogue, authority.prices]);
  const checked = checkDocuments({
    policy: body.value.policy ?? texts.get(authority.policy) ?? "",
    people: body.value.people ?? texts.get(authority.people) ?? "",
    catalogue: body.value.catalogue ?? texts.get(authority.catalogue) ?? "",
    prices: body.value.prices ?? texts.get(authority.prices) ?? "",
  });
  if (!checked.ok) return refuse(checked.error);
  if (call.gate.config.upstreams[checked.value.controlPlane] === undefined) {
    const reason = `catalogue: no origin is configured for control plane ${checked.value.controlPlane}`;
    return refuse({ kind: "policy-invalid", reason, line: null, column: null, path: "catalogue/control_plane" });
  }
  // Documents first: a crash here leaves unreferenced text, never a version without its documents.
  await writeDocuments(call.gate.env.DB, checked.value.rows, call.trail.receivedAt);
  const version = await call.ledger.addVersion(
    call.actor,
    call.trail.requestId,
    checked.value.terms,
    call.gate.redactor.text(body.value.reason) ?? "",
    body.value.git_commit ?? null,
  );
  return json({ version, warnings: checked.value.warnings.map((warning) => ({ ...warning })) }, 201);
}

async function activate(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, activateBody);
  if (!body.ok) return refuse(body.error);
  const outcome = await call.ledger.activate(call.actor, call.trail.requestId, body.value.version);
  call.gate.tenants.forget(call.principal.tenant);
  return outcome.kind === "refused" ? outcome : json({ version: body.value.version, active: true });
}

async function textsOf(call: AdminCall, digests: readonly Digest[]): Promise<ReadonlyMap<string, string>> {
  const rows = await openDatabase(call.gate.env.DB)
    .select({ digest: documents.digest, body: documents.body })
    .from(documents)
    .where(inArray(documents.digest, [...digests]));
  return new Map(rows.map((row) => [row.digest, row.body]));
}

const view = (version: PolicyVersion): JsonObject => ({
  version: version.version,
  digests: { policy: version.policy, people: version.people, catalogue: version.catalogue, prices: version.prices },
  author: version.author,
  reason: version.reason,
  git_commit: version.gitCommit,
  created_at: new Date(version.createdAt).toISOString(),
  activated_by: version.activatedBy,
  activated_at: version.activatedAt === null ? null : new Date(version.activatedAt).toISOString(),
});
