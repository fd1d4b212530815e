import type { JsonObject } from "../platform/json.ts";
import { isJsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { parseStrictJson } from "../platform/strict-json.ts";

/**
 * An interaction carries the message it came from. Ours has at most 11,000 characters of blocks (`MESSAGE_JSON_MAX`), which
 * Slack may send as `%5Cu0000` escapes, 8 bytes each: 88,000; the rest of the payload is a few KiB. 128 KiB holds both.
 */
export const INTERACTION_MAX_BYTES = 128 * 1024;
/** Our largest message has about 250 members and elements; Slack adds block ids, profiles and the state of inputs. */
const PAYLOAD_LIMITS = { depth: 32, members: 4_000 };

const MEDIA_TYPE = /^application\/x-www-form-urlencoded(?:; ?charset=utf-8)?$/i;
const PREFIX = "payload=";
/** What a form encoder leaves in a value (WHATWG URL, application/x-www-form-urlencoded serializing). No second parameter. */
const FORM_VALUE = /^(?:[A-Za-z0-9*\-._+]|%[0-9A-Fa-f]{2})+$/;

/**
 * The JSON object in a form body that consists of exactly one parameter `payload`. To be called only after the signature
 * over the same bytes was verified. A second parameter (`ssl_check=1`, another payload), other encodings, byte order marks,
 * repeated JSON names and bodies above the cap are refused with the reason.
 */
export function readFormPayload(contentType: string | null, rawBody: Uint8Array): Result<JsonObject, string> {
  if (!MEDIA_TYPE.test(contentType ?? "")) return err("the content type is not application/x-www-form-urlencoded");
  if (rawBody.byteLength > INTERACTION_MAX_BYTES) return err(`the body is longer than ${INTERACTION_MAX_BYTES} bytes`);
  const form = decoded(rawBody);
  if (form === null || !form.startsWith(PREFIX)) return err("the form does not consist of one payload");
  const value = form.slice(PREFIX.length);
  if (!FORM_VALUE.test(value)) return err("the form does not consist of one encoded payload");
  const text = percentDecoded(value);
  if (text === null) return err("the payload is not UTF-8");
  const json = parseStrictJson(text, PAYLOAD_LIMITS);
  if (!json.ok)
    return err(`the payload is not strict JSON: ${json.error.reason} at ${json.error.pointer || "its root"}`);
  return isJsonObject(json.value) ? ok(json.value) : err("the payload is not a JSON object");
}

function decoded(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function percentDecoded(value: string): string | null {
  try {
    // Throws on bytes that are not UTF-8, unlike URLSearchParams, which would repair them.
    return decodeURIComponent(value.replaceAll("+", " "));
  } catch {
    return null;
  }
}
