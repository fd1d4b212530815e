import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { parseDictionary, serializeInnerList } from "structured-headers";
import type { BareItem, Dictionary, InnerList, Item, Parameters } from "structured-headers";
import { err, ok } from "../../src/platform/result.ts";
import type { Result } from "../../src/platform/result.ts";
import type { NonceWindow } from "./nonce-window.ts";

/** A request as it arrived, reduced to what RFC 9421 components are derived from. */
export type ReceivedMessage = {
  readonly method: string;
  /** Origin-form request target, undecoded: `/v1/workloads?limit=5`. */
  readonly target: string;
  /** Lower-case name → field value; several lines of one name are joined with `, ` (RFC 9421, section 2.1). */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Uint8Array;
};

/** Signature label, key id and tag that this control plane accepts: the gate's, nothing else. */
export const LABEL = "gate";
export const KEY_ID = "gate";
export const TAG = "portcullis";
/** Longest accepted life, `expires - created`, in seconds: one request's travel, not a bearer token's life. */
export const MAX_LIFE_SECONDS = 60;
/** How far `created` may lie ahead of this machine's clock, in seconds. */
export const MAX_SKEW_SECONDS = 5;

const NONCE = /^[A-Za-z0-9_-]{16,128}$/;
const ALWAYS_COVERED = ["@method", "@authority", "@path", "@query", "authorization"];
const PARAMETERS = new Set(["created", "expires", "nonce", "keyid", "tag", "alg"]);
const DEFAULT_HTTP_PORT = /:80$/;

/**
 * The signature base of RFC 9421, section 2.5, for the covered components of `input`. Fails on a component that the
 * message does not have, that is named twice, that carries parameters, or that this verifier does not derive.
 */
export function signatureBase(message: ReceivedMessage, input: InnerList): Result<string, string> {
  const lines: string[] = [];
  const seen = new Set<string>();
  for (const [name, parameters] of input[0]) {
    if (typeof name !== "string") return err("a covered component is not a string");
    if (parameters.size > 0) return err(`component "${name}" has parameters`);
    if (seen.has(name)) return err(`component "${name}" is covered twice`);
    seen.add(name);
    const value = componentValue(message, name);
    if (value === undefined) return err(`component "${name}" is not in the message`);
    lines.push(`"${name}": ${value}`);
  }
  lines.push(`"@signature-params": ${serializeInnerList(input)}`);
  return ok(lines.join("\n"));
}

/** HMAC-SHA-256 over the signature base (RFC 9421, section 3.3.3). */
export const hmacOf = (key: Uint8Array, base: string): Uint8Array =>
  createHmac("sha256", key).update(base, "utf8").digest();

/**
 * Verifies the gate's signature and the digest of the received bytes (RFC 9421, RFC 9530). In force: label `gate`,
 * `hmac-sha256`, the components below, a life of at most 60 s, and a nonce that is accepted once. The error says what
 * is wrong; nothing is remembered about a message that fails.
 */
export function verifySignature(
  message: ReceivedMessage,
  key: Uint8Array,
  nowSeconds: number,
  nonces: NonceWindow,
): Result<void, string> {
  const input = memberOf(message, "signature-input");
  if (!input.ok) return input;
  const signature = memberOf(message, "signature");
  if (!signature.ok) return signature;
  if (!isInnerList(input.value)) return err("Signature-Input is not an inner list");
  const life = checkParameters(input.value[1], nowSeconds);
  if (!life.ok) return life;
  const covered = checkCoverage(message, input.value);
  if (!covered.ok) return covered;
  const digest = checkContentDigest(message);
  if (!digest.ok) return digest;
  const base = signatureBase(message, input.value);
  if (!base.ok) return base;
  const received = bytesOf(signature.value[0]);
  if (received === null) return err("Signature is not a byte sequence");
  const expected = hmacOf(key, base.value);
  if (received.length !== expected.length || !timingSafeEqual(received, expected)) return err("signature mismatch");
  // Last, so that an unsigned message cannot burn the nonce of a genuine one.
  return nonces.use(life.value.nonce, life.value.expires, nowSeconds) ? ok(undefined) : err("nonce was used before");
}

/** Checks `sha-256` of Content-Digest against the received bytes (RFC 9530, section 2); other algorithms are not read. */
export function checkContentDigest(message: ReceivedMessage): Result<void, string> {
  const text = message.headers.get("content-digest");
  if (text === undefined) return message.body.length === 0 ? ok(undefined) : err("Content-Digest is missing");
  const member = dictionaryOf(text)?.get("sha-256");
  const stated = member === undefined ? null : bytesOf(member[0]);
  if (stated === null) return err("Content-Digest has no sha-256");
  const actual = createHash("sha256").update(message.body).digest();
  return stated.length === actual.length && timingSafeEqual(stated, actual)
    ? ok(undefined)
    : err("Content-Digest does not match the body");
}

function componentValue(message: ReceivedMessage, name: string): string | undefined {
  const queryAt = message.target.indexOf("?");
  switch (name) {
    case "@method":
      return message.method;
    case "@authority":
      return message.headers.get("host")?.toLowerCase().replace(DEFAULT_HTTP_PORT, "");
    case "@path":
      return queryAt === -1 ? message.target : message.target.slice(0, queryAt);
    case "@query":
      return queryAt === -1 ? "?" : message.target.slice(queryAt);
    default:
      return /^[a-z0-9-]+$/.test(name) ? message.headers.get(name)?.trim() : undefined;
  }
}

function checkParameters(
  parameters: Parameters,
  nowSeconds: number,
): Result<{ readonly nonce: string; readonly expires: number }, string> {
  for (const name of parameters.keys()) if (!PARAMETERS.has(name)) return err(`unknown parameter "${name}"`);
  const [created, expires, nonce] = [parameters.get("created"), parameters.get("expires"), parameters.get("nonce")];
  if (!isSeconds(created) || !isSeconds(expires)) return err("created and expires must be integers");
  if (expires <= created || expires - created > MAX_LIFE_SECONDS) return err("life is not within 60 s");
  if (created > nowSeconds + MAX_SKEW_SECONDS) return err("created lies in the future");
  if (expires <= nowSeconds) return err("signature has expired");
  if (typeof nonce !== "string" || !NONCE.test(nonce)) return err("nonce is missing or malformed");
  if (parameters.get("keyid") !== KEY_ID) return err("unknown keyid");
  if (parameters.get("tag") !== TAG) return err("unknown tag");
  // The algorithm belongs to the key; a stated one may only agree (RFC 9421, section 3.2).
  if (parameters.has("alg") && parameters.get("alg") !== "hmac-sha256") return err("alg does not fit the key");
  return ok({ nonce, expires });
}

function checkCoverage(message: ReceivedMessage, input: InnerList): Result<void, string> {
  const covered = new Set(input[0].map(([name]) => name));
  const required = [...ALWAYS_COVERED];
  if (message.body.length > 0) required.push("content-digest", "content-type");
  if (message.headers.has("idempotency-key")) required.push("idempotency-key");
  const missing = required.filter((name) => !covered.has(name));
  return missing.length === 0 ? ok(undefined) : err(`not covered: ${missing.join(", ")}`);
}

function memberOf(message: ReceivedMessage, header: string): Result<Item | InnerList, string> {
  const text = message.headers.get(header);
  if (text === undefined) return err(`${header} is missing`);
  const member = dictionaryOf(text)?.get(LABEL);
  return member === undefined ? err(`${header} has no member "${LABEL}"`) : ok(member);
}

function dictionaryOf(text: string): Dictionary | null {
  try {
    return parseDictionary(text);
  } catch {
    return null;
  }
}

const isInnerList = (member: Item | InnerList): member is InnerList => Array.isArray(member[0]);

const isSeconds = (value: BareItem | undefined): value is number =>
  typeof value === "number" && Number.isSafeInteger(value);

/** The bytes of a parsed byte sequence, null for every other kind of value. */
const bytesOf = (value: BareItem | Item[]): Uint8Array | null =>
  value instanceof ArrayBuffer ? new Uint8Array(value) : null;
