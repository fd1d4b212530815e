import type { JsonValue } from "../platform/json.ts";
import { isJsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { parseStrictJson, STRICT_JSON_LIMITS } from "../platform/strict-json.ts";
import type { Refusal } from "../refusal.ts";
import { malformed } from "./malformed.ts";

export type BodyLimits = { readonly bodyBytes: number; readonly bodyDeadlineMs: number };

/** What a route of the gate's own API takes beyond an object in JSON. */
export type BodyForms = {
  /** Whether the root may be an array as well. */
  readonly arrayRoot: boolean;
  /** Object members and array elements of a JSON body together. */
  readonly members: number;
  /** Exact lower-case media types whose body is handed on as text, for a parser of the route's own. */
  readonly textTypes: readonly string[];
};

/** What a body is everywhere else, the whole data plane included. */
export const JSON_OBJECT: BodyForms = { arrayRoot: false, members: STRICT_JSON_LIMITS.members, textTypes: [] };

export type ReadBody = {
  readonly contentType: string | null;
  readonly body: JsonValue | undefined;
  readonly bodyBytes: number;
};

/** What a body reader needs of a request: the raw stream, and the length that the client states. */
type BodySource = { readonly body: ReadableStream<Uint8Array> | null };

const NO_BODY: ReadBody = { contentType: null, body: undefined, bodyBytes: 0 };
const NO_BYTES = new Uint8Array(0);
const MEDIA_TYPE = /^([A-Za-z0-9!#$&^_.+-]+\/[A-Za-z0-9!#$&^_.+-]+)(?: *; *charset=(?:utf-8|"utf-8"))?$/i;
const POINTER_CHARS = 128;

/** A repaired byte or a swallowed mark would make the judged text differ from the sent one: both are refused. */
const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Reads the body of a POST, PUT or PATCH: strict JSON (`parseStrictJson`) whose root is an object, in UTF-8, stated as one
 * of `mediaTypes` (`application/json` unless a catalogue lists exact others), with `charset=utf-8` or no parameter; or
 * what `forms` allows instead. No Content-Type and no bytes is a request without a body. Refuses with
 * `unsupported-media-type`, `malformed-request`, and what `readBodyBytes` refuses with.
 */
export async function readJsonBody(
  request: BodySource,
  stated: { readonly contentType: string | null; readonly contentLength: number | null },
  limits: BodyLimits,
  mediaTypes: readonly string[],
  forms: BodyForms = JSON_OBJECT,
): Promise<Result<ReadBody, Refusal>> {
  const accepted = [...mediaTypes, ...forms.textTypes];
  const mediaType = stated.contentType === null ? null : (MEDIA_TYPE.exec(stated.contentType)?.[1] ?? "").toLowerCase();
  if (mediaType !== null && !accepted.includes(mediaType)) return unsupported("is not accepted", accepted);
  const received = await readBodyBytes(request, stated.contentLength, limits);
  if (!received.ok) return received;
  const bytes = received.value;
  if (mediaType === null) return bytes.byteLength === 0 ? ok(NO_BODY) : unsupported("is missing", accepted);
  if (bytes.byteLength === 0) return malformed("body: empty although a Content-Type is stated");
  const text = decodeUtf8(bytes);
  if (text === null) return malformed("body: not UTF-8");
  const read = { contentType: mediaType, bodyBytes: bytes.byteLength };
  if (forms.textTypes.includes(mediaType)) return ok({ ...read, body: text });
  const parsed = parseStrictJson(text, { ...STRICT_JSON_LIMITS, members: forms.members });
  if (!parsed.ok) {
    const { reason, offset, pointer } = parsed.error;
    // Not cut: the record redacts it, and half a secret no longer looks like one.
    const at = pointer.length <= POINTER_CHARS ? `at "${pointer}", offset ${offset}` : `at offset ${offset}`;
    return malformed(`body: ${reason} (${at})`);
  }
  if (!isJsonObject(parsed.value) && !(forms.arrayRoot && Array.isArray(parsed.value)))
    return malformed(`body: expected an object${forms.arrayRoot ? " or an array" : ""} at the root`);
  return ok({ ...read, body: parsed.value });
}

/**
 * Makes sure that a GET, HEAD or DELETE has no body: no catalogue declares one, and what upstream would make of it is
 * anyone's guess. A Content-Type without a body is ignored. Refuses with `malformed-request` or `request-timeout`.
 */
export async function readNoBody(
  request: BodySource,
  contentLength: number | null,
  limits: BodyLimits,
): Promise<Result<ReadBody, Refusal>> {
  const read = await readBodyBytes(request, contentLength, { ...limits, bodyBytes: 0 });
  if (read.ok) return ok(NO_BODY);
  return read.error.kind === "payload-too-large" ? malformed("body: this method takes none") : read;
}

/**
 * Reads a body of any kind, counting its bytes. Refuses with `payload-too-large` as soon as the stated or the real length
 * passes `limits.bodyBytes`, with `request-timeout` when the last byte has not come within `limits.bodyDeadlineMs`
 * (however steadily the others dripped), and with `malformed-request` when the stated length is not the real one.
 */
export async function readBodyBytes(
  request: BodySource,
  contentLength: number | null,
  limits: BodyLimits,
): Promise<Result<Uint8Array, Refusal>> {
  const tooLarge: Refusal = { kind: "payload-too-large", limit_bytes: limits.bodyBytes };
  if (contentLength !== null && contentLength > limits.bodyBytes) return err(tooLarge);
  const chunks = request.body === null ? [] : await readChunks(request.body, limits);
  if (chunks === "too-large") return err(tooLarge);
  if (chunks === "too-late") return err({ kind: "request-timeout" });
  if (chunks === "broken") return malformed("body: ended early");
  const bytes = joined(chunks);
  if (contentLength !== null && contentLength !== bytes.byteLength) {
    return malformed(`body: ${bytes.byteLength} bytes although Content-Length states ${contentLength}`);
  }
  return ok(bytes);
}

async function readChunks(
  stream: ReadableStream<Uint8Array>,
  limits: BodyLimits,
): Promise<Uint8Array[] | "too-large" | "too-late" | "broken"> {
  const reader = stream.getReader();
  const late = Promise.withResolvers<"too-late">();
  const timer = setTimeout(() => late.resolve("too-late"), limits.bodyDeadlineMs);
  const chunks: Uint8Array[] = [];
  let total = 0;
  try {
    for (;;) {
      const step = await Promise.race([reader.read(), late.promise]);
      if (step === "too-late") return abandon(reader, step);
      if (step.done) return chunks;
      total += step.value.byteLength;
      if (total > limits.bodyBytes) return abandon(reader, "too-large");
      chunks.push(step.value);
    }
  } catch {
    return "broken";
  } finally {
    clearTimeout(timer);
  }
}

/** Tells the client to stop sending; whether it does is its affair, so the outcome is not awaited. */
function abandon<T>(reader: ReadableStreamDefaultReader<Uint8Array>, why: T): T {
  reader.cancel().catch(() => undefined);
  return why;
}

function joined(chunks: readonly Uint8Array[]): Uint8Array {
  const [first = NO_BYTES] = chunks;
  if (chunks.length <= 1) return first;
  const bytes = new Uint8Array(chunks.reduce((total, chunk) => total + chunk.byteLength, 0));
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.byteLength;
  }
  return bytes;
}

function decodeUtf8(bytes: Uint8Array): string | null {
  try {
    return UTF8.decode(bytes);
  } catch {
    return null;
  }
}

function unsupported(what: string, accepted: readonly string[]): Result<never, Refusal> {
  return err({ kind: "unsupported-media-type", reason: `the Content-Type ${what}`, accepted });
}
