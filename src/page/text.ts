import { visibleEscape, withoutUnshowable } from "../platform/unshowable.ts";

/**
 * Text for the page. `html` escapes what a browser would take for markup; these make inert what it would act on although it
 * is text (direction overrides, invisible characters), as visible escapes. Every text that is not the page's own passes one of
 * them, the gate's included: what is shown may have been an agent's once.
 */
const TAB = "    ";
const LINE_FEED = /\r\n|\n/u;

/** `text` in one line. */
export const shown = (text: string): string =>
  withoutUnshowable(text, (character) =>
    character === "\n" ? "\\n" : character === "\t" ? "\\t" : visibleEscape(character),
  );

/** `text` with its line feeds, each line inert; runs of blank lines become one, so that nothing is scrolled out of sight. */
export function shownLines(text: string): string {
  const lines = text.split(LINE_FEED).map((line) => shown(line.replaceAll("\t", TAB)).trimEnd());
  return lines.filter((line, index) => line !== "" || lines[index - 1] !== "").join("\n");
}

/** Pretty JSON: the same value for every parser, with no character in it that is not a picture. */
export const shownJson = (value: unknown): string =>
  JSON.stringify(value, null, 2)
    .split("\n")
    .map((line) => withoutUnshowable(line, jsonEscape))
    .join("\n");

const jsonEscape = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`,
  ).join("");
