import { readLogRows } from "../db/log-rows.ts";
import { toBase64 } from "../platform/base64.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { journalRows, type CopyRow } from "./copy-cursor.ts";
import type { Place } from "./journal.ts";
import { isInTree } from "./log-tree.ts";

/** Records per object: at 1.5 KB each about 1.5 MB. */
export const OBJECT_ROWS = 1_000;

/** Records with full evidence are 15 KB and more: an object ends where it would become more than this, in an object's 128 MB of memory. */
const OBJECT_CHARS = 4_000_000;

/** Records per read from D1. */
const PAGE_ROWS = 200;

/** Digits of a sequence in a key: as text it sorts as the number does. */
const KEY_DIGITS = 12;

const NDJSON = "application/x-ndjson; charset=utf-8";

const padded = (sequence: number): string => String(sequence).padStart(KEY_DIGITS, "0");

/** `<tenant>/<log>/<first sequence>-<last>.ndjson`: listed by name, a log's objects come in order. */
const objectKey = ({ tenant, log }: Place, first: number, last: number): string =>
  `${tenant}/${log}/${padded(first)}-${padded(last)}.ndjson`;

/**
 * The records from `first` on for one object: from the journal, and those that have left it from D1, each of them only if it
 * is what the log's tree has. `through`: as far as this one and no less; null: as many as an object takes, up to `newest`.
 */
export async function rowsForObject(
  sql: SqlStorage,
  d1: D1Database,
  place: Place,
  first: number,
  bounds: { readonly through: number | null; readonly newest: number },
): Promise<Result<readonly CopyRow[], string>> {
  const maxChars = bounds.through === null ? OBJECT_CHARS : Number.MAX_SAFE_INTEGER;
  const end = bounds.through ?? Math.min(bounds.newest, first + OBJECT_ROWS - 1);
  let rows: readonly CopyRow[] = [];
  let chars = 0;
  for (;;) {
    const next = first + rows.length;
    if (next > end || chars > maxChars) break;
    // One look at both ends of what is left: the journal has no gaps, so it has all of it from its own beginning on.
    const kept = journalRows(sql, next, end, maxChars - chars);
    if (kept[0]?.sequence === next) {
      rows = [...rows, ...kept];
      break;
    }
    const page = await readLogRows(d1, place, next, Math.min(PAGE_ROWS, end - next + 1));
    if (page.length === 0) return err(`D1 has no record ${next}`);
    for (const [index, { sequence, record }] of page.entries()) {
      if (sequence !== next + index) return err(`D1 has no record ${next + index}`);
      if (!isInTree(sql, sequence, record)) return err(`record ${sequence} in D1 is not the one in the log's tree`);
      chars += record.length;
    }
    rows = [...rows, ...page];
  }
  const last = rows.at(-1)?.sequence ?? 0;
  return bounds.through === null || last === bounds.through ? ok(rows) : err(`record ${last + 1} is nowhere`);
}

/** What became of an object: `other` names the key under which something else is. */
export type Written = { readonly kind: "written" } | { readonly kind: "other"; readonly key: string };

/**
 * Writes the object with these records, or finds it written: nothing is ever overwritten. R2 compares what it got with the
 * checksum sent along, and keeps the checksum, by which an object that is there already is told from another. Throws where R2
 * does.
 */
export async function writeObject(bucket: R2Bucket, place: Place, rows: readonly CopyRow[]): Promise<Written> {
  const key = objectKey(place, rows[0]?.sequence ?? 0, rows.at(-1)?.sequence ?? 0);
  const body = UTF8.encode(rows.map(({ record }) => `${record}\n`).join(""));
  const sha256 = await crypto.subtle.digest("SHA-256", body);
  const stored = await bucket.put(key, body, {
    onlyIf: new Headers({ "if-none-match": "*" }),
    sha256,
    httpMetadata: { contentType: NDJSON },
  });
  if (stored !== null) return { kind: "written" };
  const there = await bucket.head(key);
  if (there === null) throw new Error(`${key} was there, and is gone`);
  const known = there.checksums.sha256;
  const isSame = known !== undefined && toBase64(new Uint8Array(known)) === toBase64(new Uint8Array(sha256));
  return isSame ? { kind: "written" } : { kind: "other", key };
}

const UTF8 = new TextEncoder();
