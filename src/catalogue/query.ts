import type { JsonPath } from "../platform/json-pointer.ts";
import type { QueryValueSchema } from "./body-schema.ts";
import { compileText } from "./text-rules.ts";
import type { Report, TextCheck } from "./text-rules.ts";

/** Null when the query is acceptable, otherwise what is wrong. */
export type QueryCheck = (query: ReadonlyMap<string, string>) => string | null;

/** The one spelling of a whole number in a query. */
const INTEGER = /^(0|[1-9][0-9]{0,15})$/;

/** Compiles the closed list of query keys: what a route does not list is refused. */
export function compileQuery(
  keys: Readonly<Record<string, QueryValueSchema>>,
  path: JsonPath,
  grammars: ReadonlyMap<string, TextCheck>,
  report: Report,
): QueryCheck {
  const checks = new Map(
    Object.entries(keys).map(([key, schema]) => [key, compileQueryValue(schema, [...path, key], grammars, report)]),
  );
  const required = Object.entries(keys).flatMap(([key, schema]) => (schema.required === true ? [key] : []));
  return (query) => {
    for (const [key, value] of query) {
      const check = checks.get(key);
      if (check === undefined) return `query: unknown key "${key}"`;
      const demand = check(value);
      if (demand !== null) return `query: "${key}" must be ${demand}`;
    }
    const absent = required.find((key) => !query.has(key));
    return absent === undefined ? null : `query: "${absent}" is required and missing`;
  };
}

function compileQueryValue(
  schema: QueryValueSchema,
  path: JsonPath,
  grammars: ReadonlyMap<string, TextCheck>,
  report: Report,
): TextCheck {
  if (schema.type === "string") return compileText(schema, path, grammars, report);
  const { min, max } = schema;
  if (min > max) report([...path, "min"], "min is greater than max");
  const demand = `a whole number from ${min} to ${max}`;
  return (text) => (INTEGER.test(text) && Number(text) >= min && Number(text) <= max ? null : demand);
}
