import { holdsSecret } from "../platform/secret-forms.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";
import { malformed, nameOf } from "./malformed.ts";
import { decodedBytes, decodePercent } from "./percent-text.ts";

export type Target = Pick<StrictRequest, "path" | "segments" | "query">;

/** The widest route of the catalogues takes 9 parameters. */
const QUERY_NAMES = 32;
const QUERY_VALUE_BYTES = 1_024;

/** Origin without userinfo, path, query with its `?`, fragment with its `#`. */
const URL_PARTS = /^https?:\/\/[^/?#@\\]+(\/[^?#]*)(?:\?([^#]*))?(#.*)?$/s;
/** No `%` at all, and no segment that ends in a dot: that covers `.`, `..` and names that some file systems trim. */
const PATH = /^(?:\/[A-Za-z0-9._~-]{0,127}[A-Za-z0-9_~-])+$/;
const QUERY_NAME = /^[A-Za-z0-9_.-]{1,64}$/;
/** RFC 3986 query characters without those that parsers split or translate differently: `& = ; +`. */
const QUERY_VALUE = /^[A-Za-z0-9._~!$'()*,:@/?%-]*$/;
const CONTROL = /\p{Cc}/u;

const NO_QUERY: ReadonlyMap<string, string> = new Map();

/**
 * Reads the request target from the URL as received, by allow-list: the runtime resolves some forms (`%2e%2e`, `\`) and
 * passes others on (`%2f`, `//`, `;`), so only what every parser reads alike is accepted, and nothing is repaired.
 * Refuses with `uri-too-long` (the whole URL counts) or `malformed-request`.
 */
export function readTarget(url: string, limitBytes: number): Result<Target, Refusal> {
  if (url.length > limitBytes) return err({ kind: "uri-too-long", limit_bytes: limitBytes });
  const parts = URL_PARTS.exec(url);
  if (parts === null) return malformed("URL: expected an http or https address with a path and without userinfo");
  const [, path = "", query, fragment] = parts;
  if (fragment !== undefined) return malformed("URL: a fragment is not accepted");
  if (path !== "/" && !PATH.test(path)) {
    return malformed(
      "path: expected segments of 1 to 128 characters A-Z a-z 0-9 . _ ~ - that do not end in a dot, " +
        "without percent-encoding, empty segments or a trailing slash",
    );
  }
  // Names of resources stand in records, messages and other people's logs as they are.
  if (holdsSecret(path)) return malformed("path: it holds what looks like a credential, which belongs into no address");
  const segments = path === "/" ? [] : path.slice(1).split("/");
  if (query === undefined) return ok({ path, segments, query: NO_QUERY });
  const read = readQuery(query);
  return read.ok ? ok({ path, segments, query: read.value }) : read;
}

function readQuery(text: string): Result<ReadonlyMap<string, string>, Refusal> {
  const pairs = text.split("&", QUERY_NAMES + 1);
  if (pairs.length > QUERY_NAMES) return malformed(`query: more than ${QUERY_NAMES} parameters`);
  const query = new Map<string, string>();
  for (const pair of pairs) {
    const equals = pair.indexOf("=");
    const name = pair.slice(0, equals);
    if (equals < 0 || !QUERY_NAME.test(name)) {
      return malformed("query: expected name=value pairs joined by &, names of 1 to 64 characters A-Z a-z 0-9 _ . -");
    }
    if (query.has(name)) return malformed(`query: ${nameOf(name)} is repeated`);
    const value = readQueryValue(pair.slice(equals + 1));
    if (value === null) {
      return malformed(
        `query: ${nameOf(name)}: expected at most ${QUERY_VALUE_BYTES} bytes of percent-encoded UTF-8 without ` +
          `control characters; + = ; and reserved characters must be percent-encoded`,
      );
    }
    query.set(name, value);
  }
  return ok(query);
}

function readQueryValue(encoded: string): string | null {
  if (!QUERY_VALUE.test(encoded) || decodedBytes(encoded) > QUERY_VALUE_BYTES) return null;
  const value = decodePercent(encoded);
  return value === null || CONTROL.test(value) ? null : value;
}
