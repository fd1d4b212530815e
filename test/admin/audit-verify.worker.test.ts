import { expect, test } from "vitest";
import { openNotes, ownNotes } from "../../src/audit/verify/checkpoints.ts";
import { ExportVerifier, type ExportReport } from "../../src/audit/verify/export.ts";
import { judgeManifest } from "../../src/audit/verify/manifest-signature.ts";
import { readManifest } from "../../src/audit/verify/manifest.ts";
import { readVerifierKey } from "../../src/audit/signed-note.ts";
import { text, type Answered } from "../support/answer.ts";
import { useBlackBox, type BlackBox } from "../support/black-box.ts";
import { job, submit } from "../support/requests.ts";

/** What a running gate answers is what `portcullis audit verify` takes (security catalogue: AUD-04). */
const open = useBlackBox("audit-verify");

/** Bootstrap, the agent's key, an intent and its outcome. */
const RECORDS = 4;

/** The ledger's export as security has it, with the key and a checkpoint that were had before. */
async function exported(box: BlackBox): Promise<{ lines: string[]; key: string; note: string }> {
  const security = await box.as("security");
  const agent = await box.as("agent");
  await submit(agent, job());
  await agent.get("/v1/workloads");
  const signed = async (): Promise<Answered> => security.get("/_gate/v1/audit/checkpoint?log=ledger");
  // Records are in the tree once D1 has them: the keys, the intent and its outcome.
  await expect.poll(async () => (await signed()).body).toMatchObject({ size: RECORDS });
  const kept = await signed();
  const { text: file } = await security.get("/_gate/v1/audit/export?format=ndjson");
  return { lines: file.split("\n").slice(0, -1), key: text(kept, "verifier_key"), note: text(kept, "note") };
}

async function verified(lines: readonly string[], key: string, note: string): Promise<ExportReport> {
  const keyed = readVerifierKey(key);
  const manifest = readManifest(lines.at(-1) ?? "");
  if (!keyed.ok || manifest === null) throw new Error(`${key}: no key, or no manifest: ${lines.at(-1)}`);
  const outside = { source: "kept", text: note, from: "outside", name: keyed.value.name, log: "ledger" } as const;
  const { anchors, faults } = await openNotes([outside, ...ownNotes(manifest)], [keyed.value]);
  const signature = await judgeManifest(lines.at(-1) ?? "", [keyed.value]);
  const manifestFault = signature?.kind === "holds" ? null : (signature?.kind ?? "no manifest");
  const carried = new Map();
  const known = { anchors, faults, carried, statement: null };
  const verifier = new ExportVerifier({ manifest, manifestFault, ...known, mayBePart: false });
  for (const line of lines) verifier.take(line);
  return verifier.finish();
}

const namedBy = ({ findings, logs }: ExportReport): readonly string[] =>
  [...findings, ...logs.flatMap((log) => log.findings)].map(({ what, log, first }) => `${what} ${log} ${first}`);

test("an export of the gate holds, and its ledger is that of a checkpoint kept outside", async () => {
  const box = await open();
  const { lines, key, note } = await exported(box);
  const report = await verified(lines, key, note);
  expect(namedBy(report)).toEqual([]);
  const ledger = report.logs.find(({ log }) => log === "ledger");
  expect(ledger).toMatchObject({ first: 1, fromStart: true });
  expect(ledger?.anchors.filter(([{ from }]) => from === "outside").map(([, verdict]) => verdict)).toEqual(["holds"]);
  expect(report.manifest?.tenant).toBe(box.tenant);
});

test("an export brings a checkpoint that its own records reach, however far the log has come since", async () => {
  const box = await open();
  const security = await box.as("security");
  const { key, note } = await exported(box);
  const until = new Date().toISOString();
  await submit(await box.as("agent"), job());
  const size = async () => (await security.get("/_gate/v1/audit/checkpoint")).body;
  await expect.poll(size).toMatchObject({ size: RECORDS + 2 });
  for (const query of [`&until=${until}`, ""]) {
    const { text: file } = await security.get(`/_gate/v1/audit/export?format=ndjson${query}`);
    const report = await verified(file.split("\n").slice(0, -1), key, note);
    expect(namedBy(report)).toEqual([]);
    const ledger = report.logs.find(({ log }) => log === "ledger");
    const sizes = ledger?.anchors.map(([anchor, verdict]) => `${anchor.size} ${verdict}`);
    expect(sizes).toContain(query === "" ? `${RECORDS + 2} holds` : `${RECORDS} holds`);
    expect(sizes?.every((one) => one.endsWith(" holds"))).toBe(true);
  }
});

test("a record of it that is changed, or taken away, is named", async () => {
  const { lines, key, note } = await exported(await open());
  const third = lines.findIndex((line) => line.includes('"log":"ledger"')) + 2;
  const edited = lines.with(third, (lines[third] ?? "").replace('"demo":true', '"demo":false'));
  expect(namedBy(await verified(edited, key, note))).toEqual(["edited ledger 3"]);
  expect(namedBy(await verified(lines.toSpliced(third, 1), key, note))).toEqual(["deleted ledger 3"]);
  const last = lines.length - 1;
  const reworded = lines.with(last, (lines[last] ?? "").replace('"complete":true', '"complete":false'));
  expect(namedBy(await verified(reworded, key, note))).toEqual(["edited export null"]);
});
