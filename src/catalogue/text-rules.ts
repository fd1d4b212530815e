import type { JsonPath } from "../platform/json-pointer.ts";
import type { TextRules } from "./body-schema.ts";

/** Null when the text is acceptable, otherwise what it must be. */
export type TextCheck = (text: string) => string | null;

/** Reports a mistake of the document at a path inside it. */
export type Report = (path: JsonPath, message: string, at?: "key" | "value") => void;

/** A path parameter is always this, whatever else its route says (architecture: ids are one grammar). */
const ID = /^[A-Za-z0-9._-]{1,128}$/;
/** Text without a stated maximum: names, not documents. */
const DEFAULT_MAX_LENGTH = 256;
/** Shorter than any message line; longer lists of words are cut. */
const MAX_LISTED_WORDS = 12;

/** Grammars that every catalogue has. A document's own `grammars` may add names, never replace these. */
export const BUILT_IN_GRAMMARS: ReadonlyMap<string, RegExp> = new Map([
  ["id", ID],
  ["digits", /^[1-9][0-9]{0,9}$/],
  ["uuid", /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/],
  ["dns_label", /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/],
  ["cursor", /^[A-Za-z0-9._~=-]{1,512}$/],
  ["printable", /^[\x20-\x7e]*$/],
  ["text", /^[^\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}]*$/u],
  ["lines", /^(?:[\t\n\r]|[^\p{Cc}\p{Cf}\p{Co}\p{Cs}\p{Zl}\p{Zp}])*$/u],
  ["env_name", /^[A-Za-z_][A-Za-z0-9_]{0,127}$/],
  ["image", /^[a-z0-9]([a-z0-9._/:@-]{0,254}[a-z0-9])?$/],
]);

/** Names that never may be keys of a map: they mean something to JavaScript on the way. */
export const REFUSED_NAMES: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype"]);

/** Whether `text` may stand as one segment of an upstream path. */
export const isPathId = (text: string): boolean => ID.test(text) && text !== "." && text !== "..";

/**
 * Patterns of a reviewed document run on attacker-chosen text, so they are kept to a form without catastrophic
 * backtracking: no groups that repeat, no back-references, no look-around. Null where the text is not one.
 */
export function compilePattern(pattern: string): RegExp | null {
  if (/\\[1-9k]|\(\?(?!:)|\)[*+{]/.test(pattern)) return null;
  try {
    return new RegExp(`^(?:${pattern})$`, "u");
  } catch {
    return null;
  }
}

/** Compiles text rules; mistakes in them are reported at `path`. */
export function compileText(
  rules: TextRules,
  path: JsonPath,
  grammars: ReadonlyMap<string, TextCheck>,
  report: Report,
): TextCheck {
  const checks: TextCheck[] = [];
  if (rules.one_of !== undefined) checks.push(oneOf(rules.one_of));
  if (rules.grammar !== undefined) {
    const grammar = grammars.get(rules.grammar);
    if (grammar === undefined)
      report([...path, "grammar"], `unknown grammar "${rules.grammar}": one of ${[...grammars.keys()].join(", ")}`);
    else checks.push(grammar);
  }
  if (rules.pattern !== undefined) {
    const pattern = compilePattern(rules.pattern);
    if (pattern === null)
      report([...path, "pattern"], "not a safe pattern: no repeated groups, back-references or look-around");
    else checks.push(matches(pattern, `text of the form ${rules.pattern}`));
  }
  if (
    rules.one_of === undefined &&
    rules.grammar === undefined &&
    rules.pattern === undefined &&
    rules.max_length === undefined
  ) {
    report(path, "text needs one_of, grammar, pattern or max_length");
  }
  checks.push(
    lengthBetween(rules.min_length ?? 0, rules.max_length ?? (checks.length > 0 ? 1024 : DEFAULT_MAX_LENGTH)),
  );
  return (text) => {
    for (const check of checks) {
      const demand = check(text);
      if (demand !== null) return demand;
    }
    return null;
  };
}

/** The checks of the built-in grammars and of the document's own. */
export function compileGrammars(
  own: Readonly<Record<string, TextRules>>,
  report: Report,
): ReadonlyMap<string, TextCheck> {
  const grammars = new Map<string, TextCheck>();
  for (const [name, pattern] of BUILT_IN_GRAMMARS)
    grammars.set(name, matches(pattern, `text of the grammar "${name}"`));
  for (const [name, rules] of Object.entries(own)) {
    if (BUILT_IN_GRAMMARS.has(name))
      report(["grammars", name], `"${name}" is a built-in grammar and cannot be replaced`, "key");
    else grammars.set(name, compileText(rules, ["grammars", name], grammars, report));
  }
  return grammars;
}

function oneOf(words: readonly string[]): TextCheck {
  const known = new Set(words);
  const shown = words.slice(0, MAX_LISTED_WORDS).join(", ");
  return (text) => (known.has(text) ? null : `one of ${shown}${words.length > MAX_LISTED_WORDS ? ", …" : ""}`);
}

const matches =
  (pattern: RegExp, demand: string): TextCheck =>
  (text) =>
    pattern.test(text) ? null : demand;

const lengthBetween =
  (minimum: number, maximum: number): TextCheck =>
  (text) =>
    text.length >= minimum && text.length <= maximum ? null : `text of ${minimum} to ${maximum} characters`;
