import { digestOf } from "../../platform/digest.ts";
import { toBase64 } from "../../platform/base64.ts";
import type { PlacedRecord } from "./line.ts";

/** Stated once more: a verifier follows the format, not the writer. */
const REMAINS_DOMAIN = "portcullis/audit-deleted/v1";
const BEFORE_ANY = `sha256:${"0".repeat(64)}`;

/**
 * What retention has left of a log's beginning: from the first record on, up to the last that has no text. A digest over all
 * that is left of them goes along, because their hashes are named by no text any more.
 */
export class DeletedPrefix {
  /** Records without text that were seen here. */
  count = 0;
  #last = 0;
  #digest: string | null = BEFORE_ANY;
  #isOver = false;

  constructor(from?: DeletedPrefix) {
    if (from === undefined) return;
    this.#last = from.#last;
    this.#digest = from.#digest;
    this.#isOver = from.#isOver;
  }

  /** The last record without text; 0 for none. */
  get last(): number {
    return this.#last;
  }

  /** Over what is left of the records from the first to `last`; null where not all of them were seen, in order. */
  get digest(): string | null {
    return this.#digest;
  }

  /** Takes the next record; false where it has no text and comes after one that has: retention takes a log from its beginning on. */
  take({ sequence, hash, leaf, isDeleted }: PlacedRecord): boolean {
    if (!isDeleted) {
      this.#isOver = true;
      return true;
    }
    this.count += 1;
    if (this.#isOver) return false;
    const isNext = sequence === this.#last + 1 && this.#digest !== null;
    this.#digest = isNext ? digestOf(REMAINS_DOMAIN, `${this.#digest}\n${sequence} ${hash} ${toBase64(leaf)}`) : null;
    this.#last = Math.max(this.#last, sequence);
    return true;
  }
}
