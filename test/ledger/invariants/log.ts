import { GENESIS } from "../../../src/audit/journal.ts";
import { canonicalJson } from "../../../src/platform/canonical-json.ts";
import { digestOf } from "../../../src/platform/digest.ts";
import { holds, number, text, type Row, type Tables } from "./tables.ts";

type Json = { [name: string]: string | number | boolean | null };

/**
 * A ledger's journal, read row by row: gapless, each row chained to the one before, each hash recomputable from the stored text
 * alone, and one intent per admission with one outcome exactly when its operation is over.
 */
export class Log {
  readonly #intents = new Set<string>();
  readonly #outcomes = new Set<string>();
  #last: { readonly sequence: number; readonly hash: string } | null = null;
  #isWhole = true;

  /** The last row that was read, zero before any. */
  get cursor(): number {
    return this.#last?.sequence ?? 0;
  }

  read(rows: readonly Row[]): void {
    for (const row of rows) this.#row(row);
  }

  #row(row: Row): void {
    const { hash, ...unhashed }: Json = JSON.parse(text(row, "record"));
    const sequence = number(row, "sequence");
    const before = this.#last;
    if (before === null) this.#isWhole = sequence === 1;
    else holds(sequence === before.sequence + 1, () => `row ${sequence} follows ${before.sequence}`);
    if (before !== null || sequence === 1)
      holds(unhashed["previous_hash"] === (before?.hash ?? GENESIS), () => `row ${sequence} is chained`);
    holds(unhashed["sequence"] === sequence, () => `row ${sequence} names its own place`);
    const computed = digestOf("portcullis/audit/v1", canonicalJson(unhashed));
    holds(hash === row["hash"] && computed === hash, () => `hash of row ${sequence}`);
    this.#last = { sequence, hash: computed };
    const request = String(unhashed["request_id"]);
    if (unhashed["kind"] === "intent") {
      holds(!this.#intents.has(request), () => `one intent per admission: ${request}`);
      this.#intents.add(request);
    }
    if (unhashed["kind"] === "outcome") {
      holds(!this.#outcomes.has(request), () => `one outcome per intent: ${request}`);
      this.#outcomes.add(request);
    }
  }

  /** Against the operations of the same moment. */
  check(tables: Tables): void {
    let [begun, ended] = [0, 0];
    for (const row of tables.operations) {
      const [id, state] = [text(row, "request_id"), text(row, "state")];
      const isOver = state !== "dispatching" && state !== "unknown";
      begun += 1;
      if (isOver) ended += 1;
      if (this.#isWhole) holds(this.#intents.has(id), () => `${id} has its intent`);
      if (this.#isWhole || !isOver) holds(this.#outcomes.has(id) === isOver, () => `${id} has its outcome`);
    }
    if (!this.#isWhole) return;
    holds(this.#intents.size === begun, () => `${this.#intents.size} intents for ${begun} admissions`);
    holds(this.#outcomes.size === ended, () => `${this.#outcomes.size} outcomes for ${ended} endings`);
  }
}
