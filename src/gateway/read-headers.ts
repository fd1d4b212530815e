import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { GateHeaders } from "../strict-request.ts";
import { isGateHeader, NO_GATE_HEADERS, readGateHeaders } from "./gate-headers.ts";
import { malformed, nameOf } from "./malformed.ts";

export type ReadHeaders = {
  readonly gate: GateHeaders;
  /** As received; the body's reader judges it. */
  readonly contentType: string | null;
  /** What the client states, in bytes. Never a reason to believe that the body is small. */
  readonly contentLength: number | null;
};

/** `name: value` and CR LF around them, RFC 9112. */
const LINE_OVERHEAD_BYTES = 4;
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/;
/** Free text of user agents and of the platform (`cf-ipcity`) that nothing in the gate reads: not judged. */
const NEVER_READ = /^(?:cf-.*|cookie|referer|user-agent)$/;
const CONNECTION = /^(?:close|keep-alive)$/i;
/** 15 digits: the largest whole number that every parser holds exactly. */
const CONTENT_LENGTH = /^[0-9]{1,15}$/;

const single = (name: string) => (value: string) =>
  value.includes(",") ? problem(`${name}: expected one value; a comma means it was sent twice`) : null;
const override = (name: string) => () => problem(`${name}: the method of the request is not overridden`);
const problem = (reason: string): Refusal => ({ kind: "malformed-request", reason });

const CHECKS: ReadonlyMap<string, (value: string) => Refusal | null> = new Map([
  ["upgrade", () => ({ kind: "upgrade-refused" }) satisfies Refusal],
  ["expect", () => ({ kind: "expectation-failed" }) satisfies Refusal],
  ["connection", checkConnection],
  ["content-encoding", refuseContentEncoding],
  ["content-length", checkContentLength],
  ["authorization", single("Authorization")],
  ["dpop", single("DPoP")],
  ["x-http-method", override("X-HTTP-Method")],
  ["x-http-method-override", override("X-HTTP-Method-Override")],
  ["x-method-override", override("X-Method-Override")],
]);

/**
 * Judges a request's headers in one pass. Refuses with `headers-too-large`, `upgrade-refused`, `expectation-failed`,
 * `unsupported-media-type` (any Content-Encoding: the runtime does not decode it) or `malformed-request`. Every header that
 * the gate or a catalogue may read is printable ASCII afterwards; repeated ones arrive joined by commas.
 */
export function readHeaders(headers: Headers, limitBytes: number): Result<ReadHeaders, Refusal> {
  let bytes = 0;
  let contentType: string | null = null;
  let contentLength: number | null = null;
  let gate: Map<string, string> | null = null;
  for (const [name, value] of headers) {
    bytes += name.length + value.length + LINE_OVERHEAD_BYTES;
    if (bytes > limitBytes) return err({ kind: "headers-too-large", limit_bytes: limitBytes });
    if (!PRINTABLE_ASCII.test(value) && !NEVER_READ.test(name)) {
      return malformed(`${nameOf(name)}: expected printable ASCII`);
    }
    const refusal = CHECKS.get(name)?.(value) ?? null;
    if (refusal !== null) return err(refusal);
    if (isGateHeader(name)) (gate ??= new Map<string, string>()).set(name, value);
    else if (name === "content-type") contentType = value;
    else if (name === "content-length") contentLength = Number(value);
  }
  if (gate === null) return ok({ gate: NO_GATE_HEADERS, contentType, contentLength });
  const read = readGateHeaders(gate);
  return read.ok ? ok({ gate: read.value, contentType, contentLength }) : read;
}

/**
 * Value of one header for a catalogue or a credential's reader, null where it is absent or, among the headers that are
 * not judged, not printable ASCII. A comma may mean that the header was repeated.
 */
export function headerValue(headers: Headers, name: string): string | null {
  const value = headers.get(name);
  return value !== null && PRINTABLE_ASCII.test(value) ? value : null;
}

/** RFC 9110, 7.6.1: names listed here would be dropped by the next hop, `authorization` for instance. */
function checkConnection(value: string): Refusal | null {
  const options = value.split(",").map((option) => option.trim());
  if (options.some((option) => option.toLowerCase() === "upgrade")) return { kind: "upgrade-refused" };
  return options.every((option) => CONNECTION.test(option))
    ? null
    : problem("Connection: expected close or keep-alive");
}

function refuseContentEncoding(): Refusal {
  const reason = "Content-Encoding: encoded bodies are not accepted";
  return { kind: "unsupported-media-type", reason, accepted: ["application/json"] };
}

function checkContentLength(value: string): Refusal | null {
  return CONTENT_LENGTH.test(value) ? null : problem("Content-Length: expected one number of bytes");
}
