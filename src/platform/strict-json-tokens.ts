import type { JsonValue } from "./json.ts";
import type { Result } from "./result.ts";
import { err, ok } from "./result.ts";

export const LONE_SURROGATE = "a lone surrogate is not a character";

/** Names that reach an object's prototype in code that assigns or merges carelessly, here or upstream. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** The three values that are words. */
export const LITERALS: readonly (readonly [string, JsonValue])[] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

/** Whether a UTF-16 code unit begins a number: a digit or `-`. */
export const isNumberStart = (code: number): boolean => (code >= 0x30 && code <= 0x39) || code === 0x2d;

/** Digits and `. e E + -`: a superset of what a number may contain, so that a bad number is refused whole. */
export const isNumberCode = (code: number): boolean =>
  isNumberStart(code) || code === 0x2e || (code | 0x20) === 0x65 || code === 0x2b;

/**
 * Value of one number token of strict JSON, or the reason why it is none. Accepted is only what ECMAScript itself would
 * write for the value, without an exponent: what is judged then has the very digits that are sent (RFC 8785, 3.2.2.3).
 */
export function readNumber(token: string): Result<number, string> {
  if (/e/i.test(token)) return err("numbers with an exponent are not accepted");
  const value = Number(token);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER) return err("numbers beyond 2^53 − 1 are not accepted");
  return String(value) === token ? ok(value) : err("the number is not in its shortest decimal form");
}

/**
 * Text of one string token, with its quotes, that has a backslash, or the reason why it is none. The engine's own parser
 * decodes the escapes: a lone string holds no names or numbers that it could misread.
 */
export function readEscapedString(token: string): Result<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(token);
  } catch {
    return err("the string has an escape that JSON does not know");
  }
  if (typeof value !== "string") return err("not a string");
  if (value.includes("\0")) return err("the character U+0000 is not accepted");
  return value.isWellFormed() ? ok(value) : err(LONE_SURROGATE);
}
