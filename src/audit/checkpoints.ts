import type { SigningKey } from "../identity/signing-key.ts";
import { assert } from "../platform/assert.ts";
import { fromBase64, toBase64 } from "../platform/base64.ts";
import { integerOf, textOf, type SqlRow } from "../platform/sql-row.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { Place } from "./journal.ts";
import { storedTiles, treeSize } from "./log-tree.ts";
import { consistencyProof, rangeRoot, verifyConsistency } from "./merkle.ts";
import { signCheckpoint, verifierKeyOf, writeVerifierKey } from "./signed-note.ts";
import { logName } from "./verify/checkpoints.ts";

/**
 * What the gate has signed about one log: its first `size` records have this root. `root`: base64; `note`: the signed note;
 * `verifierKey`: what it verifies with.
 */
export type SignedCheckpoint = {
  readonly size: number;
  readonly root: string;
  readonly note: string;
  readonly verifierKey: string;
  readonly signedAt: EpochMs;
};

/**
 * How long checkpoints stay in the object: 130,000 rows of 400 bytes, if one is signed every minute. They are there for
 * whoever asks which was signed when; that they fit together is in the tree, and what matters of them is outside.
 */
const RETENTION_MS = 90 * 24 * 3_600_000;

/** Rows deleted per row written: more than one, so that the table shrinks again. */
const PRUNED_PER_CHECKPOINT = 2;

/** The newest checkpoint, null where none was signed. */
export function latestCheckpoint(sql: SqlStorage): SignedCheckpoint | null {
  const row = sql.exec("SELECT * FROM checkpoints ORDER BY size DESC LIMIT 1").toArray()[0];
  return row === undefined ? null : checkpointOf(row);
}

/** The newest checkpoint of at most this size, null where there is none (any more). */
export function checkpointUpTo(sql: SqlStorage, size: number): SignedCheckpoint | null {
  const row = sql.exec("SELECT * FROM checkpoints WHERE size <= ? ORDER BY size DESC LIMIT 1", size).toArray()[0];
  return row === undefined ? null : checkpointOf(row);
}

/** The checkpoint of exactly this size, null where there is none (any more). */
export function checkpointAt(sql: SqlStorage, size: number): SignedCheckpoint | null {
  const row = sql.exec("SELECT * FROM checkpoints WHERE size = ?", size).toArray()[0];
  return row === undefined ? null : checkpointOf(row);
}

/** Checkpoints that have not left the object, smallest first. */
export const unanchored = (sql: SqlStorage, limit: number): readonly SignedCheckpoint[] =>
  sql
    .exec("SELECT * FROM checkpoints WHERE size > (SELECT size FROM anchored) ORDER BY size LIMIT ?", limit)
    .toArray()
    .map(checkpointOf);

/** Notes that all checkpoints up to `size` have left the object. */
export const markAnchored = (sql: SqlStorage, size: number): void =>
  void sql.exec("UPDATE anchored SET size = ? WHERE size < ?", size, size);

/**
 * Signs the tree as it stands, or returns the checkpoint of exactly that. Null for an empty log.
 *
 * Nothing is ever signed that contradicts what was signed before: the tree only grows, and the new root is proved to
 * continue the last signed one, in the tiles as they are now, before the key is used. A crash before the row is written leaves a
 * signature that nobody has seen; of two signatures under way the larger stays.
 */
export async function checkpointNow(
  storage: DurableObjectStorage,
  place: Place,
  key: SigningKey,
  now: EpochMs,
): Promise<SignedCheckpoint | null> {
  const { sql } = storage;
  const size = treeSize(sql);
  if (size === 0) return null;
  const name = logName(place.tenant, place.log);
  const verifierKey = writeVerifierKey(verifierKeyOf(name, key.rawPublicKey));
  const last = latestCheckpoint(sql);
  // After a change of the key the same tree is signed again.
  if (last !== null && last.size === size && last.verifierKey === verifierKey) return last;
  const read = storedTiles(sql);
  const root = rangeRoot(read, 0, size);
  if (last !== null) assertContinues(sql, last, size, root);
  const signer = { name, publicKey: key.rawPublicKey, privateKey: key.privateKey };
  const note = await signCheckpoint({ origin: name, size, root }, signer);
  const checkpoint = { size, root: toBase64(root), note, verifierKey, signedAt: now };
  return storage.transactionSync(() => {
    const newest = latestCheckpoint(sql);
    if (newest !== null && newest.size > size) return newest;
    store(sql, checkpoint);
    return checkpoint;
  });
}

function assertContinues(sql: SqlStorage, last: SignedCheckpoint, size: number, root: Uint8Array): void {
  const fromRoot = fromBase64(last.root);
  assert(last.size <= size, `the tree has ${size} records, and a checkpoint of ${last.size} was signed`);
  const proof = consistencyProof(storedTiles(sql), last.size, size);
  const continues =
    fromRoot !== null && verifyConsistency({ from: last.size, to: size, fromRoot, toRoot: root, proof });
  assert(continues, `the tree of ${size} records does not continue the signed one of ${last.size}`);
}

function store(sql: SqlStorage, { size, root, note, verifierKey, signedAt }: SignedCheckpoint): void {
  sql.exec(
    "INSERT OR REPLACE INTO checkpoints (size, root, note, verifier_key, signed_at) VALUES (?, ?, ?, ?, ?)",
    size,
    root,
    note,
    verifierKey,
    signedAt,
  );
  sql.exec(
    `DELETE FROM checkpoints WHERE size IN (SELECT size FROM checkpoints ORDER BY size LIMIT ?)
       AND signed_at < ? AND size <= (SELECT size FROM anchored)`,
    PRUNED_PER_CHECKPOINT,
    signedAt - RETENTION_MS,
  );
}

const checkpointOf = (row: SqlRow): SignedCheckpoint => ({
  size: integerOf(row, "size"),
  root: textOf(row, "root"),
  note: textOf(row, "note"),
  verifierKey: textOf(row, "verifier_key"),
  signedAt: integerOf(row, "signed_at"),
});
