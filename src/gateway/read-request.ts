import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { METHODS } from "../strict-request.ts";
import type { Method, StrictRequest } from "../strict-request.ts";
import type { BodyForms, BodyLimits } from "./read-body.ts";
import { JSON_OBJECT, readJsonBody, readNoBody } from "./read-body.ts";
import { headerValue, readHeaders } from "./read-headers.ts";
import { readTarget } from "./read-target.ts";

export type ReadLimits = BodyLimits & {
  readonly urlBytes: number;
  readonly headerBytes: number;
  /** Exact lower-case media types of JSON bodies. */
  readonly mediaTypes: readonly string[];
  readonly forms: BodyForms;
};

/**
 * URL 8 KiB: a path of 4 KiB and three full query values. Headers 32 KiB: evidence of 8 KiB in percent-encoded form takes
 * 24. Body 64 KiB: bodies are buffered, and 32 KiB bodies at full load already cost a gigabyte. Deadline 10 s: 64 KiB at
 * 52 kbit/s, while a deliberate drip holds a connection no longer than that.
 */
export const READ_LIMITS: ReadLimits = {
  urlBytes: 8_192,
  headerBytes: 32_768,
  bodyBytes: 65_536,
  bodyDeadlineMs: 10_000,
  mediaTypes: ["application/json"],
  forms: JSON_OBJECT,
};

const isMethod = (method: string): method is Method => METHODS.some((known) => known === method);
const takesBody = (method: Method): boolean => method === "POST" || method === "PUT" || method === "PATCH";

/**
 * Reads a client's request strictly, or refuses it: method, URL, headers, body, in that order, by allow-list throughout.
 * Nothing is repaired, so whatever the gate judges is what the next parser would have read as well. Refuses with
 * `method-not-allowed` and what `readTarget`, `readHeaders` and the body's reader refuse with. Never throws.
 */
export async function readRequest(
  request: Request,
  limits: ReadLimits = READ_LIMITS,
): Promise<Result<StrictRequest, Refusal>> {
  const { method, headers } = request;
  if (!isMethod(method)) return err({ kind: "method-not-allowed", allow: METHODS });
  const target = readTarget(request.url, limits.urlBytes);
  if (!target.ok) return target;
  const read = readHeaders(headers, limits.headerBytes);
  if (!read.ok) return read;
  const { gate, contentLength } = read.value;
  const body = takesBody(method)
    ? await readJsonBody(request, read.value, limits, limits.mediaTypes, limits.forms)
    : await readNoBody(request, contentLength, limits);
  if (!body.ok) return body;
  return ok({ method, ...target.value, ...body.value, gate, header: (name) => headerValue(headers, name) });
}
