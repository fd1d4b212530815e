import { html } from "hono/html";
import { confirmTextOf, type ProposalView } from "../approval/proposal-view.ts";
import type { Html } from "./document.ts";
import type { Standing } from "./standing.ts";
import { shown, shownLines } from "./text.ts";
import { DECIDED, timeOf } from "./wording.ts";

/** Longest comment, as at the API. */
export const COMMENT_MAX = 1_024;
/** Longest text that can be asked for; a resource id has at most 128 characters. */
export const CONFIRM_MAX = 256;

/** What the form shows besides the proposal: what was typed before it was refused, and what was wrong with it. */
export type FormState = {
  readonly token: string;
  readonly comment: string;
  readonly confirmError: string | null;
  readonly commentError: string | null;
  /** Where a fresh sign-in leads back here from; null where the tenant's people cannot sign in at the page. */
  readonly signInAgain: string | null;
};

/** The part of the page where the visitor decides, or why they cannot. Pressing a button there is the only thing that decides. */
export function decisionSection(view: ProposalView, standing: Standing, state: FormState, lasting: boolean): Html {
  return html`<section class="card decide" aria-labelledby="decide">
    <h2 id="decide">Your decision</h2>
    ${standing.mine === null ? "" : html`<p>You decided at ${timeOf(standing.mine.decidedAt)}: <strong>${DECIDED[standing.mine.decision]}</strong>.</p>`}
    ${standing.mayDecide ? ordinaryForm(view, standing, state, lasting) : html`<p>${standing.why}</p>`}
    ${standing.mayBreakGlass ? breakGlassForm(view, standing, state) : ""}
  </section>`;
}

function ordinaryForm(view: ProposalView, standing: Standing, state: FormState, lasting: boolean): Html {
  const mayApprove = standing.signIn === "fresh" && standing.mine?.decision !== "approve";
  const expected = mayApprove ? confirmTextOf(view) : null;
  return html`${standing.signIn === "fresh" ? "" : freshSignIn(standing, state)}
    <form method="post" action="/_gate/approvals/${view.id}/decisions">
      ${bound(view, state)} ${expected === null ? "" : confirmField("confirm", "To approve", expected, state)}
      ${commentField("comment", "Comment", "Optional. Everybody who sees the proposal reads it.", false, state)}
      <div class="buttons">
        ${mayApprove ? html`<button name="decision" value="approve">Approve</button>` : ""}
        <button class="deny" name="decision" value="deny" formnovalidate>Deny</button>
      </div>
      <p class="hint">${mayApprove ? whatIsApproved(lasting) : ""}One denial refuses it for good.</p>
    </form>`;
}

const whatIsApproved = (lasting: boolean): string =>
  lasting
    ? "You approve every request within these limits; nobody is asked again. "
    : "You approve exactly the request on this page, once. ";

function breakGlassForm(view: ProposalView, standing: Standing, state: FormState): Html {
  const expected = confirmTextOf(view);
  return html`<details>
    <summary>Break the glass</summary>
    <p>
      You hold the role that may break the glass: your word alone replaces the missing approvers, and nothing else.
      Budget, freeze and policy are judged again when the request runs. It is recorded as what it is.
    </p>
    ${
      standing.signIn === "fresh"
        ? html`<form method="post" action="/_gate/approvals/${view.id}/decisions">
            ${bound(view, state)}
            ${expected === null ? "" : confirmField("glass-confirm", "To break the glass", expected, state)}
            ${commentField("glass-comment", "Why it cannot wait", "Required. It is the first thing that is asked about afterwards.", true, state)}
            <div class="buttons"><button class="deny" name="decision" value="break-glass">Break the glass</button></div>
          </form>`
        : freshSignIn(standing, state)
    }
  </details>`;
}

/** What binds a form to the session and to the proposal exactly as this page shows it. */
const bound = (view: ProposalView, { token }: FormState): Html =>
  html`<input type="hidden" name="token" value="${token}" />
    <input type="hidden" name="digest" value="${view.approvalDigest}" />`;

function confirmField(id: string, what: string, expected: string, { confirmError }: FormState): Html {
  const described = `${id}-hint${confirmError === null ? "" : ` ${id}-error`}`;
  return html`<label for="${id}">${what}, type <code>${shown(expected)}</code></label>
    <p class="hint" id="${id}-hint">The name of what will change, exactly.</p>
    ${confirmError === null ? "" : html`<p class="error" id="${id}-error">${shown(confirmError)}</p>`}
    <input
      class="exact"
      id="${id}"
      name="confirm"
      required
      maxlength="${CONFIRM_MAX}"
      autocomplete="off"
      autocapitalize="off"
      spellcheck="false"
      aria-describedby="${described}"
      ${confirmError === null ? "" : html` aria-invalid="true" autofocus`}
    />`;
}

function commentField(id: string, label: string, hint: string, required: boolean, state: FormState): Html {
  const { comment, commentError } = state;
  const described = `${id}-hint${commentError === null ? "" : ` ${id}-error`}`;
  // The line feed after the tag is dropped by browsers (HTML, 13.1.2.5), so that one at the text's beginning is not.
  return html`<label for="${id}">${label}</label>
    <p class="hint" id="${id}-hint">${hint}</p>
    ${commentError === null ? "" : html`<p class="error" id="${id}-error">${shown(commentError)}</p>`}
    <textarea
      id="${id}"
      name="comment"
      rows="3"
      maxlength="${COMMENT_MAX}"
      aria-describedby="${described}"
      ${required ? "required" : ""}
      ${commentError === null ? "" : html`aria-invalid="true" autofocus`}
    >
${shownLines(comment)}</textarea>`;
}

function freshSignIn({ signIn }: Standing, { signInAgain }: FormState): Html {
  const link =
    signInAgain === null ? "" : html`<p><a class="button" href="${signInAgain}">Sign in again to approve</a></p>`;
  return html`<div class="note">
    <p>
      ${
        signIn === "old"
          ? "Approving at tier 4 needs a sign-in of the last five minutes. Yours is older."
          : "Approving at tier 4 needs a sign-in of the last five minutes, and yours does not say when it was."
      }
      You can deny now${signInAgain === null ? ", or approve in Slack." : "."}
    </p>
    ${link}
  </div>`;
}
