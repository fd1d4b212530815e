/**
 * Slack's published rules for what an app sends, written down from its reference pages (https://docs.slack.dev/reference) and
 * not from the gate's own constants: two readings of one page, so that a wrong one shows. Unknown block and element types are
 * problems too, since the gate uses none.
 */

type Json = unknown;
type Members = Readonly<Record<string, Json>>;
type Rule = (value: Json, at: string) => readonly string[];

const isMembers = (value: Json): value is Members =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const string =
  (min: number, max: number): Rule =>
  (value, at) =>
    typeof value === "string" && value.length >= min && value.length <= max
      ? []
      : [`must be a string of ${min} to ${max} characters [json-pointer:${at}]`];
const boolean: Rule = (value, at) => (typeof value === "boolean" ? [] : [`must be a boolean [json-pointer:${at}]`]);
const integer =
  (min: number, max: number): Rule =>
  (value, at) =>
    Number.isInteger(value) && Number(value) >= min && Number(value) <= max
      ? []
      : [`must be an integer of ${min} to ${max} [json-pointer:${at}]`];
const oneOf =
  (...values: readonly string[]): Rule =>
  (value, at) =>
    typeof value === "string" && values.includes(value) ? [] : [`must be one of ${values.join()} [json-pointer:${at}]`];
const list =
  (min: number, max: number, rule: Rule): Rule =>
  (value, at) => {
    if (!Array.isArray(value)) return [`must be a list [json-pointer:${at}]`];
    const items: readonly Json[] = value;
    const length =
      items.length < min || items.length > max ? [`must have ${min} to ${max} items [json-pointer:${at}]`] : [];
    return [...length, ...items.flatMap((item, index) => rule(item, `${at}/${index}`))];
  };
/** A closed object: `required` members, `optional` ones, and no others. */
const object =
  (required: Readonly<Record<string, Rule>>, optional: Readonly<Record<string, Rule>> = {}): Rule =>
  (value, at) => {
    if (!isMembers(value)) return [`must be an object [json-pointer:${at}]`];
    const missing = Object.keys(required).filter((name) => value[name] === undefined);
    return [
      ...missing.map((name) => `missing required field: ${name} [json-pointer:${at}]`),
      ...Object.entries(value).flatMap(([name, member]) => {
        const rule = required[name] ?? optional[name];
        return rule === undefined
          ? [`no more items allowed: ${name} [json-pointer:${at}]`]
          : rule(member, `${at}/${name}`);
      }),
    ];
  };
const byType =
  (kinds: Readonly<Record<string, Rule>>): Rule =>
  (value, at) => {
    const type = isMembers(value) ? value["type"] : undefined;
    const rule = typeof type === "string" ? kinds[type] : undefined;
    return rule === undefined ? [`unsupported type: ${String(type)} [json-pointer:${at}]`] : rule(value, at);
  };

const TYPE = { type: string(1, 40) };
const plainText = (max: number): Rule =>
  object({ type: oneOf("plain_text"), text: string(1, max) }, { emoji: boolean });
const anyText = (max: number): Rule =>
  byType({
    plain_text: plainText(max),
    mrkdwn: object({ ...TYPE, text: string(1, max) }, { verbatim: boolean }),
  });
const button = object(
  { ...TYPE, text: plainText(75) },
  {
    action_id: string(1, 255),
    value: string(1, 2_000),
    url: (value, at) => [
      ...string(1, 3_000)(value, at),
      ...(URL.canParse(String(value)) ? [] : [`invalid url [json-pointer:${at}]`]),
    ],
    style: oneOf("primary", "danger"),
  },
);
const plainTextInput = object(TYPE, {
  action_id: string(1, 255),
  placeholder: plainText(150),
  multiline: boolean,
  focus_on_load: boolean,
  min_length: integer(0, 3_000),
  max_length: integer(1, 3_000),
});

const BLOCK_ID = { block_id: string(1, 255) };
const section: Rule = (value, at) => [
  ...object(TYPE, { ...BLOCK_ID, text: anyText(3_000), fields: list(1, 10, anyText(2_000)) })(value, at),
  ...(isMembers(value) && (value["text"] !== undefined || value["fields"] !== undefined)
    ? []
    : [`section needs text or fields [json-pointer:${at}]`]),
];
const SHARED_BLOCKS = {
  header: object({ ...TYPE, text: plainText(150) }, BLOCK_ID),
  section,
  divider: object(TYPE, BLOCK_ID),
  context: object({ ...TYPE, elements: list(1, 10, anyText(3_000)) }, BLOCK_ID),
  actions: object({ ...TYPE, elements: list(1, 25, byType({ button })) }, BLOCK_ID),
};
const MODAL_BLOCKS = {
  ...SHARED_BLOCKS,
  input: object(
    { ...TYPE, label: plainText(2_000), element: byType({ plain_text_input: plainTextInput }) },
    { ...BLOCK_ID, hint: plainText(2_000), optional: boolean },
  ),
};

const messageBlocks = list(0, 50, byType(SHARED_BLOCKS));
const view: Rule = (value, at) => [
  ...object(
    { type: oneOf("modal"), title: plainText(24), blocks: list(1, 100, byType(MODAL_BLOCKS)) },
    { submit: plainText(24), close: plainText(24), private_metadata: string(0, 3_000), callback_id: string(0, 255) },
  )(value, at),
  ...(isMembers(value) && hasInput(value["blocks"]) && value["submit"] === undefined
    ? [`submit is required when an input block is within the blocks array [json-pointer:${at}]`]
    : []),
];

/** Counted as Slack seems to: it publishes no number, and 13,172 characters were refused (slackapi/bolt-js issue 2509). */
const MESSAGE_BLOCKS_MAX = 12_000;

/** What Slack would find wrong with a message's blocks: its own error code and messages, null when nothing is. */
export function blocksProblem(blocks: Json): { readonly error: string; readonly messages: readonly string[] } | null {
  const messages = [...messageBlocks(blocks, "/blocks"), ...repeatedIds(blocks)];
  if (messages.length > 0) return { error: "invalid_blocks", messages };
  return JSON.stringify(blocks).length > MESSAGE_BLOCKS_MAX ? { error: "msg_blocks_too_long", messages: [] } : null;
}

/** The same for a modal. */
export function viewProblem(modal: Json): { readonly error: string; readonly messages: readonly string[] } | null {
  const messages = [...view(modal, "/view"), ...repeatedIds(isMembers(modal) ? modal["blocks"] : [])];
  return messages.length > 0 ? { error: "invalid_arguments", messages } : null;
}

/** Block ids are unique in a message, action ids in a block. */
function repeatedIds(blocks: Json): readonly string[] {
  const all: readonly Json[] = Array.isArray(blocks) ? blocks : [];
  const blockIds = all.flatMap((block) => (isMembers(block) && "block_id" in block ? [block["block_id"]] : []));
  const actionIds = all.map((block) => {
    const elements: readonly Json[] = isMembers(block) && Array.isArray(block["elements"]) ? block["elements"] : [];
    return elements.flatMap((element) => (isMembers(element) && "action_id" in element ? [element["action_id"]] : []));
  });
  const repeats = [blockIds, ...actionIds].some((ids) => new Set(ids).size !== ids.length);
  return repeats ? ["block_id or action_id is repeated [json-pointer:/blocks]"] : [];
}

const hasInput = (blocks: Json): boolean =>
  Array.isArray(blocks) && blocks.some((block: Json) => isMembers(block) && block["type"] === "input");
