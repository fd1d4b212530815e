import type { AuditPlace } from "../db/audit-rows.ts";
import { fromBase64url, toBase64url } from "../identity/base64url.ts";
import { equalBytes, macOf } from "../identity/secret-key.ts";
import type { AdminCall } from "./call.ts";

const CURSOR_DOMAIN = "portcullis/audit-cursor/v1";

/** Half of HMAC-SHA-256: a cursor opens nothing but a place in the caller's own records. */
const MAC_BYTES = 16;

type Caller = Pick<AdminCall, "gate" | "principal">;

const macOfPlace = ({ gate, principal }: Caller, text: string): Uint8Array =>
  macOf(gate.keys.pepper, CURSOR_DOMAIN, `${principal.tenant}\n${text}`).subarray(0, MAC_BYTES);

/** The place as text that only this gate can make, and only for this tenant. */
export function writeCursor(caller: Caller, { time, log, sequence }: AuditPlace): string {
  const text = JSON.stringify([time, log, sequence]);
  return `${toBase64url(new TextEncoder().encode(text))}.${toBase64url(macOfPlace(caller, text))}`;
}

/** The place that a cursor of this tenant names; null for anything else. */
export function readCursor(caller: Caller, cursor: string): AuditPlace | null {
  const [body, mac, ...more] = cursor.split(".").map(fromBase64url);
  if (body === undefined || body === null || mac === undefined || mac === null || more.length > 0) return null;
  const text = new TextDecoder().decode(body);
  if (!equalBytes(mac, macOfPlace(caller, text))) return null;
  const parsed: unknown = JSON.parse(text);
  if (!Array.isArray(parsed)) return null;
  const [time, log, sequence] = parsed;
  return typeof time === "string" && typeof log === "string" && typeof sequence === "number"
    ? { time, log, sequence }
    : null;
}
