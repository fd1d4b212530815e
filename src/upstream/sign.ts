import { createHmac, hash } from "node:crypto";
import { assert } from "../platform/assert.ts";

/** How long a signed upstream request is good for (RFC 9421, `expires`): upstream may refuse a captured one afterwards. */
const SIGNATURE_LIFETIME_S = 60;

export type SignableRequest = {
  readonly method: string;
  readonly url: URL;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
};

/** A string that RFC 9651 writes between quotes as it is. */
const PLAIN_STRING = /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/;

/** Covered when present: everything that says what is asked, for whom, and under which reference. */
const COVERED_FIELDS = ["content-digest", "content-type", "authorization", "idempotency-key"] as const;

/**
 * Signs an upstream request so that upstream can refuse whatever did not come through the gate: RFC 9421 with
 * `hmac-sha256` (the shared key never leaves either side; asymmetric signing costs several times the CPU) over
 * method, authority, path, query and the covered fields; RFC 9530 `Content-Digest` binds the body. Returns the headers to
 * add. `nonce` must be fresh; `nowMs` is the caller's clock.
 */
export function signatureHeaders(
  request: SignableRequest,
  key: Uint8Array,
  nonce: string,
  nowMs: number,
): Record<string, string> {
  const added: Record<string, string> = {};
  if (request.body !== null) {
    added["content-digest"] = `sha-256=:${hash("sha256", request.body, "base64")}:`;
  }
  const headers = { ...request.headers, ...added };
  const components: (readonly [string, string])[] = [
    ["@method", request.method],
    ["@authority", request.url.host],
    ["@path", request.url.pathname],
    // RFC 9421, 2.2.7: the leading question mark belongs to the value, also when the query is empty.
    ["@query", request.url.search === "" ? "?" : request.url.search],
  ];
  for (const name of COVERED_FIELDS) {
    const value = headers[name];
    if (value !== undefined) components.push([name, value.trim()]);
  }
  const created = Math.floor(nowMs / 1_000);
  // An inner list of RFC 9651, written out: the nonce is the only part that is neither a constant nor an integer.
  assert(PLAIN_STRING.test(nonce), "a nonce needs no escaping");
  const signatureParams =
    `(${components.map(([name]) => `"${name}"`).join(" ")});created=${created};expires=${created + SIGNATURE_LIFETIME_S}` +
    `;nonce="${nonce}";keyid="gate";tag="portcullis"`;
  const base = [
    ...components.map(([name, value]) => `"${name}": ${value}`),
    `"@signature-params": ${signatureParams}`,
  ].join("\n");
  added["signature-input"] = `gate=${signatureParams}`;
  added["signature"] = `gate=:${createHmac("sha256", key).update(base, "utf8").digest("base64")}:`;
  return added;
}
