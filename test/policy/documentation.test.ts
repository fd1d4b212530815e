import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { isJsonObject } from "../../src/platform/json.ts";
import type { JsonValue } from "../../src/platform/json.ts";
import { policyJsonSchema } from "../../src/policy/json-schema.ts";
import { compiling, peopleOf, tenantFile } from "./compiling.ts";

const page = readFileSync(join(import.meta.dirname, "../../docs/policy.md"), "utf8");
const written = [...page.matchAll(/^```yaml\n(.*?)^```$/gms)].map((match) => match[1] ?? "").join("");
const people = peopleOf(
  `${tenantFile("acme.people.yaml")}  "@on-call": { subject: person:on-call, roles: [on-call] }\n`,
);

/** Names of all keys of the language. */
function keysOf(schema: JsonValue): readonly string[] {
  if (Array.isArray(schema)) return schema.flatMap(keysOf);
  if (!isJsonObject(schema)) return [];
  const { properties, ...rest } = schema;
  const own = isJsonObject(properties) ? properties : {};
  return [...Object.keys(own), ...keysOf(Object.values(own)), ...keysOf(Object.values(rest))];
}

describe("docs/policy.md", () => {
  it("is one complete policy, that loads without a warning and means what the page says", () => {
    const { policy, warnings } = compiling(written, people);
    expect(warnings).toEqual([]);
    expect(policy.spending({ subject: "agent:trainer", owner: "person:x" }, "workloads.submit").per).toHaveLength(3);
    expect(policy.spending({ subject: "agent:other", owner: "person:dana" }, "workloads.submit").team).toBe("research");
    expect(policy.approvers(4).needed).toBe(2);
    expect(policy.breakGlass).toEqual(["person:on-call"]);
  });

  it("names every key of the language", () => {
    const keys = new Set(keysOf(policyJsonSchema()));
    expect(keys.size).toBeGreaterThan(40);
    expect([...keys].filter((key) => !new RegExp(`\\b${key}\\b`).test(page))).toEqual([]);
  });
});
