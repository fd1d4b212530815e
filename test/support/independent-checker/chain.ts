import { createHash } from "node:crypto";
import { canonical, type Json } from "./canonical.ts";
import { readRecord, type CheckedRecord, type Complain } from "./records.ts";

const sha256 = (...parts: readonly (Uint8Array | string)[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/** The records of one log, read from its exported lines, each checked to be the very text that was hashed and chained. */
export function checkChain(log: string, lines: readonly string[], complain: Complain): readonly CheckedRecord[] {
  let previous = `sha256:${"0".repeat(64)}`;
  return lines.map((line, index) => {
    const record = readRecord(line);
    const { hash, ...unhashed }: { [name: string]: Json } = JSON.parse(line);
    const wrong = (what: string): void => complain({ log, sequence: index + 1 }, what);
    if (canonical({ ...unhashed, hash: hash ?? null }) !== line) wrong("is not canonical");
    if (record.log !== log) wrong(`says that it is of ${record.log}`);
    if (record.sequence !== index + 1) wrong(`says that it is number ${record.sequence}`);
    if (record.previous_hash !== previous) wrong("is not chained to the record before it");
    const computed = `sha256:${sha256("portcullis/audit/v1\n", canonical(unhashed)).toString("hex")}`;
    if (hash !== computed) wrong("has another hash than its text");
    previous = computed;
    return record;
  });
}

/** MTH of RFC 9162, section 2.1.1, as the RFC states it: by recursion, over everything. Base64. */
export const merkleRoot = (lines: readonly string[]): string =>
  subtree(lines.map((line) => sha256(Uint8Array.of(0), line))).toString("base64");

function subtree(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return sha256();
  if (leaves.length === 1) return first;
  const k = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return sha256(Uint8Array.of(1), subtree(leaves.slice(0, k)), subtree(leaves.slice(k)));
}
