import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { EXPORT_FORMS } from "../../src/audit/export-lines.ts";
import { exportStream, type ExportPlace, type ReadPage } from "../../src/audit/export-stream.ts";
import { manifestJson, type AuditExportFormat, type SignedManifest } from "../../src/audit/manifest.ts";
import { auditLog, recordText } from "../audit/records.ts";
import { flat, runCli, scratchFolder, type Ran } from "./run-cli.ts";
import { problemAnswer, startStubGate, type StubGate } from "./stub-gate.ts";

/** The query of the newest call. */
const queryOf = ({ received }: StubGate): URLSearchParams =>
  new URL(received.at(-1)?.target ?? "", "http://gate").searchParams;

const LOGS = [
  auditLog(
    Array.from({ length: 23 }, (_, n) => ({ reason: `reason "${n}"\nand\r\nmore` })),
    "ledger",
  ),
  auditLog([{}, {}], "requests-0"),
];
const ALL = LOGS.flat();
const UNTIL = "2026-11-20T08:10:00.000Z";
const read: ReadPage = async ({ log, last }, after, limit) =>
  ALL.filter((one) => one.log === log && one.sequence > after && one.sequence <= last)
    .slice(0, limit)
    .map((one) => ({ sequence: one.sequence, hash: one.hash, record: recordText(one), leafHash: null }));
const manifestOf = (format: AuditExportFormat): SignedManifest => ({
  tenant: "acme",
  format,
  since: null,
  until: UNTIL,
  generatedAt: UNTIL,
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
const placeOf = (written: string | null): ExportPlace | null => {
  const [log = "", sequence = ""] = written?.split(":") ?? [];
  return written === null ? null : { log, sequence: Number(sequence) };
};
const whole = async (format: AuditExportFormat, after: ExportPlace | null, records: number): Promise<string> =>
  new Response(await exportStream(manifestOf(format), after, read, { pageRecords: 4, records })).text();

/** A gate that gives `records` per answer; `cut` says how an answer is changed on its way. */
async function exporting(
  format: AuditExportFormat,
  records: number,
  cut = (text: string, _answer: number): string => text,
): Promise<StubGate> {
  const texts = new Map<string, string>();
  const places = [null, ...ALL.map(({ log, sequence }) => `${log}:${sequence}`)];
  for (const place of places) texts.set(place ?? "", await whole(format, placeOf(place), records));
  let answers = 0;
  const gate: StubGate = await startStubGate({
    "GET /_gate/v1/audit/export/manifest": { body: manifestJson(manifestOf(format)) },
    "GET /_gate/v1/audit/export": () => {
      answers += 1;
      const text = cut(texts.get(queryOf(gate).get("after") ?? "") ?? "", answers);
      return { text, headers: { "content-type": EXPORT_FORMS[format].contentType } };
    },
  });
  return gate;
}

const FORMATS = ["ndjson", "csv", "ocsf"] as const;
const run = (gate: StubGate, cwd: string, format: string, more: readonly string[] = []): Promise<Ran> =>
  runCli(["audit", "export", "--format", format, "--output", "out", ...more], { env: gate.env, cwd });

test.each(FORMATS)("%s: however many answers it takes, the file is the export whole", async (format) => {
  const expected = await whole(format, null, 1_000);
  for (const records of [1_000, 9, 23]) {
    const [gate, cwd] = [await exporting(format, records), scratchFolder()];
    const ran = await run(gate, cwd, format);
    expect(ran, ran.stderr).toMatchObject({ code: 0, stdout: `25 records until ${UNTIL} are in out.\n` });
    expect(readFileSync(join(cwd, "out"), "utf8"), `${records} an answer`).toBe(expected);
    for (const beside of ["out.part", "out.part.json"]) expect(existsSync(join(cwd, beside))).toBe(false);
    expect(existsSync(join(cwd, "out.manifest.json"))).toBe(format === "csv");
  }
});

test.each(FORMATS)("%s: what was broken off anywhere is gone on with, and nothing is there twice", async (format) => {
  const expected = await whole(format, null, 1_000);
  for (const at of [1, 200, 1_500, Math.floor(expected.length / 2), expected.length - 2]) {
    const cwd = scratchFolder();
    writeFileSync(join(cwd, "out.part"), expected.slice(0, at));
    writeFileSync(join(cwd, "out.part.json"), JSON.stringify({ format, since: null, until: UNTIL, log: null }));
    const gate = await exporting(format, 1_000);
    const ran = await run(gate, cwd, format);
    expect(ran.code, ran.stderr).toBe(0);
    expect(readFileSync(join(cwd, "out"), "utf8"), `cut at ${at}`).toBe(expected);
    for (const { target } of gate.received) expect(target).toContain(`until=${encodeURIComponent(UNTIL)}`);
  }
});

test("a file that exists is replaced with --force only, before the gate is asked", async () => {
  const [gate, cwd] = [await exporting("ndjson", 1_000), scratchFolder()];
  writeFileSync(join(cwd, "out"), "mine");
  expect(await run(gate, cwd, "ndjson")).toMatchObject({ code: 2, stdout: "" });
  expect([gate.received.length, readFileSync(join(cwd, "out"), "utf8")]).toEqual([0, "mine"]);
  expect((await run(gate, cwd, "ndjson", ["--force"])).code).toBe(0);
  expect(readFileSync(join(cwd, "out"), "utf8")).toBe(await whole("ndjson", null, 1_000));
});

test("an unfinished file of another export is not gone on with", async () => {
  const cwd = scratchFolder();
  writeFileSync(join(cwd, "out.part"), "x");
  writeFileSync(join(cwd, "out.part.json"), JSON.stringify({ format: "csv", since: null, until: UNTIL, log: null }));
  const gate = await exporting("ndjson", 1_000);
  expect((await run(gate, cwd, "ndjson")).code).toBe(2);
  expect((await run(gate, cwd, "csv", ["--since", "2026-01-01"])).code).toBe(2);
  expect((await run(gate, cwd, "csv", ["--log", "ledger"])).code).toBe(2);
  expect(gate.received).toEqual([]);
});

test("an answer that ends early without saying so is asked for again, from its last whole record", async () => {
  const gate = await exporting("ndjson", 1_000, (text, answer) => (answer < 3 ? text.slice(0, 4_000 * answer) : text));
  const cwd = scratchFolder();
  const ran = await run(gate, cwd, "ndjson");
  expect(ran.code, ran.stderr).toBe(0);
  expect(readFileSync(join(cwd, "out"), "utf8")).toBe(await whole("ndjson", null, 1_000));
});

test("records that the manifest has and the file has not are an error", async () => {
  const gate = await exporting("ndjson", 1_000, (text) => text.split("\n").toSpliced(3, 2).join("\n"));
  const ran = await run(gate, scratchFolder(), "ndjson");
  expect(ran.code).toBe(1);
  expect(flat(ran.stdout)).toContain("The manifest has 25: rows are missing in D1.");
});

test("a refusal leaves no file of this name", async () => {
  const gate = await startStubGate({
    "GET /_gate/v1/audit/export/manifest": problemAnswer("out-of-scope", 403, "Not covered", {}),
  });
  const cwd = scratchFolder();
  expect((await run(gate, cwd, "ndjson")).code).toBe(1);
  expect(existsSync(join(cwd, "out"))).toBe(false);
});
