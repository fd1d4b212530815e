import { Buffer } from "node:buffer";
import { assert } from "../platform/assert.ts";
import { toBase64 } from "../platform/base64.ts";
import { integerOf } from "../platform/sql-row.ts";
import type { JournalRow } from "./journal.ts";
import { appendLeaves, HASH_BYTES, leafHash, TILE_WIDTH, type TileReader } from "./merkle.ts";

/**
 * A log's Merkle tree (RFC 9162, section 2.1) in the log's own object; part of its schema steps. Leaf n (from 0) is the record
 * with sequence n + 1: the exact text that D1 has. One row per tile, so that a batch of records changes one row, and two where
 * it fills a tile. `anchored`: up to which size checkpoints have left the object.
 */
export const TREE_SCHEMA = `
  CREATE TABLE tiles (id INTEGER PRIMARY KEY, hashes BLOB NOT NULL);
  CREATE TABLE checkpoints (
    size INTEGER PRIMARY KEY, root TEXT NOT NULL, note TEXT NOT NULL, verifier_key TEXT NOT NULL, signed_at INTEGER NOT NULL
  );
  CREATE TABLE anchored (only INTEGER PRIMARY KEY CHECK (only = 1), size INTEGER NOT NULL);
  INSERT INTO anchored (only, size) VALUES (1, 0);
`;

/** Room for the tiles of one level: more than 2^48 records have. Level and index make one key, and so one row written. */
const TILES_PER_LEVEL = 2 ** 40;

const tileId = (level: number, index: number): number => level * TILES_PER_LEVEL + index;

const UTF8 = new TextEncoder();

/** How many records the tree has: by the tiles themselves, so there is no second number to disagree with them. */
export function treeSize(sql: SqlStorage): number {
  const row = sql
    .exec("SELECT id, length(hashes) AS bytes FROM tiles WHERE id < ? ORDER BY id DESC LIMIT 1", TILES_PER_LEVEL)
    .toArray()[0];
  return row === undefined ? 0 : integerOf(row, "id") * TILE_WIDTH + integerOf(row, "bytes") / HASH_BYTES;
}

/** The tiles as they are stored. */
export const storedTiles =
  (sql: SqlStorage): TileReader =>
  (level, index) => {
    const row = sql.exec("SELECT hashes FROM tiles WHERE id = ?", tileId(level, index)).toArray()[0];
    if (row === undefined) return null;
    const { hashes } = row;
    assert(hashes instanceof ArrayBuffer, "a tile is bytes");
    return new Uint8Array(hashes);
  };

/** A record on its way into the tree. `leafHash`: base64, where retention has taken its text. */
type LeafRow = Pick<JournalRow, "sequence" | "record"> & { readonly leafHash?: string | null };

/**
 * Takes records in that D1 has confirmed, in order. Joins the caller's transaction: the confirmation and the leaves commit
 * together. Those that are in already are passed over; where one before them is missing nothing is taken in, and
 * `backfill` fetches it. So whatever happens, the tree is a prefix of the log and has one leaf per sequence.
 */
export function growTree(sql: SqlStorage, rows: readonly LeafRow[]): void {
  const size = treeSize(sql);
  const added = rows.filter(({ sequence }) => sequence > size);
  if (added[0]?.sequence !== size + 1) return;
  for (const [place, { sequence }] of added.entries())
    assert(sequence === size + 1 + place, "records enter the tree in order");
  const leaves = added.map(({ record, leafHash: left }) =>
    left === undefined || left === null ? leafHash(UTF8.encode(record)) : Buffer.from(left, "base64"),
  );
  for (const { level, index, hashes } of appendLeaves(storedTiles(sql), size, leaves)) {
    sql.exec(
      "INSERT INTO tiles (id, hashes) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET hashes = excluded.hashes",
      tileId(level, index),
      hashes.buffer,
    );
  }
}

/** How many records D1 has confirmed that the tree has not: those of before there were trees. */
export function missingLeaves(sql: SqlStorage): number {
  return integerOf(sql.exec("SELECT confirmed FROM projection").one(), "confirmed") - treeSize(sql);
}

/**
 * Whether this text is the one that the tree has in this place: what comes back from elsewhere is the record, or is not. `left`:
 * the leaf alone, where retention has taken the text.
 */
export function isInTree(sql: SqlStorage, sequence: number, record: string, left: string | null = null): boolean {
  const leaf = leafAt(storedTiles(sql), sequence - 1);
  return leaf.length === HASH_BYTES && toBase64(leaf) === (left ?? toBase64(leafHash(UTF8.encode(record))));
}

/** The hash of a leaf as the tree holds it; empty where it does not reach so far. */
export function leafAt(read: ReturnType<typeof storedTiles>, index: number): Uint8Array {
  const tile = read(0, Math.floor(index / TILE_WIDTH)) ?? new Uint8Array(0);
  const begin = (index % TILE_WIDTH) * HASH_BYTES;
  return tile.subarray(begin, begin + HASH_BYTES);
}
