import { EMPTY_ROOT, equalHashes, type Hash } from "../merkle.ts";
import type { CompactRange } from "./compact-range.ts";
import type { Findings } from "./findings.ts";

/**
 * What a log was when it had `size` records, by something outside the records: a checkpoint knows the root of their tree, an
 * earlier export the hash of the last one.
 */
export type Anchor = {
  /** Where it is from: a file's name, `manifest`. */
  readonly source: string;
  readonly log: string;
  readonly size: number;
  readonly root: Hash | null;
  readonly hash: string | null;
  readonly kind: "checkpoint" | "export" | "mark";
  /** `manifest`: the export brings it itself, signed when it was made; whoever could change the export could take another. */
  readonly from: "manifest" | "outside";
};

/**
 * `holds`: the records are those that it speaks of. `differs`: they are not. `beyond`: it speaks of more than are there.
 * `not-covered`: an export that begins or ends inside the log does not have what it takes.
 */
export type Verdict = "holds" | "differs" | "beyond" | "not-covered";

/** The anchors of one log, met by the records as they come. */
export class Anchors {
  readonly #anchors: readonly Anchor[];
  readonly #verdicts = new Map<Anchor, Verdict>();
  #next = 0;

  constructor(anchors: readonly Anchor[]) {
    this.#anchors = anchors.toSorted((a, b) => a.size - b.size);
    for (const anchor of this.#anchors) {
      if (anchor.size > 0) break;
      this.#verdicts.set(anchor, anchor.root === null || equalHashes(anchor.root, EMPTY_ROOT) ? "holds" : "differs");
      this.#next += 1;
    }
  }

  /** Sizes, ascending. */
  get sizes(): readonly number[] {
    return this.#anchors.map(({ size }) => size);
  }

  /** The record with this sequence has come, after all before it. `tree`: over all of them, null where it is not known. */
  pass(sequence: number, hash: string, tree: CompactRange | null): void {
    for (let anchor = this.#anchors[this.#next]; anchor !== undefined && anchor.size <= sequence;) {
      if (anchor.size === sequence) {
        const verdict = meets(anchor, hash, tree);
        if (verdict !== null) this.#verdicts.set(anchor, verdict ? "holds" : "differs");
      }
      this.#next += 1;
      anchor = this.#anchors[this.#next];
    }
  }

  /**
   * Names what follows from the anchors once all records have come. A log that fits itself and not an anchor was made anew
   * (`forked`), somewhere after the last anchor that it does fit; one that is shorter, and does not say that it was cut, went
   * back (`rewound`). Where something is wrong with the records themselves, that is why, and has been named.
   */
  conclude(findings: Findings, read: Extent): readonly (readonly [Anchor, Verdict])[] {
    const verdicts = this.#anchors.map((anchor) => [anchor, this.#verdictOf(anchor, read)] as const);
    let agreed = read.first - 1;
    let isForked = false;
    for (const [anchor, verdict] of verdicts) {
      if (verdict === "holds") [agreed, isForked] = [anchor.size, false];
      if (verdict !== "differs" || isForked || findings.touches(agreed, anchor.size)) continue;
      const from = Math.min(agreed + 1, anchor.size);
      findings.add("forked", from, anchor.size, null, `another history than ${anchor.source} was made of`);
      isForked = true;
    }
    // The export's own checkpoint may be a moment younger than its last record.
    const longest = verdicts.findLast(([{ from }, verdict]) => verdict === "beyond" && from === "outside")?.[0];
    if (longest !== undefined && !findings.touches(read.last, longest.size))
      findings.add("rewound", read.last + 1, longest.size, null, `${longest.source} has more records`);
    this.#contradictions(findings, verdicts);
    return verdicts;
  }

  #verdictOf(anchor: Anchor, { first, last, fromStart, isBounded }: Extent): Verdict {
    const known = this.#verdicts.get(anchor);
    if (known !== undefined) return known;
    if (anchor.size > last) return isBounded ? "not-covered" : "beyond";
    if (anchor.size < first) return "not-covered";
    // Only a record that is missing or out of its place keeps the tree of a whole log from being known, and a hash from being met.
    return fromStart || anchor.hash !== null ? "differs" : "not-covered";
  }

  /** Two roots of one size, both signed: whatever the records are, the log has told two stories. */
  #contradictions(findings: Findings, verdicts: readonly (readonly [Anchor, Verdict])[]): void {
    for (const [index, [anchor, verdict]] of verdicts.entries()) {
      const [before, itsVerdict] = verdicts[index - 1] ?? [null, null];
      if (before === null || before.size !== anchor.size || before.root === null || anchor.root === null) continue;
      const isJudged = [verdict, itsVerdict].some((one) => one === "holds" || one === "differs");
      if (isJudged || equalHashes(before.root, anchor.root)) continue;
      findings.add(
        "forked",
        anchor.size,
        anchor.size,
        null,
        `${before.source} and ${anchor.source} contradict each other`,
      );
    }
  }
}

/** What an export has of a log. `isBounded`: it says itself that it ends at a time, so there may be more. */
export type Extent = {
  readonly first: number;
  readonly last: number;
  readonly fromStart: boolean;
  readonly isBounded: boolean;
};

/** Null where it cannot be told. */
function meets(anchor: Anchor, hash: string, tree: CompactRange | null): boolean | null {
  if (anchor.hash !== null && anchor.hash !== hash) return false;
  if (anchor.root === null) return true;
  return tree === null ? null : equalHashes(anchor.root, tree.root());
}
