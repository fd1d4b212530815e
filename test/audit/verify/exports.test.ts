import { expect, test } from "vitest";
import { leafHash, rangeRoot, tilesOf } from "../../../src/audit/merkle.ts";
import { CompactRange } from "../../../src/audit/verify/compact-range.ts";
import { runAtTerminal, runPiped } from "../../cli/fake-terminal.ts";
import { flat, scratchFile, scratchFolder, widest } from "../../cli/run-cli.ts";
import {
  altered,
  checkpointOf,
  exportText,
  journalOf,
  manifestOf,
  rechained,
  rehashed,
  signedManifestOf,
  signerOf,
  verify,
  vkeyOf,
  type Logs,
} from "./exports.ts";

const LEDGER = journalOf("ledger", 30);
const AT_20 = await checkpointOf("ledger", LEDGER.slice(0, 20));
const AT_30 = await checkpointOf("ledger", LEDGER);
const OTHER_TENANT = await checkpointOf("ledger", LEDGER, signerOf("ledger", "globex"));
const SINCE = "2026-11-20T08:00:21.000Z";

const only = (ledger: readonly string[], over: Parameters<typeof manifestOf>[1] = {}): string => {
  const logs: Logs = { ledger };
  return exportText(logs, manifestOf(logs, over));
};

test("a root from subtrees alone is the root of the whole tree, at every size", () => {
  const leaves = Array.from({ length: 70 }, (_, index) => leafHash(Uint8Array.of(index)));
  const tiles = tilesOf(leaves);
  const range = new CompactRange();
  expect(range.root()).toEqual(rangeRoot(tiles, 0, 0));
  for (const [index, leaf] of leaves.entries()) {
    range.append(leaf);
    expect(range.root(), `${index + 1} leaves`).toEqual(rangeRoot(tiles, 0, index + 1));
    expect(new CompactRange(range).root()).toEqual(range.root());
  }
});

test("records newer than every checkpoint are said to be so", async () => {
  const ran = await verify(only(LEDGER, { checkpoints: { ledger: AT_20 } }));
  expect(ran).toMatchObject({ code: 0, named: [] });
  expect(ran.json.logs[0]).toMatchObject({ signed_to: 20, checkpoints: [{ verdict: "holds" }] });
  expect(ran.json.notes).toEqual([
    expect.stringContaining("The manifest has no signature"),
    "ledger: the records after 20 are newer than every checkpoint; only hashes and chain were checked.",
  ]);
});

test("an export without any checkpoint says what it does not prove", async () => {
  const ran = await verify(only(rechained(LEDGER.map(altered))));
  expect(ran).toMatchObject({ code: 0, named: [] });
  expect(ran.json.notes.join()).toContain("that it was not rewritten whole could not be checked");
});

test("an export that begins inside the log is accepted, and said to be so", async () => {
  const ran = await verify(only(LEDGER.slice(20), { since: SINCE, checkpoints: { ledger: AT_30 } }));
  expect(ran).toMatchObject({ code: 0, named: [] });
  expect(ran.json.logs[0]).toMatchObject({
    from_start: false,
    root: null,
    signed_to: 0,
    checkpoints: [{ verdict: "not-covered" }],
  });
  expect(ran.json.notes.join()).toContain("ledger begins at sequence 21: only hashes and chain could be checked");
});

test("after the exports before it, roots are checked through to its end", async () => {
  const later = only(LEDGER.slice(20), { since: SINCE });
  const previous = [
    only(LEDGER.slice(0, 8), { until: SINCE }),
    only(LEDGER.slice(8, 20), { since: SINCE, until: SINCE }),
  ];
  const ran = await verify(later, { previous, checkpoints: [AT_30] });
  expect(ran).toMatchObject({ code: 0, named: [] });
  expect(ran.json.logs[0]).toMatchObject({ from_start: true, signed_to: 30 });
});

test("an export had in parts is whole when every part goes on from the one before", async () => {
  const reads = journalOf("requests-0", 5);
  const logs = { ledger: LEDGER, "requests-0": reads };
  const manifest = manifestOf(logs, { checkpoints: { ledger: AT_30 } });
  const parts = [
    [...LEDGER.slice(0, 12), '{"next":{"after":"ledger:12"}}'],
    [...LEDGER.slice(12), ...reads.slice(0, 2), '{"next":{"after":"requests-0:2"}}'],
    [...reads.slice(2), manifest],
  ].map((lines) => lines.map((line) => `${line}\n`).join(""));
  const [first = "", second = "", third = ""] = parts;
  const whole = await verify(parts.join(""), { checkpoints: [AT_20] });
  expect(whole).toMatchObject({ code: 0, named: [] });
  const inParts = await verify(third, { previous: [first, second], checkpoints: [AT_20] });
  expect(inParts).toMatchObject({ code: 0, named: [] });
  expect((await verify(second, { previous: [first] })).named).toEqual([
    "truncated ledger 31",
    "truncated requests-0 3",
  ]);
  expect((await verify(third)).named).toEqual(["truncated ledger 1-30", "deleted requests-0 1-2"]);
  expect((await verify(third, { previous: [second] })).named).not.toEqual([]);
  expect((await verify(third, { previous: [first] })).named).toEqual([
    "truncated ledger 13-30",
    "deleted requests-0 1-2",
  ]);
});

test("an export's own checkpoint may be a moment younger than its last record; one kept outside may not", async () => {
  const text = only(LEDGER.slice(0, 25), { checkpoints: { ledger: AT_30 } });
  const ran = await verify(text);
  expect(ran).toMatchObject({ code: 0, named: [] });
  expect(ran.json.notes.join()).toContain("of 30 records is younger than its last record (25)");
  expect(await verify(text, { checkpoints: [AT_30] })).toMatchObject({ code: 1, named: ["rewound ledger 26-30"] });
});

test("an export that does not go on where the one before ended is a fork", async () => {
  const other = rechained([...LEDGER.slice(0, 19), altered(LEDGER[19] ?? ""), ...LEDGER.slice(20)]);
  const ran = await verify(only(other.slice(20), { since: SINCE }), {
    previous: [only(LEDGER.slice(0, 20), { until: SINCE })],
  });
  expect(ran).toMatchObject({ code: 1, named: ["forked ledger 21"] });
});

test("an earlier checkpoint that the log grew from holds, one of a longer log cannot be checked where the export ends at a time", async () => {
  const ran = await verify(only(LEDGER.slice(0, 25), { until: SINCE }), { previous: [AT_20], checkpoints: [AT_30] });
  expect(ran).toMatchObject({ code: 0, named: [] });
  expect(ran.json.logs[0]?.checkpoints.map(({ verdict }) => verdict)).toEqual(["holds", "not-covered"]);
  expect(ran.json.notes.join()).toContain(
    `The export ends at ${SINCE}: checkpoints of ledger with more records could not be checked.`,
  );
});

test("checkpoints are read one by one, one after the other, and as the gate answers and sends them", async () => {
  const answers = [AT_20, AT_30].map((note) => JSON.stringify({ log: "ledger", note }));
  const events = [AT_20, AT_30].map((note) =>
    JSON.stringify({ type: "audit.checkpoint", data: { log: "ledger", note } }),
  );
  for (const file of [`${AT_20}${AT_30}`, `${AT_20}\n${AT_30}\n`, answers.join("\n"), events.join("\n")]) {
    const ran = await verify(only(LEDGER), { checkpoints: [file] });
    expect(ran.json.logs[0]?.checkpoints.map(({ verdict }) => verdict)).toEqual(["holds", "holds"]);
  }
});

test("a checkpoint of a log without key is not believed, and said not to be", async () => {
  const reads = journalOf("requests-0", 3);
  const logs = { "requests-0": reads };
  const manifest = manifestOf(logs, { checkpoints: { "requests-0": await checkpointOf("requests-0", reads) } });
  const ran = await verify(exportText(logs, manifest), { logs: ["ledger"] });
  expect(ran.json).toMatchObject({ ok: true, logs: [{ signed_to: 0, checkpoints: [] }] });
  expect(ran.json.notes.at(-1)).toBe("No key is given for portcullis/acme/requests-0: its checkpoint was not checked.");
});

test("a manifest of a tenant whose keys are not given is not believed, and said not to be", async () => {
  const logs = { ledger: LEDGER };
  const file = scratchFile("export.ndjson", exportText(logs, await signedManifestOf(logs)));
  const ran = await runPiped(["audit", "verify", file, "--key", vkeyOf("ledger", "globex"), "--json"]);
  expect(JSON.parse(ran.stdout)).toMatchObject({
    manifest_signature: "no-key",
    notes: [
      "No key is given for acme: the manifest's signature was not checked.",
      expect.stringContaining("ledger has no checkpoint"),
    ],
  });
});

test("no finding is hidden behind the first: a hundred of a log are listed, all are counted", async () => {
  const many = journalOf("ledger", 301);
  const edited = many.map((line, index) => (index % 2 === 1 ? rehashed(altered(line)) : line));
  const ran = await verify(only(edited));
  expect(ran.code).toBe(1);
  expect(ran.json).toMatchObject({ finding_count: 150 });
  expect(ran.named).toEqual(Array.from({ length: 100 }, (_, index) => `edited ledger ${2 * index + 2}`));
});

test("a line that is no UTF-8, or longer than any record, is an edit like another", async () => {
  const bytes = Buffer.from(only(LEDGER));
  bytes[bytes.indexOf("Zeile")] = 0xff;
  expect(await verify(bytes)).toMatchObject({ code: 1, named: ["edited ledger 1"] });
  const long = only(LEDGER).replace(`${LEDGER[4]}\n`, `${"x".repeat(5 * 1024 * 1024)}\n`);
  expect(await verify(long)).toMatchObject({ code: 1, named: ["edited ledger 5"] });
});

test("lines of any length around the reader's own pages are read whole", async () => {
  const text = only(LEDGER, { checkpoints: { ledger: AT_30 } });
  // Larger than one page, of which records fill every part.
  const many = only(journalOf("ledger", 3_000));
  expect(many.length).toBeGreaterThan(2 * 1024 * 1024);
  expect(await verify(many)).toMatchObject({ code: 0, named: [] });
  expect(await verify(text.trimEnd())).toMatchObject({ code: 0, named: [] });
});

test("people get a table of logs, one of findings, and what it comes to", async () => {
  const file = scratchFile("export.ndjson", only(LEDGER.toSpliced(6, 2), { checkpoints: { ledger: AT_30 } }));
  const ran = await runAtTerminal(["audit", "verify", file, "--key", vkeyOf("ledger")], {
    columns: 80,
    env: { NO_COLOR: "1" },
  });
  expect(ran.code).toBe(1);
  expect(ran.stdout).toMatch(/^ledger\s+28\s+1 to 30\s+–\s+0 of 1 hold\s+1 finding$/m);
  expect(ran.stdout).toMatch(/^deleted\s+ledger\s+7 to 8\s+–\s+the records before and after it are there$/m);
  expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
});

const KEY = vkeyOf("ledger");
test.each([
  ["no key", (): string[] => [scratchFile("a", only(LEDGER))], "no key is given"],
  [
    "a key that is none",
    (): string[] => [scratchFile("a", only(LEDGER)), "--keys", scratchFile("k", "portcullis/acme/ledger+00+AA==")],
    "verifier key",
  ],
  [
    "a key of another name",
    (): string[] => [scratchFile("a", only(LEDGER)), "--key", KEY.replace("ledger", "budget")],
    "id is not that of its name",
  ],
  ["no such file", (): string[] => ["nowhere.ndjson", "--key", KEY], "nowhere.ndjson cannot be read: no such file"],
  ["a folder", (): string[] => [scratchFolder(), "--key", KEY], "it is a folder"],
  ["another file", (): string[] => [scratchFile("b", "hello\nworld\n"), "--key", KEY], "is no export"],
  ["an empty file", (): string[] => [scratchFile("c", ""), "--key", KEY], "is no export"],
  [
    "a checkpoint that is none",
    (): string[] => [scratchFile("a", only(LEDGER)), "--key", KEY, "--checkpoint", scratchFile("d", "x")],
    "holds no checkpoint",
  ],
  [
    "a checkpoint of another tenant",
    (): string[] => [
      scratchFile("a", only(LEDGER)),
      "--key",
      KEY,
      "--key",
      vkeyOf("ledger", "globex"),
      "--checkpoint",
      scratchFile("e", OTHER_TENANT),
    ],
    "is about portcullis/globex/ledger",
  ],
  [
    "a checkpoint without key",
    (): string[] => [
      scratchFile("a", only(LEDGER)),
      "--key",
      vkeyOf("requests-0"),
      "--checkpoint",
      scratchFile("f", AT_20),
    ],
    "for which no key is given",
  ],
  [
    "a secret in place of a key",
    (): string[] => [scratchFile("a", only(LEDGER)), "--key", "hunter2"],
    "a key does not belong on the command line",
  ],
])("%s cannot be checked: exit code 2", async (_, args, message) => {
  const ran = await runPiped(["audit", "verify", ...args()]);
  expect(ran).toMatchObject({ code: 2, stdout: "" });
  expect(flat(ran.stderr)).toContain(message);
});
