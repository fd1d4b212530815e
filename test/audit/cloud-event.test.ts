import { describe, expect, test } from "vitest";
import { z } from "zod";
import { cloudEvent } from "../../src/audit/cloud-event.ts";
import { AUDIT_RECORD } from "../../src/audit/record-schema.ts";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import { everyKind } from "./every-kind.ts";
import { auditLog, auditRecord, recordText } from "./records.ts";

/** Context attributes (CloudEvents 1.0.2, section 2.3): lower-case letters and digits. */
const NAME = /^[a-z0-9]+$/;

describe("every record is a CloudEvent", () => {
  test.each(everyKind)("$kind, record $sequence", (record) => {
    const { data, ...context } = cloudEvent(record);
    expect(context).toMatchObject({ specversion: "1.0", datacontenttype: "application/json", time: record.time });
    for (const [name, value] of Object.entries(context)) {
      expect(name).toMatch(NAME);
      expect(value, name).toEqual(expect.stringMatching(/./));
    }
    expect(canonicalJson(AUDIT_RECORD.parse(data)), "the record, whole").toBe(recordText(record));
  });
});

test("source and id name one record, whatever logs and tenants there are", () => {
  const logs = ["acme", "globex"].flatMap((tenant) =>
    ["ledger", "requests-0"].flatMap((log) => auditLog([{}, {}, {}], log, tenant)),
  );
  const names = logs.map(cloudEvent).map(({ source, id }) => JSON.stringify([source, id]));
  expect(new Set(names).size).toBe(logs.length);
});

test("the sequence as text sorts as the number does", () => {
  const numbers = [1, 2, 9, 10, 99, 100, 12_345_678, Number.MAX_SAFE_INTEGER];
  const texts = numbers.map((sequence) => z.string().parse(cloudEvent({ ...auditRecord(), sequence })["sequence"]));
  expect(texts.toSorted()).toEqual(texts);
  expect(texts.map(Number)).toEqual(numbers);
});
