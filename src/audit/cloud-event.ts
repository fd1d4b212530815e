import { isJsonObject, type JsonValue } from "../platform/json.ts";
import type { CopyRow } from "./copy-cursor.ts";
import type { Place } from "./journal.ts";

/** Digits of a sequence: as text it sorts as the number does (CloudEvents extension `sequence`). */
const SEQUENCE_DIGITS = 16;

/**
 * One audit record as the text of a CloudEvents 1.0 event. Its `data` is the record's own text, byte for byte what was hashed. `source`
 * and `id` together name the record, so that a receiver that has seen them has seen the record: delivering again is safe.
 * `sequence` is gapless per source: a hole is a record that has not come yet.
 */
export function cloudEventText({ tenant, log }: Place, { sequence, record }: CopyRow): string {
  const context = {
    specversion: "1.0",
    id: String(sequence),
    source: `/portcullis/${tenant}/${log}`,
    ...aboutOf(JSON.parse(record)),
    datacontenttype: "application/json",
    sequence: String(sequence).padStart(SEQUENCE_DIGITS, "0"),
  };
  return `${JSON.stringify(context).slice(0, -1)},"data":${record}}`;
}

/** What the attributes say that a receiver sorts by. What retention has left of a record says nothing more than that. */
function aboutOf(record: JsonValue): { readonly type: string; readonly subject?: string; readonly time?: string } {
  if (!isJsonObject(record) || record["deleted"] === true) return { type: "portcullis.audit.deleted.v1" };
  const { kind, version, request_id: subject, time } = record;
  if (typeof kind !== "string" || typeof version !== "number") return { type: "portcullis.audit" };
  const type = `portcullis.audit.${kind}.v${version}`;
  return typeof subject === "string" && typeof time === "string" ? { type, subject, time } : { type };
}
