import { Buffer } from "node:buffer";
import { canonicalJson } from "../platform/canonical-json.ts";
import { isJsonObject, type JsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { parseStrictJson } from "../platform/strict-json.ts";
import { fromBase64url, fromUtf8, toBase64url } from "./base64url.ts";
import { macOf, type SecretKey } from "./secret-key.ts";

/** 96 bits, the nonce length for which GCM is specified without a detour (NIST SP 800-38D, section 8.2). */
const IV_BYTES = 12;
/**
 * The largest is a kept request: a body of 64 KiB, twice that as a JSON string of escapes, a third more as base64url; the
 * rest is path, query and tag.
 */
const MAX_SEALED_CHARS = 200_000;
const SHAPE = /^v1\.([A-Za-z0-9_-]{16})\.([A-Za-z0-9_-]+)$/;
const DOMAIN = "portcullis/sealed/v1";

/**
 * Encrypts what must not lie readable in a store (credentials, kept requests): `v1.<iv>.<ciphertext and tag>`, AES-256-GCM
 * with a fresh random IV. `context` (what it is and whose) is authenticated with it, so that one tenant's opens for no other.
 *
 * Random IVs allow 2^32 sealings under one key before a repetition becomes likelier than 2^-32: one kept request per write
 * makes that 136 years of one write per second.
 */
export async function seal(plaintext: JsonObject, key: SecretKey, context: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(IV_BYTES));
  const text = Buffer.from(canonicalJson(plaintext), "utf8");
  const sealed = await crypto.subtle.encrypt(parameters(iv, context), await cipherKey(key), text);
  return `v1.${toBase64url(iv)}.${toBase64url(new Uint8Array(sealed))}`;
}

/**
 * Opens what `seal` made for the same key and context. The error says no more than that it does not open: a wrong key,
 * a wrong context and a changed character are not told apart.
 */
export async function open(sealed: string, key: SecretKey, context: string): Promise<Result<JsonObject, string>> {
  const [, ivText, cipherText] = sealed.length > MAX_SEALED_CHARS ? [] : (SHAPE.exec(sealed) ?? []);
  const iv = fromBase64url(ivText ?? "");
  const bytes = fromBase64url(cipherText ?? "");
  if (iv === null || bytes === null) return err("sealed value: not of the form v1.<iv>.<ciphertext>");
  const plain = await decrypted(bytes, iv, key, context);
  const value = parseStrictJson((plain === null ? null : fromUtf8(plain)) ?? "");
  if (!value.ok || !isJsonObject(value.value)) return err("sealed value: does not open with this key and context");
  return ok(value.value);
}

async function decrypted(
  bytes: Uint8Array<ArrayBuffer>,
  iv: Uint8Array<ArrayBuffer>,
  key: SecretKey,
  context: string,
): Promise<Uint8Array | null> {
  try {
    return new Uint8Array(await crypto.subtle.decrypt(parameters(iv, context), await cipherKey(key), bytes));
  } catch {
    // WebCrypto reports a failed tag by throwing. It is an expected outcome here.
    return null;
  }
}

const parameters = (iv: Uint8Array<ArrayBuffer>, context: string) => ({
  name: "AES-GCM",
  iv,
  additionalData: Buffer.from(`${DOMAIN}\n${context}`, "utf8"),
  tagLength: 128,
});

const cipherKeys = new WeakMap<SecretKey, Promise<CryptoKey>>();

/** Derived, not used as it is: SEALING_KEY may be longer than 32 bytes, and serves nothing else under this name. Kept: writes seal. */
function cipherKey(key: SecretKey): Promise<CryptoKey> {
  const known = cipherKeys.get(key);
  if (known !== undefined) return known;
  const raw = Buffer.from(macOf(key, DOMAIN, "aes-256-gcm"));
  const made = crypto.subtle.importKey("raw", raw, "AES-GCM", false, ["encrypt", "decrypt"]);
  cipherKeys.set(key, made);
  return made;
}
