import { Option } from "commander";
import { z } from "zod";
import { isManifestLine, readManifest, readNext } from "../../audit/verify/manifest.ts";
import { judgeManifest } from "../../audit/verify/manifest-signature.ts";
import { anchorsOf, distinct, openNotes, ownNotes, type FoundNote } from "../../audit/verify/checkpoints.ts";
import { ExportVerifier, type ExportReport } from "../../audit/verify/export.ts";
import { readRecord } from "../../audit/verify/line.ts";
import { readVerifierKey, type VerifierKey } from "../../audit/signed-note.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { verified, type VerifiedFile } from "./audit-verify-outcome.ts";
import type { CommandSpec, Invocation } from "../command.ts";
import { lastLineOf, linesOf } from "./export-lines.ts";
import { usage, type Failure } from "../failure.ts";
import { absolute, readText, reasonOf } from "../files.ts";
import { notesOf } from "./checkpoint-files.ts";

const names = z.array(z.string()).default([]);
const verifyOptions = z.object({ key: names, keys: z.string().optional(), checkpoint: names, previous: names });
type Options = z.infer<typeof verifyOptions>;

/** One line on stderr per so many lines: every few seconds. */
const PROGRESS_LINES = 100_000;

const eachOne = (value: string, earlier: readonly string[] | undefined): readonly string[] => [
  ...(earlier ?? []),
  value,
];

/** `audit verify`: checks an export against itself, against public keys and against what was kept elsewhere. */
export const auditVerify: CommandSpec<Options> = {
  usage: "verify <export>",
  summary: "check an export (NDJSON) of the audit records, offline",
  options: [
    new Option("--key <vkey>", "public key of a log: portcullis/<tenant>/<log>+…; may be repeated").argParser(eachOne),
    new Option("--keys <file>", "file of such keys, one per line"),
    new Option("--checkpoint <file>", "signed checkpoints kept outside the gate; may be repeated").argParser(eachOne),
    new Option("--previous <file>", "an earlier export or checkpoint; may be repeated, oldest first").argParser(
      eachOne,
    ),
  ],
  notes:
    "Asks no gate. Exit code 0 when all holds, 1 when anything is wrong, 2 when it could not be checked. What is wrong is named: edited, deleted, reordered, truncated, inserted, forked, rewound. Only checkpoints from outside the gate show that a log was rewritten whole or went back.",
  schema: verifyOptions,
  run: async (invocation) => {
    const keys = keysOf(invocation);
    if (!keys.ok) return keys;
    const given = givenFiles(invocation, keys.value);
    if (!given.ok) return given;
    const { anchors, faults } = await openNotes(given.value.notes, keys.value);
    const files: VerifiedFile[] = [];
    let known: Known = { anchors, carried: new Map(), statement: null };
    const [file = ""] = invocation.args;
    for (const name of [...given.value.exports, file]) {
      const isLast = name === file;
      const read = await verifyFile(invocation, name, keys.value, {
        ...known,
        faults: isLast ? faults : [],
        mayBePart: !isLast,
      });
      if (!read.ok) return read;
      const { report } = read.value;
      const stray = given.value.notes.find(({ name: of }) => !of.startsWith(`portcullis/${tenantOf(report)}/`));
      if (stray !== undefined)
        return err(usage(`${stray.source} is about ${stray.name}, ${name} about ${tenantOf(report)}`));
      files.push(read.value);
      known = {
        anchors: [...known.anchors, ...anchorsOf(name, report.carried)],
        carried: new Map([...known.carried, ...report.carried]),
        statement: report.statement,
      };
    }
    return ok(verified(files));
  },
};

/** What earlier files say of the ones after them. */
type Known = Pick<ConstructorParameters<typeof ExportVerifier>[0], "anchors" | "carried" | "statement">;

const tenantOf = ({ manifest, tenant }: ExportReport): string => manifest?.tenant ?? tenant ?? "";

function keysOf({ options, terminal }: Invocation<Options>): Result<readonly VerifierKey[], Failure> {
  const listed = options.keys === undefined ? ok("") : readText(terminal, options.keys);
  if (!listed.ok) return listed;
  const texts = [...options.key, ...listed.value.split("\n").map((line) => line.trim())].filter((line) => line !== "");
  if (texts.length === 0)
    return err(usage("no key is given", "Give --key VKEY or --keys FILE: the public keys, kept outside the gate."));
  const keys: VerifierKey[] = [];
  for (const text of texts) {
    const key = readVerifierKey(text);
    if (!key.ok) return err(usage(`${text}: ${key.error}`));
    keys.push(key.value);
  }
  return ok(keys);
}

type Given = { readonly notes: readonly FoundNote[]; readonly exports: readonly string[] };

/** Sorts what was kept elsewhere into checkpoints and exports. */
function givenFiles({ options, terminal }: Invocation<Options>, keys: readonly VerifierKey[]): Result<Given, Failure> {
  const [notes, exports]: [FoundNote[], string[]] = [[], []];
  for (const name of [...options.previous, ...options.checkpoint]) {
    const last = tryRead(name, () => lastLineOf(absolute(terminal, name)));
    if (!last.ok) return last;
    if (options.previous.includes(name) && last.value !== null && isExportLine(last.value)) {
      exports.push(name);
      continue;
    }
    const text = readText(terminal, name);
    if (!text.ok) return text;
    const found = notesOf(name, text.value);
    if (found === null) return err(usage(`${name} holds no checkpoint of a log`));
    const keyless = found.find((note) => keys.every((key) => key.name !== note.name));
    if (keyless !== undefined) return err(usage(`${name} is about ${keyless.name}, for which no key is given`));
    notes.push(...found);
  }
  return ok({ notes, exports });
}

const isExportLine = (line: string): boolean =>
  isManifestLine(line) || readNext(line) !== null || readRecord(line) !== null;

function tryRead<T>(name: string, read: () => T): Result<T, Failure> {
  try {
    return ok(read());
  } catch (error) {
    return err(usage(`${name} cannot be read: ${reasonOf(error)}`));
  }
}

/** Reads one export from beginning to end. */
async function verifyFile(
  { terminal, note }: Invocation<Options>,
  name: string,
  keys: readonly VerifierKey[],
  known: Known & Pick<ConstructorParameters<typeof ExportVerifier>[0], "faults" | "mayBePart">,
): Promise<Result<VerifiedFile, Failure>> {
  const path = absolute(terminal, name);
  const last = tryRead(name, () => lastLineOf(path));
  if (!last.ok) return last;
  const manifest = last.value === null ? null : readManifest(last.value);
  const own = await openNotes(manifest === null ? [] : ownNotes(manifest), keys);
  const signature = await judgeManifest(last.value ?? "", keys);
  const verifier = new ExportVerifier({
    manifest,
    anchors: distinct([...known.anchors, ...own.anchors]),
    faults: [...known.faults, ...own.faults],
    carried: known.carried,
    statement: known.statement,
    mayBePart: known.mayBePart,
    manifestFault: signature?.kind === "broken" ? signature.why : null,
  });
  let [lines, next] = [0, PROGRESS_LINES];
  try {
    for await (const some of linesOf(path)) {
      for (const line of some) verifier.take(line);
      lines += some.length;
      if (lines < next) continue;
      next = lines + PROGRESS_LINES;
      note(`${name}: ${lines} lines …`);
    }
  } catch (error) {
    return err(usage(`${name} cannot be read: ${reasonOf(error)}`));
  }
  const report = verifier.finish();
  if (report.records === 0 && report.manifest === null)
    return err(usage(`${name} is no export: it has neither a record nor a manifest`));
  return ok({ name, report, unchecked: own.unchecked, signature });
}
