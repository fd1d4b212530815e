import { toBase64 } from "../platform/base64.ts";
import type { CopyRow } from "./copy-cursor.ts";
import type { Place } from "./journal.ts";

/** Records per object: at 1.5 KB each about 1.5 MB. */
export const OBJECT_ROWS = 1_000;

/** Records with full evidence are 15 KB and more: an object ends where it would become more than this, in an object's 128 MB of memory. */
export const OBJECT_BOUNDS = { maxRows: OBJECT_ROWS, maxChars: 4_000_000 };

/** Digits of a sequence in a key: as text it sorts as the number does. */
const KEY_DIGITS = 12;

const NDJSON = "application/x-ndjson; charset=utf-8";

const padded = (sequence: number): string => String(sequence).padStart(KEY_DIGITS, "0");

/** `<tenant>/<log>/<first sequence>-<last>.ndjson`: listed by name, a log's objects come in order. */
const objectKey = ({ tenant, log }: Place, first: number, last: number): string =>
  `${tenant}/${log}/${padded(first)}-${padded(last)}.ndjson`;

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
