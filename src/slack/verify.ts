import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";
import { assert } from "../platform/assert.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { EpochMs } from "../vocabulary.ts";

/** Why a request is not Slack's. For the audit record: the wire shows one 401 for every cause. */
export type SignatureRefusal =
  | "no-timestamp"
  | "malformed-timestamp"
  | "too-old"
  | "from-the-future"
  | "no-signature"
  | "malformed-signature"
  | "wrong-signature";

/** The headers `X-Slack-Request-Timestamp` and `X-Slack-Signature` as received (null where absent) and the body's bytes. */
export type SignedRequest = {
  readonly timestamp: string | null;
  readonly signature: string | null;
  readonly rawBody: Uint8Array;
};

/** Slack's own advice. Also the time for which a recorded request could be sent again, so clicks are idempotent beyond it. */
export const SIGNATURE_WINDOW_S = 300;
/** One in use and, during a rotation, its successor. */
export const MAX_SIGNING_SECRETS = 2;

const TIMESTAMP = /^\d{10}$/;
/** Repeated headers arrive joined by a comma, and fail here. */
const SIGNATURE = /^v0=[0-9a-f]{64}$/;

/**
 * Whether Slack signed exactly these bytes with one of `secrets`, at most 300 seconds before or after `nowMs`
 * (https://docs.slack.dev/authentication/verifying-requests-from-slack). Looks at bytes only: nothing is parsed, and no
 * content of the body (`ssl_check=1`) makes it look less closely. Without a secret every request is refused.
 */
export function verifySlackRequest(
  request: SignedRequest,
  secrets: readonly string[],
  nowMs: EpochMs,
): Result<void, SignatureRefusal> {
  assert(secrets.length <= MAX_SIGNING_SECRETS && !secrets.includes(""), "at most two signing secrets, none empty");
  const { timestamp, signature, rawBody } = request;
  if (timestamp === null) return err("no-timestamp");
  if (!TIMESTAMP.test(timestamp)) return err("malformed-timestamp");
  const ageMs = nowMs - Number(timestamp) * 1_000;
  if (ageMs > SIGNATURE_WINDOW_S * 1_000) return err("too-old");
  if (ageMs < -SIGNATURE_WINDOW_S * 1_000) return err("from-the-future");
  if (signature === null) return err("no-signature");
  if (!SIGNATURE.test(signature)) return err("malformed-signature");
  const received = Buffer.from(signature.slice("v0=".length), "hex");
  let verified = false;
  for (const secret of secrets) {
    const expected = createHmac("sha256", secret).update(`v0:${timestamp}:`).update(rawBody).digest();
    // Every secret is tried, so that time does not tell which of them matched.
    if (timingSafeEqual(expected, received)) verified = true;
  }
  return verified ? ok(undefined) : err("wrong-signature");
}
