import { describe, expect, expectTypeOf, test } from "vitest";
import type { z } from "zod";
import { AUDIT_RECORD, auditRecordJsonSchema } from "../../src/audit/record-schema.ts";
import type { AuditRecord } from "../../src/audit/record.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../src/platform/json.ts";
import { auditRecord } from "./records.ts";

const text = "string";
const orNull = (type: string): string => `${type} | null`;

/**
 * The wire contract of version 1. A line may be added here, never changed or removed: readers of exports rely on each. Another
 * type or meaning is a new version of the record.
 */
const PINNED: Readonly<Record<string, string>> = {
  version: "1",
  tenant: text,
  log: text,
  sequence: "integer",
  previous_hash: text,
  hash: text,
  kind: "request | plan | intent | unknown | outcome | proposal | decision | break-glass | settlement | admin",
  request_id: text,
  time: text,
  principal: orNull(text),
  principal_class: orNull("agent | service | person | deployment | gate"),
  owner: orNull(text),
  credential_id: orNull(text),
  demo: "boolean",
  method: orNull(text),
  path: orNull(text),
  action: orNull(text),
  tier: orNull("0 | 1 | 2 | 3 | 4 | 5"),
  decision: orNull("allow | plan | refuse"),
  reason_code: orNull(text),
  detail: orNull(text),
  rule: orNull(text),
  shadow: "{rule: string, verdict: string}[]",
  policy_digest: orNull(text),
  facts: orNull("{[]: string | number | boolean | string[]}"),
  cost_micros: orNull("integer"),
  price_version: orNull(text),
  request_digest: orNull(text),
  reason: orNull(text),
  evidence: orNull(text),
  back_out: orNull(text),
  incident: orNull(text),
  approval_id: orNull(text),
  approvers: "string[]",
  reservation: orNull(
    "{daily: string, held_micros: integer, id: string, monthly: string, settled_micros: integer | null, " +
      "state: held | dispatching | committed | unknown | settled | released}",
  ),
  outcome: orNull(text),
  upstream_status: orNull("integer"),
  duration_ms: orNull("integer"),
  count: "integer",
};

/** A JSON Schema in one line, as far as it says what type a value has. */
function typeOf(schema: JsonValue | undefined): string {
  if (!isJsonObject(schema)) throw new Error(`no schema: ${JSON.stringify(schema)}`);
  const { const: constant, enum: values, anyOf, type, items, properties, additionalProperties: others } = schema;
  if (constant !== undefined) return JSON.stringify(constant);
  if (Array.isArray(values)) return values.join(" | ");
  if (Array.isArray(anyOf)) return anyOf.map((one: JsonValue) => typeOf(one)).join(" | ");
  if (Array.isArray(type)) return type.join(" | ");
  if (type === "array") return `${typeOf(items)}[]`;
  if (type !== "object") return typeof type === "string" ? type : JSON.stringify(schema);
  if (!isJsonObject(properties)) return `{[]: ${typeOf(others)}}`;
  expect(others, "closed").toBe(false);
  expect(schema["required"], "every member is in every record").toEqual(Object.keys(properties));
  const members = Object.entries(properties).map(([name, inner]) => `${name}: ${typeOf(inner)}`);
  return `{${members.toSorted().join(", ")}}`;
}

function propertiesOf(schema: JsonValue): JsonObject {
  const properties = isJsonObject(schema) ? schema["properties"] : null;
  if (!isJsonObject(properties)) throw new Error("the record is no object");
  return properties;
}

describe("the record's form is a contract", () => {
  test("no member of version 1 disappears or changes its type", () => {
    const properties = propertiesOf(auditRecordJsonSchema());
    typeOf(auditRecordJsonSchema());
    const types = Object.fromEntries(Object.keys(PINNED).map((name) => [name, typeOf(properties[name])]));
    expect(types).toEqual(PINNED);
  });

  test("schema and type say the same", () => {
    type Loose = "facts" | "shadow" | "reservation" | "approvers" | "principal_class";
    type Written = Omit<AuditRecord, Loose>;
    type Described = z.output<typeof AUDIT_RECORD>;
    expectTypeOf<Written>().toExtend<Omit<Described, Loose>>();
    expectTypeOf<keyof AuditRecord>().toEqualTypeOf<keyof Described>();
  });
});

describe("the schema is strict", () => {
  test("a record as the journal makes it is in form", () => {
    expect(AUDIT_RECORD.safeParse(auditRecord()).error?.issues ?? []).toEqual([]);
  });

  test.each(Object.keys(PINNED))("a record without %s is none", (name) => {
    const { [name]: _, ...rest }: Record<string, unknown> = { ...auditRecord() };
    expect(AUDIT_RECORD.safeParse(rest).success).toBe(false);
  });

  test.each([
    ["a member of its own", { colour: "red" }],
    ["a hash that is none", { hash: "sha256:00" }],
    ["a hash in capitals", { hash: `sha256:${"A".repeat(64)}` }],
    ["a place before the first", { sequence: 0 }],
    ["a local time", { time: "2026-11-20T08:00:00.000+01:00" }],
    ["a kind that nobody knows", { kind: "rumour" }],
    ["tier 6", { tier: 6 }],
    ["money in fractions", { cost_micros: 0.5 }],
    ["a summary of none", { count: 0 }],
    ["approvers in one text", { approvers: "person:alice" }],
    ["another version", { version: 2 }],
  ])("a record with %s is none", (_, over) => {
    expect(AUDIT_RECORD.safeParse({ ...auditRecord(), ...over }).success).toBe(false);
  });
});
