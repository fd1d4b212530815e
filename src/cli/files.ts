import { closeSync, existsSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { relative, resolve } from "node:path";
import { describeError } from "../platform/describe-error.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { usage, type Failure } from "./failure.ts";
import type { Terminal } from "./terminal.ts";

/** Larger than any document, key or credential: reading `/dev/zero` by mistake ends here. */
const FILE_BYTES_MAX = 1024 * 1024;
/** Owner only. */
const PRIVATE_MODE = 0o600;
const OTHERS = 0o077;

type Place = Pick<Terminal, "folder">;

export const absolute = ({ folder }: Place, file: string): string => resolve(folder, file);

/** A file name as people would write it from where they are. */
export const shown = ({ folder }: Place, file: string): string => {
  const path = relative(folder, file);
  return path === "" || path.startsWith("../../") ? file : path;
};

/** The text of a file, which has to be UTF-8. */
export function readText(place: Place, file: string): Result<string, Failure> {
  try {
    const bytes = readFileSync(absolute(place, file));
    if (bytes.length > FILE_BYTES_MAX) return err(usage(`${file} is larger than ${FILE_BYTES_MAX} bytes`));
    return ok(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (error) {
    return err(usage(`${file} cannot be read: ${reasonOf(error)}`));
  }
}

/** Like `readText`, for a secret; `note` is told when other people of this machine can read it too. */
export function readSecret(place: Place, file: string, note: (text: string) => void): Result<string, Failure> {
  const path = absolute(place, file);
  const stat = statSync(path, { throwIfNoEntry: false });
  // A pipe (`<(pass show gate)`) has no lasting mode.
  if (stat?.isFile() === true && (stat.mode & OTHERS) !== 0 && process.platform !== "win32") {
    note(`warning: ${file} can be read by others (mode ${(stat.mode & 0o777).toString(8)}): chmod 600 ${file}`);
  }
  return readText(place, file);
}

/** The first of these files that exists, null when none does. */
export const firstExisting = (files: readonly string[]): string | null =>
  files.find((file) => existsSync(file)) ?? null;

export type PrivateFile = {
  readonly name: string;
  /** Writes the text and closes the file. Throws when the disk does not take it. */
  readonly write: (text: string) => void;
  /** Removes the file again. */
  readonly discard: () => void;
};

/** A new file that only its owner can read. Made before the secret exists, so that there is a place to put it. */
export function createPrivate(place: Place, file: string): Result<PrivateFile, Failure> {
  const path = absolute(place, file);
  try {
    // Never an existing file: it may be somebody else's key, or readable by others, or a link to elsewhere.
    const descriptor = openSync(path, "wx", PRIVATE_MODE);
    return ok({
      name: file,
      write: (text) => {
        writeSync(descriptor, text);
        closeSync(descriptor);
      },
      discard: () => {
        closeSync(descriptor);
        rmSync(path, { force: true });
      },
    });
  } catch (error) {
    return err(usage(`${file} cannot be made: ${reasonOf(error)}`, "Name a file that does not exist yet."));
  }
}

/** Writes a file that is no secret; one that exists stays as it is unless `replace`. */
export function writeText(place: Place, file: string, text: string, replace: boolean): Result<null, Failure> {
  try {
    writeFileSync(absolute(place, file), text, { flag: replace ? "w" : "wx" });
    return ok(null);
  } catch (error) {
    const exists = error instanceof Error && "code" in error && error.code === "EEXIST";
    return err(usage(`${file} cannot be written: ${reasonOf(error)}`, exists ? "--force replaces it." : null));
  }
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ["ENOENT", "no such file or folder"],
  ["EACCES", "permission denied"],
  ["EISDIR", "it is a folder"],
  ["EEXIST", "it exists already"],
]);

/** Why a file could not be had, in words. */
export function reasonOf(error: unknown): string {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (code === "ERR_ENCODING_INVALID_ENCODED_DATA") return "it is not UTF-8 text";
  return REASONS.get(code) ?? describeError(error);
}
