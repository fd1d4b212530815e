import { readApprovalIssuer, signedAudience } from "../approval/approval-issuers.ts";
import { deleteApprovalIssuer, listApprovalIssuers, writeApprovalIssuer } from "../db/approval-issuer-directory.ts";
import type { Gate } from "../gateway/gate.ts";
import { assert } from "../platform/assert.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { Registration, Registry } from "./registration.ts";

/** Approval authorities: systems that sign what people decided there. Tenants may share one; its registrations are apart. */
export const approvalAuthorities: Registry = {
  kind: "approval",
  path: "/_gate/v1/approval-issuers",
  read: async ({ body }, gate) => readText(gate, body === undefined ? "" : canonicalJson(body)),
  taken: async () => null,
  store: async (gate, tenant, text, now) => {
    const read = readText(gate, text);
    assert(read.ok, "what waited was read before");
    const row = { tenant, issuer: read.value.issuer, registration: text };
    await writeApprovalIssuer(gate.env.DB, row, gate.keys.pepper, now);
    return read.value.issuer;
  },
  list: async (gate, tenant) =>
    (await listApprovalIssuers(gate.env.DB, tenant)).flatMap(({ issuer, registration }) => {
      const read = readApprovalIssuer(registration, gate.config.environment);
      return read.ok ? [{ id: read.value.id, issuer, json: plain(registration) }] : [];
    }),
  shown: async (_gate, _tenant, text) => plain(text),
  remove: (gate, tenant, issuer) => deleteApprovalIssuer(gate.env.DB, tenant, issuer),
  more: (tenant) => ({ audience: signedAudience(tenant) }),
};

function readText(gate: Gate, text: string): Result<Registration, Refusal> {
  const read = readApprovalIssuer(text, gate.config.environment);
  if (!read.ok) return err({ kind: "malformed-request", reason: `body: ${read.error}` });
  const { issuer, tenant, id } = read.value;
  return ok({ issuer, tenant, id, text });
}

/** A registration's text, which was canonical JSON of an object when it was read. */
const plain = (text: string): JsonObject => JSON.parse(text);
