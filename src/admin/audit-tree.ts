import type { SignedCheckpoint } from "../audit/checkpoints.ts";
import { AUDIT_LOGS, auditTreeOf, LEDGER_LOG, type AuditTreePort, type TreeAnswer } from "../audit/tree-port.ts";
import { unreachable } from "../platform/assert.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { queryInteger, queryValue, unknownQuery } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

/** Largest number that a query may name: a billion records of one log. */
const NUMBER_MAX = 999_999_999;

/** How the audit logs are proved (docs/audit.md): what the gate has signed of them, and what follows from it. */
export const auditTreeRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/audit/checkpoint", roles: ["security"], handle: checkpoint },
  { method: "GET", path: "/_gate/v1/audit/proof", roles: ["security"], handle: proof },
  { method: "GET", path: "/_gate/v1/audit/consistency", roles: ["security"], handle: consistency },
];

/** The log as it stands, signed now. */
async function checkpoint(call: AdminCall): Promise<AdminAnswer> {
  const asked = treeOf(call, []);
  if (!asked.ok) return asked.error;
  const { log, tree } = asked.value;
  return answer(await tree.checkpoint(), (signed) => ({ log, ...checkpointJson(signed) }));
}

/** That one record is in the log that was signed. */
async function proof(call: AdminCall): Promise<AdminAnswer> {
  const asked = treeOf(call, ["seq", "size"]);
  if (!asked.ok) return asked.error;
  const { log, tree } = asked.value;
  const sequence = numberOf(call, "seq");
  const size = numberOf(call, "size");
  if (sequence === null || sequence === 0) return malformed("query: seq is the sequence of a record, from 1 on");
  if (size === 0 || (size !== null && size < sequence))
    return malformed("query: size is a number of records, seq among them");
  return answer(await tree.inclusion(sequence, size), (found) => ({
    log,
    sequence: found.sequence,
    size: found.size,
    leaf_hash: found.leafHash,
    hashes: found.hashes,
    checkpoint: found.checkpoint?.note ?? null,
  }));
}

/** That the larger tree begins with the smaller one. */
async function consistency(call: AdminCall): Promise<AdminAnswer> {
  const asked = treeOf(call, ["from", "to"]);
  if (!asked.ok) return asked.error;
  const { log, tree } = asked.value;
  const from = numberOf(call, "from");
  const to = numberOf(call, "to");
  if (from === null || from === 0) return malformed("query: from is a number of records, from 1 on");
  if (to !== null && to < from) return malformed("query: to is a number of records, not below from");
  return answer(await tree.consistency(from, to), (found) => ({ log, ...found }));
}

type Asked = { readonly log: string; readonly tree: AuditTreePort };

/** The tree of the log that the call names: one of the credential's tenant, like everything else. */
function treeOf({ strict, principal, gate }: AdminCall, known: readonly string[]): Result<Asked, AdminAnswer> {
  const unknown = unknownQuery(strict, ["log", ...known]);
  if (unknown !== null) return err(refuse(unknown));
  const log = queryValue(strict, "log") ?? LEDGER_LOG;
  if (!AUDIT_LOGS.includes(log)) return err(malformed(`query: log is one of ${AUDIT_LOGS.join(", ")}`));
  for (const name of known) {
    if (queryInteger(strict, name, 0, NUMBER_MAX) === null)
      return err(malformed(`query: ${name} is a number up to ${NUMBER_MAX}`));
  }
  return ok({ log, tree: auditTreeOf(gate.env, principal.tenant, log) });
}

/** A number that `treeOf` has judged, null where the query has none. */
const numberOf = ({ strict }: AdminCall, name: string): number | null =>
  queryValue(strict, name) === null ? null : queryInteger(strict, name, 0, NUMBER_MAX);

function answer<T>(answered: TreeAnswer<T>, body: (value: T) => JsonObject): AdminAnswer {
  switch (answered.kind) {
    case "found":
      return json(body(answered.value));
    case "absent":
      return refuse({ kind: "not-found" });
    case "unavailable":
      return refuse({ kind: "unavailable", dependency: "audit", cause: answered.cause });
    default:
      return unreachable(answered);
  }
}

const checkpointJson = ({ size, root, note, signedAt, verifierKey }: SignedCheckpoint): JsonObject => ({
  size,
  root,
  note,
  signed_at: new Date(signedAt).toISOString(),
  verifier_key: verifierKey,
});
