import { DatabaseSync, type SQLInputValue } from "node:sqlite";

/**
 * As much of a D1 database as drizzle's select needs, over SQLite in this process: what is measured is SQLite's own work, without the
 * way there and back.
 */
export function sqliteD1(database: DatabaseSync): D1Database {
  const prepare = (text: string) => ({
    bind: (...values: readonly unknown[]) => {
      const statement = database.prepare(text);
      return {
        raw: async () => {
          statement.setReturnArrays(true);
          return statement.all(...inputs(values));
        },
        all: async () => ({ results: statement.all(...inputs(values)), success: true, meta: {} }),
      };
    },
  });
  // The two calls above are all that is used.
  return { prepare };
}

const inputs = (values: readonly unknown[]): SQLInputValue[] =>
  values.map((value) => {
    if (typeof value === "string" || typeof value === "number" || value === null) return value;
    throw new Error(`no parameter of a select: ${typeof value}`);
  });
