import canonicalize from "canonicalize";
import { assert } from "./assert.ts";
import type { JsonValue } from "./json.ts";

/**
 * RFC 8785 text of a strictly parsed JSON value. Lone surrogates (RFC 8785, 3.2.2.2 forbids them) are an
 * invariant here: strict parsing has refused them before any value reaches this function.
 */
export function canonicalJson(value: JsonValue): string {
  const text = canonicalize(value);
  assert(text !== undefined && text.isWellFormed(), "canonical JSON of a well-formed value");
  return text;
}
