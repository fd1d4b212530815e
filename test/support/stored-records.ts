import type { AuditRecord } from "../../src/audit/record.ts";
import { recordText } from "../audit/records.ts";
import { testEnv } from "./test-env.ts";

/**
 * A log that no part of the gate writes to: its records are put into D1 by tests, and the books that are checked after a black box
 * know nothing of it.
 */
export const STORED_LOG = "archive-0";

/** Records per statement: one bound parameter holds them all. */
const BATCH = 500;

/** Puts records where the projection would. */
export async function storeRecords(records: readonly AuditRecord[]): Promise<void> {
  for (let at = 0; at < records.length; at += BATCH) {
    const rows = records.slice(at, at + BATCH).map((record) => ({ ...record, record: recordText(record) }));
    const { success } = await testEnv.DB.prepare(
      `INSERT INTO audit (tenant, log, sequence, hash, record)
       SELECT value ->> 'tenant', value ->> 'log', value ->> 'sequence', value ->> 'hash', value ->> 'record' FROM json_each(?)`,
    )
      .bind(JSON.stringify(rows))
      .run();
    if (!success) throw new Error("the records were not stored");
  }
}
