import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import { shortDigest } from "./action-value.ts";
import type { SlackInteraction } from "./interaction.ts";

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
