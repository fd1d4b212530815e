import { describe, expect, test } from "vitest";
import { appendEntry, JOURNAL_SCHEMA } from "../../../src/audit/journal.ts";
import { leafHash } from "../../../src/audit/merkle.ts";
import { blankEntry } from "../../../src/audit/record.ts";
import { toBase64 } from "../../../src/platform/base64.ts";
import { digestOf } from "../../../src/platform/digest.ts";
import { textOf } from "../../../src/platform/sql-row.ts";
import { runPiped } from "../../cli/fake-terminal.ts";
import { flat, scratchFile } from "../../cli/run-cli.ts";
import { sqliteStorage } from "../../ledger/stateful/sqlite-storage.ts";
import {
  checkpointOf,
  exportText,
  journalOf,
  lineOf,
  manifestOf,
  recordOf,
  rechained,
  TENANT,
  verify,
  vkeyOf,
  type Logs,
} from "./exports.ts";

const NOW = Date.UTC(2026, 10, 20, 8, 0);
const DAY = 86_400_000;
const READS = journalOf("requests-0", 9);

/** The line that retention leaves of a record. */
function remains(line: string): string {
  const { log, sequence, hash } = recordOf(line);
  return lineOf({ deleted: true, log, sequence, hash, leaf_hash: toBase64(leafHash(new TextEncoder().encode(line))) });
}
const gone = (lines: readonly string[], count: number): string[] => [
  ...lines.slice(0, count).map(remains),
  ...lines.slice(count),
];

/** The digest over what is left of the first `count` records, worked out from the documents. */
function digestOver(lines: readonly string[], count: number): string {
  let digest = `sha256:${"0".repeat(64)}`;
  for (const line of lines.slice(0, count)) {
    const { sequence, hash, leaf_hash: leaf } = JSON.parse(remains(line));
    digest = digestOf("portcullis/audit-deleted/v1", `${digest}\n${sequence} ${hash} ${leaf}`);
  }
  return digest;
}

type Stated = { readonly facts?: object; readonly by?: string };

/** A ledger of ten records, then the record that texts go, then two more. `stated`: what that record says of logs. */
function ledgerWith(
  stated: (ten: readonly string[]) => readonly string[],
  { facts = {}, by = "gate" }: Stated = {},
): string[] {
  const { sql } = sqliteStorage();
  sql.exec(JOURNAL_SCHEMA);
  const lines = (): string[] =>
    sql
      .exec("SELECT record FROM journal ORDER BY sequence")
      .toArray()
      .map((row) => textOf(row, "record"));
  const add = (name: string, over: object): void =>
    appendEntry(sql, { tenant: TENANT, log: "ledger" }, name, { ...blankEntry("admin", name, NOW), ...over }, NOW);
  for (let at = 1; at <= 10; at++) add(`req_${at}`, { reason: `act ${at}` });
  add("req_retention", {
    principal: "retention",
    principal_class: by,
    reason_code: "audit-retention",
    facts: {
      retain_days: 90,
      older_than: new Date(NOW - 90 * DAY).toISOString(),
      records: 1,
      logs: [...stated(lines())],
      ...facts,
    },
  });
  for (const at of [12, 13]) add(`req_${at}`, { reason: `act ${at}` });
  return lines();
}

const LEDGER = ledgerWith((ten) => [`ledger 6 ${digestOver(ten, 6)}`, `requests-0 4 ${digestOver(READS, 4)}`]);
const OWN = { ledger: await checkpointOf("ledger", LEDGER), "requests-0": await checkpointOf("requests-0", READS) };
const fileOf = (logs: Logs, over: Parameters<typeof manifestOf>[1] = {}): string =>
  exportText(logs, manifestOf(logs, { checkpoints: OWN, ...over }));
const HONEST: Logs = { ledger: gone(LEDGER, 6), "requests-0": gone(READS, 4) };

/** The ledger of which six texts are gone, with something else left of record `at`. */
const changed = (at: number, over: object): string[] => {
  const lines = gone(LEDGER, 6);
  return lines.with(at - 1, lineOf({ ...JSON.parse(lines[at - 1] ?? ""), ...over }));
};

test("what retention deleted, and put on record, holds up to every checkpoint; and nobody is told that the texts do", async () => {
  const ran = await verify(fileOf(HONEST), { checkpoints: [OWN.ledger] });
  expect(ran).toMatchObject({ code: 0, named: [] });
  expect(ran.json).toMatchObject({
    records: 22,
    deleted: 10,
    retention: { sequence: 11, retain_days: 90 },
    logs: [
      { log: "ledger", records: 13, deleted: 6, signed_to: 13, from_start: true },
      { log: "requests-0", records: 9, deleted: 4, signed_to: 9 },
    ],
  });
  expect(ran.json.notes).toContain(
    "ledger: 6 records deleted by retention after 90 days: place and hashes are there, texts are not.",
  );
  const shown = await runPiped([
    "audit",
    "verify",
    scratchFile("export.ndjson", fileOf(HONEST)),
    "--key",
    vkeyOf("ledger"),
    "--key",
    vkeyOf("requests-0"),
  ]);
  expect(flat(shown.stdout)).toContain(
    "22 records, of 10 only the hashes, nothing is wrong with what could be checked",
  );
});

test("while retention is at it, less is gone than is on record: said, and not wrong", async () => {
  const ran = await verify(fileOf({ ledger: gone(LEDGER, 3), "requests-0": READS }));
  expect(ran).toMatchObject({ code: 0, named: [] });
  expect(ran.json.notes.join()).toContain("Retention takes the text of ledger up to 6, by record 11 of ledger");
});

describe("a text that is gone and that no record says goes is named:", () => {
  const ALL_OF_10 = ledgerWith((ten) => [`ledger 6 ${digestOver(ten, 6)}`]);
  test.each<[string, Logs, readonly string[]]>([
    ["beyond what the record says", { ...HONEST, ledger: gone(LEDGER, 8) }, ["deleted ledger 7-8"]],
    [
      "a young one in the middle",
      { ...HONEST, ledger: LEDGER.with(7, remains(LEDGER[7] ?? "")) },
      ["deleted ledger 8"],
    ],
    [
      "the newest",
      { ...HONEST, "requests-0": [...READS.slice(0, 8), remains(READS[8] ?? "")] },
      ["deleted requests-0 9"],
    ],
    [
      "the record of the deletion itself",
      { ...HONEST, ledger: gone(LEDGER, 11) },
      ["deleted ledger 1-11", "deleted requests-0 1-4"],
    ],
  ])("%s", async (_, logs, named) => {
    expect(await verify(fileOf(logs))).toMatchObject({ code: 1, named });
  });

  test("of a log that the record does not speak of", async () => {
    const logs = { ledger: gone(ALL_OF_10, 6), "requests-0": gone(READS, 2) };
    expect(await verify(exportText(logs, manifestOf(logs)))).toMatchObject({
      code: 1,
      named: ["deleted requests-0 1-2"],
    });
  });

  test("where the record of the deletion is somebody's own", async () => {
    const ledger = ledgerWith((ten) => [`ledger 6 ${digestOver(ten, 6)}`], { by: "person" });
    const logs = { ledger: gone(ledger, 6) };
    const ran = await verify(exportText(logs, manifestOf(logs)));
    expect(ran).toMatchObject({ code: 1, named: ["deleted ledger 1-6"] });
  });

  test("where that record was changed to say so, which its hash tells", async () => {
    const forged = LEDGER.with(10, (LEDGER[10] ?? "").replace("requests-0 4", "requests-0 5"));
    const ran = await verify(fileOf({ ledger: gone(forged, 6), "requests-0": gone(READS, 5) }));
    expect(ran.named).toContain("edited ledger 11");
    expect(ran.named).toContain("deleted requests-0 1-5");
  });

  test("where that record takes what is younger than its own retention", async () => {
    const ledger = ledgerWith((ten) => [`ledger 6 ${digestOver(ten, 6)}`], {
      facts: { older_than: new Date(NOW - 89 * DAY).toISOString() },
    });
    const logs = { ledger: gone(ledger, 6) };
    expect(await verify(exportText(logs, manifestOf(logs)))).toMatchObject({ code: 1, named: ["deleted ledger 11"] });
  });

  test("where the ledger was forged with it: that is another history than the one that was signed", async () => {
    const { hash: _, ...statement } = recordOf(LEDGER[10] ?? "");
    const facts = { ...statement.facts, logs: [`ledger 8 ${digestOver(LEDGER, 8)}`] };
    const forged = rechained(LEDGER.with(10, lineOf({ ...statement, facts, hash: "" })));
    const logs = { ledger: gone(forged, 8) };
    const ran = await verify(exportText(logs, manifestOf(logs)), { checkpoints: [OWN.ledger] });
    expect(ran.json.ok).toBe(false);
    expect(ran.named.join()).toContain("forked ledger");
  });
});

describe("what is left of a deleted record cannot be changed:", () => {
  const OTHER = `sha256:${"1".repeat(64)}`;
  test.each<[string, string[], string]>([
    ["its leaf, in the middle", changed(3, { leaf_hash: toBase64(new Uint8Array(32)) }), "edited ledger 1-6"],
    ["its hash, in the middle", changed(3, { hash: OTHER }), "edited ledger 1-6"],
    ["its leaf, at the end", changed(6, { leaf_hash: toBase64(new Uint8Array(32)) }), "edited ledger 1-6"],
    ["its hash, at the end, which the next record names too", changed(6, { hash: OTHER }), "edited ledger 1-6"],
    ["its form", changed(3, { reason: "x" }), "edited ledger 3"],
    ["a leaf that is none", changed(3, { leaf_hash: "AA==" }), "edited ledger 3"],
  ])("%s", async (_, ledger, named) => {
    const ran = await verify(fileOf({ ...HONEST, ledger }));
    expect(ran.code).toBe(1);
    expect(ran.named).toContain(named);
  });

  test("the leaf alone, where the record of the deletion is not there: the checkpoint tells", async () => {
    const reads = gone(READS, 4);
    const other = lineOf({ ...JSON.parse(reads[1] ?? ""), leaf_hash: toBase64(new Uint8Array(32)) });
    const logs = { "requests-0": reads.with(1, other) };
    const ran = await verify(exportText(logs, manifestOf(logs, { checkpoints: OWN })));
    expect(ran).toMatchObject({ code: 1, named: ["forked requests-0 1-9"] });
  });

  test("one that is missing is missed", async () => {
    const ran = await verify(fileOf({ ...HONEST, ledger: gone(LEDGER, 6).toSpliced(2, 1) }, {}));
    expect(ran.code).toBe(1);
    expect(ran.named).toContain("deleted ledger 3");
  });
});

test("an export of one log alone says that it cannot tell who deleted", async () => {
  const logs = { "requests-0": gone(READS, 4) };
  const ran = await verify(exportText(logs, manifestOf(logs, { checkpoints: OWN })));
  expect(ran).toMatchObject({ code: 0, named: [] });
  expect(ran.json.notes.join()).toContain("Whether retention took the text of requests-0 up to 4 could not be checked");
});

test("an earlier export, from when the texts were there, tells a hash that was changed since", async () => {
  const before: Logs = { ledger: LEDGER.slice(0, 10), "requests-0": READS };
  const previous = [exportText(before, manifestOf(before))];
  expect(await verify(fileOf(HONEST), { previous })).toMatchObject({ code: 0, named: [] });
});

test("an export in parts is judged by the record of the deletion in whichever part that is", async () => {
  const manifest = manifestOf(HONEST, { checkpoints: OWN });
  const parts = [
    [...(HONEST["ledger"] ?? []), '{"next":{"after":"ledger:13"}}'],
    [...(HONEST["requests-0"] ?? []), manifest],
  ].map((lines) => lines.map((line) => `${line}\n`).join(""));
  const [first = "", second = ""] = parts;
  const ran = await verify(second, { previous: [first] });
  expect(ran).toMatchObject({ code: 0, named: [] });
  expect(ran.json.retention).toMatchObject({ sequence: 11 });
});
