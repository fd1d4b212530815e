import canonicalize from "canonicalize";
import { assert, jsonValue, property } from "fast-check";
import { expect, test } from "vitest";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import type { JsonValue } from "../../src/platform/json.ts";

/** Members in the order of their names, at every level, as far as an object can hold it: names like numbers come first. */
function sorted(value: JsonValue): JsonValue {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Object.fromEntries(members.map(([name, member]) => [name, sorted(member)]));
}

const json = jsonValue({ maxDepth: 4, stringUnit: "binary" })
  // Parsed: what a request holds has passed JSON.
  .map((value): JsonValue => JSON.parse(JSON.stringify(value)));

test("values whose members are in order already have the text that the library gives them", () => {
  assert(
    property(json, (value) => {
      const expected = canonicalize(value);
      expect(canonicalJson(value)).toBe(expected);
      expect(canonicalJson(sorted(value))).toBe(expected);
    }),
    { numRuns: 500 },
  );
});

test.each([
  ["names like numbers, which objects list by value", { "10": 1, "9": 2 }, '{"10":1,"9":2}'],
  ["names beyond the first plane, by UTF-16 code unit", { "\ufb33": 1, "\u{1f600}": 2 }, '{"\u{1f600}":2,"\ufb33":1}'],
  ["a nested object out of order", { a: { z: 1, b: 2 } }, '{"a":{"b":2,"z":1}}'],
  ["minus zero and exponents", { a: -0, b: 1e21 }, '{"a":0,"b":1e+21}'],
])("%s", (_, value: JsonValue, text) => {
  expect(canonicalJson(value)).toBe(text);
});

test.each([
  ["half a character", { a: "\ud83d" }],
  ["half a character in a name", { "\ud83d": 1 }],
  ["a number that JSON does not know", { a: Number.NaN }],
])("%s has no canonical text", (_, value) => {
  expect(() => canonicalJson(value)).toThrow();
});
