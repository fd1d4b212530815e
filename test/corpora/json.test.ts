import { describe, expect, test } from "vitest";
import { readJsonBody } from "../../src/gateway/read-body.ts";
import { READ_LIMITS } from "../../src/gateway/read-request.ts";
import { parseStrictJson } from "../../src/platform/strict-json.ts";
import { bytesOfFile, filesOf } from "./corpus.ts";

const FOLDER = "jsontestsuite/test_parsing";
const files = filesOf(FOLDER);
const named = (prefix: string): readonly string[] => files.filter((name) => name.startsWith(prefix));

/** Valid RFC 8259 that the gate refuses all the same, with the words of its refusal. */
const REFUSED_ON_PURPOSE: ReadonlyMap<string, string> = new Map([
  ["y_number.json", "exponent"],
  ["y_number_0e+1.json", "exponent"],
  ["y_number_0e1.json", "exponent"],
  ["y_number_int_with_exp.json", "exponent"],
  ["y_number_real_capital_e.json", "exponent"],
  ["y_number_real_capital_e_neg_exp.json", "exponent"],
  ["y_number_real_capital_e_pos_exp.json", "exponent"],
  ["y_number_real_exponent.json", "exponent"],
  ["y_number_real_fraction_exponent.json", "exponent"],
  ["y_number_real_neg_exp.json", "exponent"],
  ["y_number_real_pos_exponent.json", "exponent"],
  ["y_object_extreme_numbers.json", "exponent"],
  ["y_number_double_close_to_zero.json", "shortest decimal form"],
  ["y_number_minus_zero.json", "shortest decimal form"],
  ["y_number_negative_zero.json", "shortest decimal form"],
  ["y_object_duplicated_key.json", "repeated"],
  ["y_object_duplicated_key_and_value.json", "repeated"],
  ["y_object_escaped_null_in_key.json", "U+0000"],
  ["y_string_null_escape.json", "U+0000"],
]);

/** The bytes as the reader of bodies decodes them; null where they are not UTF-8. */
function decoded(name: string): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytesOfFile(FOLDER, name));
  } catch {
    return null;
  }
}

const parsed = (name: string) => {
  const text = decoded(name);
  return text === null ? null : parseStrictJson(text);
};

const bodyRead = (name: string) => {
  const body = new Response(bytesOfFile(FOLDER, name)).body;
  return readJsonBody(
    { body },
    { contentType: "application/json", contentLength: null },
    READ_LIMITS,
    READ_LIMITS.mediaTypes,
  );
};

describe("valid texts are accepted, and read as JSON.parse reads them", () => {
  test.each(named("y_").filter((name) => !REFUSED_ON_PURPOSE.has(name)))("%s", (name) => {
    expect(parsed(name)).toEqual({ ok: true, value: JSON.parse(decoded(name) ?? "") });
  });
});

describe("valid texts that are refused on purpose are refused for that reason", () => {
  test.each([...REFUSED_ON_PURPOSE].filter(([name]) => files.includes(name)))("%s: %s", (name, reason) => {
    expect(parsed(name)).toMatchObject({ ok: false, error: { reason: expect.stringContaining(reason) } });
  });
});

describe("invalid texts are refused, as texts and as bodies", () => {
  test.each(named("n_"))("%s", async (name) => {
    expect(parsed(name)?.ok ?? false).toBe(false);
    expect((await bodyRead(name)).ok).toBe(false);
  });
});

test("texts that parsers differ on (i_, where the copy of the suite has them) never throw, and are refused", async () => {
  const accepted: string[] = [];
  for (const name of named("i_")) {
    const asBody = await bodyRead(name);
    if (parsed(name)?.ok === true || asBody.ok) accepted.push(name);
  }
  expect(accepted).toEqual([]);
});

test("bodies whose root is not an object are refused by the reader of bodies, not by the parser", async () => {
  expect(parsed("y_structure_lonely_int.json")?.ok).toBe(true);
  expect(await bodyRead("y_structure_lonely_int.json")).toMatchObject({
    ok: false,
    error: { kind: "malformed-request" },
  });
  expect(await bodyRead("y_object_basic.json")).toMatchObject({ ok: true, value: { body: { asd: "sdf" } } });
});
