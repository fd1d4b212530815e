import { stringify } from "csv-stringify/sync";
import { AUDIT_RECORD } from "./record-schema.ts";
import type { AuditExportFormat } from "./manifest.ts";
import { ocsfEvent } from "./ocsf.ts";
import type { AuditRecord } from "./record.ts";

/** The columns of the CSV, in their order: the members of a record. */
export const AUDIT_CSV_COLUMNS: readonly string[] = Object.keys(AUDIT_RECORD.shape);

/** One form of an export: what stands at its beginning, and its records, given as the texts that were stored. */
export type ExportForm = {
  readonly contentType: string;
  readonly begin: string;
  readonly records: (texts: readonly string[]) => string;
  /** Whether lines that are no record (the manifest) have a place in it. */
  readonly takesManifest: boolean;
  /** Whether what retention has left of a record has one. */
  readonly takesDeleted: boolean;
};

const NDJSON = "application/x-ndjson; charset=utf-8";

export const EXPORT_FORMS: Readonly<Record<AuditExportFormat, ExportForm>> = {
  // The texts themselves, not parsed and written again: these bytes are what was hashed.
  ndjson: {
    contentType: NDJSON,
    begin: "",
    takesManifest: true,
    takesDeleted: true,
    records: (texts) => linesOf(texts),
  },
  ocsf: {
    contentType: NDJSON,
    begin: "",
    takesManifest: true,
    takesDeleted: false,
    records: (texts) => linesOf(texts.map((text) => JSON.stringify(ocsfEvent(parsed(text))))),
  },
  csv: {
    contentType: "text/csv; charset=utf-8; header=present",
    begin: csvOf([AUDIT_CSV_COLUMNS]),
    takesManifest: false,
    takesDeleted: false,
    records: (texts) => csvOf(texts.map(cellsOf)),
  },
};

const linesOf = (texts: readonly string[]): string => texts.map((text) => `${text}\n`).join("");

/** Written by this gate's own journal; `AUDIT_RECORD` is what tests hold it to. */
const parsed = (text: string): AuditRecord => JSON.parse(text);

function cellsOf(text: string): readonly unknown[] {
  const members = new Map<string, unknown>(Object.entries(parsed(text)));
  return AUDIT_CSV_COLUMNS.map((column) => cellOf(members.get(column)));
}

/** Empty for null; objects and lists as JSON; booleans as words. */
function cellOf(value: unknown): unknown {
  if (typeof value === "boolean") return String(value);
  return typeof value === "object" && value !== null ? JSON.stringify(value) : (value ?? null);
}

/**
 * RFC 4180 text: what holds a line end of any kind is quoted. A cell of text that a spreadsheet would take for a formula gets an
 * apostrophe.
 */
function csvOf(rows: readonly (readonly unknown[])[]): string {
  return stringify(
    rows.map((row) => [...row]),
    { record_delimiter: "\r\n", escape_formulas: true, quoted_match: /[\r\n]/ },
  );
}
