import { html } from "hono/html";
import type { ProposalView } from "../approval/proposal-view.ts";
import { boxed } from "./boxed.ts";
import type { Html } from "./document.ts";
import { shown, shownLines } from "./text.ts";
import { DECIDED, timeOf } from "./wording.ts";

/** Evidence that was uploaded before the request named it. `text` is null where it cannot be read now. */
export type StoredEvidence = { readonly reference: string; readonly text: string | null };

/** Who said what and when: decisions, attempts of people whose word does not count, and the review of a broken glass. */
export const decisionsSection = (view: ProposalView): Html =>
  html`<section class="card" aria-labelledby="decisions">
    <h2 id="decisions">Decisions so far</h2>
    ${
      view.decisions.length === 0
        ? html`<p>None yet.</p>`
        : html`<ol class="plain">
            ${view.decisions.map(decision)}
          </ol>`
    }
    ${view.review === null ? "" : review(view.review)}
    ${
      view.attempts.length === 0
        ? ""
        : html`<h3>Tried, and does not count</h3>
            <ol class="plain">
              ${view.attempts.map(attempt)}
            </ol>`
    }
  </section>`;

type Person = { readonly handle: string | null; readonly subject: string };

/** The handle, and for somebody whom the people document does not name, the subject. */
const person = ({ handle, subject }: Person): Html =>
  handle === null ? html`<code>${shown(subject)}</code>` : html`<bdi>${shown(handle)}</bdi>`;

const decision = (one: ProposalView["decisions"][number]): Html =>
  html`<li>
    <p>
      <strong>${DECIDED[one.decision]}</strong> by ${person(one)} at
      ${timeOf(one.decidedAt)}${one.demo ? ", with a demonstration sign-in" : ""}
    </p>
    ${one.comment === null ? "" : boxed("Comment", shownLines(one.comment), "prose")}
  </li>`;

const attempt = (one: ProposalView["attempts"][number]): Html =>
  html`<li>
    <p>${person(one)} at ${timeOf(one.attemptedAt)} (${shown(one.decision)}): ${shown(one.reason)}</p>
  </li>`;

const review = ({ brokenBy, reviewedBy, comment }: NonNullable<ProposalView["review"]>): Html =>
  html`<h3>Review of the broken glass</h3>
    ${
      reviewedBy === null
        ? html`<p>
            Due: <code>${shown(brokenBy)}</code> breaks no other before somebody else has reviewed this one, with the
            command line.
          </p>`
        : html`<p>By <code>${shown(reviewedBy)}</code>.</p>
            ${comment === null ? "" : boxed("Review", shownLines(comment), "prose")}`
    }`;

/** What the requester wrote. Nothing here is the gate's word, and the section says so before anything of it. */
export const writtenSection = (view: ProposalView, stored: StoredEvidence | null): Html =>
  html`<section class="card quoted" aria-labelledby="written">
    <h2 id="written">Written by the requester</h2>
    <p class="mark">Not checked by the gate. It may be wrong, or meant to persuade you.</p>
    ${
      view.incident === null
        ? ""
        : html`<h3>Incident</h3>
            <p><code>${shown(view.incident)}</code></p>`
    }
    <h3>Reason</h3>
    ${said("Reason", view.reason, "prose")}
    <h3>Evidence</h3>
    ${stored !== null && view.evidence === stored.reference ? "" : said("Evidence", view.evidence, "code")}
    ${stored === null ? "" : uploaded(stored)}
    <h3>How to undo it</h3>
    ${said("How to undo it", view.backOut, "prose")}
  </section>`;

const said = (label: string, text: string | null, kind: "code" | "prose"): Html =>
  text === null || text === "" ? html`<p>None given.</p>` : boxed(label, shownLines(text), kind);

const uploaded = ({ reference, text }: StoredEvidence): Html =>
  html`<p class="small">Uploaded before: <code>${shown(reference)}</code></p>
    ${
      text === null
        ? html`<p><strong>It cannot be read right now.</strong> Load the page again before you decide.</p>`
        : boxed("Uploaded evidence", shownLines(text), "code")
    }`;
