import type { JsonValue } from "./platform/json.ts";
import type { Micros } from "./vocabulary.ts";

export const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"] as const;
export type Method = (typeof METHODS)[number];

/**
 * A client's request after strict reading (`gateway/read-request.ts`): the only form in which a request is judged.
 * Whatever is sent upstream is rebuilt from this value; the client's own bytes go no further.
 */
export type StrictRequest = {
  readonly method: Method;
  /** Received path: `/` or non-empty segments of `[A-Za-z0-9._~-]`, no `%`, no dot segments, no trailing slash. */
  readonly path: string;
  readonly segments: readonly string[];
  /** Query in received order; names are unique. */
  readonly query: ReadonlyMap<string, string>;
  /** Lower-case media type without parameters (`charset=utf-8` is the only one accepted), null without a body. */
  readonly contentType: string | null;
  /** The strictly parsed body, undefined without one; the text itself where a route of the gate's own takes text. */
  readonly body: JsonValue | undefined;
  /** Bytes of the body as received, 0 without one. */
  readonly bodyBytes: number;
  /** The gate's own headers, parsed (structured fields, percent-decoding, caps). */
  readonly gate: GateHeaders;
  /** Raw values of headers that a catalogue may name (discriminators, credential carriers, allow-listed pass-through). */
  readonly header: (name: string) => string | null;
};

/** The request headers of the wire contract, section 3. Null where absent. */
export type GateHeaders = {
  readonly dryRun: boolean;
  readonly plan: string | null;
  /** Approval tokens in received order; empty without the header. */
  readonly approvals: readonly string[];
  readonly reason: string | null;
  readonly evidence: string | null;
  readonly evidenceRef: string | null;
  readonly backOut: string | null;
  readonly incident: string | null;
  readonly idempotencyKey: string | null;
  /** The caller's own bounds on what this request may cost and how long it may run. */
  readonly maxCostMicros: Micros | null;
  readonly maxRunMs: number | null;
};
