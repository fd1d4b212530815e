/**
 * Slack's published limits, in characters unless said otherwise. Slack answers `invalid_blocks` to a payload that breaks
 * one, and then nobody sees the proposal. Source: https://docs.slack.dev/reference/block-kit (page per block and element)
 * and https://docs.slack.dev/reference/views/modal-views.
 */
export const SLACK_LIMITS = {
  /** `blocks`: "up to 50 blocks in each message". */
  blocksPerMessage: 50,
  /** Modal views: 100 blocks. */
  blocksPerView: 100,
  /** Text object: 1 to 3,000. */
  text: 3_000,
  /** Section: 10 fields of 2,000. */
  fields: 10,
  fieldText: 2_000,
  /** Header block. */
  headerText: 150,
  /** Actions block: 25 elements. */
  actionElements: 25,
  /** Context block: 10 elements. */
  contextElements: 10,
  /** Button element: text, value, URL; `action_id` and `block_id` of any element or block. */
  buttonText: 75,
  buttonValue: 2_000,
  buttonUrl: 3_000,
  actionId: 255,
  blockId: 255,
  /** Modal: title, submit and close buttons, callback id, private metadata. */
  viewTitle: 24,
  callbackId: 255,
  privateMetadata: 3_000,
  /** Input block: label and hint; plain-text input: its value and its placeholder. */
  inputLabel: 2_000,
  inputValue: 3_000,
  placeholder: 150,
  /** Top-level `text` of a message: longer ones are truncated at 40,000; Slack recommends 4,000. */
  messageText: 4_000,
} as const;

/**
 * All blocks of one message together, as JSON. Slack refuses somewhere above 12,000 with `msg_blocks_too_long`, without
 * publishing how it counts (slackapi/bolt-js issues 2509 and 2867: refused at 13,172 and at 11,341 plus containers).
 */
export const MESSAGE_JSON_MAX = 11_000;
