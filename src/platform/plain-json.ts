import type { JsonValue } from "./json.ts";

/** What `value` becomes as JSON: undefined members and functions are gone, everything else is copied. */
export function plainJson(value: object | string | number | boolean | null): JsonValue {
  const plain: JsonValue = JSON.parse(JSON.stringify(value));
  return plain;
}
