const MINUTE_S = 60;
const HOUR_S = 3_600;
const DAY_S = 86_400;

/** `2026-11-20 08:00Z`: a time of an answer, to the minute. Other text stays as it is. */
export const shortTime = (iso: string): string =>
  /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}/.test(iso) ? `${iso.slice(0, 10)} ${iso.slice(11, 16)}Z` : iso;

/** How far a time is from `now` (epoch milliseconds): `in 12 min`, `3 h ago`. */
export function fromNow(iso: string, now: number): string {
  const seconds = Math.round((Date.parse(iso) - now) / 1_000);
  if (Number.isNaN(seconds)) return iso;
  const amount = lengthOf(Math.abs(seconds));
  return seconds >= 0 ? `in ${amount}` : `${amount} ago`;
}

function lengthOf(seconds: number): string {
  if (seconds < 2 * MINUTE_S) return `${seconds} s`;
  if (seconds < 2 * HOUR_S) return `${Math.floor(seconds / MINUTE_S)} min`;
  if (seconds < 2 * DAY_S) return `${Math.floor(seconds / HOUR_S)} h`;
  return `${Math.floor(seconds / DAY_S)} days`;
}

const UNITS_S: ReadonlyMap<string, number> = new Map([
  ["m", MINUTE_S],
  ["h", HOUR_S],
  ["d", DAY_S],
]);

/** `30m`, `2h` or `7d` before `now` as an ISO time; other text as it is, for the gate to judge. */
export const timeBefore = (text: string, now: number): string => shifted(text, now, -1);

/** The same after `now`. */
export const timeAfter = (text: string, now: number): string => shifted(text, now, 1);

function shifted(text: string, now: number, direction: 1 | -1): string {
  const [, count = "", unit = ""] = /^([0-9]{1,4})([mhd])$/.exec(text) ?? [];
  const seconds = UNITS_S.get(unit);
  return seconds === undefined ? text : new Date(now + direction * Number(count) * seconds * 1_000).toISOString();
}
