const ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz";

/** 10 × 5 bits: milliseconds until the year 37,648. */
const TIME_CHARS = 10;
/** 16 × 5 bits of randomness. */
const RANDOM_CHARS = 16;

/** The time's characters, kept while the millisecond lasts: the clock of a Worker moves only with its input and output. */
let timeMs = -1;
let timeText = "";

/**
 * A fresh id `<prefix>_<26 characters>`, a ULID: the time, then 80 random bits, in Crockford base 32. Ids cannot be guessed;
 * those made one after another stand side by side in every table that they key, so that an insert touches a page that is
 * at hand and not a random one. Lower case only: safe as a path segment, a header value and a database key.
 */
export function newId(prefix: string): string {
  const now = Date.now();
  if (now !== timeMs) [timeMs, timeText] = [now, encodeTime(now)];
  let id = `${prefix}_${timeText}`;
  for (const byte of crypto.getRandomValues(new Uint8Array(RANDOM_CHARS))) id += ALPHABET.charAt(byte & 31);
  return id;
}

function encodeTime(ms: number): string {
  let text = "";
  for (let rest = ms, i = 0; i < TIME_CHARS; i++, rest = Math.floor(rest / 32))
    text = ALPHABET.charAt(rest % 32) + text;
  return text;
}
