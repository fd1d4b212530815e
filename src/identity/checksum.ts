/** Six base-62 digits hold 62^6 = 5.7 × 10^10 values, more than the 2^32 of a CRC. */
export const CHECKSUM_CHARS = 6;

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/** CRC-32 as in ISO-HDLC (zip, PNG): reflected polynomial 0xEDB88320. */
const TABLE = Uint32Array.from({ length: 256 }, (_, index) => {
  let value = index;
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/**
 * Fixed-length base-62 text of the CRC-32 of ASCII `text`. Finds typing and copying mistakes, and nothing else: it is
 * no protection against somebody who computes it too.
 */
export function checksum(text: string): string {
  let crc = 0xffffffff;
  for (let index = 0; index < text.length; index++) {
    crc = (crc >>> 8) ^ (TABLE[(crc ^ text.charCodeAt(index)) & 0xff] ?? 0);
  }
  let rest = (crc ^ 0xffffffff) >>> 0;
  let digits = "";
  for (let count = 0; count < CHECKSUM_CHARS; count++) {
    digits = DIGITS.charAt(rest % 62) + digits;
    rest = Math.floor(rest / 62);
  }
  return digits;
}
