import { createHmac, timingSafeEqual } from "node:crypto";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { fromBase64url } from "./base64url.ts";

/** Bytes of a deployment secret that passed `readSecretKey`: nothing in this room signs or seals under anything else. */
export type SecretKey = Uint8Array & { readonly [strong]: true };
declare const strong: unique symbol;

/** 256 bits, the output length of SHA-256: a shorter HMAC key weakens it (RFC 2104, section 3). */
const MIN_SECRET_BYTES = 32;
/** 32 random bytes have about 30 distinct values; fewer than 16 happens once in more than 10^13 draws. */
const MIN_DISTINCT_BYTES = 16;
/** Random bytes all lie in the printable ASCII range once in (256 / 95)^32 ≈ 6 × 10^13 draws. */
const PRINTABLE_MIN = 0x20;
const PRINTABLE_MAX = 0x7e;
/** Forty-three random base64url characters have only these once in (64 / 28)^43 ≈ 3 × 10^15 draws. */
const ONE_CASE_PHRASE = /^(?:[a-z_-]+|[A-Z_-]+)$/;

/**
 * Reads a deployment secret: canonical unpadded base64url of at least 32 random bytes (`openssl rand -base64 32`, made
 * URL-safe). Refuses what a person typed: short, repetitive, or a phrase, plain or encoded. The error never quotes it.
 */
export function readSecretKey(name: string, text: string): Result<SecretKey, string> {
  const bytes = fromBase64url(text);
  if (bytes === null) return err(`${name} must be unpadded base64url`);
  if (bytes.length < MIN_SECRET_BYTES) {
    return err(`${name} must hold at least ${MIN_SECRET_BYTES} bytes, found ${bytes.length}`);
  }
  if (ONE_CASE_PHRASE.test(text) || !isRandom(bytes)) {
    return err(`${name} must be random bytes: this one is a phrase or repeats itself`);
  }
  return ok(bytes);
}

function isRandom(bytes: Uint8Array): bytes is SecretKey {
  const printable = bytes.every((byte) => byte >= PRINTABLE_MIN && byte <= PRINTABLE_MAX);
  return !printable && new Set(bytes).size >= MIN_DISTINCT_BYTES;
}

/** HMAC-SHA-256 over `<domain>\n<text>`. The domain keeps a MAC made for one purpose from serving another. */
export function macOf(key: SecretKey, domain: string, text: string): Uint8Array {
  return createHmac("sha256", key).update(domain).update("\n").update(text, "utf8").digest();
}

/** Compares in a time that depends on the lengths alone. */
export const equalBytes = (a: Uint8Array, b: Uint8Array): boolean => a.length === b.length && timingSafeEqual(a, b);
