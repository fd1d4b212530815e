import type { z } from "zod";
import type { JsonPath } from "./json-pointer.ts";

/** One schema issue, reduced to where it is and what to say. `key`: the key itself is wrong, not its value. */
export type PlacedIssue = { readonly path: JsonPath; readonly message: string; readonly at: "key" | "value" };

type Issue = z.core.$ZodIssue;

/** Plain-English text of a schema issue. A schema's own `error` text takes precedence; passed to `safeParse`. */
export const plainMessage = (issue: z.core.$ZodRawIssue): string | undefined => messageOf(issue, found);

/** The same without any of the value: for bodies, in which a mistake may be a secret in the wrong place. */
export const reticentMessage = (issue: z.core.$ZodRawIssue): string | undefined =>
  messageOf(issue, (input) =>
    typeof input === "string" ? "text" : typeof input === "object" ? found(input) : typeof input,
  );

function messageOf(issue: z.core.$ZodRawIssue, shown: (input: unknown) => string): string | undefined {
  switch (issue.code) {
    case "invalid_type":
      return issue.input === undefined
        ? `missing: ${article(issue.expected)} is required here`
        : `expected ${article(issue.expected)}, found ${shown(issue.input)}`;
    case "invalid_value": {
      const words = list(
        issue.values.map((value) => (typeof value === "string" ? JSON.stringify(value) : String(value))),
      );
      return issue.input === undefined
        ? `missing: ${words} is required here`
        : `expected ${words}, found ${shown(issue.input)}`;
    }
    case "too_small":
      return `must ${issue.origin === "number" || issue.origin === "int" ? "be" : "have"} at least ${issue.minimum}${unit(issue.origin)}`;
    case "too_big":
      return `must ${issue.origin === "number" || issue.origin === "int" ? "be" : "have"} at most ${issue.maximum}${unit(issue.origin)}`;
    case "invalid_format":
      return issue.format === "regex"
        ? `${shown(issue.input)} does not have the required form ${issue.pattern ?? ""}`.trimEnd()
        : `${shown(issue.input)} is not a valid ${issue.format}`;
    default:
      return undefined;
  }
}

/** Flattens unions, unknown keys and record keys into one issue per place. */
export function placedIssues(issues: readonly Issue[], prefix: JsonPath = []): readonly PlacedIssue[] {
  return issues.flatMap((issue): readonly PlacedIssue[] => {
    const path = [...prefix, ...issue.path.map(token)];
    if (issue.code === "unrecognized_keys") {
      return issue.keys.map((key) => ({ path: [...path, key], message: `unknown key "${key}"`, at: "key" }));
    }
    if (issue.code === "invalid_key") {
      return [{ path, message: issue.issues[0]?.message ?? "this key is not allowed", at: "key" }];
    }
    if (issue.code === "invalid_element") return placedIssues(issue.issues, path);
    if (issue.code === "invalid_union") return unionIssues(issue.errors, path, issue.message);
    return [{ path, message: issue.message, at: "value" }];
  });
}

/** Reports the alternative that was probably meant: the one whose outermost type fits and that fails deepest. */
function unionIssues(
  alternatives: readonly (readonly Issue[])[],
  path: JsonPath,
  fallback: string,
): readonly PlacedIssue[] {
  const fitting = alternatives.filter(
    (issues) => !issues.some((issue) => issue.path.length === 0 && isTypeIssue(issue)),
  );
  const candidates = fitting.map((issues) => placedIssues(issues, path)).filter((issues) => issues.length > 0);
  const [best] = candidates.toSorted((a, b) => deepest(b) - deepest(a) || a.length - b.length);
  if (best !== undefined) return best;
  const expectations = [...new Set(alternatives.flatMap((issues) => issues.slice(0, 1).map(({ message }) => message)))];
  if (expectations.length > 0 && expectations.every((message) => message.startsWith("missing: "))) {
    return [{ path, message: "missing: a value is required here", at: "value" }];
  }
  return [{ path, message: expectations.length === 0 ? fallback : expectations.join("; or "), at: "value" }];
}

const isTypeIssue = (issue: Issue): boolean => issue.code === "invalid_type" || issue.code === "invalid_value";
const deepest = (issues: readonly PlacedIssue[]): number => Math.max(0, ...issues.map((issue) => issue.path.length));
const token = (key: PropertyKey): string | number => (typeof key === "number" ? key : String(key));

/** What a document's author calls the schema library's types. */
const PLAIN_TYPES: Readonly<Record<string, string>> = {
  object: "a map",
  record: "a map",
  array: "a list",
  tuple: "a list",
  int: "a whole number",
  number: "a number",
  string: "text",
  boolean: "true or false",
  null: "null",
};
const article = (expected: string): string => PLAIN_TYPES[expected] ?? expected;

function found(input: unknown): string {
  if (input === undefined) return "nothing";
  if (input === null) return "nothing (null)";
  if (Array.isArray(input)) return "a list";
  if (typeof input === "object") return "a map";
  const text = typeof input === "string" ? JSON.stringify(input) : describeScalar(input);
  // Not cut: whoever redacts the message would not recognise half a secret.
  return text.length > MAX_QUOTED_CHARS ? `text of ${text.length} characters` : text;
}

const describeScalar = (input: unknown): string =>
  typeof input === "number" || typeof input === "boolean" || typeof input === "bigint" ? `${input}` : typeof input;

/** Enough to recognise a value in a message, short enough for one terminal line. */
const MAX_QUOTED_CHARS = 60;

const list = (values: readonly string[]): string =>
  values.length === 1 ? (values[0] ?? "") : `one of ${values.join(", ")}`;

const unit = (origin: string): string => {
  if (origin === "string") return " characters";
  if (origin === "array") return " items";
  if (origin === "object" || origin === "record" || origin === "map") return " entries";
  return "";
};
