import { createHmac, hash } from "node:crypto";
import { isJsonObject, type JsonObject, type JsonValue } from "../platform/json.ts";
import { hideSecrets } from "../platform/secret-forms.ts";
import type { Facts } from "../vocabulary.ts";

/** Longest free text that a record keeps; longer text ends with the digest of the whole. */
const TEXT_LIMIT = 8 * 1024;

/**
 * From this length on a secret leaves a keyed digest, by which it is recognised elsewhere. Shorter ones are removed: whoever may
 * send requests and read records could try all of them, and see which gives the same digest.
 */
const CORRELATED_CHARS = 16;

/** What stands in place of a secret. */
const MARK = /^\[redacted(?::[0-9a-f]{16})?\]$/;

/** Names whose texts are never shown, whatever they look like. */
const SECRET_NAMES =
  /^(?:pass|pwd|sig|dsn|jwt|pat)$|secret|token|password|passwd|passphrase|passcode|credential|private|(?:api|access|account|signing|encryption|master|client|session)[-_]?key|session[-_]?id|connection[-_]?string|cookie|auth(?!ors?$)/i;
/** Of these also the numbers: a PIN. (`max_tokens` has a number that everybody wants to see.) */
const SECRET_NUMBERS = /^(?:pass|pwd|pin)$|secret|password|passwd|passphrase|passcode/i;
const ENVIRONMENT = /^(?:env|environment|environ)$/i;

/** Encodings of one path taken off at most: more than two are no accident, and are refused anyway. */
const DECODINGS_MAX = 3;

export type Redactor = {
  /** Free text with what looks like a secret replaced, capped: see `createRedactor`. */
  readonly text: (value: string | null) => string | null;
  /** A request path with its query, part by part, percent-encoded or not: a whole path is one long run, and no secret. */
  readonly path: (value: string) => string;
  /** Free text redacted but not capped: for stores with a bound of their own. */
  readonly longText: (value: string) => string;
  /** A body for people to read: secret-looking values, and everything under `env`-like members, replaced. */
  readonly body: (value: JsonValue) => JsonValue;
  /** What was read from a request, each text by itself. */
  readonly facts: (facts: Facts) => Facts;
};

/**
 * A redactor under the deployment's REDACTION_KEY. A secret of 16 characters or more becomes `[redacted:<16 hex>]`, the first 64 bits
 * of its HMAC-SHA-256: equal ones are recognised, and nobody without the key can test a guess against a record. A shorter one
 * becomes `[redacted]`. Text over the cap ends with its length and the plain SHA-256 of the whole redacted text, which is the text
 * itself where nothing was redacted: whoever holds it can show that it is what was sent, without any key.
 */
export function createRedactor(key: Uint8Array): Redactor {
  const mark = (secret: string): string => {
    if (secret === "" || MARK.test(secret)) return secret;
    if (secret.length < CORRELATED_CHARS) return "[redacted]";
    return `[redacted:${createHmac("sha256", key).update(secret, "utf8").digest("hex").slice(0, 16)}]`;
  };
  // Well-formed, also where a cut falls inside a surrogate pair: RFC 8785 has no text for half a character.
  const longText = (value: string): string => hideSecrets(value, mark).toWellFormed();
  const text = (value: string): string => {
    const cleaned = longText(value);
    if (cleaned.length <= TEXT_LIMIT) return cleaned;
    return `${cleaned.slice(0, TEXT_LIMIT)}… [${value.length} characters, sha256:${hash("sha256", cleaned, "hex")}]`.toWellFormed();
  };

  const differs = (value: string): boolean => longText(value) !== value;
  const part = (value: string): string => {
    let decoded = value;
    for (let decodings = 0; decodings <= DECODINGS_MAX; decodings++) {
      // Forms write a blank as a plus.
      if ((decodings > 0 && differs(decoded)) || (decoded.includes("+") && differs(decoded.replaceAll("+", " "))))
        return mark(value);
      const next = percentDecoded(decoded);
      if (next === decoded) break;
      decoded = next;
    }
    return text(value);
  };
  const parameter = (pair: string): string => {
    const at = pair.indexOf("=");
    const name = at < 0 ? pair : pair.slice(0, at);
    const value = at < 0 ? "" : pair.slice(at + 1);
    const known = percentDecoded(name);
    const secret = isDigits(value) ? SECRET_NUMBERS.test(known) : SECRET_NAMES.test(known);
    if (secret && value !== "") return `${part(name)}=${mark(value)}`;
    const shown = part(value);
    return shown === value || at < 0 ? part(pair) : `${part(name)}=${shown}`;
  };
  const path = (value: string): string => {
    const at = value.indexOf("?");
    const segments = (at < 0 ? value : value.slice(0, at)).split("/").map(part).join("/");
    return at < 0
      ? segments
      : `${segments}?${value
          .slice(at + 1)
          .split("&")
          .map(parameter)
          .join("&")}`;
  };

  const member = (name: string, value: JsonValue): JsonValue => {
    if (ENVIRONMENT.test(name)) return allHidden(value);
    if (typeof value === "number" && SECRET_NUMBERS.test(name)) return mark(String(value));
    return SECRET_NAMES.test(name) ? stringsHidden(value) : body(value);
  };
  const mapMembers = (object: JsonObject, map: (name: string, inner: JsonValue) => JsonValue): JsonObject =>
    Object.fromEntries(Object.entries(object).map(([name, inner]) => [text(name), map(name, inner)]));
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
    if (isJsonObject(value)) {
      // `{"name": "DB_PASSWORD", "value": "…"}`: a member by two members.
      const named = isSecretName(value["name"] ?? value["key"]);
      return mapMembers(value, (name, inner) => (named && name === "value" ? allHidden(inner) : member(name, inner)));
    }
    if (!Array.isArray(value)) return value;
    // `["--password", "…"]`: an argument belongs to the flag before it.
    return value.map((one, index) => (isSecretFlag(value[index - 1]) ? stringsHidden(one) : body(one)));
  };
  const facts = (known: Facts): Facts =>
    Object.fromEntries(
      Object.entries(known).map(([name, fact]) => [
        name,
        typeof fact === "string" ? text(fact) : typeof fact === "object" ? fact.map(text) : fact,
      ]),
    );
  return { text: (value) => (value === null ? null : text(value)), path, longText, body, facts };
}

const isDigits = (text: string): boolean => /^[0-9]{1,15}$/.test(text);

const isSecretName = (value: JsonValue | undefined): boolean => typeof value === "string" && SECRET_NAMES.test(value);

const isSecretFlag = (value: JsonValue | undefined): boolean =>
  typeof value === "string" && /^--?[A-Za-z]/.test(value) && SECRET_NAMES.test(value) && !value.includes("=");

/** The text with one percent-encoding taken off; as it is where it has none, or a wrong one. */
function percentDecoded(text: string): string {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
