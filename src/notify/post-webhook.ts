import { Webhook } from "standardwebhooks";
import type { EpochMs } from "../vocabulary.ts";
import { DONE, type Delivery } from "./delivery.ts";

/**
 * How long a webhook has to answer. Below the 15 s that Standard Webhooks recommends: receivers that work longer are to
 * accept first, and a lane of twenty that hang is through in 200 s.
 */
export const WEBHOOK_DEADLINE_MS = 10_000;

/** Longest wait that a webhook may ask for: the outbox's own longest. A proposal does not live longer anyway. */
export const RETRY_AFTER_MAX_MS = 3_600_000;

export type WebhookMessage = {
  /** Equal at every try: receivers know a repeated one by it. Without a full stop, which separates what is signed. */
  readonly id: string;
  readonly url: URL;
  /** In the form that `webhookSettings` accepts. */
  readonly secret: string;
  readonly body: string;
  /** JSON where nothing else is said. */
  readonly contentType?: string;
};

/**
 * Posts one message, signed (Standard Webhooks 1.0.0: HMAC-SHA-256, `v1`). Follows no redirect, reads no answer's body, never
 * throws. Reasons hold a status at most: neither address (its path may be a secret) nor what the answer says.
 */
export async function postWebhook(message: WebhookMessage, now: EpochMs): Promise<Delivery> {
  const { id, url, secret, body, contentType = "application/json" } = message;
  const headers = {
    "content-type": contentType,
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now / 1_000)),
    "webhook-signature": new Webhook(secret).sign(id, new Date(now), body),
  };
  const deadline = new AbortController();
  const timer = setTimeout(() => deadline.abort(), WEBHOOK_DEADLINE_MS);
  try {
    const response = await fetch(url, { method: "POST", headers, body, redirect: "manual", signal: deadline.signal });
    const delivery = judge(response, now);
    // Whatever becomes of the rest of the answer, its head has decided.
    response.body?.cancel().catch(() => undefined);
    return delivery;
  } catch {
    return later(deadline.signal.aborted ? `no answer within ${WEBHOOK_DEADLINE_MS / 1_000} s` : "no answer");
  } finally {
    clearTimeout(timer);
  }
}

const later = (reason: string, afterMs: number | null = null): Delivery => ({ kind: "retry", afterMs, reason });

/** Standard Webhooks 1.0.0, "Delivery success and failure". */
function judge({ status, headers }: Response, now: EpochMs): Delivery {
  if (status >= 200 && status < 300) return DONE;
  if (status === 410) return { kind: "failed", reason: "answered 410: the webhook wants no more" };
  const asksToWait = status === 429 || status === 503;
  return later(`answered ${status}`, asksToWait ? retryAfterMs(headers.get("retry-after"), now) : null);
}

/** RFC 9110, section 10.2.3: seconds or a date; null for anything else. */
function retryAfterMs(value: string | null, now: EpochMs): number | null {
  if (value === null) return null;
  const ms = /^[0-9]{1,9}$/.test(value) ? Number(value) * 1_000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? null : Math.min(RETRY_AFTER_MAX_MS, Math.max(0, ms));
}
