import { createHash } from "node:crypto";
import { z } from "zod";
import { canonical, type Json } from "./canonical.ts";
import { readRecord, type CheckedRecord, type Complain } from "./records.ts";

const sha256 = (...parts: readonly (Uint8Array | string)[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

/**
 * The records of one log, read from its exported lines, each checked to be the very text that was hashed and chained. Those whose
 * text retention has taken are no records any more: they have to be the first, and the one after them has to name their hash.
 */
export function checkChain(log: string, lines: readonly string[], complain: Complain): readonly CheckedRecord[] {
  let previous = `sha256:${"0".repeat(64)}`;
  let hasText = false;
  return lines.flatMap((line, index) => {
    const left = readRemains(line);
    if (left !== null) {
      const place = { log, sequence: index + 1 };
      if (hasText) complain(place, "has lost its text, and one before it has not");
      if (left.log !== log || left.sequence !== index + 1)
        complain(place, `says that it is ${left.log}/${left.sequence}`);
      previous = left.hash;
      return [];
    }
    hasText = true;
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
    return [record];
  });
}

/**
 * Checks that the newest record of retention says that it took the texts that are gone, of this log so many, and that what is left of
 * them is what that record states.
 */
export function checkRetention(
  log: string,
  lines: readonly string[],
  ledger: readonly CheckedRecord[],
  complain: Complain,
): void {
  const left = lines.flatMap((line) => readRemains(line) ?? []);
  const last = left.at(-1);
  if (last === undefined) return;
  const statement = ledger.findLast(
    ({ kind, reason_code: code, principal_class: by }) =>
      kind === "admin" && code === "audit-retention" && by === "gate",
  );
  const [, to, stated] =
    RETENTION.parse(statement?.facts ?? { logs: [] })
      .logs.map((text) => text.split(" "))
      .find(([name]) => name === log) ?? [];
  if (Number(to ?? 0) < last.sequence) complain(last, "has lost its text, and no record says that retention took it");
  if (Number(to ?? 0) !== last.sequence) return;
  let digest = `sha256:${"0".repeat(64)}`;
  for (const { sequence, hash, leaf_hash: leaf } of left)
    digest = `sha256:${sha256(`portcullis/audit-deleted/v1\n${digest}\n${sequence} ${hash} ${leaf}`).toString("hex")}`;
  if (digest !== stated) complain(last, "and those before it are not what the record of their deletion states");
}

const RETENTION = z.looseObject({ logs: z.array(z.string()) });
const REMAINS = z.strictObject({
  deleted: z.literal(true),
  hash: z.string(),
  leaf_hash: z.string(),
  log: z.string(),
  sequence: z.int(),
});

/** What retention has left of a record; null for a record. */
const readRemains = (line: string): z.infer<typeof REMAINS> | null =>
  line.startsWith('{"deleted":') ? REMAINS.parse(JSON.parse(line)) : null;

/** Whether retention has taken any text of this log. */
export const isCut = (lines: readonly string[]): boolean => lines.some((line) => readRemains(line) !== null);

/** MTH of RFC 9162, section 2.1.1, as the RFC states it: by recursion, over everything. Base64. */
export const merkleRoot = (lines: readonly string[]): string => subtree(lines.map(leafOf)).toString("base64");

function leafOf(line: string): Buffer {
  const left = readRemains(line);
  return left === null ? sha256(Uint8Array.of(0), line) : Buffer.from(left.leaf_hash, "base64");
}

function subtree(leaves: readonly Buffer[]): Buffer {
  const [first] = leaves;
  if (first === undefined) return sha256();
  if (leaves.length === 1) return first;
  const k = 2 ** Math.ceil(Math.log2(leaves.length) - 1);
  return sha256(Uint8Array.of(1), subtree(leaves.slice(0, k)), subtree(leaves.slice(k)));
}
