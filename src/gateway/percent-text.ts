/** Size of percent-encoded ASCII text once decoded, in UTF-8 bytes: every `%XX` is one byte. */
export const decodedBytes = (encoded: string): number => encoded.length - 2 * (encoded.match(/%/g)?.length ?? 0);

/**
 * Decodes percent-encoded UTF-8 (RFC 3986, 2.1) once. Null where a `%` is not followed by two hex digits or the bytes
 * are not UTF-8: overlong forms, surrogates and truncated sequences included. A `+` stays a plus sign.
 */
export function decodePercent(encoded: string): string | null {
  if (!encoded.includes("%")) return encoded;
  try {
    return decodeURIComponent(encoded);
  } catch {
    return null;
  }
}
