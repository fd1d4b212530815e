import { readLogRows, type LogRow } from "../db/log-rows.ts";
import { fromBase64 } from "../platform/base64.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import { describeError } from "../platform/describe-error.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../platform/json.ts";
import { integerOf, textOf } from "../platform/sql-row.ts";
import { GENESIS, hashRecord, type Place } from "./journal.ts";
import { HASH_BYTES } from "./merkle.ts";
import { growTree, missingLeaves, treeSize } from "./log-tree.ts";

/** Records per read: 15 KB each at most, so a few megabytes, and some milliseconds of hashing. */
const BATCH_ROWS = 200;

/** Wait after D1 failed, or had less than it has confirmed. */
const RETRY_MS = 30_000;

/** Wait after D1 had something else than the log: only people can mend that. */
const BROKEN_RETRY_MS = 10 * 60_000;

/** When to go on, null when the tree has all; and why it does not, where it does not. */
export type BackfillOutcome = { readonly nextInMs: number | null; readonly failure: string | null };

/**
 * Takes records into the tree that D1 confirmed before there were trees: reads a batch back, follows the chain of hashes
 * through it from the first record of the log, and at its end compares with the journal, whose newest confirmed row always
 * stays. A record that retention has deleted counts as its hash and its leaf. What was changed in D1 meanwhile breaks the chain, and no checkpoint is signed before the last record has been met.
 *
 * A crash leaves the batches before; what was read in vain is read again. Records that are confirmed in the meantime wait in D1
 * for their turn.
 */
export async function backfill(storage: DurableObjectStorage, d1: D1Database, place: Place): Promise<BackfillOutcome> {
  const { sql } = storage;
  const size = treeSize(sql);
  if (missingLeaves(sql) <= 0) return { nextInMs: null, failure: null };
  // The last one that is in already says what the first new one has to follow.
  const read = await rowsOf(d1, place, Math.max(1, size), BATCH_ROWS);
  if (typeof read === "string") return { nextInMs: RETRY_MS, failure: read };
  return storage.transactionSync(() => {
    if (treeSize(sql) !== size) return { nextInMs: 0, failure: null };
    const confirmed = size + missingLeaves(sql);
    const known = read.filter(({ sequence }) => sequence <= confirmed);
    const before = size === 0 ? undefined : known.shift();
    const broken = breakIn(sql, known, size + 1, before?.hash ?? GENESIS);
    if (broken !== null) {
      forgetUnsigned(sql);
      return { nextInMs: BROKEN_RETRY_MS, failure: broken };
    }
    if (known.length === 0) return { nextInMs: RETRY_MS, failure: `D1 has no record ${size + 1}` };
    growTree(sql, known);
    return { nextInMs: missingLeaves(sql) > 0 ? 0 : null, failure: null };
  });
}

async function rowsOf(d1: D1Database, place: Place, from: number, limit: number): Promise<LogRow[] | string> {
  try {
    return [...(await readLogRows(d1, place, from, limit))];
  } catch (error) {
    return describeError(error);
  }
}

/** Where the records stop being those of the log, null where they do not. */
function breakIn(sql: SqlStorage, rows: readonly LogRow[], first: number, before: string): string | null {
  let previous = before;
  for (const [index, row] of rows.entries()) {
    const sequence = first + index;
    if (row.sequence !== sequence) return `D1 has no record ${sequence}`;
    // Retention has left hash and leaf: the record after it has to name the one, and checkpoints are of the other.
    if (row.leafHash !== null) {
      if (fromBase64(row.leafHash)?.length !== HASH_BYTES) return `D1 has no leaf of the deleted record ${sequence}`;
      previous = row.hash;
      continue;
    }
    const record = recordOf(row.record);
    if (record === null) return `D1 has something else than a record under ${sequence}`;
    const { hash, ...unhashed } = record;
    const holds = hash === row.hash && hashRecord(unhashed) === hash;
    if (!holds || record["sequence"] !== sequence) return `D1 has another record under ${sequence}`;
    if (record["previous_hash"] !== previous) return `record ${sequence} in D1 does not follow the one before`;
    previous = row.hash;
  }
  const kept = sql
    .exec(
      "SELECT sequence, hash FROM journal WHERE hash IS NOT NULL AND sequence BETWEEN ? AND ?",
      first,
      first + rows.length - 1,
    )
    .toArray()
    .find((row) => rows[integerOf(row, "sequence") - first]?.hash !== textOf(row, "hash"));
  return kept === undefined ? null : `D1 has another record under ${integerOf(kept, "sequence")} than the journal`;
}

/** A record whose text is its only one (RFC 8785): then what it is parsed into is what was hashed. */
function recordOf(text: string): JsonObject | null {
  try {
    const parsed: JsonValue = JSON.parse(text);
    return isJsonObject(parsed) && canonicalJson(parsed) === text ? parsed : null;
  } catch {
    return null;
  }
}

/** What was taken in before the break may be as false as what broke; nobody has been told of it, so it can be read anew. */
function forgetUnsigned(sql: SqlStorage): void {
  if (sql.exec("SELECT 1 FROM checkpoints LIMIT 1").toArray().length === 0) sql.exec("DELETE FROM tiles");
}
