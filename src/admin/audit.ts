import { auditPage } from "../db/audit-rows.ts";
import type { JsonObject } from "../platform/json.ts";
import { readCursor, writeCursor } from "./audit-cursor.ts";
import { AUDIT_FILTERS, readAuditFilters } from "./audit-query.ts";
import { queryInteger, queryValue, unknownQuery } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

/** Most records of one answer. */
export const AUDIT_LIST_MAX = 500;
const LIST_DEFAULT = 100;

/** The audit records of the tenant, from D1 (wire contract, section 7). */
export const auditRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/audit", roles: ["security"], handle: list },
];

async function list(call: AdminCall): Promise<AdminAnswer> {
  const { strict, principal, gate, trail } = call;
  const unknown = unknownQuery(strict, [...AUDIT_FILTERS, "limit", "cursor"]);
  if (unknown !== null) return refuse(unknown);
  const limit = queryInteger(strict, "limit", LIST_DEFAULT, AUDIT_LIST_MAX);
  if (limit === null || limit === 0) return malformed(`query: limit is a number from 1 to ${AUDIT_LIST_MAX}`);
  const filters = readAuditFilters(strict, trail.receivedAt);
  if (!filters.ok) return malformed(filters.error);
  const cursor = queryValue(strict, "cursor");
  const after = cursor === null ? null : readCursor(call, cursor);
  if (cursor !== null && after === null) return malformed("query: cursor is not one that this gate gave");
  const { rows, next } = await auditPage(gate.env.DB, principal.tenant, filters.value, after, limit);
  return json({
    // Exactly what was hashed and stored: the record's own text.
    records: rows.map((row): JsonObject => JSON.parse(row.record)),
    next_cursor: next === null ? null : writeCursor(call, next),
  });
}
