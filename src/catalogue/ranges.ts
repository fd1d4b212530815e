import { parsePointer } from "../platform/json-pointer.ts";
import type { ValueSchema } from "./body-schema.ts";
import type { Constraints } from "./constraints.ts";
import { constraintTarget } from "./constraints.ts";
import type { CatalogueDocument, RouteDocument } from "./document-schema.ts";
import type { Expression } from "./expression-schema.ts";
import { yieldsText } from "./quantities.ts";

/**
 * What values an expression can have at all, as far as the document alone says it: never narrower than the truth. `words`: every text
 * that it can be; null: not known. A range without values has `least` above `most` and no words.
 */
export type Range = { readonly least: number; readonly most: number; readonly words: ReadonlySet<string> | null };

/** What the ranges of one route rest on. */
export type RangeScope = {
  readonly body: RouteDocument["body"];
  readonly tables: CatalogueDocument["tables"];
  readonly facts: ReadonlyMap<string, Range>;
};

/** Not known. */
export const ANYTHING: Range = { least: -Infinity, most: Infinity, words: null };
const NOTHING: Range = { least: Infinity, most: -Infinity, words: new Set() };
/** Amounts are never negative. */
const AMOUNT: Range = { least: 0, most: Infinity, words: new Set() };

const numbers = (least: number, most: number): Range => ({ least, most, words: new Set() });
const texts = (words: Iterable<string>): Range => ({ ...NOTHING, words: new Set(words) });

/** Whether no value is left. */
export const isEmpty = ({ least, most, words }: Range): boolean => least > most && words?.size === 0;

/** What an expression can be. */
export function rangeOf(expression: Expression, scope: RangeScope): Range {
  if (typeof expression === "number") return numbers(expression, expression);
  if (typeof expression === "string") return texts([expression]);
  if (typeof expression === "boolean") return ANYTHING;
  const of = (inner: Expression): Range => rangeOf(inner, scope);
  if ("body" in expression) return bodyRange(scope.body, expression.body);
  if ("fact" in expression) return scope.facts.get(expression.fact) ?? ANYTHING;
  if ("first" in expression) return expression.first.map(of).reduce(union, NOTHING);
  if ("if" in expression) return union(of(expression.use), of(expression.else));
  if ("unsized" in expression) return NOTHING;
  if ("table" in expression) return tableRange(scope.tables?.[expression.table] ?? {}, of(expression.key));
  if ("quantity" in expression) return yieldsText(expression.quantity) ? ANYTHING : AMOUNT;
  if ("upper" in expression) return recased(of(expression.upper), (word) => word.toUpperCase());
  if ("lower" in expression) return recased(of(expression.lower), (word) => word.toLowerCase());
  if ("count" in expression) return AMOUNT;
  return arithmeticRange(expression, of);
}

function arithmeticRange(
  expression: Exclude<Expression, string | number | boolean>,
  of: (inner: Expression) => Range,
): Range {
  if ("sum" in expression) return combined(expression.sum.map(of), 0, (a, b) => a + b);
  if ("product" in expression) return combined(expression.product.map(of), 1, times);
  if ("max" in expression) return combined(expression.max.map(of), 0, Math.max);
  if ("min" in expression) {
    const all = expression.min.map(of);
    return numbers(Math.min(...all.map(({ least }) => least)), Math.min(...all.map(({ most }) => most)));
  }
  // Any of them may be the only one that is there.
  if ("largest_present" in expression) return expression.largest_present.map(of).reduce(union, NOTHING);
  if ("divide_up" in expression) {
    const [whole, part] = [of(expression.divide_up[0]), of(expression.divide_up[1])];
    if (whole.least < 0 || part.least < 1) return AMOUNT;
    return numbers(Math.ceil(whole.least / part.most), Math.ceil(whole.most / part.least));
  }
  if ("difference" in expression) return AMOUNT;
  return ANYTHING;
}

/** By the lowest and the highest of each: true of sums, products and the largest, as long as nothing is negative. */
function combined(all: readonly Range[], start: number, step: (a: number, b: number) => number): Range {
  if (all.some(({ least }) => least < 0)) return ANYTHING;
  if (all.some(isEmpty)) return NOTHING;
  return numbers(all.map(({ least }) => least).reduce(step, start), all.map(({ most }) => most).reduce(step, start));
}

/** Nothing of what has no bound is nothing. */
const times = (a: number, b: number): number => (a === 0 || b === 0 ? 0 : a * b);

export const union = (a: Range, b: Range): Range => ({
  least: Math.min(a.least, b.least),
  most: Math.max(a.most, b.most),
  words: a.words === null || b.words === null ? null : new Set([...a.words, ...b.words]),
});

function tableRange(table: Readonly<Record<string, number | string>>, key: Range): Range {
  const rows = Object.entries(table).filter(([name]) => key.words === null || key.words.has(name));
  return rows
    .map(([, value]) => (typeof value === "number" ? numbers(value, value) : texts([value])))
    .reduce(union, NOTHING);
}

const recased = ({ words }: Range, change: (word: string) => string): Range =>
  words === null ? { ...NOTHING, words: null } : texts([...words].map(change));

function bodyRange(body: RouteDocument["body"], pointer: string): Range {
  let schemas: readonly ValueSchema[] = body === undefined ? [] : [body];
  for (const key of parsePointer(pointer) ?? []) {
    const inner = schemas.flatMap((schema) => (schema.type === "object" ? (schema.keys[key] ?? []) : [null]));
    // A list, a map or an opaque part: what is in it is not looked at here.
    if (inner.includes(null)) return ANYTHING;
    schemas = inner.filter((schema) => schema !== null);
  }
  return schemas.map(valueRange).reduce(union, NOTHING);
}

function valueRange(schema: ValueSchema): Range {
  if (schema.type === "integer" || schema.type === "number") return numbers(schema.min, schema.max);
  if (schema.type === "string") return schema.one_of === undefined ? { ...NOTHING, words: null } : texts(schema.one_of);
  return schema.type === "either" ? schema.of.map(valueRange).reduce(union, NOTHING) : ANYTHING;
}

/** What is left of a fact's range under the constraints on it. */
export function narrowed(range: Range, fact: string, constraints: Constraints): Range {
  let { least, most, words } = range;
  for (const [name, limit] of Object.entries(constraints)) {
    const target = constraintTarget(name, limit);
    if (target.fact !== fact) continue;
    if (typeof limit === "number") {
      if (target.kind !== "min") most = Math.min(most, limit);
      if (target.kind !== "max") least = Math.max(least, limit);
      words = new Set();
    } else if (typeof limit !== "boolean") {
      const allowed = typeof limit === "string" ? [limit] : limit;
      const had = words;
      words = new Set(had === null ? allowed : allowed.filter((word) => had.has(word)));
      [least, most] = [Infinity, -Infinity];
    }
  }
  return { least, most, words };
}
