import type { JsonObject } from "../platform/json.ts";
import type { AuditRecord } from "./record.ts";

/** Digits of a sequence: as text it sorts as the number does (CloudEvents extension `sequence`). */
const SEQUENCE_DIGITS = 16;

/**
 * One audit record in a CloudEvents 1.0 envelope. `source` and `id` together name the record, so that a receiver that has seen them
 * has seen the record: delivering again is safe. `sequence` is gapless per source: a hole is a record that has not come yet.
 */
export const cloudEvent = (record: AuditRecord): JsonObject => ({
  specversion: "1.0",
  id: String(record.sequence),
  source: `/portcullis/${record.tenant}/${record.log}`,
  type: `portcullis.audit.${record.kind}.v${record.version}`,
  subject: record.request_id,
  time: record.time,
  datacontenttype: "application/json",
  sequence: String(record.sequence).padStart(SEQUENCE_DIGITS, "0"),
  data: { ...record, facts: record.facts === null ? null : copyOf(record.facts), approvers: [...record.approvers] },
});

const copyOf = (facts: NonNullable<AuditRecord["facts"]>): JsonObject =>
  Object.fromEntries(Object.entries(facts).map(([name, fact]) => [name, typeof fact === "object" ? [...fact] : fact]));
