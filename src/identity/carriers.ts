import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import { MAX_TOKEN_CHARS } from "./compact-jws.ts";

/**
 * Request headers in which a gate credential may arrive, known to the build: the tenant, and with it the catalogue that
 * lists its carriers, is only known from the credential. A catalogue can name none that is not here.
 */
export const CREDENTIAL_CARRIERS = [
  { header: "authorization", prefix: "Bearer " },
  { header: "x-slurm-user-token", prefix: "" },
] as const;

/** RFC 6750, section 2.1 (b64token). Wide enough that every mutated token reaches its own check, and narrow enough to log nothing odd. */
const CREDENTIAL = /^[A-Za-z0-9._~+/=-]+$/;

/**
 * The credential of an `Authorization` value; null without the header. Exactly `Bearer`, one space, one token. A comma
 * means that two headers were sent or joined (`malformed-request`); any other form is no credential (`unauthenticated`).
 */
export const readBearer = (value: string | null): Result<string | null, Refusal> => readCarrier(value, "Bearer ");

function readCarrier(value: string | null, prefix: string): Result<string | null, Refusal> {
  if (value === null) return ok(null);
  if (value.includes(",")) return err({ kind: "malformed-request", reason: "more than one credential was sent" });
  const credential = value.slice(prefix.length);
  if (credential.length > MAX_TOKEN_CHARS) return err({ kind: "unauthenticated", cause: "credential: too long" });
  if (!value.startsWith(prefix) || !CREDENTIAL.test(credential)) {
    return err({ kind: "unauthenticated", cause: "credential: not the form of one" });
  }
  return ok(credential);
}

/**
 * The one credential of a request, null where it carries none. `header` gives a header's value, null where absent. Two
 * carriers at once are refused even when they agree: the next hop might read the other one.
 */
export function extractCredential(header: (name: string) => string | null): Result<string | null, Refusal> {
  const present = CREDENTIAL_CARRIERS.filter((carrier) => header(carrier.header) !== null);
  const [carrier, second] = present;
  if (carrier === undefined) return ok(null);
  if (second !== undefined) {
    return err({ kind: "malformed-request", reason: `credentials in both ${carrier.header} and ${second.header}` });
  }
  return readCarrier(header(carrier.header), carrier.prefix);
}
