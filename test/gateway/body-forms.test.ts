import { describe, expect, test } from "vitest";
import type { BodyForms } from "../../src/gateway/read-body.ts";
import { READ_LIMITS, readRequest } from "../../src/gateway/read-request.ts";
import { JSON_TYPE, post } from "./incoming.ts";

const FORMS: BodyForms = { arrayRoot: true, members: 2_000, textTypes: ["text/csv"] };
/** An array of so many zeros. */
const array = (count: number): string => `[${Array.from({ length: count }, () => "0").join(",")}]`;
const CSV_TYPE = { "content-type": "text/csv" };
const read = (text: string | Uint8Array, headers: Record<string, string>, forms = FORMS) =>
  readRequest(post(text, headers), { ...READ_LIMITS, forms });

describe("a route may take more than an object in JSON, and only where it says so", () => {
  test("an array at the root", async () => {
    expect(await read('[{"a":1}]', JSON_TYPE)).toMatchObject({ ok: true, value: { body: [{ a: 1 }] } });
    expect(await readRequest(post("[1]", JSON_TYPE))).toMatchObject({
      ok: false,
      error: { reason: "body: expected an object at the root" },
    });
  });

  test.each(["1", '"x"', "null", "true"])("%s is neither an object nor an array", async (text) => {
    expect(await read(text, JSON_TYPE)).toMatchObject({
      ok: false,
      error: { reason: "body: expected an object or an array at the root" },
    });
  });

  test("more members, up to its own bound", async () => {
    expect((await read(array(2_000), JSON_TYPE)).ok).toBe(true);
    expect((await read(array(2_001), JSON_TYPE)).ok).toBe(false);
  });

  test("text, handed on as it is", async () => {
    expect(await read("a,b\r\n1,2\r\n", CSV_TYPE)).toMatchObject({
      ok: true,
      value: { body: "a,b\r\n1,2\r\n", contentType: "text/csv" },
    });
    expect(await readRequest(post("a,b\n", CSV_TYPE))).toMatchObject({
      ok: false,
      error: { kind: "unsupported-media-type", accepted: ["application/json"] },
    });
  });

  test("text in UTF-8 alone, and never empty", async () => {
    const latin = new Uint8Array([0x61, 0xe9]);
    expect(await read(latin, CSV_TYPE)).toMatchObject({ ok: false, error: { reason: "body: not UTF-8" } });
    expect(await read("", CSV_TYPE)).toMatchObject({ ok: false, error: { kind: "malformed-request" } });
    expect(await read("a", { "content-type": "text/csv; charset=utf-16" })).toMatchObject({
      ok: false,
      error: { kind: "unsupported-media-type", accepted: ["application/json", "text/csv"] },
    });
  });

  test("JSON that two parsers could read differently is refused all the same", async () => {
    expect((await read('[{"a":1,"a":2}]', JSON_TYPE)).ok).toBe(false);
  });
});
