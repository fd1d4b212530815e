import { auditCopyOf } from "../audit/copy-port.ts";
import { AUDIT_LOGS } from "../audit/tree-port.ts";
import { deleteChannelRow, listChannelRows } from "../db/channel-rows.ts";
import {
  AUDIT_WEBHOOK,
  channelStore,
  saveChannel,
  slackSettings,
  TENANT_CHANNELS,
  webhookSettings,
  webhookUrl,
} from "../notify/channels.ts";
import { describeError } from "../platform/describe-error.ts";
import { readBody } from "./body.ts";
import { json, malformed, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";

/**
 * How a tenant's people are told: the operator sets channels up, and security where audit records are sent. Their secrets are never
 * shown again.
 */
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
  {
    method: "PUT",
    path: "/_gate/v1/channels/audit-webhook",
    roles: ["security"],
    body: webhookSettings,
    handle: setUpAuditWebhook,
  },
  // Before the one for all others: the operator must not silence it.
  { method: "DELETE", path: "/_gate/v1/channels/audit-webhook", roles: ["security"], handle: removeAuditWebhook },
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
  return saveWebhook(call, "webhook");
}

/** From here on each log sends what comes next. What was before is had by export. */
async function setUpAuditWebhook(call: AdminCall): Promise<AdminAnswer> {
  const saved = await saveWebhook(call, AUDIT_WEBHOOK);
  // A call that comes this far and no further is repeated, which does no harm.
  return saved.kind === "json" ? ((await switchCopies(call, true)) ?? saved) : saved;
}

async function saveWebhook(call: AdminCall, name: "webhook" | typeof AUDIT_WEBHOOK): Promise<AdminAnswer> {
  const body = readBody(call.strict, webhookSettings);
  if (!body.ok) return refuse(body.error);
  const url = webhookUrl(body.value.url, call.gate.config);
  if (!url.ok) return malformed(`body /url: ${url.error}`);
  const { origin } = url.value;
  const { tenant } = call.principal;
  await saveChannel(channelStore(call.gate), tenant, { name, settings: body.value }, call.trail.receivedAt);
  await call.ledger.recordAct(call.actor, call.trail.requestId, "channel-set", `${name} ${origin}`);
  return json({ name, origin });
}

async function removeAuditWebhook(call: AdminCall): Promise<AdminAnswer> {
  // On record first, whatever becomes of the rest. Then the logs: they would miss settings that are gone.
  await call.ledger.recordAct(call.actor, call.trail.requestId, "channel-removed", AUDIT_WEBHOOK);
  const failed = await switchCopies(call, false);
  if (failed !== null) return failed;
  await deleteChannelRow(call.gate.env.DB, call.principal.tenant, AUDIT_WEBHOOK);
  return json({ name: AUDIT_WEBHOOK, removed: true });
}

/** Tells every log of the tenant. An answer where one cannot be reached. */
async function switchCopies({ gate, principal }: AdminCall, isOn: boolean): Promise<AdminAnswer | null> {
  try {
    await Promise.all(AUDIT_LOGS.map((log) => auditCopyOf(gate.env, principal.tenant, log).switchWebhookCopy(isOn)));
    return null;
  } catch (error) {
    return refuse({ kind: "unavailable", dependency: "audit", cause: describeError(error) });
  }
}

async function remove(call: AdminCall): Promise<AdminAnswer> {
  const name = TENANT_CHANNELS.find((one) => one === call.param("name"));
  if (name === undefined) return refuse({ kind: "not-found" });
  await deleteChannelRow(call.gate.env.DB, call.principal.tenant, name);
  await call.ledger.recordAct(call.actor, call.trail.requestId, "channel-removed", name);
  return json({ name, removed: true });
}
