import { runInDurableObject } from "cloudflare:test";
import { z } from "zod";
import { testEnv } from "./test-env.ts";

/** A journal record, as far as the books check it. */
const RECORD = z.looseObject({
  sequence: z.int(),
  previous_hash: z.string(),
  hash: z.string(),
  kind: z.string(),
  request_id: z.string(),
  principal: z.string().nullable(),
  approval_id: z.string().nullable(),
  decision: z.string().nullable(),
  reason_code: z.string().nullable(),
  detail: z.string().nullable(),
  outcome: z.string().nullable(),
});
export type BookRecord = z.infer<typeof RECORD>;

const ROW = z.object({
  sequence: z.int(),
  hash: z.string().nullable(),
  record: z.string(),
  log: z.string().optional(),
  leaf_hash: z.string().nullish(),
});
/** A row of a journal: in its object, or in D1. Without a hash it is still open; with a leaf retention has taken its text. */
export type BookRow = z.infer<typeof ROW>;

const LEDGER = z.object({
  authority: z.array(z.object({ daily_cap_micros: z.int(), monthly_cap_micros: z.int() })),
  windows: z.array(
    z.object({ window: z.string(), held_micros: z.int(), settled_micros: z.int(), gross_micros: z.int() }),
  ),
  entries: z.array(
    z.object({
      monthly_window: z.string(),
      number: z.int(),
      daily_window: z.string(),
      principal: z.string(),
      team: z.string().nullable(),
      action: z.string(),
      held_micros: z.int(),
      settled_micros: z.int(),
      gross_micros: z.int(),
    }),
  ),
  reservations: z.array(
    z.object({
      id: z.string(),
      state: z.string(),
      daily_window: z.string(),
      monthly_window: z.string(),
      ceiling_micros: z.int(),
      settled_micros: z.int().nullable(),
      settled_by: z.string().nullable(),
    }),
  ),
  operations: z.array(z.object({ request_id: z.string(), state: z.string(), resource: z.string().nullable() })),
  approvals: z.array(z.object({ id: z.string(), state: z.string(), consumed_by: z.string().nullable() })),
  receipts: z.array(z.object({ receipt: z.string(), consumed_by: z.string().nullable() })),
  standing_approvals: z.array(
    z.object({ id: z.string(), uses: z.int(), cap_micros: z.int(), used: z.int(), used_micros: z.int() }),
  ),
  standing_uses: z.array(z.object({ request_id: z.string(), approval_id: z.string(), micros: z.int() })),
});

/** A tenant's ledger as its SQLite holds it, and the rows of its journal that are still there. */
export type Books = z.infer<typeof LEDGER> & { readonly journal: readonly BookRow[] };

/** Reads a tenant's ledger, whole, between two of its transactions. */
export async function readBooks(tenant: string): Promise<Books> {
  const tables = await runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage }) =>
    Object.fromEntries(
      [...Object.keys(LEDGER.shape), "journal"].map((table) => [
        table,
        storage.sql.exec(`SELECT * FROM ${table === "windows" ? '"windows"' : table}`).toArray(),
      ]),
    ),
  );
  return { ...LEDGER.parse(tables), journal: z.array(ROW).parse(tables["journal"]) };
}

/** The rows of a log of this tenant that reached D1, in order. */
export async function projectedRows(tenant: string, log: string): Promise<readonly BookRow[]> {
  const found = await testEnv.DB.prepare(
    "SELECT sequence, hash, record, log, leaf_hash FROM audit WHERE tenant = ? AND log = ? ORDER BY sequence",
  )
    .bind(tenant, log)
    .all();
  return z.array(ROW).parse(found.results);
}

export const recordOf = (row: BookRow): BookRecord => RECORD.parse(JSON.parse(row.record));

/** Every record of the ledger's log, wherever it is by now, in order. */
export async function ledgerRecords(tenant: string): Promise<readonly BookRecord[]> {
  const { journal } = await readBooks(tenant);
  const rows = new Map((await projectedRows(tenant, "ledger")).map((row) => [row.sequence, row]));
  for (const row of journal) rows.set(row.sequence, row);
  return [...rows.values()]
    .filter(({ leaf_hash: leaf }) => leaf === null || leaf === undefined)
    .toSorted((a, b) => a.sequence - b.sequence)
    .map(recordOf);
}
