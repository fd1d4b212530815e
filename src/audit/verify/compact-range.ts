import { EMPTY_ROOT, nodeHash, type Hash } from "../merkle.ts";

/**
 * A tree that only grows, kept as the roots of its full subtrees: what the root of any number of leaves needs, in as many
 * hashes as that number has binary digits (RFC 9162, section 2.1.1). Nothing can be proved from it; `merkle.ts` keeps all.
 */
export class CompactRange {
  /** Root of the full subtree of 2^n leaves at place n, null where the size has no such digit. */
  readonly #subtrees: (Hash | null)[];
  #size: number;

  constructor(from?: CompactRange) {
    this.#subtrees = from === undefined ? [] : [...from.#subtrees];
    this.#size = from === undefined ? 0 : from.#size;
  }

  /** Leaves so far. */
  get size(): number {
    return this.#size;
  }

  /** Adds the next leaf. */
  append(leaf: Hash): void {
    let carried = leaf;
    let level = 0;
    for (let left = this.#subtrees[level] ?? null; left !== null; left = this.#subtrees[level] ?? null) {
      carried = nodeHash(left, carried);
      this.#subtrees[level] = null;
      level += 1;
    }
    this.#subtrees[level] = carried;
    this.#size += 1;
  }

  /** The root over all leaves so far. */
  root(): Hash {
    let root: Hash | null = null;
    for (const subtree of this.#subtrees) {
      if (subtree !== null) root = root === null ? subtree : nodeHash(subtree, root);
    }
    return root ?? EMPTY_ROOT;
  }
}
