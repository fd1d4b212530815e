import { describe, expect, test } from "vitest";
import { EXPORT_FORMS } from "../../src/audit/export-lines.ts";
import { exportStream, type ExportPlace, type ReadPage } from "../../src/audit/export-stream.ts";
import { AUDIT_EXPORT_FORMATS, type AuditExportFormat, type SignedManifest } from "../../src/audit/manifest.ts";
import type { AuditRecord } from "../../src/audit/record.ts";
import { auditLog, auditRecord, recordText } from "./records.ts";

const count = (n: number): readonly object[] => Array.from({ length: n }, () => ({}));
const LOGS = [auditLog(count(23), "ledger"), auditLog(count(10), "requests-0"), auditLog(count(1), "requests-1")];
const ALL = LOGS.flat();

const reader =
  (records: readonly AuditRecord[]): ReadPage =>
  async ({ log, last }, after, limit) =>
    records
      .filter((one) => one.log === log && one.sequence > after && one.sequence <= last)
      .slice(0, limit)
      .map((one) => ({ sequence: one.sequence, hash: one.hash, record: recordText(one), leafHash: null }));

const manifestOf = (format: AuditExportFormat): SignedManifest => ({
  tenant: "acme",
  format,
  since: null,
  until: "2026-11-21T00:00:00.000Z",
  generatedAt: "2026-11-21T00:00:00.000Z",
  logs: LOGS.map((log) => ({
    log: log[0]?.log ?? "",
    first: 1,
    last: log.length,
    count: log.length,
    deleted: 0,
    firstPreviousHash: log[0]?.previous_hash ?? "",
    lastHash: log.at(-1)?.hash ?? "",
    checkpoint: null,
    verifierKey: null,
  })),
  signature: "a note",
});

const run = async (
  format: AuditExportFormat,
  { after = null, page = 7, records = 1_000, read = reader(ALL) }: Partial<Options> = {},
): Promise<string> =>
  new Response(await exportStream(manifestOf(format), after, read, { pageRecords: page, records })).text();
type Options = {
  readonly after: ExportPlace | null;
  readonly page: number;
  readonly records: number;
  readonly read: ReadPage;
};

describe("the export is every record once, in order", () => {
  test.each([1, 7, 10, 23, 34, 100])("in pages of %i", async (page) => {
    const lines = (await run("ndjson", { page })).split("\n");
    expect(lines.slice(0, -2)).toEqual(ALL.map(recordText));
    expect(lines.at(-2)).toContain('{"manifest":{"version":1,');
  });

  test.each(AUDIT_EXPORT_FORMATS)("as %s, in as many answers as the bound of one makes of it", async (format) => {
    const whole = await run(format);
    for (const records of [1, 7, 9, 23, 33, 34]) {
      let text = "";
      let after: ExportPlace | null = null;
      for (let answers = 0; answers < 100; answers += 1) {
        const part: string = await run(format, { after, records });
        const lines = part.split("\n");
        const next: unknown = format === "csv" ? null : JSON.parse(lines.at(-2) ?? "");
        const body =
          next !== null && JSON.stringify(next).startsWith('{"next":') ? `${lines.slice(0, -2).join("\n")}\n` : part;
        text += body;
        const had: AuditRecord | undefined = ALL[text.split("\n").length - (format === "csv" ? 3 : 2)];
        if (text.includes('{"manifest":') || had === undefined) break;
        if (text.length === whole.length) break;
        after = { log: had.log, sequence: had.sequence };
        if (format !== "csv") expect(next).toEqual({ next: { after: `${had.log}:${had.sequence}` } });
      }
      expect(text, `${records} records an answer`).toBe(whole);
    }
  });

  test("what comes in while it is read is beyond it", async () => {
    const more = [...ALL, ...auditLog(count(40), "ledger").slice(23), ...auditLog(count(3), "requests-9")];
    expect(await run("ndjson", { read: reader(more) })).toBe(await run("ndjson"));
  });
});

const gone: ReadPage = () => Promise.reject(new Error("the database is gone"));
const goneAfter14: ReadPage = (log, after, limit) =>
  after >= 14 ? gone(log, after, limit) : reader(ALL)(log, after, limit);

describe("an export that is cut short does not look whole", () => {
  test.each(AUDIT_EXPORT_FORMATS)("a page that cannot be read breaks %s off", async (format) => {
    await expect(run(format, { read: goneAfter14 })).rejects.toThrow("the database is gone");
  });

  test("a first page that cannot be read begins no file", async () => {
    await expect(exportStream(manifestOf("csv"), null, gone, { pageRecords: 5, records: 5 })).rejects.toThrow("gone");
  });

  test("rows that are gone leave a hole that the manifest does not have", async () => {
    const text = await run("ndjson", { read: reader(ALL.filter(({ sequence }) => sequence < 5 || sequence > 8)) });
    const lines = text.split("\n").slice(0, -1);
    expect(lines.length - 1).toBeLessThan(ALL.length);
    expect(lines.at(-1)).toContain(`"count":${ALL.length}`);
  });
});

test("a cell with a line end of any kind is quoted (RFC 4180)", () => {
  const text = EXPORT_FORMS.csv.records([
    recordText(auditRecord({ reason: "a\nb", evidence: "c\rd", detail: "e\r\nf" })),
  ]);
  for (const cell of ["a\nb", "c\rd", "e\r\nf"]) expect(text).toContain(`,"${cell}",`);
});
