import { readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { fromBase64 } from "../../src/platform/base64.ts";
import { verifyConsistency, verifyInclusion } from "../../src/audit/merkle.ts";
import { corpus, textOfFile } from "./corpus.ts";

type Judged = { readonly proof: readonly string[] | null; readonly wantErr: boolean };

/** Proofs of github.com/transparency-dev/merkle, good ones and what was made of them. */
type Inclusion = Judged & {
  readonly leafIdx: number;
  readonly treeSize?: number;
  readonly start?: number;
  readonly end?: number;
  readonly root: string;
  readonly leafHash: string;
};
type Consistency = Judged & {
  readonly start: number;
  readonly end: number;
  readonly size: number;
  readonly root1: string;
  readonly root2: string;
};

const bytes = (base64: string): Uint8Array => fromBase64(base64) ?? new Uint8Array(0);

const filesOf = (kind: string): readonly string[] =>
  readdirSync(corpus(`merkle/testdata/${kind}`), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".json"))
    .toSorted()
    .map((name) => join(kind, name));
const textOf = (name: string): string => textOfFile("merkle/testdata", name);
const inclusionOf = (name: string): readonly [string, Inclusion] => [name, JSON.parse(textOf(name))];
const consistencyOf = (name: string): readonly [string, Consistency] => [name, JSON.parse(textOf(name))];

const inclusion = filesOf("inclusion").map(inclusionOf);
/** A proof within a subtree is one within a tree of the subtree's size. */
const subtreeInclusion = filesOf("subtreeinclusion").map(inclusionOf);
/** Proofs for subtrees that do not begin with the first leaf are another document's; of RFC 9162 are those that do. */
const consistency = filesOf("subtreeconsistency")
  .map(consistencyOf)
  .filter(([, { start }]) => start === 0);

test("the corpus is there", () => {
  expect(inclusion.length).toBeGreaterThanOrEqual(90);
  expect(subtreeInclusion.length).toBeGreaterThanOrEqual(200);
  expect(consistency.length).toBeGreaterThanOrEqual(16);
  for (const table of [inclusion, subtreeInclusion, consistency])
    expect(new Set(table.map(([, { wantErr }]) => wantErr))).toEqual(new Set([true, false]));
});

describe("exactly the good inclusion proofs hold", () => {
  test.each([...inclusion, ...subtreeInclusion])("%s", (_, vector) => {
    const { leafIdx, treeSize, start = 0, end = treeSize ?? 0, proof, wantErr } = vector;
    const claim = { leaf: bytes(vector.leafHash), root: bytes(vector.root), proof: (proof ?? []).map(bytes) };
    expect(verifyInclusion({ ...claim, index: leafIdx - start, size: end - start })).toBe(!wantErr);
  });
});

describe("exactly the good consistency proofs hold", () => {
  test.each(consistency)("%s", (_, { end, size, root1, root2, proof, wantErr }) => {
    const claim = { fromRoot: bytes(root1), toRoot: bytes(root2), proof: (proof ?? []).map(bytes) };
    expect(verifyConsistency({ ...claim, from: end, to: size })).toBe(!wantErr);
  });
});
