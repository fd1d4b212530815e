import { isJsonObject } from "./json.ts";
import type { JsonValue } from "./json.ts";

/** A place inside a JSON or YAML value: object keys and array indexes from the root. */
export type JsonPath = readonly (string | number)[];

/** RFC 6901 text of `path`; the root is the empty string. */
export const jsonPointer = (path: JsonPath): string =>
  path.map((token) => `/${String(token).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/** Tokens of an RFC 6901 pointer, null where the text is not one. Array indexes stay text. */
export function parsePointer(pointer: string): readonly string[] | null {
  if (pointer === "") return [];
  if (!pointer.startsWith("/") || /~(?![01])/.test(pointer)) return null;
  return pointer
    .slice(1)
    .split("/")
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

const ARRAY_INDEX = /^(0|[1-9][0-9]{0,5})$/;

/** The value at `tokens`, undefined where there is none. Own keys only; array indexes have one spelling. */
export function valueAt(root: JsonValue | undefined, tokens: readonly string[]): JsonValue | undefined {
  let current = root;
  for (const token of tokens) {
    if (isJsonObject(current)) {
      current = Object.hasOwn(current, token) ? current[token] : undefined;
    } else if (Array.isArray(current) && ARRAY_INDEX.test(token)) {
      current = current[Number(token)];
    } else {
      return undefined;
    }
  }
  return current;
}

/**
 * A copy of `root` with `value` at `tokens`; only the objects on the way are copied. Undefined where the place does not
 * exist: every parent must already be an object.
 */
export function withValueAt(
  root: JsonValue | undefined,
  tokens: readonly string[],
  value: JsonValue,
): JsonValue | undefined {
  const [token, ...rest] = tokens;
  if (token === undefined) return value;
  if (!isJsonObject(root)) return undefined;
  const inner = withValueAt(Object.hasOwn(root, token) ? root[token] : undefined, rest, value);
  return inner === undefined ? undefined : { ...root, [token]: inner };
}
