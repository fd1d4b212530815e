import {
  closeSync,
  existsSync,
  ftruncateSync,
  openSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { parse } from "csv-parse/sync";
import { AUDIT_CSV_COLUMNS } from "../../audit/export-lines.ts";
import { placeText, type ExportPlace } from "../../audit/export-stream.ts";
import type { AuditExportFormat } from "../../audit/manifest.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../platform/json.ts";

const CHUNK_BYTES = 1024 * 1024;
const LINE_FEED = 0x0a;
const QUOTE = 0x22;
const OWNER_ONLY = 0o600;

/** What an unfinished export was asked for, kept beside it. */
export type ExportAsked = {
  readonly format: AuditExportFormat;
  readonly since: string | null;
  readonly until: string;
  readonly log: string | null;
};

/** A file that an export is written to until it is whole: `<name>.part`, and what it is of in `<name>.part.json`. */
export type PartFile = {
  /** Takes the next bytes of an answer. */
  readonly write: (bytes: Uint8Array) => void;
  /** Cuts off what is no whole record, and says how far the file goes. */
  readonly settle: () => Settled;
  /** Gives the file its own name; nothing is left beside it. */
  readonly finish: () => void;
  readonly close: () => void;
};

/** `records`: whole ones. `after`: place of the last of them, to go on behind it. `ended`: the manifest stands at the end. */
export type Settled = { readonly records: number; readonly after: string | null; readonly ended: boolean };

/** What the unfinished export of this name was asked for; null where there is none that could be gone on with. */
export function unfinished(path: string): ExportAsked | null {
  if (!existsSync(`${path}.part`) || !existsSync(`${path}.part.json`)) return null;
  try {
    const value: JsonValue = JSON.parse(readFileSync(`${path}.part.json`, "utf8"));
    if (!isJsonObject(value)) return null;
    const { format, since, until, log } = value;
    const known = format === "ndjson" || format === "csv" || format === "ocsf" ? format : null;
    const texts = (since === null || typeof since === "string") && (log === null || typeof log === "string");
    return known !== null && texts && typeof until === "string" ? { format: known, since, until, log } : null;
  } catch {
    return null;
  }
}

/** Opens the unfinished file, from its beginning or where it ends. Throws where the disk does not take it. */
export function openPart(path: string, asked: ExportAsked, goOn: boolean): PartFile {
  const part = `${path}.part`;
  const file = openSync(part, goOn ? "r+" : "w", OWNER_ONLY);
  writeFileSync(`${path}.part.json`, JSON.stringify(asked), { mode: OWNER_ONLY });
  const reader = recordReader(asked.format);
  if (goOn) readAll(file, reader.read);
  let size = reader.end();
  return {
    write: (bytes) => {
      writeSync(file, bytes, 0, bytes.length, size);
      size += bytes.length;
      reader.read(bytes);
    },
    settle: () => {
      const settled = reader.settle();
      size = reader.end();
      ftruncateSync(file, size);
      return settled;
    },
    finish: () => {
      closeSync(file);
      renameSync(part, path);
      rmSync(`${path}.part.json`, { force: true });
    },
    close: () => closeSync(file),
  };
}

function readAll(file: number, read: (bytes: Uint8Array) => void): void {
  const buffer = new Uint8Array(CHUNK_BYTES);
  for (let at = 0; ;) {
    const had = readSync(file, buffer, 0, buffer.length, at);
    if (had === 0) return;
    read(buffer.subarray(0, had));
    at += had;
  }
}

/** Follows the bytes of an export and knows where its records end. */
type RecordReader = {
  readonly read: (bytes: Uint8Array) => void;
  /** Forgets what is no whole record: the beginning of one, and a line that says where to go on. */
  readonly settle: () => Settled;
  /** Bytes up to the end of what counts. */
  readonly end: () => number;
};

/** A record ends at a line feed; in CSV at one that stands in no quotes. */
function recordReader(format: AuditExportFormat): RecordReader {
  let total = 0;
  // The last two ends, and the bytes between them: the last line.
  let [before, end] = [0, 0];
  let lines = 0;
  let last: Uint8Array = new Uint8Array();
  let open: Uint8Array[] = [];
  let quoted = false;
  return {
    read: (bytes) => {
      let from = 0;
      for (const [at, byte] of bytes.entries()) {
        if (byte === QUOTE && format === "csv") quoted = !quoted;
        if (byte !== LINE_FEED || quoted) continue;
        last = joined([...open, bytes.subarray(from, at + 1)]);
        open = [];
        from = at + 1;
        [before, end] = [end, total + from];
        lines += 1;
      }
      if (from < bytes.length) open.push(bytes.slice(from));
      total += bytes.length;
    },
    settle: () => {
      const text = new TextDecoder().decode(last);
      open = [];
      quoted = false;
      if (format !== "csv" && text.startsWith('{"next":')) {
        end = before;
        lines -= 1;
        total = end;
        const { next } = objectOf(text);
        const after = isJsonObject(next) ? next["after"] : null;
        return { records: lines, after: typeof after === "string" ? after : null, ended: false };
      }
      total = end;
      if (format !== "csv" && text.startsWith('{"manifest":')) return { records: lines - 1, after: null, ended: true };
      const records = format === "csv" ? Math.max(0, lines - 1) : lines;
      const place = records === 0 ? null : placeIn(format, text);
      return { records, after: place === null ? null : placeText(place), ended: false };
    },
    end: () => end,
  };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function objectOf(line: string): JsonObject {
  const value: JsonValue = JSON.parse(line);
  return isJsonObject(value) ? value : {};
}

/** Where the record of this line stands in its log. */
function placeIn(format: AuditExportFormat, line: string): ExportPlace | null {
  if (format === "csv") {
    const [row]: string[][] = parse(line);
    const cell = (name: string): string => row?.[AUDIT_CSV_COLUMNS.indexOf(name)] ?? "";
    return placeOf(cell("log"), Number(cell("sequence")));
  }
  const value = objectOf(line);
  const { metadata } = value;
  return isJsonObject(metadata)
    ? placeOf(metadata["log_name"], metadata["sequence"])
    : placeOf(value["log"], value["sequence"]);
}

const placeOf = (log: JsonValue | undefined, sequence: JsonValue | undefined): ExportPlace | null =>
  typeof log === "string" && typeof sequence === "number" && Number.isSafeInteger(sequence) ? { log, sequence } : null;
