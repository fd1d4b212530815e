import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";

/** A script of several statements, which a prepared one cannot be. */
const SEVERAL = /;\s*\S/;

type Value = string | number | null;
type Prepared = { readonly statement: StatementSync; readonly columns: readonly string[] };

/**
 * What the ledger's pages need of a Durable Object's storage, on a SQLite of this process in memory: statements run when they
 * are given, integers are numbers, and `transactionSync` is all or nothing.
 */
export function sqliteStorage(): DurableObjectStorage {
  const database = new DatabaseSync(":memory:");
  const known = new Map<string, Prepared>();
  const prepared = (query: string): Prepared => {
    const found = known.get(query);
    if (found !== undefined) return found;
    const statement = database.prepare(query);
    // Rows as objects cost six times as much.
    statement.setReturnArrays(true);
    const made = { statement, columns: statement.columns().map(({ name }) => name) };
    known.set(query, made);
    return made;
  };
  const exec = (query: string, ...bindings: readonly SQLInputValue[]): Rows => {
    if (bindings.length === 0 && !known.has(query) && SEVERAL.test(query)) {
      database.exec(query);
      return new Rows([], []);
    }
    const { statement, columns } = prepared(query);
    const rows: unknown = statement.all(...bindings);
    // `setReturnArrays` above, which the types do not know; the schema has no blobs.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    return new Rows(columns, rows as readonly (readonly Value[])[]);
  };
  const transactionSync = <T>(work: () => T): T => {
    database.exec("BEGIN");
    try {
      const result = work();
      database.exec("COMMIT");
      return result;
    } catch (error) {
      database.exec("ROLLBACK");
      throw error;
    }
  };
  // The one place where this stands in for the platform's own: the pages use nothing else of it.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { sql: { exec }, transactionSync } as unknown as DurableObjectStorage;
}

class Rows {
  readonly #columns: readonly string[];
  readonly #rows: readonly (readonly Value[])[];

  constructor(columns: readonly string[], rows: readonly (readonly Value[])[]) {
    this.#columns = columns;
    this.#rows = rows;
  }

  toArray(): readonly Record<string, Value>[] {
    return this.#rows.map((row) => {
      const named: Record<string, Value> = {};
      for (let at = 0; at < this.#columns.length; at++) named[this.#columns[at] ?? ""] = row[at] ?? null;
      return named;
    });
  }

  [Symbol.iterator](): Iterator<Record<string, Value>> {
    return this.toArray()[Symbol.iterator]();
  }

  one(): Record<string, Value> {
    const [only, ...more] = this.toArray();
    if (only === undefined || more.length > 0) throw new Error(`one row was expected, not ${this.#rows.length}`);
    return only;
  }
}
