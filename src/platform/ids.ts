const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * A fresh id `<prefix>_<26 characters>`: 130 random bits in Crockford base 32, so ids cannot be guessed or enumerated.
 * Lower case only: safe as a path segment, a header value and a database key.
 */
export function newId(prefix: string): string {
  const bytes = crypto.getRandomValues(new Uint8Array(26));
  let id = `${prefix}_`;
  for (const byte of bytes) id += ALPHABET.charAt(byte & 31);
  return id;
}
