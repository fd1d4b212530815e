import { describe, expect, test } from "vitest";
import { z } from "zod";
import { cloudEventText } from "../../src/audit/cloud-event.ts";
import { AUDIT_RECORD } from "../../src/audit/record-schema.ts";
import type { AuditRecord } from "../../src/audit/record.ts";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import { everyKind } from "./every-kind.ts";
import { auditLog, auditRecord, recordText } from "./records.ts";

/** Context attributes (CloudEvents 1.0.2, section 2.3): lower-case letters and digits. */
const NAME = /^[a-z0-9]+$/;

const textOf = (record: AuditRecord): string =>
  cloudEventText(record, { sequence: record.sequence, record: recordText(record) });
const eventOf = (record: AuditRecord): Record<string, unknown> => z.looseObject({}).parse(JSON.parse(textOf(record)));

describe("every record is a CloudEvent", () => {
  test.each(everyKind)("$kind, record $sequence", (record) => {
    const { data, ...context } = eventOf(record);
    expect(context).toMatchObject({ specversion: "1.0", datacontenttype: "application/json", time: record.time });
    for (const [name, value] of Object.entries(context)) {
      expect(name).toMatch(NAME);
      expect(value, name).toEqual(expect.stringMatching(/./));
    }
    expect(canonicalJson(AUDIT_RECORD.parse(data)), "the record, whole").toBe(recordText(record));
    expect(textOf(record).endsWith(`,"data":${recordText(record)}}`), "byte for byte").toBe(true);
  });
});

test("what retention has left of a record is an event in its place", () => {
  const record = canonicalJson({ deleted: true, hash: "sha256:1", leaf_hash: "AA==", log: "ledger", sequence: 7 });
  const text = cloudEventText({ tenant: "acme", log: "ledger" }, { sequence: 7, record });
  expect(JSON.parse(text)).toEqual({
    specversion: "1.0",
    id: "7",
    source: "/portcullis/acme/ledger",
    type: "portcullis.audit.deleted.v1",
    datacontenttype: "application/json",
    sequence: "0000000000000007",
    data: JSON.parse(record),
  });
});

test("source and id name one record, whatever logs and tenants there are", () => {
  const logs = ["acme", "globex"].flatMap((tenant) =>
    ["ledger", "requests-0"].flatMap((log) => auditLog([{}, {}, {}], log, tenant)),
  );
  const names = logs.map(eventOf).map(({ source, id }) => JSON.stringify([source, id]));
  expect(new Set(names).size).toBe(logs.length);
});

test("the sequence as text sorts as the number does", () => {
  const numbers = [1, 2, 9, 10, 99, 100, 12_345_678, Number.MAX_SAFE_INTEGER];
  const texts = numbers.map((sequence) => z.string().parse(eventOf({ ...auditRecord(), sequence })["sequence"]));
  expect(texts.toSorted()).toEqual(texts);
  expect(texts.map(Number)).toEqual(numbers);
});
