import { assert } from "../platform/assert.ts";

/** Ids that this room puts into its messages; an interaction with any other is not an answer to one of ours. */
export const ACTION_IDS = {
  approve: "portcullis.approve",
  deny: "portcullis.deny",
  /** Approve, where the name has to be typed: opens the modal and decides nothing. */
  openConfirm: "portcullis.open-confirm",
  /** The link to the proposal's page. Slack reports the click and wants it acknowledged. */
  openPage: "portcullis.open-page",
} as const;
export const DECIDE_BLOCK = "portcullis.decide";
export const CONFIRM_VIEW = "portcullis.confirm";
export const TYPED_FIELD = { block: "portcullis.typed-block", action: "portcullis.typed" } as const;
export const COMMENT_FIELD = { block: "portcullis.comment-block", action: "portcullis.comment" } as const;

/**
 * 128 bits of the approval digest. The requester chooses the bound text and could prepare two requests whose short digests
 * agree: 2^64 tries at this length, 2^32 at half of it.
 */
const SHORT_DIGEST_DIGITS = 32;
const APPROVAL_ID = "apr_[0-9a-z]{26}";
const DIGEST = /^sha256:[0-9a-f]{64}$/;
const ACTION_VALUE = new RegExp(`^(${APPROVAL_ID})\\.([0-9a-f]{${SHORT_DIGEST_DIGITS}})$`);
const METADATA = new RegExp(
  `^(${APPROVAL_ID}\\.[0-9a-f]{${SHORT_DIGEST_DIGITS}}) ([CGD][A-Z0-9]{2,20}) (\\d{10}\\.\\d{6})$`,
);

/** What a button says: which proposal, and which state of it the person saw. */
export type ActionValue = { readonly approvalId: string; readonly approvalDigest: string };

/** First 32 hex digits of an approval digest `sha256:…`. */
export function shortDigest(approvalDigest: string): string {
  assert(DIGEST.test(approvalDigest), "an approval digest is sha256: and 64 hex digits");
  return approvalDigest.slice("sha256:".length, "sha256:".length + SHORT_DIGEST_DIGITS);
}

/** `<approval id>.<short digest>`: the whole value of a button. Ids and digests are the gate's own: another form is a bug. */
export function actionValue(approvalId: string, approvalDigest: string): string {
  const value = `${approvalId}.${shortDigest(approvalDigest)}`;
  assert(ACTION_VALUE.test(value), "a button carries an approval id and its digest");
  return value;
}

/** Reads a button's value; null for anything that `actionValue` does not write. */
export function readActionValue(value: string): ActionValue | null {
  const [, approvalId, approvalDigest] = ACTION_VALUE.exec(value) ?? [];
  return approvalId === undefined || approvalDigest === undefined ? null : { approvalId, approvalDigest };
}

/** What a modal remembers of the message that it was opened from: Slack's submission names neither message nor channel. */
export type Origin = { readonly channelId: string; readonly messageTs: string };

/** The modal's private metadata. */
export const confirmMetadata = (value: string, origin: Origin): string =>
  `${value} ${origin.channelId} ${origin.messageTs}`;

/** Reads a modal's private metadata; null for anything that `confirmMetadata` does not write. */
export function readConfirmMetadata(text: string): (ActionValue & Origin) | null {
  const [, value, channelId, messageTs] = METADATA.exec(text) ?? [];
  const action = value === undefined ? null : readActionValue(value);
  return action === null || channelId === undefined || messageTs === undefined
    ? null
    : { ...action, channelId, messageTs };
}
