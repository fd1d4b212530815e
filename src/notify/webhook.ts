import type { JsonObject } from "../platform/json.ts";
import { alertEvent } from "./alert-event.ts";
import { channelStore, readWebhook, webhookUrl } from "./channels.ts";
import { DONE, type AlertCall, type Channel, type Delivery, type DeliveryCall } from "./delivery.ts";
import { postWebhook } from "./post-webhook.ts";
import { webhookEvent } from "./webhook-event.ts";

/**
 * The tenant's webhook: every notice and alert as a signed event (docs/webhook.md). A tenant without one is done at once. May
 * deliver one twice, under the same `webhook-id`.
 */
export const webhook: Channel = {
  name: "webhook",
  deliver: (call: DeliveryCall) => post(call, call.notice.id, () => webhookEvent(call)),
  // A principal's name may have full stops, which an id must not; no name has a percent sign.
  tell: (call: AlertCall) => post(call, call.id.replaceAll(".", "%2E"), async () => alertEvent(call)),
};

async function post(
  { gate, tenant, now }: Pick<AlertCall, "gate" | "tenant" | "now">,
  id: string,
  event: () => Promise<JsonObject>,
): Promise<Delivery> {
  const settings = await readWebhook(channelStore(gate), tenant.tenant);
  if (!settings.ok) return { kind: "retry", afterMs: null, reason: `settings unavailable: ${settings.error}` };
  if (settings.value === null) return DONE;
  const { secret } = settings.value;
  const url = webhookUrl(settings.value.url, gate.config);
  if (!url.ok) return { kind: "failed", reason: url.error };
  const body = JSON.stringify(await event());
  return postWebhook({ id, url: url.value, secret, body }, now);
}
