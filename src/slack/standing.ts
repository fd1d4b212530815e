import { z } from "zod";
import type { Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { SlackCallFailure } from "./web-api.ts";

/**
 * What Slack knows about a person besides the id (`users.info`). Only a `member` may decide: an id that the people document
 * names may have been deactivated, turned into a guest, or be a bot's.
 */
export type SlackStanding = "member" | "guest" | "bot" | "deactivated" | "external" | "unknown";

const flag = z.boolean().optional();
const USER = z.object({
  id: z.string(),
  team_id: z.string(),
  deleted: z.boolean(),
  is_bot: z.boolean(),
  is_app_user: flag,
  is_connector_bot: flag,
  is_workflow_bot: flag,
  is_restricted: flag,
  is_ultra_restricted: flag,
  is_stranger: flag,
  is_invited_user: flag,
});

/**
 * The standing of `userId` in `teamId` by the `user` member of a `users.info` answer. Anything that does not have its
 * documented form, or is about somebody else, is `unknown`. Slack leaves the flags of guests away for deactivated people.
 */
export function standingOf(user: unknown, userId: string, teamId: string): SlackStanding {
  const parsed = USER.safeParse(user);
  if (!parsed.success || parsed.data.id !== userId) return "unknown";
  const it = parsed.data;
  if (it.deleted) return "deactivated";
  if (it.is_bot || it.is_connector_bot === true || it.is_workflow_bot === true) return "bot";
  if (it.is_stranger === true || it.team_id !== teamId) return "external";
  if (it.is_invited_user === true || it.is_restricted !== false || it.is_ultra_restricted !== false) return "guest";
  return "member";
}

const FAULTS: Readonly<Record<Exclude<SlackStanding, "member">, string>> = {
  guest: "Guests of the workspace do not decide.",
  bot: "Only people decide; this is a bot's account.",
  deactivated: "This account is deactivated.",
  external: "People of other workspaces do not decide.",
  unknown: "Slack does not vouch for this account.",
};
/** Slack's codes for a person whom it does not know, or does not let the app see. */
const NOBODY: ReadonlySet<string> = new Set(["user_not_found", "user_not_visible"]);

/** Why somebody does not decide by what Slack answered about them; null for members. Without an answer nobody does. */
export function standingFault(answer: Result<SlackStanding, SlackCallFailure>): Refusal | null {
  if (answer.ok) return answer.value === "member" ? null : { kind: "not-eligible", reason: FAULTS[answer.value] };
  const { error } = answer;
  if (error.kind === "refused" && NOBODY.has(error.error)) return { kind: "not-eligible", reason: FAULTS.unknown };
  const cause = `users.info: ${error.kind === "refused" ? error.error : error.kind}`;
  return { kind: "unavailable", dependency: "slack", cause };
}
