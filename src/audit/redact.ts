import { createHmac } from "node:crypto";
import { isJsonObject, type JsonObject, type JsonValue } from "../platform/json.ts";

/** Longest free text that a record keeps; longer text ends with the digest of the whole. */
const TEXT_LIMIT = 8 * 1024;

/** Names that announce a secret in free text. */
const NAMED = "password|passwd|passphrase|secret|token|(?:api|access|private)[-_]?key|authorization|bearer";

/**
 * Values that look like secrets, whoever issued them. Deliberately greedy: a redacted commit id costs a look at the
 * digest beside it, a leaked key costs an incident. Every repetition that can fail is bounded or starts at the edge of its
 * run: free text is an attacker's, and a quadratic pattern over 64 KiB of it costs seconds.
 */
const KNOWN_SECRETS = new RegExp(
  [
    String.raw`-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)`,
    String.raw`\bpcl_(?:live|test|local)_[A-Za-z0-9_-]{20,}`,
    String.raw`(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?`,
    String.raw`\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`,
    String.raw`\b(?:gh[pousr]|github_pat|glpat|xox[abeprs]|sk|pk|rk|hf|npm|dop_v1)[-_][A-Za-z0-9_-]{16,}`,
    String.raw`\b[a-z][a-z0-9+.-]{0,31}://[^\s/@:]*:[^\s/@]+@`,
    // `access_token=…`, `secretAccessKey: …`, `Authorization: Bearer …`; a name in front stays readable.
    String.raw`(?:${NAMED})(?:[_-]?(?:access|secret|token|key|value)){0,3}["']?\s{0,8}[:=]\s{0,8}["']?(?:(?:bearer|basic|token)\s{1,8})?[^\s"',;]{6,}`,
    // `--token …`, `bearer …`
    String.raw`(?<![A-Za-z0-9])(?:${NAMED})["']?\s{1,8}["']?[^\s"',;]{6,}`,
  ].join("|"),
  "gi",
);

/** A long run of letters and digits mixed. A pass of its own, so that it sees whole what the first pass left of a run. */
const RANDOM_RUNS =
  /(?<![A-Za-z0-9+/_-])(?=[A-Za-z0-9+/_-]*[0-9])(?=[A-Za-z0-9+/_-]*[A-Za-z])[A-Za-z0-9+/_-]{32,}={0,2}/g;

/** Names whose values are never shown, whatever they look like. */
const SECRET_NAMES = /^pass$|secret|token|password|passwd|passphrase|credential|private|(?:api|access)[-_]?key|auth/i;

/** Our own digests and ids, and the UUIDs by which control planes name things, are long and random-looking, and harmless. */
const HARMLESS =
  /^(?:sha256:)?[0-9a-f]{64}$|^(?:apr|req|rcp|grt|key)_[0-9a-z]{26}$|^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export type Redactor = {
  /** Free text with secret-looking parts replaced by a keyed digest (equal secrets stay recognisable), capped. */
  readonly text: (value: string | null) => string | null;
  /** A request path with its query, each segment judged by itself: a whole path is one long run, and no secret. */
  readonly path: (value: string) => string;
  /** Free text redacted but not capped: for stores with a bound of their own. */
  readonly longText: (value: string) => string;
  /** A body for people to read: secret-looking values, and everything under `env`-like members, replaced. */
  readonly body: (value: JsonValue) => JsonValue;
};

/** A redactor under the deployment's REDACTION_KEY. Without the key nobody can test a guess against a record. */
export function createRedactor(key: Uint8Array): Redactor {
  const mark = (secret: string): string =>
    `[redacted:${createHmac("sha256", key).update(secret, "utf8").digest("hex").slice(0, 16)}]`;
  const hide = (found: string): string => (HARMLESS.test(found) ? found : mark(found));
  // Well-formed, also where a cut falls inside a surrogate pair: RFC 8785 has no text for half a character.
  const longText = (value: string): string =>
    value.replace(KNOWN_SECRETS, hide).replace(RANDOM_RUNS, hide).toWellFormed();
  const text = (value: string): string => {
    const cleaned = longText(value);
    if (cleaned.length <= TEXT_LIMIT) return cleaned;
    return `${cleaned.slice(0, TEXT_LIMIT)}… [${value.length} characters, ${mark(value)}]`.toWellFormed();
  };
  const path = (value: string): string => {
    const [segments = "", ...query] = value.split("?");
    const shown = segments.split("/").map(text).join("/");
    return query.length === 0 ? shown : `${shown}?${text(query.join("?"))}`;
  };
  const member = (name: string, value: JsonValue): JsonValue => {
    if (/^(?:env|environment|environ)$/i.test(name)) return allHidden(value);
    return SECRET_NAMES.test(name) ? stringsHidden(value) : body(value);
  };
  const stringsHidden = (value: JsonValue): JsonValue => {
    if (typeof value === "string") return mark(value);
    if (isJsonObject(value)) return mapMembers(value, (_name, inner) => stringsHidden(inner));
    return Array.isArray(value) ? value.map(stringsHidden) : value;
  };
  const allHidden = (value: JsonValue): JsonValue => {
    if (isJsonObject(value)) return mapMembers(value, (_name, inner) => allHidden(inner));
    if (Array.isArray(value)) return value.map(allHidden);
    return mark(typeof value === "string" ? value : JSON.stringify(value));
  };
  const body = (value: JsonValue): JsonValue => {
    if (typeof value === "string") return text(value);
    if (isJsonObject(value)) return mapMembers(value, member);
    if (!Array.isArray(value)) return value;
    // `["--password", "…"]`: an argument belongs to the flag before it.
    return value.map((one, index) => (isSecretFlag(value[index - 1]) ? stringsHidden(one) : body(one)));
  };
  return { text: (value) => (value === null ? null : text(value)), path, longText, body };
}

const isSecretFlag = (value: JsonValue | undefined): boolean =>
  typeof value === "string" && /^--?[A-Za-z]/.test(value) && SECRET_NAMES.test(value) && !value.includes("=");

function mapMembers(value: JsonObject, map: (name: string, inner: JsonValue) => JsonValue): JsonObject {
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, map(name, inner)]));
}
