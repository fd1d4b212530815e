import { and, desc, eq, gte, lt, sql, type SQL } from "drizzle-orm";
import { openDatabase } from "../db/client.ts";
import { audit } from "../db/schema.ts";
import { equalBytes, macOf } from "../identity/secret-key.ts";
import { fromBase64url, toBase64url } from "../identity/base64url.ts";
import type { JsonObject } from "../platform/json.ts";
import { queryInteger, queryValue, unknownQuery } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

/** Most records of one answer. */
export const AUDIT_LIST_MAX = 500;
const CURSOR_DOMAIN = "portcullis/audit-cursor/v1";
const FILTERS = [
  "since",
  "until",
  "action",
  "tier",
  "decision",
  "principal",
  "approver",
  "incident",
  "request_id",
  "limit",
  "cursor",
];
const ISO_TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?Z)?$/;

/** The audit records of the tenant, from D1 (wire contract, section 7). */
export const auditRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/audit", roles: ["security"], handle: list },
];

async function list(call: AdminCall): Promise<AdminAnswer> {
  const { strict, principal } = call;
  const unknown = unknownQuery(strict, FILTERS);
  if (unknown !== null) return refuse(unknown);
  const limit = queryInteger(strict, "limit", 100, AUDIT_LIST_MAX);
  if (limit === null || limit === 0) return malformed(`query: limit is a number from 1 to ${AUDIT_LIST_MAX}`);
  const conditions: SQL[] = [eq(audit.tenant, principal.tenant)];
  const filtered = addFilters(call, conditions);
  if (filtered !== null) return malformed(filtered);
  const cursor = queryValue(strict, "cursor");
  if (cursor !== null) {
    const place = readCursor(call, cursor);
    if (place === null) return malformed("query: cursor is not one that this gate gave");
    conditions.push(
      sql`(${audit.time}, ${audit.log}, ${audit.sequence}) < (${place.time}, ${place.log}, ${place.sequence})`,
    );
  }
  const rows = await openDatabase(call.gate.env.DB)
    .select({ record: audit.record, time: audit.time, log: audit.log, sequence: audit.sequence })
    .from(audit)
    .where(and(...conditions))
    .orderBy(desc(audit.time), desc(audit.log), desc(audit.sequence))
    .limit(limit);
  const last = rows.length === limit ? rows.at(-1) : undefined;
  return json({
    // Exactly what was hashed and stored: the record's own text.
    records: rows.map((row): JsonObject => JSON.parse(row.record)),
    next_cursor:
      last === undefined ? null : writeCursor(call, { time: last.time ?? "", log: last.log, sequence: last.sequence }),
  });
}

function addFilters({ strict }: AdminCall, conditions: SQL[]): string | null {
  const since = queryValue(strict, "since");
  const until = queryValue(strict, "until");
  for (const bound of [since, until]) {
    // The form alone lets 2026-13-01 through, which is no time and would throw below.
    if (bound !== null && (!ISO_TIME.test(bound) || Number.isNaN(Date.parse(bound))))
      return "query: since and until are UTC times such as 2026-11-20T08:00:00Z";
  }
  if (since !== null) conditions.push(gte(audit.time, new Date(since).toISOString()));
  if (until !== null) conditions.push(lt(audit.time, new Date(until).toISOString()));
  const equal = [
    ["action", audit.action],
    ["decision", audit.decision],
    ["principal", audit.principal],
    ["incident", audit.incident],
    ["request_id", audit.requestId],
  ] as const;
  for (const [name, column] of equal) {
    const value = queryValue(strict, name);
    if (value !== null) conditions.push(eq(column, value));
  }
  const tier = queryValue(strict, "tier");
  if (tier !== null) {
    if (!/^[0-5]$/.test(tier)) return "query: tier is a number from 0 to 5";
    conditions.push(eq(audit.tier, Number(tier)));
  }
  const approver = queryValue(strict, "approver");
  if (approver !== null)
    conditions.push(sql`EXISTS (SELECT 1 FROM json_each(${audit.approvers}) WHERE value = ${approver})`);
  return null;
}

type CursorPlace = { readonly time: string; readonly log: string; readonly sequence: number };

const cursorMac = (call: AdminCall, text: string): Uint8Array =>
  macOf(call.gate.keys.pepper, CURSOR_DOMAIN, `${call.principal.tenant}\n${text}`).subarray(0, 16);

function writeCursor(call: AdminCall, place: CursorPlace): string {
  const text = JSON.stringify([place.time, place.log, place.sequence]);
  return `${toBase64url(new TextEncoder().encode(text))}.${toBase64url(cursorMac(call, text))}`;
}

/** The place that a cursor of this tenant names; null for anything else. */
function readCursor(call: AdminCall, cursor: string): CursorPlace | null {
  const [body, mac] = cursor.split(".").map(fromBase64url);
  if (body === undefined || body === null || mac === undefined || mac === null) return null;
  const text = new TextDecoder().decode(body);
  if (!equalBytes(mac, cursorMac(call, text))) return null;
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed)) return null;
  const [time, log, sequence] = parsed;
  return typeof time === "string" && typeof log === "string" && typeof sequence === "number"
    ? { time, log, sequence }
    : null;
}
