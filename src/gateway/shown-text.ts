/** Control characters, line separators, and what turns the direction of text around ("Trojan Source"). */
const UNSHOWABLE = /[\p{Cc}\p{Zl}\p{Zp}\u202a-\u202e\u2066-\u2069]/u;
/** Line feed and tab, which evidence (an excerpt of a log) and a back-out plan (its steps) may contain. */
const LAYOUT = /[\n\t]/g;

/**
 * Whether free text may be put before people and into records: it says something, and nothing in it changes how the text
 * around it looks. Refused rather than cleaned, whichever way the text came in; a blank one would satisfy "a reason is
 * required" while saying nothing.
 */
export const areShownLines = (text: string): boolean =>
  text.trim() !== "" && !UNSHOWABLE.test(text.replaceAll(LAYOUT, " "));

/** The same for text of one line. */
export const isShownLine = (text: string): boolean => text.search(LAYOUT) < 0 && areShownLines(text);
