import { Buffer } from "node:buffer";

const ALPHABET = /^[A-Za-z0-9_-]+$/;

/** Unpadded base64url (RFC 4648, section 5). */
export const toBase64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64url");

/**
 * Bytes of canonical unpadded base64url, null for anything else. Decoders in Node, workerd and jose accept padding, `+/`,
 * white space and up to fifteen other last characters for the same bytes; here one byte sequence has exactly one text.
 */
export function fromBase64url(text: string): Uint8Array<ArrayBuffer> | null {
  if (!ALPHABET.test(text)) return null;
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : null;
}

/** Text of UTF-8 bytes, null where they are not UTF-8. A byte order mark is kept, so that it is refused later. */
export function fromUtf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}
