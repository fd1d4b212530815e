import type { Micros } from "../vocabulary.ts";

export const MICROS_PER_USD = 1_000_000;

/** Micro-USD as a number of US dollars, for display only. Exact to the sixth decimal below 9 billion USD. */
export const usd = (micros: Micros): number => micros / MICROS_PER_USD;

/** Micro-USD as text for people: at least two decimals, never fewer than the amount has (`12.50`, `0.000001`). */
export function formatUsd(micros: Micros): string {
  const sign = micros < 0 ? "-" : "";
  const digits = Math.abs(micros).toString().padStart(7, "0");
  const decimals = digits.slice(-6).replace(/0{1,4}$/, "");
  return `${sign}${digits.slice(0, -6)}.${decimals}`;
}

/**
 * Exact micro-USD of a decimal amount such as `500`, `2.50` or `0.000001`; null when the text is not a plain
 * non-negative decimal with at most six decimals, or a billion and more: `Gate-Budget` carries micro-USD as integers of
 * RFC 9651, which have at most 15 digits.
 */
export function parseUsd(text: string): Micros | null {
  const match = /^(0|[1-9][0-9]{0,8})(?:\.([0-9]{1,6}))?$/.exec(text);
  if (match === null) return null;
  const micros = Number(`${match[1]}${(match[2] ?? "").padEnd(6, "0")}`);
  return Number.isSafeInteger(micros) ? micros : null;
}
