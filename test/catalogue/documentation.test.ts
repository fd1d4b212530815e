import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { runCatalogueTests } from "../../src/catalogue/catalogue-tests.ts";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import { catalogueJsonSchema } from "../../src/catalogue/json-schema.ts";
import { isJsonObject } from "../../src/platform/json.ts";
import type { JsonValue } from "../../src/platform/json.ts";
import { valueOf } from "./shipped.ts";

const page = readFileSync(fileURLToPath(new URL("../../docs/catalogue.md", import.meta.url).href), "utf8");
const blocks = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1] ?? "");
/** The formatter writes the routes of each block at the margin; in one document they stand below `routes`. */
const inPlace = (block: string): string => (block.startsWith("- ") ? block.replaceAll(/^(?=.)/gm, "  ") : block);
const isTable = (block: string): boolean => /^tests:$/m.test(block);
const isPrices = (block: string): boolean => /^ +effective_from:/m.test(block);

/** Names of all keys of the format but those of expressions and body values, which refer to themselves. */
function keysOf(schema: JsonValue): readonly string[] {
  if (Array.isArray(schema)) return schema.flatMap(keysOf);
  if (!isJsonObject(schema)) return [];
  const { properties, $defs: _shared, ...rest } = schema;
  const named = isJsonObject(properties) ? Object.keys(properties) : [];
  return [
    ...named,
    ...keysOf(Object.values(isJsonObject(properties) ? properties : {})),
    ...keysOf(Object.values(rest)),
  ];
}

describe("docs/catalogue.md", () => {
  it("is one complete catalogue, whose table holds", () => {
    const catalogue = blocks
      .filter((block) => !isTable(block) && !isPrices(block))
      .map(inPlace)
      .join("");
    const [table = ""] = blocks.filter(isTable);
    const [prices = ""] = blocks.filter(isPrices);
    expect(compileCatalogue(catalogue)).toMatchObject({ ok: true });
    const { passed, cases } = valueOf(runCatalogueTests(catalogue, prices, table));
    expect(cases.flatMap(({ differences }) => differences)).toEqual([]);
    expect(passed).toBeGreaterThan(3);
  });

  it("names every key of the format", () => {
    const keys = new Set(keysOf(catalogueJsonSchema()));
    expect(keys.size).toBeGreaterThan(50);
    expect([...keys].filter((key) => !new RegExp(`\\b${key}\\b`).test(page))).toEqual([]);
  });
});
