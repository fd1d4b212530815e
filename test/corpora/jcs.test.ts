import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import { parseStrictJson } from "../../src/platform/strict-json.ts";
import { filesOf, textOfFile } from "./corpus.ts";

const names = filesOf("jcs/testdata/input");
/** Holds numbers with exponents, which no request may: its canonical text is checked on JSON.parse's value instead. */
const WITH_EXPONENTS = "values.json";

describe("canonical text is that of RFC 8785's published vectors", () => {
  test.each(names)("%s", (name) => {
    const value = JSON.parse(textOfFile("jcs/testdata/input", name));
    const canonical = canonicalJson(value);
    expect(canonical).toBe(textOfFile("jcs/testdata/output", name).trimEnd());
    const hex = textOfFile("jcs/testdata/outhex", name.replace(/json$/, "txt"));
    expect(Buffer.from(canonical, "utf8").toString("hex")).toBe(hex.replaceAll(/\s/g, ""));
  });
});

describe("canonical text is strict JSON and its own canonical text", () => {
  test.each(names.filter((name) => name !== WITH_EXPONENTS))("%s", (name) => {
    const canonical = textOfFile("jcs/testdata/output", name).trimEnd();
    const result = parseStrictJson(canonical);
    expect(result.ok && canonicalJson(result.value)).toBe(canonical);
  });

  test(`${WITH_EXPONENTS} is refused for its exponents`, () => {
    const result = parseStrictJson(textOfFile("jcs/testdata/output", WITH_EXPONENTS));
    expect(result).toMatchObject({ ok: false, error: { reason: expect.stringContaining("exponent") } });
  });
});
