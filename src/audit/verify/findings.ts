/** What can be wrong with a log, as the one who did it would call it. */
export const WRONGS = ["edited", "deleted", "reordered", "truncated", "inserted", "forked", "rewound"] as const;
export type Wrong = (typeof WRONGS)[number];

/** One thing that is wrong. Neighbouring records with the same fault are one finding, from `first` to `last`. */
export type Finding = {
  readonly log: string;
  readonly what: Wrong;
  /** Sequences, null where the place has none: a line that is no record, the manifest. */
  readonly first: number | null;
  readonly last: number | null;
  /** Line of the file where it shows first, from 1; null where it shows by what is not there. */
  readonly line: number | null;
  readonly why: string;
};

/** Findings of one log that are listed; the rest is counted. A log that was rewritten whole would fill any screen. */
export const FINDINGS_LISTED = 100;

type Growing = {
  log: string;
  what: Wrong;
  first: number | null;
  last: number | null;
  line: number | null;
  why: string;
};

/** The findings of one log, and which of its stretches between checkpoints they are in. */
export class Findings {
  readonly #log: string;
  readonly #bounds: readonly number[];
  readonly #listed: Growing[] = [];
  readonly #latest = new Map<string, Growing>();
  readonly #touched = new Set<number>();
  #count = 0;

  /** `bounds`: sizes at which something outside the export says what the log was, ascending. */
  constructor(log: string, bounds: readonly number[]) {
    this.#log = log;
    this.#bounds = bounds;
  }

  get listed(): readonly Finding[] {
    return this.#listed;
  }

  /** All of them, those that are not listed too. */
  get count(): number {
    return this.#count;
  }

  /** Names what is wrong with the records `first` to `last`; joins it to a finding of the same kind that it continues. */
  add(what: Wrong, first: number | null, last: number | null, line: number | null, why: string): void {
    if (first !== null && last !== null) this.#touch(first, last);
    const key = `${what}\n${why}`;
    const before = this.#latest.get(key);
    if (before !== undefined && continues(before, first, last)) return;
    const finding = { log: this.#log, what, first, last, line, why };
    this.#latest.set(key, finding);
    this.#count += 1;
    if (this.#listed.length < FINDINGS_LISTED) this.#listed.push(finding);
  }

  /** Whether something is wrong with any record after `after` up to `to`, both bounds. */
  touches(after: number, to: number): boolean {
    for (let stretch = this.#stretchOf(after + 1); stretch <= this.#stretchOf(to); stretch++) {
      if (this.#touched.has(stretch)) return true;
    }
    return false;
  }

  #touch(first: number, last: number): void {
    for (let stretch = this.#stretchOf(first); stretch <= this.#stretchOf(last); stretch++) this.#touched.add(stretch);
  }

  /** How many bounds lie before this sequence. */
  #stretchOf(sequence: number): number {
    let [low, high] = [0, this.#bounds.length];
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      if ((this.#bounds[middle] ?? 0) < sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Widens `before` by what follows or precedes it, or is part of it. */
function continues(before: Growing, first: number | null, last: number | null): boolean {
  if (before.first === null || before.last === null || first === null || last === null) return false;
  if (first > before.last + 1 || last < before.first - 1) return false;
  before.first = Math.min(before.first, first);
  before.last = Math.max(before.last, last);
  return true;
}
