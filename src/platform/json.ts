/** What a strictly parsed JSON document consists of (RFC 8259, no duplicate names, finite canonical numbers). */
export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject;

/** A JSON object. Strictly parsed ones have no prototype, and so cannot cross Durable Object RPC: send canonical text there. */
export type JsonObject = { readonly [name: string]: JsonValue };

/** Whether `value` is a JSON object (neither array nor null). */
export const isJsonObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value);
