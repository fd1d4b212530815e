import { isJsonObject, type JsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { parseStrictJson } from "../platform/strict-json.ts";
import { fromBase64url, fromUtf8 } from "./base64url.ts";

/** Signed compact form only (RFC 7515, section 7.1): no JSON serialisation, no JWE with its five parts. */
export const COMPACT_JWS = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Tokens of common identity providers with group claims are 2–4 KiB; headers of 8 KiB pass common proxies. */
export const MAX_TOKEN_CHARS = 8_192;

/** Key ids are opaque map keys: nothing that is a path, an address or a query. */
export const KID = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * Names a protected header may have. Everything that names, carries or fetches a key (`jku`, `x5u`, `x5c`, `jwk`), changes
 * how the payload is read (`b64`, `zip`, `cty`) or extends the format (`crit`) is refused by not being listed. The two
 * certificate thumbprints, which some issuers always send, are listed and have no effect.
 */
const HEADER_NAMES: ReadonlySet<string> = new Set(["alg", "kid", "typ", "x5t", "x5t#S256"]);

/** A token taken apart, nothing of it verified. */
export type UnverifiedJws = {
  readonly alg: string;
  readonly kid: string;
  /** Null where the header states none, as the ID tokens of some providers do. Whoever reads a token says which it accepts. */
  readonly typ: string | null;
  readonly payload: JsonObject;
};

/**
 * Reads a compact JWS as exactly one text has it. jose also accepts tokens with padding, white space or other trailing
 * bits, and keeps the last of repeated names: such twins of a genuine token are refused here, before its verification
 * (RFC 8725bis, "Check JWT Format"). Whoever calls this must still verify the signature.
 */
export function readCompactJws(token: string): Result<UnverifiedJws, string> {
  if (token.length > MAX_TOKEN_CHARS) return err("token: too long");
  if (!COMPACT_JWS.test(token)) return err("token: not a compact JWS");
  const [headerText = "", payloadText = "", signatureText = ""] = token.split(".");
  if (fromBase64url(signatureText) === null) return err("token: signature is not canonical base64url");
  const header = readSegment("header", headerText);
  if (!header.ok) return header;
  const payload = readSegment("payload", payloadText);
  if (!payload.ok) return payload;
  for (const name of Object.keys(header.value)) {
    if (!HEADER_NAMES.has(name))
      return err(
        `token: header parameter ${name.length > 32 ? `of ${name.length} characters` : JSON.stringify(name)} is not accepted`,
      );
  }
  const { alg, kid, typ } = header.value;
  if (typeof alg !== "string" || (typ !== undefined && typeof typ !== "string")) {
    return err("token: header has no alg, or a typ that is no text");
  }
  if (typeof kid !== "string" || !KID.test(kid)) return err("token: kid is missing or malformed");
  return ok({ alg, kid, typ: typ ?? null, payload: payload.value });
}

function readSegment(name: string, segment: string): Result<JsonObject, string> {
  const bytes = fromBase64url(segment);
  if (bytes === null) return err(`token: ${name} is not canonical base64url`);
  const text = fromUtf8(bytes);
  if (text === null) return err(`token: ${name} is not UTF-8`);
  const value = parseStrictJson(text);
  if (!value.ok) return err(`token: ${name}: ${value.error.reason}`);
  return isJsonObject(value.value) ? ok(value.value) : err(`token: ${name} is not a JSON object`);
}
