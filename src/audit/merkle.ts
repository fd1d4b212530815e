import { hash } from "node:crypto";
import { assert } from "../platform/assert.ts";

/** A SHA-256 hash: 32 bytes. */
export type Hash = Uint8Array;
export const HASH_BYTES = 32;

/** Tiles are eight levels high, as in C2SP tlog-tiles: a proof in ten million leaves needs four of them. */
const TILE_HEIGHT = 8;
export const TILE_WIDTH = 2 ** TILE_HEIGHT;

/**
 * Up to `TILE_WIDTH` neighbouring hashes, one after the other. Tile `index` of `level` begins with hash `index * TILE_WIDTH`
 * of that level; hashes of level 0 are leaves, those of level n+1 the roots of full tiles of level n.
 */
export type Tile = { readonly level: number; readonly index: number; readonly hashes: Uint8Array<ArrayBuffer> };

/** The hashes of a tile, null where there is none. It may hold more than a proof at an earlier size needs. */
export type TileReader = (level: number, index: number) => Uint8Array | null;

const LEAF_PREFIX = 0x00;
const NODE_PREFIX = 0x01;

const sha256 = (bytes: Uint8Array): Hash => new Uint8Array(hash("sha256", bytes, "buffer"));

/** RFC 9162, section 2.1.1: the root of a tree without leaves. */
export const EMPTY_ROOT: Hash = sha256(new Uint8Array(0));

/** RFC 9162, section 2.1.1: SHA-256(0x00 ‖ entry). The prefix keeps a node from passing for a leaf. */
export function leafHash(entry: Uint8Array): Hash {
  const bytes = new Uint8Array(1 + entry.byteLength);
  bytes[0] = LEAF_PREFIX;
  bytes.set(entry, 1);
  return sha256(bytes);
}

/** RFC 9162, section 2.1.1: SHA-256(0x01 ‖ left ‖ right). */
export function nodeHash(left: Hash, right: Hash): Hash {
  const bytes = new Uint8Array(1 + left.byteLength + right.byteLength);
  bytes[0] = NODE_PREFIX;
  bytes.set(left, 1);
  bytes.set(right, 1 + left.byteLength);
  return sha256(bytes);
}

/**
 * The tiles that change when `leaves` follow the first `size`, whole, for one transaction to write. Throws where the stored
 * ones hold another number of leaves: none is ever taken in twice, left out or written over.
 */
export function appendLeaves(read: TileReader, size: number, leaves: readonly Hash[]): readonly Tile[] {
  const changed: Tile[] = [];
  let hashes = leaves;
  for (let level = 0, before = size; hashes.length > 0; level++, before = Math.floor(before / TILE_WIDTH)) {
    const above: Hash[] = [];
    for (let taken = 0; taken < hashes.length;) {
      const index = Math.floor((before + taken) / TILE_WIDTH);
      const used = (before + taken) % TILE_WIDTH;
      const added = hashes.slice(taken, taken + TILE_WIDTH - used);
      const tile = new Uint8Array((used + added.length) * HASH_BYTES);
      const kept = read(level, index);
      assert((kept?.byteLength ?? 0) === used * HASH_BYTES, `tile ${level}/${index} holds ${used} hashes`);
      if (kept !== null) tile.set(kept);
      for (const [place, one] of added.entries()) tile.set(one, (used + place) * HASH_BYTES);
      changed.push({ level, index, hashes: tile });
      if (used + added.length === TILE_WIDTH) above.push(rootOfHashes(tile));
      taken += added.length;
    }
    hashes = above;
  }
  return changed;
}

/** A reader over leaves that are all at hand, for those who check a whole log. */
export function tilesOf(leaves: readonly Hash[]): TileReader {
  const tiles = new Map(
    appendLeaves(() => null, 0, leaves).map(({ level, index, hashes }) => [`${level}/${index}`, hashes]),
  );
  return (level, index) => tiles.get(`${level}/${index}`) ?? null;
}

/** MTH(D[from:to]) of RFC 9162, section 2.1.1. `rangeRoot(read, 0, size)` is the root of the tree of the first `size` leaves. */
export function rangeRoot(read: TileReader, from: number, to: number): Hash {
  assert(Number.isSafeInteger(from) && Number.isSafeInteger(to) && 0 <= from && from <= to, "a range of leaves");
  return rootBetween(rememberingTiles(read), from, to);
}

function rootBetween(read: TileReader, from: number, to: number): Hash {
  const size = to - from;
  if (size === 0) return EMPTY_ROOT;
  const left = leftSize(size);
  const isFull = left * 2 === size || size === 1;
  if (isFull && from % size === 0) return fullSubtree(read, from, size);
  return nodeHash(rootBetween(read, from, from + left), rootBetween(read, from + left, to));
}

/** PATH(index, D_size) of RFC 9162, section 2.1.3.1: from the leaf's sibling upwards. Reads as many tiles as the tree has levels of them. */
export function inclusionProof(read: TileReader, index: number, size: number): readonly Hash[] {
  assert(Number.isSafeInteger(index) && 0 <= index && index < size, "the leaf is in the tree");
  return path(rememberingTiles(read), index, 0, size);
}

function path(read: TileReader, index: number, from: number, to: number): readonly Hash[] {
  if (to - from === 1) return [];
  const middle = from + leftSize(to - from);
  return index < middle
    ? [...path(read, index, from, middle), rootBetween(read, middle, to)]
    : [...path(read, index, middle, to), rootBetween(read, from, middle)];
}

/** PROOF(from, D_to) of RFC 9162, section 2.1.4.1: that the first `from` leaves of the larger tree are those of the smaller. */
export function consistencyProof(read: TileReader, from: number, to: number): readonly Hash[] {
  assert(Number.isSafeInteger(from) && 0 <= from && from <= to, "the smaller tree is not the larger");
  return from === 0 || from === to ? [] : subproof(rememberingTiles(read), from, 0, to, true);
}

/** SUBPROOF(m, D[from:to], known). `known`: the verifier has this subtree's hash already. */
function subproof(read: TileReader, m: number, from: number, to: number, known: boolean): readonly Hash[] {
  if (m === to - from) return known ? [] : [rootBetween(read, from, to)];
  const left = leftSize(to - from);
  const middle = from + left;
  return m <= left
    ? [...subproof(read, m, from, middle, known), rootBetween(read, middle, to)]
    : [...subproof(read, m - left, middle, to, false), rootBetween(read, from, middle)];
}

/** RFC 9162, section 2.1.3.2. False for whatever does not prove that `leaf` is number `index` (from 0) of the `size` under `root`. */
export function verifyInclusion(claim: {
  readonly leaf: Hash;
  readonly index: number;
  readonly size: number;
  readonly root: Hash;
  readonly proof: readonly Hash[];
}): boolean {
  const { leaf, index, size, root, proof } = claim;
  if (!Number.isSafeInteger(index) || !Number.isSafeInteger(size) || index < 0 || index >= size) return false;
  if (leaf.byteLength !== HASH_BYTES || !proof.every(isHash)) return false;
  let fn = index;
  let sn = size - 1;
  let computed = leaf;
  for (const sibling of proof) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      computed = nodeHash(sibling, computed);
      for (; fn !== 0 && !isOdd(fn); fn = half(fn)) sn = half(sn);
    } else {
      computed = nodeHash(computed, sibling);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && equalHashes(computed, root);
}

/**
 * RFC 9162, section 2.1.4.2. False for whatever does not prove that the tree of `from` leaves under `fromRoot` is how the
 * one of `to` under `toRoot` begins. Equal sizes need equal roots, and every tree begins with the empty one; both without proof.
 */
export function verifyConsistency(claim: {
  readonly from: number;
  readonly to: number;
  readonly fromRoot: Hash;
  readonly toRoot: Hash;
  readonly proof: readonly Hash[];
}): boolean {
  const { from, to, fromRoot, toRoot, proof } = claim;
  if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to) || from < 0 || from > to) return false;
  if (!proof.every(isHash)) return false;
  if (from === 0) return proof.length === 0 && equalHashes(fromRoot, EMPTY_ROOT);
  if (from === to) return proof.length === 0 && equalHashes(fromRoot, toRoot);
  // A full smaller tree is itself the first node of the proof.
  const [first, ...rest] = leftSize(from) * 2 === from || from === 1 ? [fromRoot, ...proof] : proof;
  if (proof.length === 0 || first === undefined) return false;
  let fn = from - 1;
  let sn = to - 1;
  for (; isOdd(fn); fn = half(fn)) sn = half(sn);
  let smaller = first;
  let larger = first;
  for (const node of rest) {
    if (sn === 0) return false;
    if (isOdd(fn) || fn === sn) {
      smaller = nodeHash(node, smaller);
      larger = nodeHash(node, larger);
      for (; fn !== 0 && !isOdd(fn); fn = half(fn)) sn = half(sn);
    } else {
      larger = nodeHash(larger, node);
    }
    fn = half(fn);
    sn = half(sn);
  }
  return sn === 0 && equalHashes(smaller, fromRoot) && equalHashes(larger, toRoot);
}

/** The largest power of two below `size`, 1 for 1: where RFC 9162 splits a tree. */
function leftSize(size: number): number {
  let left = 1;
  while (left * 2 < size) left *= 2;
  return left;
}

/** The root of `size` leaves from `from` on, both as powers of two align: a tile's own hash, or a few of one tile together. */
function fullSubtree(read: TileReader, from: number, size: number): Hash {
  let level = 0;
  let perHash = 1;
  for (; perHash * TILE_WIDTH <= size; perHash *= TILE_WIDTH) level += 1;
  const first = from / perHash;
  const index = Math.floor(first / TILE_WIDTH);
  const begin = (first % TILE_WIDTH) * HASH_BYTES;
  const end = begin + (size / perHash) * HASH_BYTES;
  const tile = read(level, index);
  assert(tile !== null && tile.byteLength >= end, `tile ${level}/${index} holds the hashes asked for`);
  return rootOfHashes(tile.subarray(begin, end));
}

/** The root over a power of two of neighbouring hashes. */
function rootOfHashes(hashes: Uint8Array): Hash {
  let row = Array.from({ length: hashes.byteLength / HASH_BYTES }, (_, at) =>
    hashes.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES),
  );
  while (row.length > 1) {
    row = row.flatMap((left, at) => {
      const right = at % 2 === 0 ? row[at + 1] : undefined;
      return right === undefined ? [] : [nodeHash(left, right)];
    });
  }
  return new Uint8Array(row[0] ?? EMPTY_ROOT);
}

function rememberingTiles(read: TileReader): TileReader {
  const seen = new Map<string, Uint8Array | null>();
  return (level, index) => {
    const key = `${level}/${index}`;
    const known = seen.get(key);
    if (known !== undefined) return known;
    const tile = read(level, index);
    seen.set(key, tile);
    return tile;
  };
}

/** Bit operators would cut numbers to 32 bits. */
const half = (value: number): number => Math.floor(value / 2);
const isOdd = (value: number): boolean => value % 2 === 1;

const isHash = (bytes: Uint8Array): boolean => bytes.byteLength === HASH_BYTES;

/** Whether two hashes are the same. Both are public: no constant time. */
export const equalHashes = (left: Hash, right: Hash): boolean =>
  left.byteLength === right.byteLength && left.every((byte, at) => byte === right[at]);
