import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from "yaml";
import type { Document, Node, ParsedNode, YAMLError, YAMLMap } from "yaml";
import type { z } from "zod";
import type { DocumentProblem } from "./document.ts";
import type { JsonValue } from "./json.ts";
import { jsonPointer } from "./json-pointer.ts";
import type { JsonPath } from "./json-pointer.ts";
import { err, ok } from "./result.ts";
import type { Result } from "./result.ts";
import { plainMessage, placedIssues } from "./zod-problems.ts";

/** Lines and columns count from 1. */
export type Position = { readonly line: number; readonly column: number };

/** A validated document that still knows where everything stands in its text. */
export type ParsedDocument<T> = {
  readonly value: T;
  /** Where the value at `path` stands; for a path that does not exist, its nearest ancestor that does. */
  readonly locate: (path: JsonPath) => Position;
  /** Where the key that leads to `path` stands (list items: the item). */
  readonly locateKey: (path: JsonPath) => Position;
  /** An error at `path` for checks beyond the schema; `at: "key"` points to the key and not its value. */
  readonly problem: (path: JsonPath, message: string, at?: "key" | "value") => DocumentProblem;
};

/** Largest document: a catalogue of 500 routes at 400 bytes is 200 KB. */
export const MAX_DOCUMENT_CHARS = 256 * 1024;
/** Deepest nesting; the deepest published catalogue uses 14 levels. Also bounds every recursion over a document. */
export const MAX_DOCUMENT_DEPTH = 32;
/** More errors than this help nobody. */
const MAX_PROBLEMS = 50;
/** Names with a meaning in JavaScript or in YAML 1.1 (`<<` merges): never ordinary keys of a reviewed document. */
const REFUSED_KEYS: ReadonlySet<string> = new Set(["__proto__", "constructor", "prototype", "<<"]);
/** The one spelling of a number: decimal, no leading zero or plus, no exponent, no hex or octal. */
const PLAIN_NUMBER = /^-?(0|[1-9][0-9]*)(\.[0-9]+)?$/;

/**
 * Reads one reviewed YAML document: YAML 1.2 core schema reduced to what a reader sees (no anchors, aliases, merge keys,
 * tags, directives, second document, duplicate key or unusual number), then `schema`, which must not coerce or strip.
 * Every problem names its line, column and JSON pointer. Never throws.
 */
export function parseYamlDocument<T>(
  text: string,
  schema: z.ZodType<T>,
): Result<ParsedDocument<T>, readonly DocumentProblem[]> {
  if (text.length > MAX_DOCUMENT_CHARS) {
    return err([wholeDocument(`the document is longer than ${MAX_DOCUMENT_CHARS} characters`)]);
  }
  if (!text.isWellFormed()) return err([wholeDocument("the document is not well-formed Unicode")]);
  const lines = new LineCounter();
  const plain = readPlain(text, lines);
  if (!plain.ok) return plain;
  const place = placesIn(plain.value.document, lines);
  const checked = schema.safeParse(plain.value.value, { error: plainMessage });
  if (!checked.success) {
    return err(
      inOrder(placedIssues(checked.error.issues).map((issue) => place.problem(issue.path, issue.message, issue.at))),
    );
  }
  return ok({ value: checked.data, ...place });
}

/** Reads text in the same reduced YAML as a JSON value, without a schema: for YAML that arrives inside a request. */
export function readPlainYaml(text: string): Result<JsonValue, readonly DocumentProblem[]> {
  if (text.length > MAX_DOCUMENT_CHARS || !text.isWellFormed()) return err([wholeDocument("not a readable document")]);
  const plain = readPlain(text, new LineCounter());
  return plain.ok ? ok(plain.value.value) : plain;
}

function readPlain(
  text: string,
  lines: LineCounter,
): Result<{ readonly document: Document.Parsed; readonly value: JsonValue }, readonly DocumentProblem[]> {
  const document = parseOrNull(text, lines);
  if (document === null) return err([wholeDocument("the document is nested too deeply to read")]);
  const reader = new PlainReader(lines);
  const value = reader.read(document);
  return reader.problems.length > 0 ? err(inOrder(reader.problems)) : ok({ document, value });
}

/** The document with its syntax errors inside, or null where nesting exhausts the parser's stack. */
function parseOrNull(text: string, lineCounter: LineCounter): Document.Parsed | null {
  try {
    return parseDocument(text, {
      version: "1.2",
      schema: "core",
      merge: false,
      strict: true,
      uniqueKeys: true,
      // "silent" would also keep a second document silent.
      stringKeys: false,
      keepSourceTokens: false,
      prettyErrors: false,
      logLevel: "error",
      lineCounter,
    });
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

const wholeDocument = (message: string): DocumentProblem => ({
  line: null,
  column: null,
  path: "",
  message,
  severity: "error",
});

const inOrder = (problems: readonly DocumentProblem[]): readonly DocumentProblem[] =>
  problems
    .toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0))
    .slice(0, MAX_PROBLEMS);

const positionAt = (lines: LineCounter, offset: number): Position => {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(line, 1), column: Math.max(col, 1) };
};

const startOf = (node: Node | null | undefined): number | null => node?.range?.[0] ?? null;

/** Converts the node tree into a JSON value and reports every construct that the reduced language does not have. */
class PlainReader {
  readonly problems: DocumentProblem[] = [];
  readonly #lines: LineCounter;

  constructor(lines: LineCounter) {
    this.#lines = lines;
  }

  read(document: Document.Parsed): JsonValue {
    for (const error of [...document.errors, ...document.warnings])
      this.#refuse(error.pos[0], [], syntaxMessage(error));
    const directives = document.directives;
    if (directives.yaml.explicit === true || Object.keys(directives.tags).length > 1) {
      this.#refuse(0, [], "%YAML and %TAG directives are not allowed");
    }
    if (this.problems.length > 0) return null;
    return this.#value(document.contents, []);
  }

  #refuse(offset: number, path: JsonPath, message: string): void {
    this.problems.push({ ...positionAt(this.#lines, offset), path: jsonPointer(path), message, severity: "error" });
  }

  #value(node: ParsedNode | Node | null, path: JsonPath): JsonValue {
    if (node === null) return null;
    const offset = startOf(node) ?? 0;
    if (path.length > MAX_DOCUMENT_DEPTH) {
      this.#refuse(offset, path, `nested deeper than ${MAX_DOCUMENT_DEPTH} levels`);
      return null;
    }
    if (isAlias(node)) {
      this.#refuse(offset, path, "aliases are not allowed: write the value out");
      return null;
    }
    if ("anchor" in node && node.anchor !== undefined) this.#refuse(offset, path, "anchors are not allowed");
    if (node.tag !== undefined && explicitTag(node)) this.#refuse(offset, path, "tags are not allowed");
    if (isMap(node)) return this.#map(node, path);
    if (isSeq(node)) return node.items.map((item, index) => this.#value(asNode(item), [...path, index]));
    return isScalar(node) ? this.#scalar(node.value, node.source, offset, path) : null;
  }

  #map(map: YAMLMap, path: JsonPath): JsonValue {
    const entries: [string, JsonValue][] = [];
    for (const pair of map.items) {
      const keyNode = asNode(pair.key);
      const keyOffset = startOf(keyNode) ?? startOf(map) ?? 0;
      if (keyNode === null || !isScalar(keyNode) || typeof keyNode.value !== "string") {
        this.#refuse(keyOffset, path, "keys must be text: put this one in quotes");
        continue;
      }
      const keyPath = [...path, keyNode.value];
      if (REFUSED_KEYS.has(keyNode.value))
        this.#refuse(keyOffset, keyPath, `the key "${keyNode.value}" is not allowed`);
      if (keyNode.anchor !== undefined) this.#refuse(keyOffset, keyPath, "anchors are not allowed");
      if (explicitTag(keyNode)) this.#refuse(keyOffset, keyPath, "tags are not allowed");
      entries.push([keyNode.value, this.#value(asNode(pair.value), keyPath)]);
    }
    return Object.fromEntries(entries);
  }

  #scalar(value: unknown, source: string | undefined, offset: number, path: JsonPath): JsonValue {
    if (value === null || typeof value === "string" || typeof value === "boolean") return value;
    if (typeof value !== "number" || !PLAIN_NUMBER.test(source ?? "")) {
      this.#refuse(offset, path, `"${source ?? ""}" is not a plain decimal number: write it out, or quote it as text`);
      return null;
    }
    if (Math.abs(value) > Number.MAX_SAFE_INTEGER) this.#refuse(offset, path, "the number is too large to be exact");
    return value;
  }
}

/** Collection items of the library are typed `unknown`; whatever is not a node has been created without text. */
const asNode = (item: unknown): Node | null =>
  isMap(item) || isSeq(item) || isScalar(item) || isAlias(item) ? item : null;

/** The library resolves implicit tags without setting `tag`; a written `!!str` or `!x` sets it. */
const explicitTag = (node: Node): boolean => typeof node.tag === "string";

function syntaxMessage(error: YAMLError): string {
  switch (error.code) {
    case "DUPLICATE_KEY":
      return "this key is written twice in the same map";
    case "MULTIPLE_DOCS":
      return "a second document (---) is not allowed";
    case "TAG_RESOLVE_FAILED":
      return "tags are not allowed";
    case "TAB_AS_INDENT":
      return "tabs cannot indent YAML: use spaces";
    default:
      return `not valid YAML: ${error.message}`;
  }
}

function placesIn(document: Document.Parsed, lines: LineCounter): Omit<ParsedDocument<unknown>, "value"> {
  const locateKey = (path: JsonPath): Position => positionAt(lines, offsetsOf(document, path).key);
  const locate = (path: JsonPath): Position => positionAt(lines, offsetsOf(document, path).value);
  const problem = (path: JsonPath, message: string, at: "key" | "value" = "value"): DocumentProblem => ({
    ...(at === "key" ? locateKey(path) : locate(path)),
    path: jsonPointer(path),
    message,
    severity: "error",
  });
  return { locate, locateKey, problem };
}

/** Text offsets of the key and the value at `path`, or of the deepest ancestor that exists. */
function offsetsOf(document: Document.Parsed, path: JsonPath): { readonly key: number; readonly value: number } {
  let node: Node | null = document.contents;
  let found = { key: startOf(node) ?? 0, value: startOf(node) ?? 0 };
  for (const token of path) {
    const step = stepInto(node, token);
    if (step === null) return found;
    const value: number = startOf(step.value) ?? step.key ?? found.value;
    found = { key: step.key ?? value, value };
    node = step.value;
  }
  return found;
}

function stepInto(
  node: Node | null,
  token: string | number,
): { readonly key: number | null; readonly value: Node | null } | null {
  if (isMap(node)) {
    const pair = node.items.find((item) => isScalar(item.key) && item.key.value === String(token));
    if (pair === undefined) return null;
    return { key: startOf(asNode(pair.key)), value: asNode(pair.value) };
  }
  if (isSeq(node) && Number(token) < node.items.length) return { key: null, value: asNode(node.items[Number(token)]) };
  return null;
}
