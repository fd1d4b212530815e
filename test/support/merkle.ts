import { createHash } from "node:crypto";

/**
 * RFC 9162, section 2.1, and C2SP signed notes, as an auditor would write them who has only the documents: nothing here is the
 * gate's own, nothing is stored, and all of it is slow.
 */

const sha256 = (...parts: readonly Uint8Array[]): Buffer => {
  const hash = createHash("sha256");
  for (const part of parts) hash.update(part);
  return hash.digest();
};

const base64 = (text: string): Buffer => Buffer.from(text, "base64");

/** SHA-256(0x00 ‖ record). */
export const leafOf = (record: string): string =>
  sha256(Uint8Array.of(0), Buffer.from(record, "utf8")).toString("base64");

const nodeOf = (left: string, right: string): string =>
  sha256(Uint8Array.of(1), base64(left), base64(right)).toString("base64");

/** The root of all these records. */
export function rootOf(records: readonly string[]): string {
  if (records.length === 0) return sha256().toString("base64");
  return rootOfLeaves(records.map(leafOf));
}

function rootOfLeaves(leaves: readonly string[]): string {
  const [only = ""] = leaves;
  if (leaves.length === 1) return only;
  const k = splitOf(leaves.length);
  return nodeOf(rootOfLeaves(leaves.slice(0, k)), rootOfLeaves(leaves.slice(k)));
}

function splitOf(size: number): number {
  let k = 1;
  while (k * 2 < size) k *= 2;
  return k;
}

/** The root that an inclusion proof leads to from `leaf`, number `index` from 0 of `size`. */
export function rootByProof(leaf: string, index: number, size: number, hashes: readonly string[]): string {
  const sibling = hashes.at(-1);
  if (size === 1) return hashes.length === 0 ? leaf : "a proof with too much in it";
  if (sibling === undefined) return "a proof with too little in it";
  const k = splitOf(size);
  const rest = hashes.slice(0, -1);
  return index < k
    ? nodeOf(rootByProof(leaf, index, k, rest), sibling)
    : nodeOf(sibling, rootByProof(leaf, index - k, size - k, rest));
}

/** PROOF(from, D) over all records: what a consistency proof has to be. */
export function consistencyOf(records: readonly string[], from: number): readonly string[] {
  return subproof(records.map(leafOf), from, true);
}

function subproof(leaves: readonly string[], m: number, known: boolean): readonly string[] {
  if (m === leaves.length) return known ? [] : [rootOfLeaves(leaves)];
  const k = splitOf(leaves.length);
  return m <= k
    ? [...subproof(leaves.slice(0, k), m, known), rootOfLeaves(leaves.slice(k))]
    : [...subproof(leaves.slice(k), m - k, false), rootOfLeaves(leaves.slice(0, k))];
}

/** What a note says, read line by line, if the one signature of it holds under this key; null if not. */
export async function openNote(
  note: string,
  verifierKey: string,
): Promise<{ readonly origin: string; readonly size: number; readonly root: string } | null> {
  const [name = "", keyId = "", ...rest] = verifierKey.split("+");
  const key = base64(rest.join("+"));
  const [origin = "", size = "", root = "", blank, signature = "", end] = note.split("\n");
  const [dash, signer, value = ""] = signature.split(" ");
  const signed = base64(value);
  const expectedId = sha256(Buffer.from(`${name}\n`), key).subarray(0, 4);
  const hasForm = dash === "—" && signer === name && origin === name && blank === "" && end === "";
  if (!hasForm || expectedId.toString("hex") !== keyId || !signed.subarray(0, 4).equals(expectedId)) return null;
  const publicKey = await crypto.subtle.importKey("raw", key.subarray(1), "Ed25519", false, ["verify"]);
  const text = Buffer.from(`${origin}\n${size}\n${root}\n`);
  const holds = await crypto.subtle.verify("Ed25519", publicKey, signed.subarray(4), text);
  return holds ? { origin, size: Number(size), root } : null;
}
