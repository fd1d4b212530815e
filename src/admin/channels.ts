import { deleteChannelRow, listChannelRows } from "../db/channel-rows.ts";
import {
  channelStore,
  saveChannel,
  slackSettings,
  TENANT_CHANNELS,
  webhookSettings,
  webhookUrl,
} from "../notify/channels.ts";
import { readBody } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

/** How a tenant's people are told: the operator sets channels up, and their secrets are never shown again. */
export const channelRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/channels", roles: ["operator", "security"], handle: list },
  {
    method: "PUT",
    path: "/_gate/v1/channels/slack",
    roles: ["operator"],
    body: slackSettings,
    handle: setUpSlack,
  },
  {
    method: "PUT",
    path: "/_gate/v1/channels/webhook",
    roles: ["operator"],
    body: webhookSettings,
    handle: setUpWebhook,
  },
  { method: "DELETE", path: "/_gate/v1/channels/:name", roles: ["operator"], handle: remove },
];

async function list({ gate, principal }: AdminCall): Promise<AdminAnswer> {
  const rows = await listChannelRows(gate.env.DB, principal.tenant);
  return json({ records: rows.map(({ name, createdAt }) => ({ name, set_at: createdAt })), next_cursor: null });
}

async function setUpSlack(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, slackSettings);
  if (!body.ok) return refuse(body.error);
  const { tenant } = call.principal;
  const channel = { name: "slack", settings: body.value } as const;
  await saveChannel(channelStore(call.gate), tenant, channel, call.trail.receivedAt);
  await call.ledger.recordAct(call.actor, call.trail.requestId, "channel-set", `slack ${body.value.team_id}`);
  return json({ name: "slack", team_id: body.value.team_id });
}

async function setUpWebhook(call: AdminCall): Promise<AdminAnswer> {
  const body = readBody(call.strict, webhookSettings);
  if (!body.ok) return refuse(body.error);
  const url = webhookUrl(body.value.url, call.gate.config);
  if (!url.ok) return malformed(`body /url: ${url.error}`);
  const { origin } = url.value;
  const { tenant } = call.principal;
  const channel = { name: "webhook", settings: body.value } as const;
  await saveChannel(channelStore(call.gate), tenant, channel, call.trail.receivedAt);
  await call.ledger.recordAct(call.actor, call.trail.requestId, "channel-set", `webhook ${origin}`);
  return json({ name: "webhook", origin });
}

async function remove(call: AdminCall): Promise<AdminAnswer> {
  const name = TENANT_CHANNELS.find((one) => one === call.param("name"));
  if (name === undefined) return refuse({ kind: "not-found" });
  await deleteChannelRow(call.gate.env.DB, call.principal.tenant, name);
  await call.ledger.recordAct(call.actor, call.trail.requestId, "channel-removed", name);
  return json({ name, removed: true });
}
