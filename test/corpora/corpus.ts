import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** A folder of the public vectors. Fails where CORPORA_DIR is not set: a skipped corpus would look like a passed one. */
export function corpus(folder: string): string {
  const root = process.env["CORPORA_DIR"];
  if (root === undefined || root === "") throw new Error("set CORPORA_DIR to the folder that holds the public vectors");
  return join(root, folder);
}

/** File names in a corpus folder, sorted; fails where there is none, since a table over nothing passes. */
export function filesOf(folder: string): readonly string[] {
  const names = readdirSync(corpus(folder)).toSorted();
  if (names.length === 0) throw new Error(`no vectors in ${folder}`);
  return names;
}

export const bytesOfFile = (folder: string, name: string): Uint8Array => readFileSync(join(corpus(folder), name));
export const textOfFile = (folder: string, name: string): string => readFileSync(join(corpus(folder), name), "utf8");
