import { readBodyBytes } from "../gateway/read-body.ts";
import { err, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";
import { INTERACTION_MAX_BYTES } from "./form-payload.ts";
import { parseInteraction, type SlackInteraction } from "./interaction.ts";
import { verifySlackRequest } from "./verify.ts";

/** Slack sends a click at once and waits three seconds for its acknowledgement. */
const BODY_DEADLINE_MS = 2_000;
const LIMITS = { bodyBytes: INTERACTION_MAX_BYTES, bodyDeadlineMs: BODY_DEADLINE_MS };

/** What is refused, and more about it than the wire shows, for the record. */
export type Unreceived = { readonly refusal: Refusal; readonly cause: string | null };

/** What a click is answered with that none of the gate's own messages can have caused. One text for every cause. */
export const NOT_OURS: Refusal = {
  kind: "approval-invalid",
  reason: "This is not the message that stands for the proposal now: use its newest message, or its page.",
};

/**
 * Reads an interaction from the raw bytes of a request: signature first, and no byte of the body means anything before it
 * holds. Refuses with `unauthenticated`, `malformed-request` (longer bodies included), `request-timeout` or `NOT_OURS`.
 */
export async function receiveInteraction(
  request: Request,
  secrets: readonly string[],
  now: EpochMs,
): Promise<Result<SlackInteraction, Unreceived>> {
  const { headers } = request;
  const stated = headers.get("content-length") ?? "";
  const body = await readBodyBytes(request, /^\d{1,15}$/.test(stated) ? Number(stated) : null, LIMITS);
  if (!body.ok) {
    return body.error.kind === "payload-too-large"
      ? malformed(`body: longer than ${INTERACTION_MAX_BYTES} bytes`)
      : err({ refusal: body.error, cause: null });
  }
  const verified = verifySlackRequest(
    {
      timestamp: headers.get("x-slack-request-timestamp"),
      signature: headers.get("x-slack-signature"),
      rawBody: body.value,
    },
    secrets,
    now,
  );
  if (!verified.ok) {
    return err({ refusal: { kind: "unauthenticated", cause: `slack: ${verified.error}` }, cause: null });
  }
  const parsed = parseInteraction(headers.get("content-type"), body.value);
  if (parsed.ok) return parsed;
  const { kind, reason } = parsed.error;
  return kind === "malformed" ? malformed(`body: ${reason}`) : err({ refusal: NOT_OURS, cause: reason });
}

const malformed = (reason: string): Result<never, Unreceived> =>
  err({ refusal: { kind: "malformed-request", reason }, cause: null });
