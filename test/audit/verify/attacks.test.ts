import { describe, expect, test } from "vitest";
import { signManifest } from "../../../src/audit/manifest-note.ts";
import {
  altered,
  checkpointOf,
  exportText,
  journalOf,
  lineOf,
  manifestOf,
  newKey,
  rechained,
  recordOf,
  rehashed,
  signedManifestOf,
  verify,
  type Logs,
} from "./exports.ts";

const COUNT = 20;
const LEDGER = journalOf("ledger", COUNT);
const READS = journalOf("requests-0", 9);
const LOGS: Logs = { ledger: LEDGER, "requests-0": READS };
/** What somebody outside keeps: the log when it had 12 records, and all of it. */
const AT_12 = await checkpointOf("ledger", LEDGER.slice(0, 12));
const AT_20 = await checkpointOf("ledger", LEDGER);
const OWN = { ledger: AT_20, "requests-0": await checkpointOf("requests-0", READS) };
const MANIFEST = await signedManifestOf(LOGS, { checkpoints: OWN });

/** The export after somebody changed the ledger's lines; `manifest` is recomputed unless it is given. */
const tampered = (ledger: readonly string[], manifest?: string): string => {
  const logs = { ...LOGS, ledger };
  return exportText(logs, manifest ?? manifestOf(logs, { checkpoints: OWN }));
};
const line = (sequence: number): string => LEDGER[sequence - 1] ?? "";
const replace = (sequence: number, by: string): string[] => LEDGER.toSpliced(sequence - 1, 1, by);
const without = (sequence: number, count = 1): string[] => LEDGER.toSpliced(sequence - 1, count);
/** A manifest's signature by somebody who is not the gate. */
const foreignNote = async (logs: Logs): Promise<string> =>
  signManifest("acme", JSON.parse(manifestOf(logs)).manifest, await newKey());
const member = (manifest: string, over: object): string =>
  JSON.stringify({ manifest: { ...JSON.parse(manifest).manifest, ...over } });
const signatureOf = (manifest: string): string => JSON.parse(manifest).manifest.signature;
const PLACES = [1, 10, COUNT];

test("an untouched export holds, up to its checkpoints", async () => {
  const ran = await verify(exportText(LOGS, MANIFEST), { checkpoints: [AT_12, AT_20] });
  expect(ran).toMatchObject({ code: 0, stderr: "", named: [] });
  expect(ran.json).toMatchObject({ ok: true, finding_count: 0, notes: [] });
  expect(ran.json.logs.map(({ log, records, signed_to: signed }) => [log, records, signed])).toEqual([
    ["ledger", COUNT, COUNT],
    ["requests-0", 9, 9],
  ]);
});

describe.each(PLACES)("at record %i", (n) => {
  test.each([
    ["its text", altered(line(n))],
    ["its form", line(n).replace(":", ": ")],
    ["a repeated member", line(n).replace("{", '{"action":"x",')],
    ["its hash", lineOf({ ...recordOf(line(n)), hash: `sha256:${"1".repeat(64)}` })],
    ["its predecessor", lineOf({ ...recordOf(line(n)), previous_hash: `sha256:${"1".repeat(64)}` })],
  ])("an edit of %s is named, whatever the manifest says", async (_, edited) => {
    for (const manifest of [MANIFEST, undefined]) {
      const ran = await verify(tampered(replace(n, edited), manifest));
      expect(ran).toMatchObject({ code: 1, named: [`edited ledger ${n}`] });
    }
  });

  test("an edit with a new hash is named by the chain, at the end by the manifest", async () => {
    const ran = await verify(tampered(replace(n, rehashed(altered(line(n)))), MANIFEST));
    expect(ran).toMatchObject({ code: 1, named: [`edited ledger ${n}`] });
  });

  test("an edit with a whole new chain and manifest is a fork, named from the last checkpoint that fits", async () => {
    const forged = rechained(replace(n, altered(line(n))));
    const ran = await verify(tampered(forged), { checkpoints: [AT_12] });
    expect(ran).toMatchObject({ code: 1, named: [n <= 12 ? "forked ledger 1-12" : "forked ledger 13-20"] });
  });

  test.each([1, 3])("%i deleted from there on are named", async (count) => {
    const gone = Math.min(count, COUNT - n + 1);
    const last = n + gone - 1;
    const place = gone === 1 ? `${n}` : `${n}-${last}`;
    const ran = await verify(tampered(without(n, gone), MANIFEST));
    expect(ran).toMatchObject({ code: 1, named: [`${last === COUNT ? "truncated" : "deleted"} ledger ${place}`] });
  });

  test("a deletion with a manifest to match is named by the sequence, at the end by the checkpoint kept outside", async () => {
    const ran = await verify(tampered(without(n)), { checkpoints: [AT_20] });
    // The export begins at 2 then, and says so; its first record is chained to one that is not there.
    if (n === 1) expect(ran.json.notes.join()).toContain("ledger begins at sequence 2");
    else
      expect(ran).toMatchObject({ code: 1, named: [n === COUNT ? `rewound ledger ${COUNT}` : `deleted ledger ${n}`] });
  });

  test("a deletion with a whole new chain and manifest is a fork", async () => {
    const ran = await verify(tampered(rechained(without(n))), { checkpoints: [AT_12, AT_20] });
    expect(ran.code).toBe(1);
    expect(ran.named).toEqual(n <= 12 ? ["forked ledger 1-12", "rewound ledger 20"] : ["rewound ledger 20"]);
  });

  test("a line that is no record in its place is named", async () => {
    const ran = await verify(tampered(replace(n, "{}"), MANIFEST));
    expect(ran).toMatchObject({ code: 1, named: [`edited ledger ${n}`] });
  });

  test("a record in front of another is named", async () => {
    const twin = rehashed(altered(line(n)));
    for (const two of [
      [twin, line(n)],
      [line(n), twin],
      [line(n), line(n)],
    ]) {
      const ran = await verify(tampered(LEDGER.toSpliced(n - 1, 1, ...two), MANIFEST));
      expect(ran.code).toBe(1);
      expect(ran.named).toContain(`inserted ledger ${n}`);
      expect(ran.named.filter((one) => !one.endsWith(` ${n}`))).toEqual([]);
    }
  });

  test("a record inserted with a whole new chain and manifest is a fork", async () => {
    const forged = rechained(LEDGER.toSpliced(n - 1, 0, altered(line(n))));
    const ran = await verify(tampered(forged), { checkpoints: [AT_12] });
    expect(ran).toMatchObject({ code: 1, named: [n <= 12 ? "forked ledger 1-12" : "forked ledger 13-20"] });
  });

  test("a record of another tenant is named", async () => {
    const foreign = lineOf({ ...recordOf(line(n)), tenant: "globex" });
    const ran = await verify(tampered(LEDGER.toSpliced(n, 0, foreign), MANIFEST));
    expect(ran).toMatchObject({ code: 1, named: [`inserted ledger ${n}`] });
  });
});

describe("out of order", () => {
  test.each([
    ["two neighbours at the beginning", [2, 1], "reordered ledger 1"],
    ["two neighbours in the middle", [...numbers(1, 9), 11, 10], "reordered ledger 10"],
    ["two neighbours at the end", [...numbers(1, 18), 20, 19], "reordered ledger 19"],
    ["a record moved to the end", [...numbers(1, 4), ...numbers(6, 20), 5], "reordered ledger 5"],
    ["a record moved to the beginning", [20, ...numbers(1, 19)], "reordered ledger 1-19"],
    ["everything", numbers(1, 20).toReversed(), "reordered ledger 1-19"],
  ])("%s", async (_, order, named) => {
    const ledger = [...order, ...numbers(order.length + 1, COUNT)].map(line);
    expect(await verify(tampered(ledger, MANIFEST))).toMatchObject({ code: 1, named: [named] });
  });

  test("with a whole new chain and manifest it is a fork", async () => {
    const ledger = rechained([...numbers(1, 13), 15, 14, ...numbers(16, 20)].map(line));
    expect(await verify(tampered(ledger), { checkpoints: [AT_12] })).toMatchObject({
      code: 1,
      named: ["forked ledger 13-20"],
    });
  });

  test("logs in another order than theirs", async () => {
    const text = [...READS, ...LEDGER, MANIFEST].map((one) => `${one}\n`).join("");
    expect(await verify(text)).toMatchObject({ code: 1, named: ["reordered ledger 1"] });
  });
});

describe("cut off", () => {
  test.each([0, 1, 19])("after %i records", async (kept) => {
    const ran = await verify(tampered(LEDGER.slice(0, kept), MANIFEST));
    expect(ran).toMatchObject({
      code: 1,
      named: [kept === 19 ? "truncated ledger 20" : `truncated ledger ${kept + 1}-20`],
    });
  });

  test("without the manifest", async () => {
    const ran = await verify(exportText({ ledger: LEDGER.slice(0, 10) }, null));
    expect(ran).toMatchObject({ code: 1, named: ["truncated ledger 11"] });
  });

  test("a whole log left out", async () => {
    expect(await verify(exportText({ ledger: LEDGER }, MANIFEST))).toMatchObject({
      code: 1,
      named: ["truncated requests-0 1-9"],
    });
  });
});

describe("the manifest", () => {
  const SHORT: Logs = { ...LOGS, ledger: LEDGER.slice(0, 15) };

  test("speaks by its signature of every record up to the last, with no checkpoint at all", async () => {
    const ran = await verify(exportText(LOGS, await signedManifestOf(LOGS)));
    expect(ran).toMatchObject({ code: 0, named: [] });
    expect(ran.json).toMatchObject({
      manifest_signature: "holds",
      notes: [],
      logs: [{ signed_to: COUNT }, { signed_to: 9 }],
    });
  });

  test("of an export that begins inside its logs speaks of all that is in it", async () => {
    const logs = { ledger: LEDGER.slice(7) };
    const ran = await verify(exportText(logs, await signedManifestOf(logs, { since: "2026-11-20T08:00:08.000Z" })));
    expect(ran.json).toMatchObject({ ok: true, notes: [], logs: [{ from_start: false, signed_to: COUNT }] });
  });

  test.each<[string, () => string | Promise<string>]>([
    ["the end cut off, and the signature kept", () => member(manifestOf(SHORT), { signature: signatureOf(MANIFEST) })],
    [
      "the end cut off, and signed by another key",
      async () => member(manifestOf(SHORT), { signature: await foreignNote(SHORT) }),
    ],
    [
      "the end cut off, and a checkpoint's note for a signature",
      async () => member(manifestOf(SHORT), { signature: await checkpointOf("ledger", LEDGER.slice(0, 15)) }),
    ],
    ["the end cut off, and no note for a signature", () => member(manifestOf(SHORT), { signature: 7 })],
    ["another member", async () => member(await signedManifestOf(SHORT), { complete: false })],
    ["half a character", async () => member(await signedManifestOf(SHORT), { complete: "\ud800" })],
  ])("reworded is named: %s", async (_, reworded) => {
    const ran = await verify(exportText(SHORT, await reworded()));
    expect(ran).toMatchObject({ code: 1, named: ["edited export"] });
    expect(ran.json.manifest_signature).toBe("broken");
    expect(ran.json.logs.map(({ signed_to: signed }) => signed)).toEqual([0, 0]);
  });

  test("without signature is said to have none", async () => {
    const ran = await verify(exportText(SHORT, manifestOf(SHORT)));
    expect(ran.json).toMatchObject({
      ok: true,
      manifest_signature: "missing",
      logs: [{ signed_to: 0 }, { signed_to: 0 }],
    });
    expect(ran.json.notes[0]).toContain("The manifest has no signature");
  });
});

describe("added at the end", () => {
  test("records after the last one of the manifest", async () => {
    const more = rechained([...LEDGER, altered(line(1))]);
    expect(await verify(tampered(more, MANIFEST))).toMatchObject({ code: 1, named: ["inserted ledger 21"] });
  });

  test("records after the manifest", async () => {
    const ran = await verify(`${exportText(LOGS, MANIFEST)}${line(3)}\n`);
    expect(ran.code).toBe(1);
    expect(ran.named).toContain("reordered export");
  });
});

describe("forked", () => {
  const OTHER = journalOf("ledger", COUNT, " (the other story)");

  test("another history with a checkpoint of its own, signed with the gate's own key, differs from the one kept outside", async () => {
    const logs = { ...LOGS, ledger: OTHER };
    const own = { ...OWN, ledger: await checkpointOf("ledger", OTHER) };
    const text = exportText(logs, manifestOf(logs, { checkpoints: own }));
    expect(await verify(text)).toMatchObject({ code: 0 });
    const ran = await verify(text, { checkpoints: [AT_20] });
    expect(ran).toMatchObject({ code: 1, named: ["forked ledger 1-20"] });
    expect(ran.json.logs[0]).toMatchObject({ log: "ledger", signed_to: 0 });
  });

  test.each([1, 10, 20])("two histories that part at record %i, told apart by an earlier export", async (n) => {
    const ledger = rechained([...LEDGER.slice(0, n - 1), ...OTHER.slice(n - 1), ...OTHER.slice(0, 2)]);
    const logs = { ...LOGS, ledger };
    const own = { ...OWN, ledger: await checkpointOf("ledger", ledger) };
    const text = exportText(logs, manifestOf(logs, { checkpoints: own }));
    const ran = await verify(text, { previous: [exportText(LOGS, MANIFEST)] });
    expect(ran).toMatchObject({ code: 1, named: [`forked ledger ${n}`] });
  });

  test("a checkpoint signed by somebody else is not believed", async () => {
    const ledger = await checkpointOf("ledger", OTHER, { ...(await newKey()), name: "portcullis/acme/ledger" });
    const logs = { ...LOGS, ledger: OTHER };
    const ran = await verify(exportText(logs, manifestOf(logs, { checkpoints: { ...OWN, ledger } })));
    expect(ran).toMatchObject({ code: 1, named: ["edited ledger"] });
    expect(ran.json.findings[0]?.why).toContain("cannot be believed");
  });

  test("two signed checkpoints of one size that contradict each other show even where the records do not reach", async () => {
    const logs = { ledger: LEDGER.slice(14) };
    const ran = await verify(exportText(logs, manifestOf(logs, { since: "2026-11-20T08:00:15.000Z" })), {
      checkpoints: [AT_12, await checkpointOf("ledger", OTHER.slice(0, 12))],
    });
    expect(ran).toMatchObject({ code: 1, named: ["forked ledger 12"] });
  });
});

describe("rewound", () => {
  test.each([1, 10, 19])("a log that went back to record %i, with everything to match", async (n) => {
    const logs = { ...LOGS, ledger: LEDGER.slice(0, n) };
    const own = { ...OWN, ledger: await checkpointOf("ledger", LEDGER.slice(0, n)) };
    const text = exportText(logs, manifestOf(logs, { checkpoints: own }));
    expect(await verify(text)).toMatchObject({ code: 0 });
    const named = [n === 19 ? "rewound ledger 20" : `rewound ledger ${n + 1}-20`];
    expect(await verify(text, { checkpoints: [AT_20] })).toMatchObject({ code: 1, named });
    expect(await verify(text, { previous: [exportText(LOGS, MANIFEST)] })).toMatchObject({ code: 1, named });
  });

  test("a log that went back and grew again is a fork from there on", async () => {
    const ledger = rechained([...LEDGER.slice(0, 15), ...journalOf("ledger", 8, " (again)")]);
    const logs = { ...LOGS, ledger };
    const own = { ...OWN, ledger: await checkpointOf("ledger", ledger) };
    const text = exportText(logs, manifestOf(logs, { checkpoints: own }));
    expect(await verify(text, { checkpoints: [AT_12, AT_20] })).toMatchObject({
      code: 1,
      named: ["forked ledger 13-20"],
    });
  });

  test("a log that is gone", async () => {
    const logs = { "requests-0": READS };
    const text = exportText(logs, manifestOf(logs, { checkpoints: OWN }));
    expect(await verify(text, { checkpoints: [AT_20] })).toMatchObject({ code: 1, named: ["rewound ledger 1-20"] });
  });
});

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index);
}
