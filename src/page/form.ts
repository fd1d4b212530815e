import { err, ok, type Result } from "../platform/result.ts";

/** A comment of 1,024 characters takes at most 9 bytes of encoding each, which is 9 KiB; the other fields are a few hundred bytes. */
export const FORM_BODY_BYTES = 16_384;

const MEDIA_TYPE = /^application\/x-www-form-urlencoded(?:; ?charset=utf-8)?$/i;
const NAME = /^[a-z][a-z_]{0,31}$/;
/** What a form encoder leaves in a value (WHATWG URL, application/x-www-form-urlencoded serializing). */
const VALUE = /^(?:[A-Za-z0-9*\-._+]|%[0-9A-Fa-f]{2})*$/;

/**
 * The fields of a form body. Only `names` may occur, each at most once, strictly encoded UTF-8. Line ends, which browsers send
 * as CR LF, are line feeds afterwards. The error says what is wrong with it.
 */
export function readForm(
  contentType: string | null,
  bytes: Uint8Array,
  names: readonly string[],
): Result<ReadonlyMap<string, string>, string> {
  if (!MEDIA_TYPE.test(contentType ?? "")) return err("the content type is not application/x-www-form-urlencoded");
  const text = decoded(bytes);
  if (text === null) return err("the form is not UTF-8");
  const fields = new Map<string, string>();
  for (const pair of text === "" ? [] : text.split("&")) {
    const equals = pair.indexOf("=");
    const name = pair.slice(0, Math.max(equals, 0));
    if (!NAME.test(name) || !names.includes(name)) return err("the form has a field that it should not have");
    if (fields.has(name)) return err(`the form has ${name} twice`);
    const value = valueOf(pair.slice(equals + 1));
    if (value === null) return err(`the form's ${name} is not encoded as forms are`);
    fields.set(name, value);
  }
  return ok(fields);
}

function decoded(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function valueOf(encoded: string): string | null {
  if (!VALUE.test(encoded)) return null;
  try {
    return decodeURIComponent(encoded.replaceAll("+", " ")).replaceAll("\r\n", "\n");
  } catch {
    return null;
  }
}
