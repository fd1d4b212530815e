import type { ModalView } from "slack-web-api-client";
import { confirmTextOf, type ProposalView } from "../approval/proposal-view.ts";
import type { Origin } from "./action-value.ts";
import { actionValue, COMMENT_FIELD, CONFIRM_VIEW, confirmMetadata, TYPED_FIELD } from "./action-value.ts";
import { plain } from "./blocks.ts";
import { inertLine } from "./inert-text.ts";
import { SLACK_LIMITS } from "./limits.ts";
import type { Occasion } from "./wording.ts";
import { cost, expiry, headline, name, progress } from "./wording.ts";

/** Resource ids have at most 128 characters; a longer text is cut in the hint and cannot be confirmed here. */
const CONFIRM_MAX = 256;
/** The same as on the other channels. */
export const COMMENT_MAX = 1_024;

/** What the modal asks for: the text that the proposal asks for, or its name where it asks for none (any more). */
export const nameToType = (view: ProposalView): string => confirmTextOf(view) ?? view.resource ?? view.action;

/**
 * The modal that asks an approver to type the name of what will change. Submitting it decides; opening it does not. It shows
 * gate-made text and single names, nothing that the requester wrote.
 */
export function confirmModal(view: ProposalView, origin: Origin, { now }: Pick<Occasion, "now">): ModalView {
  const what = [
    `You approve: ${headline(view)}`,
    `Tier ${view.tier}, ${progress(view)}. Cost: ${cost(view.ceilingMicros)}.`,
    `Blast radius: ${view.blastRadius === null ? "not declared" : name(view.blastRadius)}. Reversible: ${
      view.reversible === null ? "not declared" : view.reversible ? "yes" : "no"
    }.`,
    expiry(view.expiresAt, now),
  ].join("\n");
  return {
    type: "modal",
    callback_id: CONFIRM_VIEW,
    private_metadata: confirmMetadata(actionValue(view.id, view.approvalDigest), origin),
    title: plain("Confirm your approval", SLACK_LIMITS.viewTitle),
    submit: plain("Approve", SLACK_LIMITS.viewTitle),
    close: plain("Back", SLACK_LIMITS.viewTitle),
    blocks: [
      { type: "section", text: plain(what) },
      {
        type: "input",
        block_id: TYPED_FIELD.block,
        label: plain("Type the name of what will change", SLACK_LIMITS.inputLabel),
        hint: plain(`Exactly: ${inertLine(nameToType(view), CONFIRM_MAX)}`, SLACK_LIMITS.inputLabel),
        element: {
          type: "plain_text_input",
          action_id: TYPED_FIELD.action,
          max_length: CONFIRM_MAX,
          focus_on_load: true,
        },
      },
      {
        type: "input",
        block_id: COMMENT_FIELD.block,
        optional: true,
        label: plain("Comment, kept with your decision", SLACK_LIMITS.inputLabel),
        element: {
          type: "plain_text_input",
          action_id: COMMENT_FIELD.action,
          multiline: true,
          max_length: COMMENT_MAX,
        },
      },
    ],
  };
}

/** The answer to a submission that keeps the modal open and says why at one of its fields. Nothing was decided. */
export const modalErrors = (block: string, text: string) => ({
  response_action: "errors" as const,
  errors: { [block]: text },
});

/** The answer to a submission whose typed text is another. */
export const typedMismatchAnswer = () => modalErrors(TYPED_FIELD.block, "This is not the name. Nothing was decided.");

/** The answer to a submission whose comment cannot be put before people and into records. */
export const unshownCommentAnswer = () =>
  modalErrors(
    COMMENT_FIELD.block,
    `A comment has at most ${COMMENT_MAX} characters, none of them a control character. Nothing was decided.`,
  );
