import { Book } from "./book.ts";
import { Log } from "./log.ts";
import { checkChanges, checkMoney, checkUsage, type Caps } from "./money.ts";
import { checkApprovals, checkJobs, checkOperations, checkStandingUses } from "./operations.ts";
import type { Cursor, Tables } from "./tables.ts";

/**
 * What must hold in a ledger between any two of its transactions, checked against its tables as they are. The book and the
 * journal only grow: of them each check reads what is new. Shares no code with what it checks but the hash function.
 */
export class CheckedBooks {
  readonly #book = new Book();
  readonly #log = new Log();

  /** How far they have been read. */
  get cursor(): Cursor {
    return { journal: this.#log.cursor, entries: this.#book.cursor };
  }

  check(tables: Tables, caps: Caps): void {
    this.#book.read(tables.entries);
    this.#log.read(tables.journal);
    checkMoney(tables, this.#book, caps);
    checkUsage(tables);
    checkChanges(tables);
    checkOperations(tables);
    checkApprovals(tables);
    checkStandingUses(tables);
    checkJobs(tables);
    this.#log.check(tables);
  }
}
