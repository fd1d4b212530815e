import { describe, expect, it } from "vitest";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import type { JsonValue } from "../../src/platform/json.ts";
import { smallCatalogue, submitWith } from "./small-catalogue.ts";
import { matched, valueOf } from "./shipped.ts";

/** The fact `gpus` of a request whose body is `{x}`, or the reason why it is missing. */
function gpusOf(expression: string, x?: JsonValue): unknown {
  const catalogue = valueOf(compileCatalogue(smallCatalogue({ submit: submitWith(expression) })));
  const { facts, missing } = matched(catalogue, "POST", "/jobs", { body: x === undefined ? {} : { x } }).facts(
    new Map(),
  );
  return facts["gpus"] ?? missing[0]?.reason;
}

describe("facts are computed exactly, and what cannot be sized says so", () => {
  it.each<[string, JsonValue | undefined, unknown]>([
    ["3", undefined, 3],
    ["{ body: /x }", 4, 4],
    ["{ body: /x/0/n }", [{ n: 5 }], 5],
    ["{ first: [{ body: /x }, 1] }", undefined, 1],
    ["{ first: [{ body: /x }, 1] }", 7, 7],
    ["{ sum: [{ body: /x/a }, { body: /x/b }] }", { a: 2, b: 3 }, 5],
    ["{ product: [{ body: /x/a }, { body: /x/b }] }", { a: 2, b: 3 }, 6],
    ["{ max: [{ body: /x/a }, { body: /x/b }] }", { a: 2, b: 3 }, 3],
    ["{ min: [{ body: /x/a }, { body: /x/b }] }", { a: 2, b: 3 }, 2],
    ["{ largest_present: [{ body: /x/a }, { body: /x/b }] }", { b: 3 }, 3],
    ["{ divide_up: [{ body: /x }, 60] }", 61, 2],
    ["{ difference: [{ body: /x/end }, { body: /x/start }] }", { start: 3, end: 10 }, 7],
    ["{ difference: [{ body: /x }, 3] }", 3, 0],
    ["{ count: { body: /x } }", ["a", "b"], 2],
    [
      "{ each: { body: /x }, combine: sum, value: { product: [{ item: /n }, { item: /g }] } }",
      [
        { n: 2, g: 4 },
        { n: 1, g: 8 },
      ],
      16,
    ],
    ["{ each: { body: /x }, combine: sum, value: { item: /n } }", { a: { n: 1 }, b: { n: 2 } }, 3],
    ["{ table: gpus, key: { body: /x } }", "big", 8],
    ["{ quantity: typed_count, of: { body: /x } }", "h100:8", 8],
    ["{ parse: yaml, of: { body: /x }, value: { item: /resources/gpus } }", "resources:\n  gpus: 4\n", 4],
    ["{ parse: json, of: { body: /x }, value: { item: /gpus } }", '{"gpus": 4}', 4],
    ["{ if: { at_least: [{ body: /x }, 10] }, use: 2, else: 1 }", 10, 2],
    ["{ if: { all: [{ present: { body: /x } }, { not: { empty: { body: /x } } }] }, use: 2, else: 1 }", [], 1],
    ["{ if: { any: [{ equal: [{ body: /x }, 1] }, { one_of: [2, 3], of: { body: /x } }] }, use: 2, else: 1 }", 3, 2],
  ])("%s over %j is %j", (expression, x, expected) => {
    expect(gpusOf(expression, x)).toBe(expected);
  });

  it.each<[string, string, JsonValue | undefined, string]>([
    ["absence is not zero", "{ body: /x }", undefined, "body/x is absent"],
    ["null is not zero", "{ body: /x }", null, "body/x is absent"],
    ["text is not a number", "{ body: /x }", "4", "not a whole number"],
    ["a fraction is not a count", "{ body: /x }", 1.5, "not a whole number"],
    [
      "a default does not replace what cannot be read",
      "{ first: [{ quantity: typed_count, of: { body: /x } }, 1] }",
      "2k",
      "typed_count",
    ],
    ["one absent factor", "{ product: [{ body: /x/a }, { body: /x/b }] }", { a: 2 }, "body/x/b is absent"],
    ["overflow", "{ product: [{ body: /x }, { body: /x }] }", 9_007_199_254_740_991, "not an exact whole number"],
    [
      "overflow then zero",
      "{ product: [{ body: /x }, { body: /x }, 0] }",
      9_007_199_254_740_991,
      "not an exact whole number",
    ],
    ["less than nothing", "{ difference: [{ body: /x }, 3] }", 2, "not an exact whole number"],
    ["a difference of something absent", "{ difference: [{ body: /x/a }, { body: /x/b }] }", { a: 2 }, "is absent"],
    ["division by zero", "{ divide_up: [1, { body: /x }] }", 0, "not an exact whole number"],
    [
      "a member without a size",
      "{ each: { body: /x }, combine: sum, value: { item: /n } }",
      [{ n: 1 }, {}],
      "item/n is absent",
    ],
    [
      "nothing to take the largest of",
      "{ each: { body: /x }, combine: max, value: { item: /n } }",
      [],
      "not an exact whole number",
    ],
    ["an unknown table key", "{ table: gpus, key: { body: /x } }", "toString", "no such key"],
    [
      "YAML with an alias",
      "{ parse: yaml, of: { body: /x }, value: { item: /b } }",
      "a: &n 4\nb: *n\n",
      "not plain YAML",
    ],
    [
      "YAML with a key twice",
      "{ parse: yaml, of: { body: /x }, value: { item: /a } }",
      "a: 1\na: 8\n",
      "not plain YAML",
    ],
    [
      "JSON with a key twice",
      "{ parse: json, of: { body: /x }, value: { item: /a } }",
      '{"a":1,"a":8}',
      "not plain JSON",
    ],
    ["a test that cannot be told", "{ if: { at_least: [{ body: /x }, 1] }, use: 2, else: 1 }", "many", "not a number"],
    [
      "a test over what is absent",
      "{ if: { equal: [{ body: /x }, 1] }, use: 2, else: 1 }",
      undefined,
      "body/x is absent",
    ],
    ["declared unsizable", "{ unsized: only the code knows }", undefined, "only the code knows"],
  ])("cannot size: %s", (_name, expression, x, reason) => {
    expect(gpusOf(expression, x)).toContain(reason);
  });
});
