import { channelStore, readWebhook, webhookUrl } from "./channels.ts";
import { DONE, type Channel, type Delivery, type DeliveryCall } from "./delivery.ts";
import { postWebhook } from "./post-webhook.ts";
import { webhookEvent } from "./webhook-event.ts";

/**
 * The tenant's webhook: every notice as a signed event (docs/webhook.md). A tenant without one is done at once. May deliver a
 * notice twice, under the same `webhook-id`.
 */
export const webhook: Channel = { name: "webhook", deliver };

async function deliver(call: DeliveryCall): Promise<Delivery> {
  const { gate, tenant, notice, now } = call;
  const settings = await readWebhook(channelStore(gate), tenant.tenant);
  if (!settings.ok) return { kind: "retry", afterMs: null, reason: `settings unavailable: ${settings.error}` };
  if (settings.value === null) return DONE;
  const { secret } = settings.value;
  const url = webhookUrl(settings.value.url, gate.config);
  if (!url.ok) return { kind: "failed", reason: url.error };
  const body = JSON.stringify(await webhookEvent(call));
  return postWebhook({ id: notice.id, url: url.value, secret, body }, now);
}
