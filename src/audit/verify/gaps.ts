/** Records that a log lacks so far, between two that are there; the hashes on both sides, null where nobody says. */
export type Gap = {
  readonly first: number;
  readonly last: number;
  readonly hashBefore: string | null;
  readonly previousHashAfter: string | null;
};

/** Gaps that are remembered: enough for any shuffled page, a few hundred kilobytes. The oldest ones are given up beyond it. */
const GAPS_MAX = 4_096;

/** What is missing from a log while it is read: a record that comes late is out of order, not new. Ascending. */
export class Gaps {
  readonly #gaps: Gap[] = [];

  /** Remembers a gap; returns one that has to be forgotten for it, to be reported as what it is. */
  open(gap: Gap): Gap | null {
    const at = this.#gaps.findIndex(({ first }) => first > gap.first);
    this.#gaps.splice(at === -1 ? this.#gaps.length : at, 0, gap);
    return this.#gaps.length > GAPS_MAX ? (this.#gaps.shift() ?? null) : null;
  }

  /** Takes one record out of the gap that lacks it, which leaves up to two smaller ones; null where none does. */
  fill(record: { readonly sequence: number; readonly previousHash: string | null; readonly hash: string }): Gap | null {
    const { sequence } = record;
    const at = this.#gaps.findIndex(({ first, last }) => first <= sequence && sequence <= last);
    const gap = this.#gaps[at];
    if (gap === undefined) return null;
    const left = { ...gap, last: sequence - 1, previousHashAfter: record.previousHash };
    const right = { ...gap, first: sequence + 1, hashBefore: record.hash };
    this.#gaps.splice(at, 1, ...[left, right].filter(({ first, last }) => first <= last));
    return gap;
  }

  /** All that is still missing. */
  rest(): readonly Gap[] {
    return this.#gaps;
  }
}
