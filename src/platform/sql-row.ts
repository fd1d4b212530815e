import { assert } from "./assert.ts";

/** A row as Durable Object SQLite returns it. */
export type SqlRow = Record<string, SqlStorageValue>;

/** A TEXT column. The schema says NOT NULL: anything else is a bug. */
export function textOf(row: SqlRow, column: string): string {
  const value = row[column];
  assert(typeof value === "string", `column ${column} is text`);
  return value;
}

/** An INTEGER column, exact below 2^53. */
export function integerOf(row: SqlRow, column: string): number {
  const value = row[column];
  assert(typeof value === "number" && Number.isSafeInteger(value), `column ${column} is an integer`);
  return value;
}

/** A nullable TEXT column. */
export const textOrNull = (row: SqlRow, column: string): string | null =>
  row[column] === null ? null : textOf(row, column);

/** A nullable INTEGER column. */
export const integerOrNull = (row: SqlRow, column: string): number | null =>
  row[column] === null ? null : integerOf(row, column);
