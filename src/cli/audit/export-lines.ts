import { Buffer } from "node:buffer";
import { closeSync, createReadStream, fstatSync, openSync, readSync } from "node:fs";

/** Read at once: large enough that the disk is not asked often, small enough that nobody notices. */
const CHUNK_BYTES = 1024 * 1024;

/** Longer than any record: D1 takes no value above 2 MB. The rest of such a line is passed over. */
const LINE_BYTES_MAX = 4 * 1024 * 1024;

const LINE_FEED = 0x0a;

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The lines of a file, some at a time, in memory that does not grow with it. Null stands for a line that is no UTF-8 text or
 * longer than any record. A last line needs no end. Rejects when the file cannot be read.
 */
export async function* linesOf(path: string): AsyncGenerator<readonly (string | null)[]> {
  let rest = Buffer.alloc(0);
  let isTooLong = false;
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const bytes: Buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    const lines: (string | null)[] = [];
    let from = 0;
    for (let end = bytes.indexOf(LINE_FEED); end !== -1; end = bytes.indexOf(LINE_FEED, from)) {
      lines.push(isTooLong ? null : textOf(bytes.subarray(from, end)));
      isTooLong = false;
      from = end + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > LINE_BYTES_MAX) [rest, isTooLong] = [Buffer.alloc(0), true];
    yield lines;
  }
  if (isTooLong) yield [null];
  else if (rest.length > 0) yield [textOf(rest)];
}

/** The last line of a file, null where it has none or one that is too long to be a manifest. Throws when it cannot be read. */
export function lastLineOf(path: string): string | null {
  const file = openSync(path, "r");
  try {
    const { size } = fstatSync(file);
    const bytes = Buffer.alloc(Math.min(size, CHUNK_BYTES));
    const read = readSync(file, bytes, 0, bytes.length, size - bytes.length);
    const text = bytes.subarray(0, read);
    const end = text.at(-1) === LINE_FEED ? read - 1 : read;
    const before = text.lastIndexOf(LINE_FEED, end - 1);
    return end <= 0 || (before === -1 && size > CHUNK_BYTES) ? null : textOf(text.subarray(before + 1, end));
  } finally {
    closeSync(file);
  }
}

function textOf(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}
