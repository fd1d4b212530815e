import { fromBase64 } from "../../platform/base64.ts";
import { canonicalJson } from "../../platform/canonical-json.ts";
import { digestOf } from "../../platform/digest.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "../../platform/json.ts";
import { HASH_BYTES, leafHash, type Hash } from "../merkle.ts";
import { readStatement, type RetentionStatement } from "./retention-statement.ts";

/** What hashes of records are taken over besides their text. Stated once more: a verifier follows the format, not the writer. */
const HASH_DOMAIN = "portcullis/audit/v1";

/** A record as it stands in an export. Everything but its place is content: hashed, and not judged here. */
export type PlacedRecord = {
  /** Null where retention has taken the text that says so. */
  readonly tenant: string | null;
  readonly log: string;
  readonly sequence: number;
  /** Null where retention has taken the text that says so. */
  readonly previousHash: string | null;
  readonly hash: string;
  /** Why the text is not the one that was hashed, null where it is. */
  readonly fault: string | null;
  /** Leaf of the log's tree: over the line as it stands, or what retention has left of it. */
  readonly leaf: Hash;
  /** Whether retention has taken the text, by the line's own word. */
  readonly isDeleted: boolean;
  /** What the record says of retention, null for any but retention's own. */
  readonly statement: RetentionStatement | null;
};

const UTF8 = new TextEncoder();

/** Reads one line of an export; null for what is no record at all. */
export function readRecord(line: string): PlacedRecord | null {
  const record = jsonOf(line);
  if (!isJsonObject(record)) return null;
  if ("deleted" in record) return readDeleted(line, record);
  const { tenant, log, sequence, previous_hash: previousHash, hash } = record;
  if (typeof tenant !== "string" || typeof log !== "string" || !isSequence(sequence)) return null;
  if (typeof previousHash !== "string" || typeof hash !== "string") return null;
  const placed = { tenant, log, sequence, previousHash, hash };
  const statement = readStatement(record, sequence);
  const fault = faultOf(line, record);
  return { ...placed, fault, leaf: leafHash(UTF8.encode(line)), isDeleted: false, statement };
}

/** What retention has left of a record: its place, its hash, and the leaf of the log's tree. */
function readDeleted(line: string, value: JsonObject): PlacedRecord | null {
  const { deleted, log, sequence, hash, leaf_hash: leafText, ...others } = value;
  if (deleted !== true || typeof log !== "string" || !isSequence(sequence) || Object.keys(others).length > 0)
    return null;
  const leaf = typeof leafText === "string" ? fromBase64(leafText) : null;
  if (typeof hash !== "string" || !HASH.test(hash) || leaf?.length !== HASH_BYTES) return null;
  const fault = canonicalOf(value) === line ? null : "not in canonical form (RFC 8785)";
  return { tenant: null, log, sequence, previousHash: null, hash, fault, leaf, isDeleted: true, statement: null };
}

const HASH = /^sha256:[0-9a-f]{64}$/;

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
