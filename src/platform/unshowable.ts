/**
 * What a terminal, a browser or a chat client would act on instead of show: control characters and escapes (Cc), bidirectional
 * and other format characters (Cf), characters without any picture, line separators, lone surrogates, and more combining
 * marks than any script stacks, which would paint over the lines around them.
 */
const UNSHOWABLE = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?<=\p{M}{4})\p{M}/gu;

/** `text` with each such character, one code point each, as `show` writes it. */
export const withoutUnshowable = (text: string, show: (character: string) => string = visibleEscape): string =>
  text.replaceAll(UNSHOWABLE, (character) => show(character));

/** `\u{202e}`: what stands for an unshowable character, in a form that people can look up. */
export const visibleEscape = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
