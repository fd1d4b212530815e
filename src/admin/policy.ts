import { z } from "zod";
import { writeDocuments } from "../db/tenant-rows.ts";
import { readBody } from "./body.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { checkDocuments } from "./documents.ts";
import { changesJson } from "./policy-changes.ts";
import { documentTexts } from "./policy-versions.ts";

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

/** The policy in force, and further versions of policy, people, catalogue and prices: one person adds them, another activates. */
export const policyRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/policy", roles: null, handle: inForce },
  {
    method: "POST",
    path: "/_gate/v1/policy/versions",
    roles: ["operator"],
    bodyBytes: VERSION_BODY_BYTES,
    body: versionBody,
    handle: push,
  },
];

async function inForce(call: AdminCall): Promise<AdminAnswer> {
  const { authority, version } = call.context.snapshot;
  const texts = await documentTexts(call, authority);
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

/** Checks the documents against each other and stores them; what is not sent stays as it is in force. */
async function push(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, versionBody);
  if (!body.ok) return refuse(body.error);
  const { authority } = call.context.snapshot;
  const texts = await documentTexts(call, authority);
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
  const [stored, active] = await Promise.all([
    call.ledger.version(version),
    call.ledger.version(call.context.snapshot.version),
  ]);
  return json(
    {
      version,
      warnings: checked.value.warnings.map((warning) => ({ ...warning })),
      changes:
        stored === null || active === null ? null : await changesJson(call.gate, active, stored, call.trail.receivedAt),
    },
    201,
  );
}
