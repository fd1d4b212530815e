import { hash } from "node:crypto";

/**
 * The one stylesheet of the page, inline: nothing else is loaded. Colours have at least 4.5:1 against their ground in both
 * schemes (WCAG 2.2, 1.4.3), controls at least 44 pixels of height, and nothing has a fixed width, so that 320 pixels and
 * 200 % zoom only change how many columns there are.
 */
export const STYLESHEET = `
:root {
  color-scheme: light dark;
  --ground: #f6f7f9;
  --card: #ffffff;
  --ink: #1a1f27;
  --soft: #545d6b;
  --line: #d5dae2;
  --well: #f0f2f6;
  --link: #0b57b0;
  --good: #1a6b35;
  --bad: #b3261e;
  --warn: #7a4f00;
  --warn-ground: #fff6e0;
  --good-ground: #e8f6ec;
  --bad-ground: #fdecea;
  --button: #0b57b0;
  --button-ink: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171c;
    --card: #1c2027;
    --ink: #e6e9ee;
    --soft: #a5aebc;
    --line: #363d49;
    --well: #12151a;
    --link: #86b7ff;
    --good: #6fd08f;
    --bad: #ff9a92;
    --warn: #f0c260;
    --warn-ground: #2b2416;
    --good-ground: #16261b;
    --bad-ground: #2d1b1a;
    --button: #2f6fc4;
  }
}
* { box-sizing: border-box; }
html { font: 100%/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
body { margin: 0; background: var(--ground); color: var(--ink); }
a { color: var(--link); text-underline-offset: 0.15em; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -100vw; top: 0; background: var(--card); padding: 0.75rem 1rem; z-index: 2; }
.skip:focus { left: 0; }
.bar { background: var(--card); border-bottom: 1px solid var(--line); }
.bar > div { max-width: 76rem; margin: 0 auto; padding: 0.5rem 1rem; display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; align-items: center; }
.bar .brand { font-weight: 700; color: inherit; text-decoration: none; }
.bar .who { color: var(--soft); margin-left: auto; overflow-wrap: anywhere; display: flex; flex-wrap: wrap; gap: 0 1rem; align-items: center; justify-content: end; }
.bar form { margin: 0; }
main { max-width: 76rem; margin: 0 auto; padding: 1rem; }
main.narrow { max-width: 40rem; }
main:focus { outline: none; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: 0.5rem 0 0.25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; line-height: 1.3; margin: 0 0 0.75rem; }
h3 { font-size: 1rem; margin: 1rem 0 0.25rem; }
p { margin: 0 0 0.75rem; }
.card > :last-child, .card li > :last-child { margin-bottom: 0; }
.lead { color: var(--soft); margin-bottom: 1rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem; margin-bottom: 1rem; min-width: 0; }
.columns { display: grid; gap: 0 1rem; grid-template-columns: minmax(0, 1fr); }
@media (min-width: 60rem) {
  .columns { grid-template-columns: minmax(0, 1fr) 23rem; align-items: start; }
  .columns .decide { position: sticky; top: 1rem; max-height: calc(100vh - 2rem); overflow: auto; }
}
dl { margin: 0; display: grid; grid-template-columns: minmax(0, 1fr); }
dt { color: var(--soft); font-size: 0.9rem; }
dd { margin: 0 0 0.6rem; overflow-wrap: anywhere; }
@media (min-width: 36rem) {
  dl { grid-template-columns: 9.5rem minmax(0, 1fr); gap: 0.45rem 1rem; }
  dt { font-size: 1rem; }
  dd { margin: 0; }
}
dd ul { margin: 0; padding-left: 1.1rem; }
bdi { unicode-bidi: isolate; }
code, pre { font: 0.9rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
pre.prose { font: inherit; }
code { overflow-wrap: anywhere; background: var(--well); border-radius: 4px; padding: 0 0.25em; }
pre { margin: 0 0 0.75rem; padding: 0.75rem; background: var(--well); border: 1px solid var(--line); border-radius: 6px; white-space: pre-wrap; overflow-wrap: anywhere; max-height: 22rem; overflow: auto; unicode-bidi: isolate; direction: ltr; text-align: left; }
.badge { display: inline-block; border: 1px solid currentcolor; border-radius: 999px; padding: 0 0.6rem; font-size: 0.9rem; font-weight: 600; color: var(--soft); }
.badge.pending { color: var(--warn); }
.badge.approved, .badge.consumed { color: var(--good); }
.badge.denied, .badge.invalidated { color: var(--bad); }
.quoted { border-left: 6px solid var(--warn); }
.quoted .mark { color: var(--warn); font-weight: 600; }
.note { border: 1px solid var(--line); border-left: 6px solid var(--warn); background: var(--warn-ground); border-radius: 6px; padding: 0.75rem; margin-bottom: 1rem; overflow-wrap: anywhere; }
.note.good { border-left-color: var(--good); background: var(--good-ground); }
.note.bad { border-left-color: var(--bad); background: var(--bad-ground); }
.note > :last-child { margin-bottom: 0; }
label { display: block; font-weight: 600; margin-bottom: 0.25rem; }
.hint { color: var(--soft); font-size: 0.9rem; margin: 0 0 0.4rem; }
.error { color: var(--bad); font-weight: 600; margin: 0 0 0.4rem; }
input, textarea { width: 100%; font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--soft); border-radius: 6px; padding: 0.6rem 0.7rem; margin-bottom: 1rem; }
input { min-height: 2.75rem; }
input.exact { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }
[aria-invalid="true"] { border: 2px solid var(--bad); }
.buttons { display: flex; flex-wrap: wrap; gap: 0.75rem; }
button, .button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: 0.5rem 1.1rem; border-radius: 6px; border: 2px solid var(--button); background: var(--button); color: var(--button-ink); cursor: pointer; text-decoration: none; display: inline-flex; align-items: center; justify-content: center; }
button.deny { background: var(--card); color: var(--bad); border-color: var(--bad); }
button.plain { background: none; color: var(--link); border: 0; padding: 0.25rem; min-height: 2.25rem; font-weight: 400; text-decoration: underline; text-underline-offset: 0.15em; }
.buttons > * { flex: 1 1 8rem; }
details { border-top: 1px solid var(--line); margin-top: 1rem; padding-top: 0.75rem; }
summary { cursor: pointer; font-weight: 600; min-height: 2rem; }
details[open] summary { margin-bottom: 0.5rem; }
ol.plain, ul.plain { list-style: none; margin: 0; padding: 0; }
.plain > li { border-top: 1px solid var(--line); padding: 0.7rem 0; overflow-wrap: anywhere; }
.plain > li:first-child { border-top: 0; padding-top: 0; }
.plain > li:last-child { padding-bottom: 0; }
.plain p { margin-bottom: 0.35rem; }
.buttons + .hint, form + .hint { margin-top: 0.75rem; }
@media (min-width: 60rem) { .jump { display: none; } }
.proposals a { font-weight: 600; font-size: 1.05rem; }
.small { color: var(--soft); font-size: 0.9rem; }
footer { max-width: 76rem; margin: 0 auto; padding: 0 1rem 2rem; color: var(--soft); font-size: 0.9rem; }
@media (forced-colors: active) { .badge, .note, .quoted { border-color: CanvasText; } }
@media print { .decide, .bar form { display: none; } pre { max-height: none; } }
`;

let known: string | null = null;

/** The source expression by which a Content-Security-Policy allows exactly this stylesheet (CSP Level 3, section 2.3.1). */
export const stylesheetHash = (): string => (known ??= `'sha256-${hash("sha256", STYLESHEET, "base64")}'`);
