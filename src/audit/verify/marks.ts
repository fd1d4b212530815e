/** The hash that a log had at one record. */
export type Mark = { readonly sequence: number; readonly hash: string };

/** All records of a log of so many, every second, fourth, … of a longer one. */
const MARKS_MAX = 1_024;

/** Hashes of some of a log's records, evenly apart: where another history of it begins shows between two of them. */
export class Marks {
  #kept: readonly Mark[] = [];
  #recent: Mark[] = [];
  #stride = 1;

  get kept(): readonly Mark[] {
    return [...this.#kept, ...this.#recent];
  }

  add(sequence: number, hash: string): void {
    if (sequence % this.#stride !== 0) return;
    this.#recent.push({ sequence, hash });
    if (this.#kept.length + this.#recent.length < MARKS_MAX) return;
    this.#stride *= 2;
    this.#kept = this.kept.filter((mark) => mark.sequence % this.#stride === 0);
    this.#recent = [];
  }
}
