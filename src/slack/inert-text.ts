import { withoutUnshowable } from "../platform/unshowable.ts";

/** Everything that some client takes for the end of a line. */
const LINE_END = /\r\n|[\n\r\v\f\u0085\u2028\u2029]/u;
const BROADCAST = /@(?=channel|here|everyone)/giu;
/** An at sign that starts a word could become a mention; the one inside `image@sha256:…` or an address could not. */
const MENTION = /(?<![\p{L}\p{N}._%+-])@/gu;
/** FULLWIDTH COMMERCIAL AT: looks like the sign, notifies nobody. */
const DEAD_AT = "\uff20";
/** Slack's three control characters (https://docs.slack.dev/messaging/formatting-message-text): nothing else opens a mention or a link. */
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
]);
const MARGIN = "│ ";

/**
 * `text` in one line of at most `max` rendered characters (as JSON), without anything that Slack or a screen acts on: mentions, links
 * and broadcasts are dead, unshowable characters are visible as `\u{202e}`. Cut text ends in `…`. Never empty.
 */
export function inertLine(text: string, max: number): string {
  const rendered = fitted(withDeadMentions(text), max);
  if (rendered.text === "") return "–";
  return rendered.left === 0 ? rendered.text : `${rendered.text}…`;
}

/** The same for a handle of the people document, which is an agent's text nowhere and keeps its at sign, unless it would call everybody. */
export function inertHandle(handle: string, max: number): string {
  const rendered = fitted(handle.replaceAll(BROADCAST, DEAD_AT), max);
  return rendered.left === 0 && rendered.text !== "" ? rendered.text : `${rendered.text}…`;
}

/**
 * Somebody else's text as a quotation: every line starts with a margin, so none can pass for a line of the gate's. At most
 * `maxLines` lines and about `max` rendered characters; says how much it leaves out. Runs of blank lines become one.
 */
export function quotation(text: string, max: number, maxLines: number): string {
  const lines = withDeadMentions(text)
    .split(LINE_END)
    .map((line) => line.replaceAll("\t", "    ").trimEnd())
    .filter((line, index, all) => line !== "" || (index > 0 && all[index - 1] !== ""));
  const shown: string[] = [];
  let room = max;
  let left = 0;
  for (const line of lines) {
    if (shown.length === maxLines || room <= 0) {
      left += line.length;
      continue;
    }
    const rendered = fitted(line, room);
    shown.push(MARGIN + rendered.text);
    room -= rendered.size + MARGIN.length + 2;
    left += rendered.left;
  }
  if (left > 0) shown.push(`… cut here: ${left} more characters on the proposal's page`);
  return shown.length === 0 ? `${MARGIN}–` : shown.join("\n");
}

const withDeadMentions = (text: string): string => text.replaceAll(MENTION, DEAD_AT).replaceAll(BROADCAST, DEAD_AT);

/**
 * Escapes character by character, so that a cut never halves an entity. `max` counts what the text takes in JSON; `left` counts
 * the UTF-16 units left out.
 */
function fitted(line: string, max: number): { readonly text: string; readonly size: number; readonly left: number } {
  let text = "";
  let size = 0;
  let used = 0;
  const visible = withoutUnshowable(line);
  for (const character of visible) {
    const piece = ENTITIES.get(character) ?? character;
    const pieceSize = character === '"' || character === "\\" ? 2 : piece.length;
    if (size + pieceSize > max) break;
    text += piece;
    size += pieceSize;
    used += character.length;
  }
  return { text, size, left: visible.length - used };
}
