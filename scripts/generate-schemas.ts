/**
 * Writes the JSON Schemas that editors use for `policies/**`, from the same zod schemas that the gate compiles with, and that of
 * the audit record for whoever reads exports.
 * `--check` writes nothing and exits with 1 where a file is stale.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { auditRecordJsonSchema } from "../src/audit/record-schema.ts";
import { catalogueJsonSchema, pricesJsonSchema } from "../src/catalogue/json-schema.ts";
import type { JsonValue } from "../src/platform/json.ts";
import { peopleJsonSchema, policyJsonSchema, policyTestsJsonSchema } from "../src/policy/json-schema.ts";

const FOLDER = join(import.meta.dirname, "../policies/schemas");

const SCHEMAS: Readonly<Record<string, () => JsonValue>> = {
  "policy.schema.json": policyJsonSchema,
  "policy-tests.schema.json": policyTestsJsonSchema,
  "people.schema.json": peopleJsonSchema,
  "catalogue.schema.json": catalogueJsonSchema,
  "prices.schema.json": pricesJsonSchema,
  "audit-record.schema.json": auditRecordJsonSchema,
};

const checking = process.argv.includes("--check");
mkdirSync(FOLDER, { recursive: true });
for (const [name, schema] of Object.entries(SCHEMAS)) {
  const file = join(FOLDER, name);
  const text = `${JSON.stringify(schema(), null, 2)}\n`;
  const written = existsSync(file) ? readFileSync(file, "utf8") : null;
  if (written === text) continue;
  if (checking) {
    console.error(
      `policies/schemas/${name} is ${written === null ? "missing" : "stale"}: run node scripts/generate-schemas.ts`,
    );
    process.exitCode = 1;
  } else {
    writeFileSync(file, text);
    console.log(`wrote policies/schemas/${name}`);
  }
}
