import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isJsonObject } from "../../src/platform/json.ts";
import type { JsonValue } from "../../src/platform/json.ts";
import { peopleJsonSchema, policyJsonSchema, policyTestsJsonSchema } from "../../src/policy/json-schema.ts";

const SCHEMAS: readonly (readonly [file: string, schema: JsonValue])[] = [
  ["policy.schema.json", policyJsonSchema()],
  ["people.schema.json", peopleJsonSchema()],
  ["policy-tests.schema.json", policyTestsJsonSchema()],
];

/** Every object schema in a schema, with where it stands. */
function objectSchemas(schema: JsonValue, path = ""): readonly (readonly [string, JsonValue])[] {
  if (Array.isArray(schema)) return schema.flatMap((item, index) => objectSchemas(item, `${path}/${index}`));
  if (!isJsonObject(schema)) return [];
  const below = Object.entries(schema).flatMap(([name, value]) => objectSchemas(value, `${path}/${name}`));
  return schema["type"] === "object" ? [[path, schema], ...below] : below;
}

describe.each(SCHEMAS)("%s", (file, schema) => {
  it("is what the gate compiles with", () => {
    const written: JsonValue = JSON.parse(
      readFileSync(join(import.meta.dirname, "../../policies/schemas", file), "utf8"),
    );
    expect(written).toEqual(schema);
  });

  it("is closed: no map in it takes a key that the gate would refuse", () => {
    const maps = objectSchemas(schema);
    expect(maps.length).toBeGreaterThan(1);
    for (const [path, map] of maps) {
      const additional = isJsonObject(map) ? map["additionalProperties"] : undefined;
      expect({ path, closed: additional === false || isJsonObject(additional) }).toEqual({ path, closed: true });
    }
  });
});
