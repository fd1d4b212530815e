import { readConfig } from "../config.ts";
import type { Env } from "../env.ts";
import { readSecretKey } from "../identity/secret-key.ts";
import { readAuditWebhook, webhookUrl } from "../notify/channels.ts";
import { postWebhook, type WebhookMessage } from "../notify/post-webhook.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { cloudEventText } from "./cloud-event.ts";
import { BROKEN_RETRY_MS, type CopyTarget, type NotWritten } from "./copy.ts";
import { isCopyOn, type CopyRow } from "./copy-cursor.ts";
import { rowsForRun } from "./copy-rows.ts";
import type { Place } from "./journal.ts";

/** Records per message, and their characters: what receivers commonly take is a megabyte, and one record is 20 KB at most. */
const BATCH = { maxRows: 100, maxChars: 256 * 1024 };

/** From the first record that waits to its message, where fewer than a message's wait. */
export const POST_EVERY_MS = 10_000;

/** JSON batch format (CloudEvents 1.0.2, JSON event format, section 4). */
const BATCH_TYPE = "application/cloudevents-batch+json";

/**
 * The copy by webhook: records as CloudEvents, in order, a message after the other, to an address of the tenant's own, signed as every
 * webhook is. There is one where security has set it up; `switchCopy` says so to each log.
 */
export function webhookCopy(sql: SqlStorage, env: () => Env): CopyTarget {
  return {
    name: "webhook",
    rows: BATCH.maxRows,
    everyMs: POST_EVERY_MS,
    isOn: () => isCopyOn(sql, "webhook"),
    read: (place, first, bounds) => rowsForRun(sql, env().DB, place, first, { ...bounds, ...BATCH }),
    write: async (place, rows) => {
      const to = await addressOf(env(), place.tenant);
      return to.ok ? post(to.value, place, rows) : { cause: to.error, retryMs: null };
    },
    tell: async () => undefined,
  };
}

async function post(to: Address, place: Place, rows: readonly CopyRow[]): Promise<NotWritten | null> {
  const [first, last] = [rows[0]?.sequence, rows.at(-1)?.sequence];
  const message = {
    ...to,
    // The same at every try: what a run sends is settled before it is sent first.
    id: `audit-records/${place.tenant}/${place.log}/${first}-${last}`,
    body: `[${rows.map((row) => cloudEventText(place, row)).join(",")}]`,
    contentType: BATCH_TYPE,
  };
  const delivery = await postWebhook(message, Date.now());
  if (delivery.kind === "done") return null;
  return { cause: delivery.reason, retryMs: delivery.kind === "retry" ? delivery.afterMs : BROKEN_RETRY_MS };
}

type Address = Pick<WebhookMessage, "url" | "secret">;

/** Read before every message: settings may have changed, and what the deployment allows, too. */
async function addressOf(env: Env, tenant: string): Promise<Result<Address, string>> {
  const config = readConfig(env);
  if (!config.ok) return err(`configuration: ${config.error.join("; ")}`);
  const pepper = readSecretKey("RECORD_PEPPER", config.value.recordPepper);
  const sealing = readSecretKey("SEALING_KEY", config.value.sealingKey);
  if (!pepper.ok) return pepper;
  if (!sealing.ok) return sealing;
  const settings = await readAuditWebhook({ d1: env.DB, pepper: pepper.value, sealing: sealing.value }, tenant);
  if (!settings.ok) return err(`settings unavailable: ${settings.error}`);
  if (settings.value === null) return err("no audit webhook is set up");
  const url = webhookUrl(settings.value.url, config.value);
  return url.ok ? ok({ url: url.value, secret: settings.value.secret }) : url;
}
