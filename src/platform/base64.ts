import { Buffer } from "node:buffer";

/** Padded base64 of the standard alphabet (RFC 4648, section 4). */
export const toBase64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");

/** Bytes of canonical padded base64, null for anything else: here one byte sequence has exactly one text. */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> | null {
  const bytes = new Uint8Array(Buffer.from(text, "base64"));
  return toBase64(bytes) === text ? bytes : null;
}
