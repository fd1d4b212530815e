import { z } from "zod";
import type { JsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { shortDigest } from "./action-value.ts";
import type { SlackInteraction } from "./interaction.ts";

const POSTING = z.strictObject({
  app_id: z.string(),
  team_id: z.string(),
  channel_id: z.string(),
  message_ts: z.string(),
  /** What else was said about the proposal, so that a repeated notice does not say it again. */
  told: z.array(z.string()),
});
/** What the outbox remembers of a proposal's message: where it is, and under which installation it was posted. */
export type Posting = z.infer<typeof POSTING>;

/** A remembered posting; null where there is none, or one that this build did not write. */
export function readPosting(stored: JsonObject | null): Posting | null {
  const parsed = POSTING.safeParse(stored);
  return parsed.success ? parsed.data : null;
}

/** What the gate recorded when it posted a proposal: the only message whose buttons count. */
export type PostedMessage = {
  readonly appId: string;
  readonly teamId: string;
  readonly channelId: string;
  readonly messageTs: string;
  readonly approvalId: string;
  /** The full approval digest `sha256:…` that the proposal has now. */
  readonly approvalDigest: string;
};

/** What does not fit, for the audit record; the wire shows one 403. */
export type PostedMismatch =
  | "wrong-app"
  | "wrong-team"
  | "external-user"
  | "wrong-approval"
  | "wrong-digest"
  | "wrong-channel"
  | "wrong-message";

/**
 * Whether an interaction belongs to the message that was posted for its proposal, in the tenant's own workspace, by a member
 * of that workspace. A valid signature only says that Slack sent it: another app's installation, a copied message or one
 * that shows an older state of the proposal is refused here.
 */
export function matchPosted(interaction: SlackInteraction, posted: PostedMessage): Result<void, PostedMismatch> {
  if (interaction.appId !== posted.appId) return err("wrong-app");
  if (interaction.teamId !== posted.teamId) return err("wrong-team");
  // Shared channels (Slack Connect) let people of other companies press buttons; their user ids are another workspace's.
  if (interaction.userTeamId !== null && interaction.userTeamId !== posted.teamId) return err("external-user");
  if (interaction.approvalId !== posted.approvalId) return err("wrong-approval");
  if (interaction.approvalDigest !== shortDigest(posted.approvalDigest)) return err("wrong-digest");
  if (interaction.channelId !== posted.channelId) return err("wrong-channel");
  if (interaction.messageTs !== posted.messageTs) return err("wrong-message");
  return ok(undefined);
}
