import { Buffer } from "node:buffer";
import { Option } from "commander";
import { z } from "zod";
import { readExportLine, type RecordView } from "../../audit/replay/record-view.ts";
import { ok, err, type Result } from "../../platform/result.ts";
import { readAs, type GateClient } from "../client.ts";
import type { Invocation } from "../command.ts";
import { linesOf } from "./export-lines.ts";
import { failed, usage, type Failure } from "../failure.ts";
import { absolute, reasonOf } from "../files.ts";
import { timeBefore } from "../times.ts";

const EXPORT = "/_gate/v1/audit/export";
/** Between two lines of progress. */
const PROGRESS_MS = 2_000;
const LINE_FEED = 0x0a;

/** Which records: of a time, from the gate or out of a file. */
export const AUDIT_SOURCE_OPTIONS = [
  new Option("--since <time>", "from this UTC time, or 30m, 2h, 7d ago"),
  new Option("--until <time>", "before this time (default: now)"),
  new Option("--file <export>", "read an export in ndjson instead of asking the gate (role security)"),
];
export const AUDIT_SOURCE = {
  since: z.string().max(100),
  until: z.string().max(100).optional(),
  file: z.string().optional(),
};

export type AuditAsked = { readonly since: string; readonly until: string | null; readonly file: string | null };

/** What was read. `deleted`: retention had taken the text. `isWhole`: the end of the export was reached. */
export type AuditRead = {
  readonly records: number;
  readonly deleted: number;
  readonly unreadable: number;
  readonly isWhole: boolean;
  readonly seconds: number;
};

export const auditAsked = (
  options: { readonly since: string; readonly until?: string | undefined; readonly file?: string | undefined },
  now: number,
): AuditAsked => ({
  since: timeBefore(options.since, now),
  until: options.until === undefined ? null : timeBefore(options.until, now),
  file: options.file ?? null,
});

type Caller = Pick<Invocation<unknown>, "terminal" | "note">;

/**
 * Gives every record of a time to `take`, log by log, as they come: none is kept. Tells how far it is while it takes long. `client` is
 * null where a file is read.
 */
export async function readAudit(
  caller: Caller,
  client: GateClient | null,
  asked: AuditAsked,
  take: (record: RecordView) => void,
): Promise<Result<AuditRead, Failure>> {
  const since = Date.parse(asked.since);
  const until = asked.until === null ? Infinity : Date.parse(asked.until);
  if (Number.isNaN(since) || Number.isNaN(until)) return err(usage("--since and --until are times, or 30m, 2h, 7d"));
  const reading = readingOf(caller, (record) => {
    const at = Date.parse(record.time);
    if (at >= since && at < until) take(record);
  });
  if (asked.file !== null) return fromFile(caller, asked.file, reading);
  return client === null ? err(usage("name an export with --file")) : fromGate(client, asked, reading);
}

type Reading = {
  /** Takes one line; null: one that is no text. */
  readonly line: (text: string | null) => void;
  /** How many records the whole has, once that is known. */
  readonly expect: (records: number) => void;
  /** Where the export said that it goes on, since the last call; null where it has not. */
  readonly goesOn: () => string | null;
  readonly read: () => AuditRead;
};

function readingOf({ terminal, note }: Caller, take: (record: RecordView) => void): Reading {
  const startedAt = terminal.now();
  let [records, deleted, unreadable, expected] = [0, 0, 0, null as number | null];
  let [isWhole, after, toldAt] = [false, null as string | null, startedAt];
  const progress = (): void => {
    const now = terminal.now();
    if (now - toldAt < PROGRESS_MS) return;
    toldAt = now;
    const perSecond = Math.round((records / (now - startedAt)) * 1_000);
    note(`${records}${expected === null ? "" : ` of ${expected}`} records, ${perSecond} per second`);
  };
  return {
    line: (text) => {
      const line = text === null ? { kind: "unreadable" as const } : readExportLine(text);
      if (line.kind === "record") {
        records += 1;
        take(line.record);
      } else if (line.kind === "end") [isWhole, after] = [line.after === null, line.after];
      else if (line.kind === "deleted") deleted += 1;
      else unreadable += 1;
      progress();
    },
    expect: (all) => void (expected = all),
    goesOn: () => {
      const place = after;
      after = null;
      return place;
    },
    read: () => ({ records, deleted, unreadable, isWhole, seconds: (terminal.now() - startedAt) / 1_000 }),
  };
}

async function fromFile({ terminal }: Caller, file: string, reading: Reading): Promise<Result<AuditRead, Failure>> {
  try {
    for await (const lines of linesOf(absolute(terminal, file))) for (const line of lines) reading.line(line);
  } catch (error) {
    return err(usage(`${file} cannot be read: ${reasonOf(error)}`));
  }
  const read = reading.read();
  return read.records + read.deleted === 0 && read.unreadable > 0
    ? err(usage(`${file} is no export in ndjson`, "portcullis audit export --format ndjson writes one."))
    : ok(read);
}

const manifestSchema = z.object({ manifest: z.object({ until: z.string(), count: z.int() }) });

async function fromGate(client: GateClient, asked: AuditAsked, reading: Reading): Promise<Result<AuditRead, Failure>> {
  const query = { format: "ndjson", since: asked.since, until: asked.until ?? undefined };
  const answer = await client.call({ method: "GET", path: `${EXPORT}/manifest`, query });
  if (!answer.ok) return answer;
  const view = readAs(manifestSchema, answer.value);
  if (!view.ok) return view;
  const { until, count } = view.value.manifest;
  reading.expect(count);
  let after: string | null = null;
  do {
    const lines = lineCutter(reading.line);
    const call = { method: "GET", path: EXPORT, query: { ...query, until, after: after ?? undefined } } as const;
    const streamed = await client.stream(call, "application/x-ndjson", lines);
    if (!streamed.ok) return streamed;
    after = reading.goesOn();
  } while (after !== null);
  const read = reading.read();
  return read.isWhole ? ok(read) : err(failed("The export broke off", `${read.records} of ${count} records came.`));
}

/** Cuts what comes in parts into lines. What comes after the last line feed is no whole line. */
function lineCutter(line: (text: string | null) => void): (part: Uint8Array) => void {
  let rest = Buffer.alloc(0);
  return (part) => {
    const bytes = rest.length === 0 ? Buffer.from(part) : Buffer.concat([rest, part]);
    let from = 0;
    for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, from)) {
      line(bytes.toString("utf8", from, end));
      from = end + 1;
    }
    rest = bytes.subarray(from);
  };
}

/** What a reader of a report has to know of how it was read. */
export function readingRemarks({ deleted, unreadable, isWhole }: AuditRead): readonly string[] {
  return [
    ...(deleted === 0 ? [] : [`${deleted} records are deleted by retention and say nothing any more.`]),
    ...(unreadable === 0 ? [] : [`${unreadable} lines are no records and were passed over.`]),
    ...(isWhole ? [] : ["The file has no manifest at its end: it may be a part of an export."]),
  ];
}
