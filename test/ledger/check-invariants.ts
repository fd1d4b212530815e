import { runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { testEnv } from "../support/test-env.ts";
import { CheckedBooks } from "./invariants/books.ts";
import { Log } from "./invariants/log.ts";
import { FROM_THE_START, readTables, type Cursor, type Row, type Tables } from "./invariants/tables.ts";

/**
 * What must hold in a ledger between any two of its transactions (`invariants/`): windows, reservations and the book say the same
 * and stay within `caps`; every operation, approval and busy resource has the hold and the planned job that its state says;
 * each approval and receipt was spent once at most, and of each standing approval no more uses and USD than it grants; the
 * alarm is set no later than the first job; the journal is a chain.
 */
export async function checkInvariants(
  tenant: string,
  caps: { readonly daily: number; readonly monthly: number },
): Promise<void> {
  const tables = await tablesOf(tenant, FROM_THE_START);
  new CheckedBooks().check(tables, (bound) => {
    if (!bound.endsWith(" window")) return Number.POSITIVE_INFINITY;
    return bound.length === "2031-11-20 window".length ? caps.daily : caps.monthly;
  });
}

/** The log as a whole: what the object still holds together with what D1 has. */
export async function checkWholeLog(tenant: string): Promise<void> {
  const tables = await tablesOf(tenant, FROM_THE_START);
  const stored = await testEnv.DB.prepare(
    "SELECT sequence, hash, record FROM audit WHERE tenant = ? AND log = 'ledger' ORDER BY sequence",
  )
    .bind(tenant)
    .all<Row>();
  const rows = new Map(stored.results.map((row) => [row["sequence"], row]));
  expect(rows.size, "no row twice in D1").toBe(stored.results.length);
  for (const row of tables.journal) {
    const copy = rows.get(row["sequence"] ?? null);
    if (copy !== undefined) expect(copy["record"], "D1 holds the journal's own text").toBe(row["record"]);
    rows.set(row["sequence"] ?? null, row);
  }
  const ordered = [...rows.values()].toSorted((a, b) => Number(a["sequence"]) - Number(b["sequence"]));
  expect(ordered[0]?.["sequence"], "the log begins at 1").toBe(1);
  const log = new Log();
  log.read(ordered);
  log.check(tables);
}

/** The tables of a tenant's ledger, of book and journal what comes after `after`. */
export const tablesOf = async (tenant: string, after: Cursor): Promise<Tables> =>
  await runInDurableObject(testEnv.LEDGER.getByName(tenant), async (_, { storage }) => {
    const alarmAt = await storage.getAlarm();
    return readTables((text, ...bindings) => storage.sql.exec<Row>(text, ...bindings).toArray(), after, alarmAt);
  });
