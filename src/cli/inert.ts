import { visibleEscape, withoutUnshowable } from "../platform/unshowable.ts";

/** What is unshowable in text that is JSON already: it has line feeds, which are its layout, and nothing else to keep. */
const UNSHOWABLE_IN_JSON = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;
const SHORT_NAMES: ReadonlyMap<string, string> = new Map([
  ["\n", "\\n"],
  ["\t", "\\t"],
]);
const TAB = "    ";

/** `text` in one line, with everything unshowable as a visible escape such as `\u{1b}`. Text from the gate may be an agent's. */
export const inert = (text: string): string =>
  withoutUnshowable(text, (character) => SHORT_NAMES.get(character) ?? visibleEscape(character));

/** The lines of `text`, each inert; runs of blank lines become one, so that nothing can be scrolled out of sight. */
export function inertLines(text: string): readonly string[] {
  const lines = text.split("\n").map((line) => inert(line.replaceAll("\t", TAB)).trimEnd());
  return lines.filter((line, index) => line !== "" || lines[index - 1] !== "");
}

/** Pretty JSON in which no character is live: the same value for every parser, and nothing that a terminal acts on. */
export const inertJson = (value: unknown): string => withoutLive(JSON.stringify(value, null, 2));

/** The same in one line. */
export const inertJsonLine = (value: unknown): string => withoutLive(JSON.stringify(value));

const withoutLive = (json: string): string =>
  json.replaceAll(UNSHOWABLE_IN_JSON, (character) =>
    Array.from({ length: character.length }, (_, index) => utf16Escape(character.charCodeAt(index))).join(""),
  );

const utf16Escape = (unit: number): string => `\\u${unit.toString(16).padStart(4, "0")}`;
