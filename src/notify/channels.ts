import { z } from "zod";
import type { Config } from "../config.ts";
import { readChannelRow, writeChannelRow } from "../db/channel-rows.ts";
import type { Gate } from "../gateway/gate.ts";
import { open, seal } from "../identity/sealed.ts";
import type { SecretKey } from "../identity/secret-key.ts";
import { err, ok, type Result } from "../platform/result.ts";

/** A Slack workspace: the installed app, and the bot token by which the gate posts. */
export const slackSettings = z.strictObject({
  app_id: z.string().regex(/^A[A-Z0-9]{2,20}$/),
  team_id: z.string().regex(/^[TE][A-Z0-9]{2,20}$/),
  bot_token: z.string().regex(/^xoxb-[A-Za-z0-9-]{10,250}$/),
});
export type SlackSettings = z.infer<typeof slackSettings>;

/** A webhook: an address at one of the deployment's WEBHOOK_ORIGINS, and a signing secret of Standard Webhooks. */
export const webhookSettings = z.strictObject({
  url: z.url().max(512),
  /** `whsec_` and 24 to 64 random bytes in base64 (Standard Webhooks 1.0.0, "Signature scheme"). */
  secret: z
    .string()
    .regex(
      /^whsec_(?:[A-Za-z0-9+/]{4}){8,20}(?:[A-Za-z0-9+/]{4}(?:[A-Za-z0-9+/]{2}==)?|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)?$/,
    ),
});
export type WebhookSettings = z.infer<typeof webhookSettings>;

/**
 * The address of a webhook, or why the gate does not call it. Asked when it is set up and before every call: what the
 * deployment allows may have changed since, and a tenant must never choose by itself what the gate talks to.
 */
export function webhookUrl(text: string, { webhookOrigins }: Pick<Config, "webhookOrigins">): Result<URL, string> {
  const url = URL.parse(text);
  if (url === null || !webhookOrigins.includes(url.origin))
    return err("its origin is not among the deployment's WEBHOOK_ORIGINS");
  if (url.username !== "" || url.password !== "" || url.hash !== "") return err("no user, password or fragment");
  return ok(url);
}

/** What a tenant's operator sets up. How people sign in is not among it: whoever says who people are speaks for them. */
export const TENANT_CHANNELS = ["slack", "webhook"] as const;
/** What its security sets up: whoever may read the audit records says where they are sent. */
export const AUDIT_WEBHOOK = "audit-webhook";
type TenantChannel = (typeof TENANT_CHANNELS)[number] | typeof AUDIT_WEBHOOK;

type Store = { readonly d1: D1Database; readonly pepper: SecretKey; readonly sealing: SecretKey };

const sealedFor = (tenant: string, name: TenantChannel): string => `channel/${name}/${tenant}`;

/** Stores settings that their schema has accepted. */
export async function saveChannel(
  { d1, pepper, sealing }: Store,
  tenant: string,
  channel:
    | { readonly name: "slack"; readonly settings: SlackSettings }
    | { readonly name: "webhook" | typeof AUDIT_WEBHOOK; readonly settings: WebhookSettings },
  now: number,
): Promise<void> {
  const { name, settings } = channel;
  const sealed = await seal(settings, sealing, sealedFor(tenant, name));
  const address = "team_id" in settings ? settings.team_id : "";
  await writeChannelRow(d1, { tenant, name, address, sealed }, pepper, now);
}

export const readSlack = (store: Store, tenant: string): Promise<Result<SlackSettings | null, string>> =>
  readChannel(store, tenant, "slack", slackSettings);

export const readWebhook = (store: Store, tenant: string): Promise<Result<WebhookSettings | null, string>> =>
  readChannel(store, tenant, "webhook", webhookSettings);

export const readAuditWebhook = (store: Store, tenant: string): Promise<Result<WebhookSettings | null, string>> =>
  readChannel(store, tenant, AUDIT_WEBHOOK, webhookSettings);

/** A tenant's settings of a channel, null where it has none. The error is for a store or a row that cannot be trusted. */
async function readChannel<T>(
  { d1, pepper, sealing }: Store,
  tenant: string,
  name: TenantChannel,
  schema: z.ZodType<T>,
): Promise<Result<T | null, string>> {
  const row = await readChannelRow(d1, tenant, name, pepper);
  if (!row.ok || row.value === null) return row.ok ? ok(null) : row;
  const opened = await open(row.value, sealing, sealedFor(tenant, name));
  if (!opened.ok) return opened;
  const parsed = schema.safeParse(opened.value);
  return parsed.success ? ok(parsed.data) : err(`the settings of ${name} have another form`);
}

/** What the functions above need of a gate. */
export const channelStore = ({ env, keys }: Pick<Gate, "env" | "keys">): Store => ({
  d1: env.DB,
  pepper: keys.pepper,
  sealing: keys.sealing,
});
