import { canonicalJson } from "../../platform/canonical-json.ts";
import { digestOf } from "../../platform/digest.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../platform/json.ts";
import { leafHash, type Hash } from "../merkle.ts";

/** What hashes of records are taken over besides their text. Stated once more: a verifier follows the format, not the writer. */
const HASH_DOMAIN = "portcullis/audit/v1";

/** A record as it stands in an export. Everything but its place is content: hashed, and not judged here. */
export type PlacedRecord = {
  readonly tenant: string;
  readonly log: string;
  readonly sequence: number;
  readonly previousHash: string;
  readonly hash: string;
  /** Why the text is not the one that was hashed, null where it is. */
  readonly fault: string | null;
  /** Leaf of the log's tree: over the line as it stands. */
  readonly leaf: Hash;
};

const UTF8 = new TextEncoder();

/** Reads one line of an export; null for what is no record at all. */
export function readRecord(line: string): PlacedRecord | null {
  const record = jsonOf(line);
  if (!isJsonObject(record)) return null;
  const { tenant, log, sequence, previous_hash: previousHash, hash } = record;
  if (typeof tenant !== "string" || typeof log !== "string" || !isSequence(sequence)) return null;
  if (typeof previousHash !== "string" || typeof hash !== "string") return null;
  return { tenant, log, sequence, previousHash, hash, fault: faultOf(line, record), leaf: leafHash(UTF8.encode(line)) };
}

/** The value of a JSON text; undefined for any other text. */
export function jsonOf(text: string): JsonValue | undefined {
  try {
    const value: JsonValue = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

const isSequence = (value: JsonValue | undefined): value is number =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 1;

function faultOf(line: string, record: JsonObject): string | null {
  if (canonicalOf(record) !== line) return "not in canonical form (RFC 8785)";
  const { hash, ...unhashed } = record;
  const text = canonicalOf(unhashed);
  return text !== null && digestOf(HASH_DOMAIN, text) === hash ? null : "its hash is not that of its text";
}

/** Null for what has no canonical form: half characters (`"\ud800"`), and what nests deeper than any stack. */
function canonicalOf(value: JsonObject): string | null {
  try {
    return canonicalJson(value);
  } catch {
    return null;
  }
}
