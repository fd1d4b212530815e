import { html } from "hono/html";
import type { Html } from "./document.ts";

/** Text that may not fit its box: 22rem hold some sixteen lines, on a narrow screen of thirty characters each. */
const isLong = (text: string): boolean => text.length > 400 || text.split("\n").length > 12;

/**
 * Text in a box of bounded height, so that no length of it pushes anything else out of reach. One that may have to be scrolled
 * is reached by the keyboard, and has a name there.
 */
export const boxed = (label: string, text: string, kind: "code" | "prose"): Html =>
  isLong(text)
    ? html`<pre class="${kind}" tabindex="0" role="region" aria-label="${label}">${text}</pre>`
    : html`<pre class="${kind}">${text}</pre>`;
