import { Option } from "commander";
import { z } from "zod";
import { AUDIT_EXPORT_FORMATS, type AuditExportFormat } from "../../audit/manifest.ts";
import type { JsonObject } from "../../platform/json.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { openClient, readAs, type GateClient, type MediaType } from "../client.ts";
import type { CommandSpec, Invocation } from "../command.ts";
import { openPart, unfinished, type ExportAsked, type PartFile, type Settled } from "./export-file.ts";
import { failed, usage, type Failure } from "../failure.ts";
import { absolute, firstExisting, reasonOf, writeText } from "../files.ts";
import { text } from "../print.ts";
import { timeBefore } from "../times.ts";

const EXPORT = "/_gate/v1/audit/export";
/** Between two lines of progress. */
const PROGRESS_MS = 5_000;

const exportOptions = z.object({
  since: z.string().max(100).optional(),
  until: z.string().max(100).optional(),
  format: z.enum(AUDIT_EXPORT_FORMATS).default("ndjson"),
  log: z.string().max(100).optional(),
  output: z.string().min(1),
  force: z.boolean().default(false),
});
type Options = z.infer<typeof exportOptions>;

const TYPES: Readonly<Record<AuditExportFormat, MediaType>> = {
  ndjson: "application/x-ndjson",
  ocsf: "application/x-ndjson",
  csv: "text/csv",
};

const manifestSchema = z.object({
  manifest: z.object({
    until: z.string(),
    count: z.int(),
    /** A gate from before there was retention says nothing of it. */
    deleted: z.int().default(0),
    logs: z.array(z.object({ log: z.string(), last_sequence: z.int() })),
  }),
});
type Manifest = z.infer<typeof manifestSchema>["manifest"];

/** `audit export`: every record of a time as a file, for another program or for `audit verify`. */
export const auditExport: CommandSpec<Options> = {
  usage: "export",
  summary: "write all audit records of a time to a file (role security)",
  options: [
    new Option("--since <time>", "from this UTC time, or 30m, 2h, 7d ago (default: the beginning)"),
    new Option("--until <time>", "before this time (default: now)"),
    new Option("--format <format>", "ndjson: as they were hashed; csv; ocsf: API Activity events").default("ndjson"),
    new Option("--log <name>", "one log: ledger, requests-0 to requests-3"),
    new Option("--output <file>", "write to this new file").makeOptionMandatory(),
    new Option("--force", "replace the file if it exists, and begin anew"),
  ],
  notes:
    "What is unfinished is kept in FILE.part: the same command goes on where it broke off. The last line of ndjson and ocsf is the manifest; " +
    "for csv it is written to FILE.manifest.json. portcullis audit verify takes ndjson.",
  schema: exportOptions,
  run: async (invocation) => {
    const { options, terminal } = invocation;
    const path = absolute(terminal, options.output);
    const taken = firstExisting([path, ...(options.format === "csv" ? [`${path}.manifest.json`] : [])]);
    if (!options.force && taken !== null) return err(usage(`${options.output} exists already`, "--force replaces it."));
    const left = options.force ? null : unfinished(path);
    const asked = askedFor(options, left, terminal.now());
    if (!asked.ok) return asked;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: `${EXPORT}/manifest`, query: queryOf(asked.value) });
    if (!answer.ok) return answer;
    const view = readAs(manifestSchema, answer.value);
    if (!view.ok) return view;
    const { deleted } = view.value.manifest;
    // What is to be in the file: only one of the forms has a place for records that retention has deleted.
    const manifest = {
      ...view.value.manifest,
      count: view.value.manifest.count - (options.format === "ndjson" ? 0 : deleted),
    };
    // From here on the end is fixed, also for the next try.
    const fixed = { ...asked.value, until: manifest.until };
    const written = await writeExport(invocation, client.value, path, fixed, manifest, left !== null);
    if (!written.ok) return written;
    if (fixed.format === "csv") {
      const beside = writeText(terminal, `${options.output}.manifest.json`, manifestText(answer.value), options.force);
      if (!beside.ok) return beside;
    }
    const { records } = written.value;
    const whole = records === manifest.count;
    return ok({
      json: {
        file: options.output,
        format: fixed.format,
        since: fixed.since,
        until: fixed.until,
        records,
        deleted,
        whole,
      },
      human: [
        text(`${records} records until ${fixed.until} are in ${options.output}.`),
        ...(deleted === 0 ? [] : [text({ text: deletedText(fixed.format, deleted), style: "warn" })]),
        ...(whole ? [] : [text({ text: `The manifest has ${manifest.count}: rows are missing in D1.`, style: "bad" })]),
      ],
      ...(whole ? {} : { exitCode: 1 }),
    });
  },
};

const deletedText = (format: AuditExportFormat, deleted: number): string =>
  format === "ndjson"
    ? `Of ${deleted} of them retention has left the hashes only.`
    : `${deleted} more were deleted by retention; --format ndjson has their hashes.`;

const manifestText = (answer: JsonObject): string => `${JSON.stringify(answer, null, 2)}\n`;

/** What to ask for: what was asked for before, where a file is to be gone on with. */
function askedFor(options: Options, left: ExportAsked | null, now: number): Result<Asked, Failure> {
  const time = (written: string | undefined): string | null =>
    written === undefined ? null : timeBefore(written, now);
  const wanted = {
    format: options.format,
    since: time(options.since),
    until: time(options.until),
    log: options.log ?? null,
  };
  if (left === null) return ok(wanted);
  // Times counted back from now, and an end that nobody gave, are those of the first try.
  const other =
    wanted.format !== left.format ||
    wanted.log !== left.log ||
    (options.until !== undefined && wanted.until === options.until && !sameTime(wanted.until, left.until)) ||
    (wanted.since === null) !== (left.since === null) ||
    (options.since !== undefined && wanted.since === options.since && !sameTime(wanted.since, left.since));
  return other
    ? err(usage(`${options.output}.part is of another export`, "Name another file, or begin anew with --force."))
    : ok(left);
}

type Asked = Omit<ExportAsked, "until"> & { readonly until: string | null };

const sameTime = (a: string | null, b: string | null): boolean =>
  a === b || (a !== null && b !== null && Date.parse(a) === Date.parse(b));

const queryOf = ({ format, since, until, log }: Asked): Readonly<Record<string, string | undefined>> => ({
  format,
  since: since ?? undefined,
  until: until ?? undefined,
  log: log ?? undefined,
});

async function writeExport(
  invocation: Invocation<Options>,
  client: GateClient,
  path: string,
  asked: ExportAsked,
  manifest: Manifest,
  goOn: boolean,
): Promise<Result<Settled, Failure>> {
  let part: PartFile;
  try {
    part = openPart(path, asked, goOn);
  } catch (error) {
    return err(usage(`${invocation.options.output}.part cannot be written: ${reasonOf(error)}`));
  }
  const got = await download(invocation, client, part, asked, manifest);
  if (got.ok) part.finish();
  else part.close();
  return got;
}

/** Asks until the file is whole: an answer has so many records at most. */
async function download(
  { note, terminal }: Invocation<Options>,
  client: GateClient,
  part: PartFile,
  asked: ExportAsked,
  manifest: Manifest,
): Promise<Result<Settled, Failure>> {
  let settled = part.settle();
  if (settled.records > 0) note(`going on after ${settled.records} of ${manifest.count} records`);
  let toldAt = terminal.now();
  let bytes = 0;
  while (!settled.ended && !(asked.format === "csv" && isLast(settled, manifest))) {
    const before = settled.records;
    const query = { ...queryOf(asked), after: settled.after ?? undefined };
    const answer = await client.stream({ method: "GET", path: EXPORT, query }, TYPES[asked.format], (chunk) => {
      part.write(chunk);
      bytes += chunk.length;
      if (terminal.now() - toldAt < PROGRESS_MS) return;
      toldAt = terminal.now();
      note(`${Math.round(bytes / 1_000_000)} MB, ${manifest.count} records in all`);
    });
    settled = part.settle();
    if (!answer.ok) return err(brokenOff(answer.error, settled, manifest));
    // No end and nothing new: the gate is of another version, or rows went missing meanwhile.
    if (!settled.ended && settled.records === before) break;
  }
  return ok(settled);
}

function isLast({ after }: Settled, { logs, count }: Manifest): boolean {
  const last = logs.at(-1);
  return last === undefined || count === 0 ? after !== null : after === `${last.log}:${last.last_sequence}`;
}

const brokenOff = (failure: Failure, { records }: Settled, { count }: Manifest): Failure =>
  failure.kind === "failed"
    ? failed(
        failure.title,
        `${failure.detail} ${records} of ${count} records are there.`,
        "Run the same command again: it goes on there.",
      )
    : failure;
