import { assert } from "../platform/assert.ts";
import { canonicalJson } from "../platform/canonical-json.ts";
import { digestOf } from "../platform/digest.ts";
import type { JsonObject, JsonValue } from "../platform/json.ts";
import type { Digest, EpochMs } from "../vocabulary.ts";
import type { AuditEntry, AuditRecord, Ending } from "./record.ts";
import { textOf, integerOf, textOrNull } from "../platform/sql-row.ts";

/** `previous_hash` of the first record of every log. */
export const GENESIS: Digest = `sha256:${"0".repeat(64)}`;

const HASH_DOMAIN = "portcullis/audit/v1";

/**
 * The tables that every journal lives in; part of its object's schema steps. A row without hash is *open*: durable and in
 * its place, but its ending is still awaited, so it is neither chained nor projected.
 */
export const JOURNAL_SCHEMA = `
  CREATE TABLE journal (
    sequence  INTEGER PRIMARY KEY,
    entry_id  TEXT NOT NULL UNIQUE,
    hash      TEXT,
    ended     INTEGER NOT NULL,
    appended_at INTEGER NOT NULL,
    record    TEXT NOT NULL
  );
  CREATE TABLE projection (only INTEGER PRIMARY KEY CHECK (only = 1), confirmed INTEGER NOT NULL, halted TEXT);
  INSERT INTO projection (only, confirmed) VALUES (1, 0);
`;

export type Place = { readonly tenant: string; readonly log: string };

/** A journal row on its way to D1: the record's exact canonical text and its hash. */
export type JournalRow = { readonly sequence: number; readonly hash: string; readonly record: string };

/** The hash of a record, taken over the RFC 8785 text of everything in it but the hash itself. */
export const hashRecord = (record: Omit<AuditRecord, "hash"> | JsonObject): Digest =>
  digestOf(HASH_DOMAIN, canonicalJson(record));

/**
 * Appends one entry that is complete: gives it the next sequence, chains it to its predecessor and stores it.
 * Synchronous, so that it joins the caller's transaction: an admission and its intent commit together. An `entryId` seen
 * before (within the journal's retention) appends nothing: re-submitting after a lost answer is safe.
 */
export function appendEntry(sql: SqlStorage, place: Place, entryId: string, entry: AuditEntry, now: EpochMs): void {
  const head = headOf(sql);
  const sequence = (head?.sequence ?? 0) + 1;
  const { hash, record } = chained(place, entry, sequence, head?.hash ?? GENESIS);
  sql.exec(
    `INSERT INTO journal (sequence, entry_id, hash, ended, appended_at, record) VALUES (?, ?, ?, 1, ?, ?)
     ON CONFLICT (entry_id) DO NOTHING`,
    sequence,
    entryId,
    hash,
    now,
    record,
  );
}

/**
 * Appends entries to be chained later, in order: the text of a JSON array of `SubmittedEntry`. Logs of requests only.
 * An open one's ending is still to come; the others wait behind such a one. One statement, whatever their number; the
 * sequence is SQLite's own (the newest row always stays, so it never goes back), which an entry seen before does not use up.
 */
export function appendOpenEntries(sql: SqlStorage, entries: string, now: EpochMs): void {
  sql.exec(
    `INSERT INTO journal (entry_id, ended, appended_at, record, tell_after_ms)
     SELECT value ->> 'entryId', NOT (value ->> 'open'), ?, value -> 'entry', value ->> 'tellAfterMs' FROM json_each(?) WHERE true
     ON CONFLICT (entry_id) DO NOTHING`,
    now,
    entries,
  );
}

/**
 * Chains open entries in order, up to the first that may still get an ending: one not ended, none of `endings`, and
 * appended after `waitedSince`. Older ones are chained as they are, their outcome `not-seen`. An ending that is used, or
 * that comes too late to be, leaves `endings`. Returns how many entries are still open.
 */
export function sealEntries(
  sql: SqlStorage,
  place: Place,
  endings: Map<string, Ending>,
  waitedSince: EpochMs,
  limit: number,
): number {
  // Rows are sealed in order, so whatever follows the newest sealed one is open: no look at the many that are not.
  const head = sql
    .exec("SELECT sequence, hash FROM journal WHERE hash IS NOT NULL ORDER BY sequence DESC LIMIT 1")
    .toArray()[0];
  const open = sql
    .exec(
      "SELECT sequence, entry_id, ended, appended_at, record FROM journal WHERE sequence > ? ORDER BY sequence LIMIT ?",
      head === undefined ? 0 : integerOf(head, "sequence"),
      limit,
    )
    .toArray();
  let previous = head === undefined ? GENESIS : asDigest(head["hash"]);
  let sealed = 0;
  for (const row of open) {
    const entryId = textOf(row, "entry_id");
    const ending = row["ended"] === 1 ? {} : (endings.get(entryId) ?? null);
    if (ending === null && integerOf(row, "appended_at") > waitedSince) break;
    const entry: AuditEntry = JSON.parse(textOf(row, "record"));
    const complete = { ...entry, ...(ending ?? NOT_SEEN) };
    const sequence = integerOf(row, "sequence");
    const { hash, record } = chained(place, complete, sequence, previous);
    sql.exec("UPDATE journal SET hash = ?, ended = 1, record = ? WHERE sequence = ?", hash, record, sequence);
    endings.delete(entryId);
    previous = hash;
    sealed += 1;
  }
  // Nothing is open: whatever is left is about entries that are chained, or that never came.
  if (open.length === sealed && open.length < limit) endings.clear();
  return open.length - sealed;
}

/** What a record says whose ending never came. */
const NOT_SEEN: Partial<Ending> = { outcome: "not-seen" };

/** Chained rows that D1 has not confirmed yet, oldest first, at most `limit`. */
export function unconfirmedRows(sql: SqlStorage, limit: number): readonly JournalRow[] {
  return sql
    .exec(
      `SELECT sequence, hash, record FROM journal
       WHERE sequence > (SELECT confirmed FROM projection) AND hash IS NOT NULL ORDER BY sequence LIMIT ?`,
      limit,
    )
    .toArray()
    .map((row) => ({ sequence: integerOf(row, "sequence"), hash: textOf(row, "hash"), record: textOf(row, "record") }));
}

/** How many rows wait for D1 (open ones included), and whether a hash mismatch has halted projection. */
export function backlog(sql: SqlStorage): { readonly rows: number; readonly halted: string | null } {
  const row = sql
    .exec("SELECT (SELECT coalesce(max(sequence), 0) FROM journal) - confirmed AS waiting, halted FROM projection")
    .one();
  return { rows: Math.max(0, integerOf(row, "waiting")), halted: textOrNull(row, "halted") };
}

/**
 * Marks rows up to `sequence` as read back from D1 with equal hashes, then drops what may go (`pruneJournal`).
 */
export function confirmRows(
  sql: SqlStorage,
  sequence: number,
  retainAfter: EpochMs,
  keepFrom: number = Number.MAX_SAFE_INTEGER,
): void {
  sql.exec("UPDATE projection SET confirmed = ? WHERE confirmed < ?", sequence, sequence);
  pruneJournal(sql, retainAfter, keepFrom);
}

/**
 * Drops rows that D1 has confirmed, that are older than `retainAfter` and that come before `keepFrom`, from which on another copy
 * needs them. The newest row always stays: it is the head of the chain. Rows stay a little while because `entry_id` is what
 * makes re-submission safe.
 */
export function pruneJournal(sql: SqlStorage, retainAfter: EpochMs, keepFrom: number): void {
  // Always the oldest rows: after a step back of the clock younger ones may carry an earlier time. One bound, made here:
  // of two SQLite would use one for the range and test the other on every row that stays.
  const { end } = sql
    .exec(
      `SELECT min(?, confirmed, coalesce((SELECT sequence FROM journal WHERE appended_at >= ? ORDER BY sequence LIMIT 1), confirmed))
         AS end FROM projection`,
      keepFrom,
      retainAfter,
    )
    .one();
  sql.exec("DELETE FROM journal WHERE sequence < ?", end ?? 0);
}

/** Stops projection for good until an operator looks: D1 holds a different record under this sequence. */
export function haltProjection(sql: SqlStorage, why: string): void {
  sql.exec("UPDATE projection SET halted = ?", why);
}

/**
 * JSON that is sure to chain: one half character, which RFC 8785 refuses, would stop every later record of this log.
 * The form in which entries and endings travel and `appendOpenEntries` takes them.
 */
export function storableJson(value: object): string {
  const text = JSON.stringify(value);
  // Half a character is the only thing that JSON.stringify writes as `\\ud…`; looking for it is cheaper than a replacer.
  if (!text.includes("\\ud")) return text;
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === "string" ? member.toWellFormed() : member,
  );
}

function headOf(sql: SqlStorage): { readonly sequence: number; readonly hash: Digest } | null {
  const row = sql.exec("SELECT sequence, hash FROM journal ORDER BY sequence DESC LIMIT 1").toArray()[0];
  return row === undefined ? null : { sequence: integerOf(row, "sequence"), hash: asDigest(row["hash"]) };
}

function chained(
  place: Place,
  entry: AuditEntry,
  sequence: number,
  previous: Digest,
): { readonly hash: Digest; readonly record: string } {
  const unhashed = { ...entry, tenant: place.tenant, log: place.log, sequence, previous_hash: previous };
  // RFC 8785 sorts members, so `hash` has one place: with the text before and after it, the record is serialised once.
  const members = Object.entries(unhashed).toSorted(([a], [b]) => (a < b ? -1 : 1));
  const hashAt = members.findIndex(([name]) => name > "hash");
  const before = textOfMembers(members.slice(0, hashAt));
  const after = textOfMembers(members.slice(hashAt));
  const hash = digestOf(HASH_DOMAIN, `{${before},${after}}`);
  return { hash, record: `{${before},"hash":"${hash}",${after}}` };
}

/** Canonical text of some members of a record, without the braces. No record has none before or none after `hash`. */
const textOfMembers = (members: readonly (readonly [string, JsonValue])[]): string =>
  canonicalJson(Object.fromEntries(members)).slice(1, -1);

function asDigest(value: SqlStorageValue | undefined): Digest {
  assert(typeof value === "string" && value.startsWith("sha256:"), "the head of a chain carries a digest");
  return `sha256:${value.slice("sha256:".length)}`;
}
