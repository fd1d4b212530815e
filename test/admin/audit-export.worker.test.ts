import { parse } from "csv-parse/sync";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { AUDIT_CSV_COLUMNS } from "../../src/audit/export-lines.ts";
import { ocsfEvent } from "../../src/audit/ocsf.ts";
import { GENESIS } from "../../src/audit/journal.ts";
import type { AuditRecord } from "../../src/audit/record.ts";
import { everyKind } from "../audit/every-kind.ts";
import { auditLog, RECORDS_START, recordText } from "../audit/records.ts";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import { verdict, type Answered } from "../support/answer.ts";
import { useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { storeRecords, STORED_LOG } from "../support/stored-records.ts";
import { testEnv } from "../support/test-env.ts";

/** What leaves in a file (security catalogue: AUD-01, AUD-02, AUD-07). */
const open = useBlackBox("audit-export");

const EXPORT = "/_gate/v1/audit/export";
const SECOND_LOG = "archive-1";
const UNTIL = new Date(RECORDS_START + 3_600_000).toISOString();

const MANIFEST = z.object({
  manifest: z.object({
    tenant: z.string(),
    complete: z.boolean(),
    count: z.int(),
    logs: z.array(
      z.object({
        log: z.string(),
        first_sequence: z.int(),
        last_sequence: z.int(),
        count: z.int(),
        first_previous_hash: z.string(),
        last_hash: z.string(),
      }),
    ),
  }),
});
type Manifest = z.infer<typeof MANIFEST>["manifest"];

type Tenant = {
  readonly box: BlackBox;
  readonly security: Caller;
  readonly first: readonly AuditRecord[];
  readonly second: readonly AuditRecord[];
};

/** A tenant with records in two logs of their own, all before `UNTIL`. What the gate itself records is later. */
async function tenant(entries: readonly Partial<AuditRecord>[] = everyKind): Promise<Tenant> {
  const box = await open();
  const first = auditLog(entries, STORED_LOG, box.tenant);
  const second = auditLog([{}, { kind: "outcome", outcome: "succeeded" }], SECOND_LOG, box.tenant);
  await storeRecords([...first, ...second]);
  return { box, security: await box.as("security"), first, second };
}

const get = ({ security }: Pick<Tenant, "security">, query: string, path = EXPORT): Promise<Answered> =>
  security.get(`${path}?until=${UNTIL}${query === "" ? "" : `&${query}`}`);

/** The lines of an export: its records, and what stands at its end. */
function linesOf({ text }: Answered): { readonly records: readonly string[]; readonly last: unknown } {
  expect(text.endsWith("\n")).toBe(true);
  const lines = text.split("\n").slice(0, -1);
  return { records: lines.slice(0, -1), last: JSON.parse(lines.at(-1) ?? "null") };
}

const manifestOf = (value: unknown): Manifest => MANIFEST.parse(value).manifest;

describe("NDJSON", () => {
  test("is the exact text of every record, in order, and what there is of each log", async () => {
    const own = await tenant();
    const answered = await get(own, "format=ndjson");
    expect(answered.headers.get("content-type")).toBe("application/x-ndjson; charset=utf-8");
    expect(answered.headers.get("content-disposition")).toContain(`audit-${own.box.tenant}.ndjson`);
    const { records, last } = linesOf(answered);
    expect(records).toEqual([...own.first, ...own.second].map(recordText));
    expect(manifestOf(last)).toEqual({
      tenant: own.box.tenant,
      complete: true,
      count: own.first.length + own.second.length,
      logs: [own.first, own.second].map((log) => ({
        log: log[0]?.log,
        first_sequence: 1,
        last_sequence: log.length,
        count: log.length,
        first_previous_hash: GENESIS,
        last_hash: log.at(-1)?.hash,
      })),
    });
  });

  test("one record is one line, whatever its text holds", async () => {
    const own = await tenant([{ reason: "a\nb\r\nc\u2028d\u0085e\u001b[2J\u202ef\u0000" }]);
    const { records } = linesOf(await get(own, `log=${STORED_LOG}`));
    expect(records).toHaveLength(1);
    // oxlint-disable-next-line no-control-regex -- what a line must not hold
    expect(records[0]).not.toMatch(/[\u0000-\u001f]/);
  });

  test("goes on behind any record that somebody already has", async () => {
    const own = await tenant();
    const all = [...own.first, ...own.second];
    const whole = linesOf(await get(own, ""));
    for (const at of [0, 1, 17, own.first.length - 1, own.first.length, all.length - 1]) {
      const { log = "", sequence = 0 } = all[at] ?? {};
      const rest = linesOf(await get(own, `after=${log}:${sequence}`));
      expect(rest.records, `${log}:${sequence}`).toEqual(all.slice(at + 1).map(recordText));
      expect(manifestOf(rest.last)).toEqual(manifestOf(whole.last));
    }
    expect(linesOf(await get(own, `after=${SECOND_LOG}:999`)).records).toEqual([]);
    expect(linesOf(await get(own, "after=a:0")).records).toEqual(all.map(recordText));
  });

  test("of a time is each log's run from the first to the last record of that time, unbroken", async () => {
    const times = [0, 10, 5, 20, 15, 40].map((s) => new Date(RECORDS_START + s * 1_000).toISOString());
    const own = await tenant(times.map((time) => ({ time })));
    const within = `since=${times[1] ?? ""}&log=${STORED_LOG}`;
    const answered = await own.security.get(`${EXPORT}?${within}&until=${times[3] ?? ""}`);
    const { records, last } = linesOf(answered);
    // The third is earlier than `since` and stands between two that are not.
    expect(records).toEqual(own.first.slice(1, 5).map(recordText));
    const [log] = manifestOf(last).logs;
    expect(log).toMatchObject({ first_sequence: 2, last_sequence: 5, first_previous_hash: own.first[0]?.hash });
  });

  test("of nothing is its manifest", async () => {
    const own = await tenant();
    const answered = await own.security.get(`${EXPORT}?until=2020-01-01`);
    expect(linesOf(answered).records).toEqual([]);
    expect(manifestOf(linesOf(answered).last)).toMatchObject({ count: 0, logs: [] });
  });

  test("has nothing that came in after `until`, and all of it in the next", async () => {
    const own = await tenant();
    await expect.poll(async () => (await own.security.get(`/_gate/v1/audit?kind=admin`)).text).toContain("bootstrap");
    const next = await own.security.get(`${EXPORT}?since=${UNTIL}`);
    const { records, last } = linesOf(next);
    expect(records.join("\n")).toContain('"bootstrap"');
    expect(manifestOf(last).logs.map(({ log }) => log)).not.toContain(STORED_LOG);
  });

  test("from which rows are gone says how many are there", async () => {
    const own = await tenant();
    await testEnv.DB.prepare("DELETE FROM audit WHERE tenant = ? AND log = ? AND sequence IN (5, 6)")
      .bind(own.box.tenant, STORED_LOG)
      .run();
    const { records, last } = linesOf(await get(own, `log=${STORED_LOG}`));
    expect(records).toHaveLength(own.first.length - 2);
    expect(manifestOf(last).logs).toMatchObject([
      { first_sequence: 1, last_sequence: own.first.length, count: records.length },
    ]);
  });
});

const rowsOf = (text: string): readonly unknown[] => parse(text, { columns: true });

describe("CSV", () => {
  test("has one column per member; what is no single value is JSON; the manifest is asked for by itself", async () => {
    const own = await tenant();
    const answered = await get(own, `format=csv&log=${STORED_LOG}`);
    expect(answered.headers.get("content-type")).toContain("text/csv");
    expect(answered.text.startsWith(`${AUDIT_CSV_COLUMNS.join(",")}\r\n`)).toBe(true);
    const rows = rowsOf(answered.text);
    expect(rows).toHaveLength(own.first.length);
    for (const [index, record] of own.first.entries()) {
      expect(rows[index]).toMatchObject({
        sequence: String(record.sequence),
        hash: record.hash,
        demo: String(record.demo),
        kind: record.kind,
        facts: record.facts === null ? "" : canonicalJson(z.json().parse(record.facts)),
        approvers: JSON.stringify(record.approvers),
        principal: record.principal ?? "",
      });
    }
    const manifest = await get(own, `format=csv&log=${STORED_LOG}`, `${EXPORT}/manifest`);
    expect(manifestOf(manifest.body)).toMatchObject({ count: own.first.length });
  });

  test("text that a spreadsheet would take for a formula is marked as text, in every column of free text", async () => {
    const formulas = [
      "=1+1",
      "+1",
      "-1",
      "@SUM(A1)",
      "\t=1",
      "\r=1",
      "=cmd|'/C calc'!A0",
      '=HYPERLINK("http://x","y")',
      "＝1",
    ];
    const names = [
      "reason",
      "evidence",
      "detail",
      "back_out",
      "incident",
      "action",
      "path",
      "rule",
      "outcome",
    ] as const;
    const own = await tenant(formulas.map((formula) => Object.fromEntries(names.map((name) => [name, formula]))));
    const rows = rowsOf((await get(own, `format=csv&log=${STORED_LOG}`)).text);
    expect(rows).toMatchObject(
      formulas.map((formula) => Object.fromEntries(names.map((name) => [name, `'${formula}`]))),
    );
  });

  test("commas, quotes and line ends stay inside their cell", async () => {
    const reason = 'a, "b"\r\nc;\td';
    const own = await tenant([{ reason }, { reason: "next" }]);
    expect(rowsOf((await get(own, `format=csv&log=${STORED_LOG}`)).text)).toMatchObject([
      { reason },
      { reason: "next" },
    ]);
  });

  test("that goes on has no second header", async () => {
    const own = await tenant();
    const whole = (await get(own, `format=csv&log=${STORED_LOG}`)).text;
    const rest = (await get(own, `format=csv&log=${STORED_LOG}&after=${STORED_LOG}:9`)).text;
    expect(rest.startsWith("1,")).toBe(true);
    expect(whole.endsWith(rest)).toBe(true);
  });
});

test("OCSF is one event per record, and the same manifest", async () => {
  const own = await tenant();
  const { records, last } = linesOf(await get(own, "format=ocsf"));
  expect(records.map((line): unknown => JSON.parse(line))).toEqual([...own.first, ...own.second].map(ocsfEvent));
  expect(manifestOf(last)).toEqual(manifestOf((await get(own, "format=ocsf", `${EXPORT}/manifest`)).body));
});

describe("an export is the tenant's own", () => {
  test("whatever log, place or time is asked for", async () => {
    const [mine, theirs] = [await tenant(), await tenant()];
    for (const query of [
      "",
      `log=${STORED_LOG}`,
      `after=${STORED_LOG}:3`,
      "format=csv",
      "format=ocsf",
      "after=ledger:0",
    ]) {
      const { text } = await get(mine, query);
      expect(text, query).toContain(mine.box.tenant);
      expect(text, query).not.toContain(theirs.box.tenant);
    }
    expect((await get(mine, "", `${EXPORT}/manifest`)).text).not.toContain(theirs.box.tenant);
  });

  test("security reads it and nobody else", async () => {
    const { box } = await tenant();
    for (const name of ["agent", "alice", "operator", "finance", "billing"] as const)
      for (const path of [EXPORT, `${EXPORT}/manifest`])
        expect(verdict(await (await box.as(name)).get(path)), name).toBe("403 out-of-scope");
  });

  test("what is asked for in another form is refused, and a file that is none begun", async () => {
    const { security } = await tenant();
    const mistakes = [
      "format=xml",
      "since=yesterday",
      "until=2026-13-01",
      "after=ledger",
      "after=ledger:-1",
      "after=ledger:01",
      "after=ledger:1e3",
      "after=LEDGER:1",
      "after=a'--:1",
      "log=Ledger",
      "log=a/b",
      "tenant=other",
      "limit=5",
    ];
    for (const mistake of mistakes)
      expect(verdict(await security.get(`${EXPORT}?${mistake}`)), mistake).toBe("400 malformed-request");
    expect(verdict(await security.get(`${EXPORT}/manifest?after=ledger:1`))).toBe("400 malformed-request");
  });
});
