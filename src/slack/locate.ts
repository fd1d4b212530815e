import { tenantsAt } from "../db/channel-rows.ts";
import type { Gate } from "../gateway/gate.ts";
import { channelStore, readSlack, type SlackSettings } from "../notify/channels.ts";
import { outboxOf } from "../outbox/port.ts";
import { log } from "../platform/log.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { SlackInteraction } from "./interaction.ts";
import { readPosting, type Posting } from "./posted.ts";

/** Tenants of one deployment that can share a workspace: each costs a question to its outbox, all asked at once. */
export const TENANTS_PER_WORKSPACE_MAX = 50;

/** The tenant whose proposal a click is about, and the message that the gate posted for it. */
export type Located = { readonly tenant: string; readonly settings: SlackSettings; readonly posting: Posting };

/**
 * Finds whose proposal it is: of the tenants that set this workspace up, the one whose outbox has posted it. Slack vouches for
 * the workspace; the id alone finds nothing. Null: nobody's. Refuses with `unavailable`.
 */
export async function locateProposal(
  gate: Gate,
  { teamId, approvalId }: Pick<SlackInteraction, "teamId" | "approvalId">,
): Promise<Result<Located | null, Refusal>> {
  const tenants = await tenantsAt(gate.env.DB, "slack", teamId, TENANTS_PER_WORKSPACE_MAX + 1);
  if (!tenants.ok) return unavailable(tenants.error);
  if (tenants.value.length > TENANTS_PER_WORKSPACE_MAX) log("error", "slack-workspace-crowded", { teamId });
  const asked = tenants.value.map(async (tenant) => {
    const posting = readPosting(await outboxOf(gate.env.OUTBOX, tenant).posting(approvalId));
    return posting === null ? [] : [{ tenant, posting }];
  });
  const [found] = (await Promise.all(asked)).flat();
  if (found === undefined) return ok(null);
  const settings = await readSlack(channelStore(gate), found.tenant);
  if (!settings.ok) return unavailable(settings.error);
  // A message of an earlier installation: the tenant has taken its trust away from that one.
  const isCurrent = settings.value?.app_id === found.posting.app_id && settings.value.team_id === found.posting.team_id;
  return ok(isCurrent && settings.value !== null ? { ...found, settings: settings.value } : null);
}

const unavailable = (cause: string): Result<never, Refusal> => err({ kind: "unavailable", dependency: "d1", cause });
