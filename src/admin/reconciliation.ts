import { sql } from "drizzle-orm";
import { openDatabase } from "../db/client.ts";
import { audit } from "../db/schema.ts";
import type { BooksReport } from "../ledger/money/finance-port.ts";
import { describeError } from "../platform/describe-error.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { Micros } from "../vocabulary.ts";
import { unknownQuery } from "./body.ts";
import { MONTH_TEXT, monthOf } from "./budget-books.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { money, timeText } from "./money.ts";

/** The ledger's own log; reservations are in no other. */
const LEDGER_LOG = "ledger";
/** No zone is further from UTC: where a tenant's month may begin before the month of UTC does. */
const ZONE_AHEAD_MS = 14 * 3_600_000;

const COMPARED =
  "The ledger's running sums against the sum of its reservations and the sum of its book; the reports of billing that were " +
  "booked against what their reservations settled at (reports that wait or were rejected are not in it); and the settled sum " +
  "against what the newest audit record in D1 says of each reservation of the month. Every drift is expected to be 0. Records " +
  "reach D1 a moment after they are made: what settled after audit.newest_record_at is drift until it arrives.";

/** Ledger against usage against audit. */
export const reconciliationRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/budget/reconciliation", roles: ["finance", "security"], handle: reconcile },
];

async function reconcile(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, ["month"]);
  if (unknown !== null) return refuse(unknown);
  const month = monthOf(call);
  if (month === null) return malformed(MONTH_TEXT);
  // D1 first: what is projected in between can only close a gap that would have been shown.
  const audited = await auditedSettlements(call.gate.env.DB, call.principal.tenant, month);
  if (!audited.ok) return refuse(audited.error);
  const books = await call.ledger.booksOf(month);
  return json({
    month,
    as_of: timeText(call.trail.receivedAt),
    books: {
      windows: sums(books.windows),
      reservations: sums(books.reservations),
      entries: sums(books.entries),
      usage: {
        reports: books.usage.reports,
        ...money("reported", books.usage.reportedMicros),
        ...money("settled", books.usage.settledMicros),
      },
      unresolved: { count: books.unresolved.count, ...money("settled", books.unresolved.settledMicros) },
      ...money("overrun", books.overrunMicros),
    },
    audit: {
      reservations: audited.value.reservations,
      ...money("settled", audited.value.settledMicros),
      newest_record_at: audited.value.newestAt,
    },
    drift: driftOf(books, audited.value.settledMicros),
    explanation: COMPARED,
  });
}

type Audited = { readonly reservations: number; readonly settledMicros: Micros; readonly newestAt: string | null };

/** What the newest record of each of the month's reservations says it settled, and how new D1's newest record is. */
async function auditedSettlements(d1: D1Database, tenant: string, month: string): Promise<Result<Audited, Refusal>> {
  const earliest = timeText(Date.parse(`${month}-01T00:00:00Z`) - ZONE_AHEAD_MS);
  const mine = sql`${audit.tenant} = ${tenant} AND ${audit.log} = ${LEDGER_LOG}`;
  try {
    const db = openDatabase(d1);
    // With MAX(), SQLite takes the other columns from the row that has the maximum (sqlite.org/lang_select.html, "bare columns").
    const found = await db.get<{ reservations: number; settled: number }>(sql`
      SELECT COUNT(*) AS reservations, COALESCE(SUM(settled), 0) AS settled FROM (
        SELECT json_extract(${audit.reservation}, '$.settled_micros') AS settled, MAX(${audit.sequence})
        FROM ${audit}
        WHERE ${mine} AND ${audit.time} >= ${earliest} AND json_extract(${audit.reservation}, '$.monthly') = ${month}
        GROUP BY json_extract(${audit.reservation}, '$.id'))`);
    const newest = await db.get<{ time: string } | undefined>(
      sql`SELECT ${audit.time} AS time FROM ${audit} WHERE ${mine} ORDER BY ${audit.sequence} DESC LIMIT 1`,
    );
    return ok({ reservations: found.reservations, settledMicros: found.settled, newestAt: newest?.time ?? null });
  } catch (error) {
    return err({ kind: "unavailable", dependency: "d1", cause: describeError(error) });
  }
}

const sums = ({ heldMicros, settledMicros }: BooksReport["windows"]): JsonObject => ({
  ...money("held", heldMicros),
  ...money("settled", settledMicros),
});

/** Every difference as integers: positive where the ledger's running sums (or billing's reports) are the higher. */
const driftOf = ({ windows, reservations, entries, usage }: BooksReport, auditedMicros: Micros): JsonObject => ({
  reservations_held_micros: windows.heldMicros - reservations.heldMicros,
  reservations_settled_micros: windows.settledMicros - reservations.settledMicros,
  entries_held_micros: windows.heldMicros - entries.heldMicros,
  entries_settled_micros: windows.settledMicros - entries.settledMicros,
  usage_micros: usage.reportedMicros - usage.settledMicros,
  audit_settled_micros: windows.settledMicros - auditedMicros,
});
