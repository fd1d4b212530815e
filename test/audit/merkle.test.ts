import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  appendLeaves,
  consistencyProof,
  EMPTY_ROOT,
  HASH_BYTES,
  inclusionProof,
  leafHash,
  nodeHash,
  rangeRoot,
  TILE_WIDTH,
  tilesOf,
  verifyConsistency,
  verifyInclusion,
  type Hash,
  type TileReader,
} from "../../src/audit/merkle.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytes = (text: string): Uint8Array => Buffer.from(text, "hex");

/** The tree that implementations of RFC 6962 have in common since its first one: eight entries, and the root of each prefix. */
const ENTRIES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const ROOTS = [
  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
  "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
  "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
  "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
  "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
  "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
  "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
  "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
  "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

const MOST = 600;
const LEAVES = Array.from({ length: MOST }, (_, index) => leafHash(Buffer.from(`entry ${index}`)));
const READ = tilesOf(LEAVES);

/** The definition of RFC 9162, section 2.1.1, with nothing stored and its own SHA-256. */
function rootByDefinition(leaves: readonly Hash[]): string {
  const [only] = leaves;
  if (only === undefined) return createHash("sha256").digest("hex");
  if (leaves.length === 1) return hex(only);
  let k = 1;
  while (k * 2 < leaves.length) k *= 2;
  return createHash("sha256")
    .update(bytes(`01${rootByDefinition(leaves.slice(0, k))}${rootByDefinition(leaves.slice(k))}`))
    .digest("hex");
}

/** Tiles that grow as a log's do: in batches, each written over the one before. */
function grown(batches: readonly number[]): { readonly read: TileReader; readonly size: number } {
  const tiles = new Map<string, Uint8Array>();
  const read: TileReader = (level, index) => tiles.get(`${level}/${index}`) ?? null;
  let size = 0;
  for (const batch of batches) {
    for (const tile of appendLeaves(read, size, LEAVES.slice(size, size + batch)))
      tiles.set(`${tile.level}/${tile.index}`, tile.hashes);
    size = Math.min(MOST, size + batch);
  }
  return { read, size };
}

const sizes = fc.integer({ min: 1, max: MOST });

describe("the tree", () => {
  it.each(ROOTS.map((root, size) => [size, root] as const))("of %i known entries has the known root", (size, root) => {
    const read = tilesOf(ENTRIES.slice(0, size).map((entry) => leafHash(bytes(entry))));
    expect(hex(rangeRoot(read, 0, size))).toBe(root);
  });

  it("tells leaves from nodes, and the empty tree from both", () => {
    const [left, right] = [leafHash(bytes("00")), leafHash(bytes("10"))];
    expect(hex(leafHash(Buffer.concat([left, right])))).not.toBe(hex(nodeHash(left, right)));
    expect(hex(leafHash(new Uint8Array(0)))).not.toBe(hex(EMPTY_ROOT));
  });

  it("has the root that its definition gives, for every range", () => {
    fc.assert(
      fc.property(fc.nat(MOST), fc.nat(MOST), (a, b) => {
        const [from, to] = [Math.min(a, b), Math.max(a, b)];
        expect(hex(rangeRoot(READ, from, to))).toBe(rootByDefinition(LEAVES.slice(from, to)));
      }),
      { numRuns: 60 },
    );
  });

  it("is the same in whatever batches it grew", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 12 }), (batches) => {
        const { read, size } = grown(batches);
        expect(hex(rangeRoot(read, 0, size))).toBe(hex(rangeRoot(READ, 0, size)));
      }),
    );
  });

  it("changes one tile per batch, and one more where a tile fills up", () => {
    const { read } = grown([10]);
    expect(appendLeaves(read, 10, LEAVES.slice(10, 210)).map(({ level, index }) => [level, index])).toEqual([[0, 0]]);
    const across = appendLeaves(read, 10, LEAVES.slice(10, 10 + TILE_WIDTH));
    expect(across.map(({ level, index, hashes }) => [level, index, hashes.byteLength / HASH_BYTES])).toEqual([
      [0, 0, TILE_WIDTH],
      [0, 1, 10],
      [1, 0, 1],
    ]);
    expect(appendLeaves(read, 10, [])).toEqual([]);
  });

  it("does not grow on tiles that hold another number of leaves: no leaf twice, none left out", () => {
    const { read } = grown([10]);
    for (const size of [9, 11, 0])
      expect(() => appendLeaves(read, size, LEAVES.slice(10, 12)), String(size)).toThrow("tile 0/0");
  });

  it("is asked for few tiles by a proof: those on the way to the leaf and those at the edge", () => {
    const many = 70_000;
    const read = tilesOf(Array.from({ length: many }, (_, index) => leafHash(Buffer.from(String(index)))));
    let asked = 0;
    const counting: TileReader = (level, index) => {
      asked += 1;
      return read(level, index);
    };
    const proof = inclusionProof(counting, 12_345, many);
    expect(asked).toBeLessThanOrEqual(2 * 3);
    const claim = { leaf: leafHash(Buffer.from("12345")), index: 12_345, size: many, root: rangeRoot(read, 0, many) };
    expect(verifyInclusion({ ...claim, proof })).toBe(true);
    asked = 0;
    consistencyProof(counting, 65_535, many);
    expect(asked).toBeLessThanOrEqual(2 * 3);
  });
});

describe("an inclusion proof", () => {
  const claims = fc.tuple(sizes, fc.nat(MOST)).map(([size, place]) => {
    const index = place % size;
    const leaf = LEAVES[index] ?? EMPTY_ROOT;
    return { leaf, index, size, root: rangeRoot(READ, 0, size), proof: inclusionProof(READ, index, size) };
  });

  it("holds for every leaf of every tree", () => {
    fc.assert(
      fc.property(claims, (claim) => {
        expect(verifyInclusion(claim)).toBe(true);
        expect(claim.proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(claim.size)));
      }),
      { numRuns: 300 },
    );
    for (let index = 0; index < 64; index++) {
      const proof = inclusionProof(READ, index, 64);
      const leaf = LEAVES[index] ?? EMPTY_ROOT;
      expect(verifyInclusion({ leaf, index, size: 64, root: rangeRoot(READ, 0, 64), proof })).toBe(true);
    }
  });

  it("holds for nothing else: another leaf, place, size, root, or another proof", () => {
    fc.assert(
      fc.property(claims, fc.nat(), fc.integer({ min: 0, max: 255 }), (claim, at, bit) => {
        const { index, size, proof } = claim;
        const flip = (hash: Uint8Array): Uint8Array =>
          hash.map((byte, place) => (place === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte));
        const forged = [
          { ...claim, leaf: flip(claim.leaf) },
          { ...claim, root: flip(claim.root) },
          { ...claim, index: (index + 1) % size, leaf: claim.leaf },
          { ...claim, index: -1 },
          { ...claim, index: size },
          { ...claim, index: index + 0.5 },
          { ...claim, proof: [...proof, claim.root] },
          { ...claim, proof: [claim.root, ...proof] },
          { ...claim, proof: proof.slice(1) },
          { ...claim, proof: proof.map((hash, place) => (place === at % proof.length ? flip(hash) : hash)) },
          { ...claim, proof: proof.map((hash, place) => (place === 0 ? hash.subarray(1) : hash)) },
        ];
        // In a tree of one leaf there is no other place, and no proof to change.
        const meant = forged.filter((one, place) => size > 1 || ![2, 8, 9, 10].includes(place));
        for (const one of meant) expect(verifyInclusion(one)).toBe(false);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a consistency proof", () => {
  const claims = fc.tuple(sizes, sizes).map(([a, b]) => {
    const [from, to] = [Math.min(a, b), Math.max(a, b)];
    const [fromRoot, toRoot] = [rangeRoot(READ, 0, from), rangeRoot(READ, 0, to)];
    return { from, to, fromRoot, toRoot, proof: consistencyProof(READ, from, to) };
  });

  it("holds between any two sizes of one tree", () => {
    fc.assert(
      fc.property(claims, (claim) => {
        expect(verifyConsistency(claim)).toBe(true);
      }),
      { numRuns: 300 },
    );
    for (let to = 1; to <= 40; to++) {
      for (let from = 0; from <= to; from++) {
        const [fromRoot, toRoot] = [rangeRoot(READ, 0, from), rangeRoot(READ, 0, to)];
        expect(verifyConsistency({ from, to, fromRoot, toRoot, proof: consistencyProof(READ, from, to) })).toBe(true);
      }
    }
  });

  it("holds for no tree in which an earlier leaf is another", () => {
    fc.assert(
      fc.property(claims, fc.nat(), ({ from, to, fromRoot }, at) => {
        const place = at % from;
        const fork = tilesOf(LEAVES.slice(0, to).map((leaf, index) => (index === place ? EMPTY_ROOT : leaf)));
        const forged = { from, to, fromRoot, toRoot: rangeRoot(fork, 0, to), proof: consistencyProof(fork, from, to) };
        expect(verifyConsistency(forged)).toBe(false);
        expect(verifyConsistency({ ...forged, proof: consistencyProof(READ, from, to) })).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  it("holds for nothing that was added to, left out or cut", () => {
    fc.assert(
      fc.property(
        claims.filter(({ from, to }) => from < to),
        (claim) => {
          const { proof, toRoot } = claim;
          for (const other of [[...proof, toRoot], [toRoot, ...proof], proof.slice(1), proof.slice(0, -1), []])
            expect(verifyConsistency({ ...claim, proof: other })).toBe(false);
          expect(verifyConsistency({ ...claim, proof: proof.map((hash) => hash.subarray(1)) })).toBe(false);
          expect(verifyConsistency({ ...claim, from: claim.to, to: claim.from })).toBe(false);
        },
      ),
      { numRuns: 100 },
    );
  });
});
