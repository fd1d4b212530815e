import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import { isJsonObject, type JsonValue } from "../../src/platform/json.ts";
import { parseStrictJson, STRICT_JSON_LIMITS } from "../../src/platform/strict-json.ts";

const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
const elements = (count: number): string => `[${Array.from({ length: count }, () => "0").join(",")}]`;
const members = (count: number): string =>
  `{${Array.from({ length: count }, (_, index) => `"m${index}":0`).join(",")}}`;

const refusal = (text: string) => {
  const result = parseStrictJson(text);
  return result.ok ? "accepted" : result.error;
};

describe("refuses what two parsers could read differently, naming the place", () => {
  test.each([
    ["PAR-01 a repeated name", '{"gpus":4,"gpus":128}', "repeated", 10, "/gpus"],
    ["PAR-01 a name repeated through an escape", '{"gpus":4,"\\u0067pus":128}', "repeated", 10, "/gpus"],
    ["PAR-01 a name repeated deep inside", '{"a":[0,{"b":1,"b":1}]}', "repeated", 15, "/a/1/b"],
    ["PAR-01 a repeated name whose first value is null", '{"a":null,"a":1}', "repeated", 10, "/a"],
    ["PAR-01 a repeated empty name", '{"":0,"":1}', "repeated", 6, "/"],
    ["PAR-03 __proto__", '{"__proto__":{"tier":0}}', "reserved", 1, "/__proto__"],
    ["PAR-03 __proto__ through an escape", '{"\\u005f_proto__":0}', "reserved", 1, "/__proto__"],
    ["PAR-03 constructor, deep inside", '{"a":[{"constructor":0}]}', "reserved", 7, "/a/0/constructor"],
    ["PAR-03 prototype", '{"prototype":0}', "reserved", 1, "/prototype"],
    ["PAR-04 a byte order mark", "\uFEFF{}", "byte order mark", 0, ""],
    ["PAR-05 a raw lone surrogate", '{"a":"\uD800"}', "lone surrogate", 6, ""],
    ["PAR-05 an escaped lone high surrogate", '{"a":"\\ud800"}', "lone surrogate", 5, "/a"],
    ["PAR-05 an escaped lone low surrogate in a name", '{"\\udc00":0}', "lone surrogate", 1, ""],
    ["PAR-05 surrogates in the wrong order", '["\\udc00\\ud800"]', "lone surrogate", 1, "/0"],
    ["PAR-06 an exponent", '{"gpus":1e9}', "exponent", 8, "/gpus"],
    ["PAR-06 4e0", '{"gpus":4e0}', "exponent", 8, "/gpus"],
    ["PAR-06 an exponent that ECMAScript would write", "[1e+21]", "exponent", 1, "/0"],
    ["PAR-06 a small one that ECMAScript would write", "[1e-7]", "exponent", 1, "/0"],
    ["PAR-06 4.0", '{"gpus":4.0}', "shortest", 8, "/gpus"],
    ["PAR-06 0.10", "[0.10]", "shortest", 1, "/0"],
    ["PAR-06 0.0000001", "[0.0000001]", "shortest", 1, "/0"],
    ["PAR-06 more digits than a double holds", "[0.1000000000000000055511]", "shortest", 1, "/0"],
    ["PAR-06 -0", "[-0]", "shortest", 1, "/0"],
    ["PAR-06 -0.0", "[-0.0]", "shortest", 1, "/0"],
    ["PAR-06 a leading zero", "[04]", "shortest", 1, "/0"],
    ["PAR-06 1e400", "[1e400]", "exponent", 1, "/0"],
    ["PAR-06 400 digits", `[${"9".repeat(400)}]`, "2^53", 1, "/0"],
    ["PAR-06 2^53", "[9007199254740992]", "2^53", 1, "/0"],
    ["PAR-06 -2^53", "[-9007199254740992]", "2^53", 1, "/0"],
    ["PAR-06 2^53 + 1", "[9007199254740993]", "2^53", 1, "/0"],
    ["PAR-06 hexadecimal", "[0x10]", "comma", 2, ""],
    ["PAR-06 a plus sign", "[+4]", "expected a value", 1, "/0"],
    ["PAR-06 a lone minus", "[-]", "shortest", 1, "/0"],
    ["PAR-06 no digit after the point", "[1.]", "shortest", 1, "/0"],
    ["PAR-06 no digit before the point", "[.5]", "expected a value", 1, "/0"],
    ["PAR-06 NaN", "[NaN]", "expected a value", 1, "/0"],
    ["PAR-06 Infinity", "[Infinity]", "expected a value", 1, "/0"],
    ["PAR-06 -Infinity", "[-Infinity]", "shortest", 1, "/0"],
    ["PAR-09 trailing text", "{} x", "end of the text", 3, ""],
    ["PAR-09 two documents", "{}{}", "end of the text", 2, ""],
    ["PAR-09 NDJSON", "{}\n{}", "end of the text", 3, ""],
    ["PAR-09 a NUL suffix", "{}\0", "end of the text", 2, ""],
    ["PAR-09 a line comment", "{}//x", "end of the text", 2, ""],
    ["PAR-09 a block comment", '{/**/"a":0}', "member name", 1, ""],
    ["PAR-09 a trailing comma in an object", '{"a":0,}', "member name", 7, ""],
    ["PAR-09 a trailing comma in an array", "[0,]", "expected a value", 3, "/1"],
    ["PAR-09 single quotes", "{'a':0}", "member name", 1, ""],
    ["PAR-09 an unquoted name", "{a:0}", "member name", 1, ""],
    ["PAR-09 a vertical tab as white space", "[\v0]", "expected a value", 1, "/0"],
    ["PAR-09 a no-break space as white space", "[\u00a00]", "expected a value", 1, "/0"],
    ["PAR-10 nothing", "", "text ends", 0, ""],
    ["PAR-10 white space only", " \n", "text ends", 2, ""],
    ["an escaped NUL in a value", '{"image":"a\\u0000b"}', "U+0000", 9, "/image"],
    ["an escaped NUL in a name", '{"a\\u0000":0}', "U+0000", 1, ""],
    ["a raw control character", '["a\nb"]', "control character", 3, "/0"],
    ["an unknown escape", '["\\x41"]', "escape", 1, "/0"],
    ["half a \\u escape", '["\\u00"]', "escape", 1, "/0"],
    ["a string without an end", '["abc', "does not end", 1, "/0"],
    ["a string that ends in a backslash", '["abc\\', "does not end", 1, "/0"],
    ["a missing colon", '{"a" 0}', "colon", 5, "/a"],
    ["a missing comma", '{"a":0 "b":0}', "comma", 7, ""],
    ["an object without an end", '{"a":0', "comma or the end of the object", 6, ""],
    ["an array without an end", "[0", "comma or the end of the array", 2, ""],
    ["a word in capitals", "[True]", "expected a value", 1, "/0"],
    ["a pointer with escapes", '{"a/b~c":[x]}', "expected a value", 10, "/a~1b~0c/0"],
  ])("%s", (_, text, reason, offset, pointer) => {
    expect(refusal(text)).toEqual({ reason: expect.stringContaining(reason), offset, pointer });
  });
});

describe("PAR-08 refuses bombs at the limit, and only beyond it", () => {
  const { depth, members: most } = STRICT_JSON_LIMITS;
  test.each([
    ["depth", nested(depth), true],
    ["one more depth", nested(depth + 1), false],
    ["depth 100,000", nested(100_000), false],
    ["depth 100,000 of objects without an end", '{"a":'.repeat(100_000), false],
    ["elements", elements(most), true],
    ["one more element", elements(most + 1), false],
    ["members", members(most), true],
    ["one more member", members(most + 1), false],
    ["10^6 members", members(1_000_000), false],
    ["members and elements of several containers together", `[${members(500)},${elements(499)}]`, false],
    ["a name of a million characters, which the body's cap keeps out", `{"${"n".repeat(1_000_000)}":0}`, true],
  ])("%s", (_, text, accepted) => {
    expect(parseStrictJson(text).ok).toBe(accepted);
  });

  test("a caller's own limits hold", () => {
    expect(parseStrictJson("[[0]]", { depth: 1, members: 10 })).toMatchObject({ error: { pointer: "/0" } });
    expect(parseStrictJson("[0,0]", { depth: 1, members: 1 })).toMatchObject({ error: { pointer: "/1" } });
  });
});

describe("accepts plain JSON", () => {
  test.each<[string, JsonValue]>([
    ["null", null],
    [" \t\r\n true \n", true],
    ["[false]", [false]],
    ["{}", {}],
    ["[ ]", []],
    ['{"a" : [ 1 , -2 , 0 , 0.5 , -1.25 ] , "b":"" }', { a: [1, -2, 0, 0.5, -1.25], b: "" }],
    ["9007199254740991", 9007199254740991],
    ["0.000001", 0.000001],
    ['"\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00"', '"\\/\b\f\n\r\tA😀'],
    ['"é😀\u2028\u007f"', "é😀\u2028\u007f"],
    ['{"toString":1,"hasOwnProperty":2,"0":3}', { toString: 1, hasOwnProperty: 2, "0": 3 }],
  ])("%s", (text, value) => {
    expect(parseStrictJson(text)).toEqual({ ok: true, value });
  });

  test("PAR-03 objects have no prototype, so an absent name is absent", () => {
    const result = parseStrictJson('{"a":{}}');
    expect(result.ok && isJsonObject(result.value) && result.value["toString"]).toBe(undefined);
    expect(result.ok && isJsonObject(result.value) && Object.getPrototypeOf(result.value["a"])).toBe(null);
  });

  test("closed zod schemas take the result", () => {
    const schema = z.strictObject({ gpus: z.int(), env: z.record(z.string(), z.string()) });
    const result = parseStrictJson('{"gpus":4,"env":{"LR":"0.1"}}');
    expect(result.ok && schema.parse(result.value)).toEqual({ gpus: 4, env: { LR: "0.1" } });
    const unknown = parseStrictJson('{"gpus":4,"env":{},"replicas":9}');
    expect(unknown.ok && schema.safeParse(unknown.value).success).toBe(false);
  });
});

const reserved = ["__proto__", "constructor", "prototype"];
const text = fc.string({ unit: "binary" }).filter((string) => !string.includes("\0"));
const number = fc
  .oneof(fc.maxSafeInteger(), fc.double({ noNaN: true, noDefaultInfinity: true }))
  .filter((value) => !Object.is(value, -0) && Math.abs(value) <= Number.MAX_SAFE_INTEGER && !/e/.test(String(value)));
const { json } = fc.letrec<{ json: JsonValue }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<JsonValue[]>(null, true, false),
    number,
    text,
    fc.array(tie("json"), { maxLength: 4 }),
    fc.dictionary(
      text.filter((name) => !reserved.includes(name)),
      tie("json"),
      { maxKeys: 4 },
    ),
  ),
}));

test("PAR-17 the canonical text of any value is read back as that value and as that text", () => {
  fc.assert(
    fc.property(json, (value) => {
      const canonical = canonicalJson(value);
      const result = parseStrictJson(canonical);
      expect(result).toEqual({ ok: true, value });
      expect(result.ok && canonicalJson(result.value)).toBe(canonical);
    }),
  );
});

test("whatever is accepted, JSON.parse reads the same; nothing throws", () => {
  const piece = fc.oneof(
    fc.string({ maxLength: 2 }),
    fc.constantFrom('"', "\\", "{", "}", "[", "]", ",", ":", "e", "0"),
  );
  fc.assert(
    fc.property(json, fc.nat(), fc.nat({ max: 3 }), piece, (value, at, removed, inserted) => {
      const original = canonicalJson(value);
      const start = at % (original.length + 1);
      const mutated = original.slice(0, start) + inserted + original.slice(start + removed);
      const result = parseStrictJson(mutated);
      if (result.ok) expect(result.value).toEqual(JSON.parse(mutated));
      else expect(result.error.offset).toBeLessThanOrEqual(mutated.length);
    }),
    { numRuns: 2_000 },
  );
});
