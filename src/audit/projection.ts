import { and, between, eq, sql } from "drizzle-orm";
import { audit } from "../db/schema.ts";
import { openDatabase } from "../db/client.ts";
import { describeError } from "../platform/describe-error.ts";
import { backlog, confirmRows, haltProjection, unconfirmedRows, type JournalRow, type Place } from "./journal.ts";
import { growTree } from "./log-tree.ts";

/** Rows per D1 statement: ≈ 1.5 KB each, so about 300 KB. */
const BATCH_ROWS = 200;

/**
 * D1 takes no value above 2 MB, and rows with full evidence are 15 KB and more: a batch that D1 refuses would be refused
 * again for ever. Half the bound, measured in UTF-8; a single row is always tried.
 */
const BATCH_BYTES = 1_000_000;

/** Confirmed rows stay this long in the journal, so that a re-submitted entry is still recognised. */
export const RETAIN_MS = 60_000;

/** Rows waiting for D1 beyond which writes stop: ≈ 75 MB of a Durable Object's 10 GB, hours of a D1 outage at 10 writes/s. */
export const BACKLOG_LIMIT_ROWS = 50_000;

/** First delay after an append, so that neighbouring rows travel together; and the bounds of the back-off when D1 fails. */
export const PROJECTION_DELAY_MS = 250;
const RETRY_MIN_MS = 1_000;
const RETRY_MAX_MS = 30_000;

/** What a projection run left behind: when to run again, or null when nothing waits. */
export type ProjectionOutcome = { readonly nextInMs: number | null; readonly failure: string | null };

/**
 * Moves waiting journal rows to D1 in order. Insert is keyed (tenant, log, sequence) and ignores what is there; then the
 * rows are read back and their hashes compared, and only then confirmed: on D1 a violated constraint under
 * `INSERT OR IGNORE` reports success with 0 changes, so the write's own answer proves nothing.
 *
 * A crash before the insert leaves rows waiting; between insert and confirmation it leaves rows that the next run
 * inserts again to no effect and then confirms. What is confirmed enters the log's tree in the same transaction. A different
 * hash under the same sequence halts projection.
 *
 * `keepFrom`: from which record on a further copy still needs the journal's rows, asked when rows are about to go.
 */
export async function projectJournal(
  storage: DurableObjectStorage,
  db: D1Database,
  place: Place,
  failures: number,
  nowMs: number,
  keepFrom: () => number = () => Number.MAX_SAFE_INTEGER,
): Promise<ProjectionOutcome> {
  if (backlog(storage.sql).halted !== null) return { nextInMs: null, failure: "halted" };
  const waiting = unconfirmedRows(storage.sql, BATCH_ROWS);
  const rows = firstBytes(waiting, BATCH_BYTES);
  const first = rows[0];
  const last = rows.at(-1);
  if (first === undefined || last === undefined) return { nextInMs: null, failure: null };
  const stored = await insertAndReadBack(db, place, rows, first.sequence, last.sequence);
  if (stored.kind === "failed") {
    return { nextInMs: Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures, 5)), failure: stored.cause };
  }
  for (const row of rows) {
    const hash = stored.hashes.get(row.sequence);
    if (hash === undefined) return { nextInMs: RETRY_MIN_MS, failure: `row ${row.sequence} was not stored` };
    if (hash !== row.hash) {
      haltProjection(storage.sql, `D1 holds another record under ${place.log}/${row.sequence}`);
      return { nextInMs: null, failure: "halted" };
    }
  }
  storage.transactionSync(() => {
    growTree(storage.sql, rows);
    confirmRows(storage.sql, last.sequence, nowMs - RETAIN_MS, keepFrom());
  });
  const more = rows.length === BATCH_ROWS || rows.length < waiting.length;
  return { nextInMs: more ? 0 : PROJECTION_DELAY_MS, failure: null };
}

/** As many rows from the first on as stay below `limit` bytes of JSON text, one at least. */
function firstBytes(rows: readonly JournalRow[], limit: number): readonly JournalRow[] {
  let bytes = 0;
  const beyond = rows.findIndex((row, index) => {
    bytes += UTF8.encode(JSON.stringify(row)).byteLength;
    return index > 0 && bytes > limit;
  });
  return beyond < 0 ? rows : rows.slice(0, beyond);
}

const UTF8 = new TextEncoder();

type Stored =
  | { readonly kind: "stored"; readonly hashes: ReadonlyMap<number, string> }
  | { readonly kind: "failed"; readonly cause: string };

async function insertAndReadBack(
  d1: D1Database,
  place: Place,
  rows: readonly JournalRow[],
  from: number,
  to: number,
): Promise<Stored> {
  const db = openDatabase(d1);
  try {
    // One parameter for the whole batch: D1 allows 100 bound parameters a statement.
    await db.run(sql`INSERT INTO ${audit} (tenant, log, sequence, hash, record)
      SELECT ${place.tenant}, ${place.log}, json_extract(value, '$.sequence'), json_extract(value, '$.hash'), json_extract(value, '$.record')
      FROM json_each(${JSON.stringify(rows)}) WHERE true ON CONFLICT DO NOTHING`);
    const found = await db
      .select({ sequence: audit.sequence, hash: audit.hash })
      .from(audit)
      .where(and(eq(audit.tenant, place.tenant), eq(audit.log, place.log), between(audit.sequence, from, to)));
    return { kind: "stored", hashes: new Map(found.map((row) => [row.sequence, row.hash])) };
  } catch (error) {
    return { kind: "failed", cause: describeError(error) };
  }
}
