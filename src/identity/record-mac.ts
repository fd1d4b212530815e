import { canonicalJson } from "../platform/canonical-json.ts";
import type { JsonObject } from "../platform/json.ts";
import { equalBytes, macOf, type SecretKey } from "./secret-key.ts";
import { fromBase64url, toBase64url } from "./base64url.ts";

/** Which table a row belongs to. Part of what is signed: a row of one table is nothing in another. */
export type RecordKind = "tenant" | "issuer" | "approval-issuer" | "channel";

/**
 * MAC of a database row under RECORD_PEPPER, over its RFC 8785 text without the MAC itself. Whoever can edit the
 * database but does not hold the pepper can delete rows or put old ones back, and mint nothing.
 */
export const sealRecord = (kind: RecordKind, row: JsonObject, pepper: SecretKey): string =>
  toBase64url(macOf(pepper, domainOf(kind), canonicalJson(row)));

/** Whether `mac` is this row's. Compared in constant time; a malformed MAC is simply not the row's. */
export function checkRecord(kind: RecordKind, row: JsonObject, mac: string, pepper: SecretKey): boolean {
  const given = fromBase64url(mac);
  return given !== null && equalBytes(given, macOf(pepper, domainOf(kind), canonicalJson(row)));
}

const domainOf = (kind: RecordKind): string => `portcullis/record/${kind}/v1`;
