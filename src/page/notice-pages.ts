import { html } from "hono/html";
import type { Refusal } from "../refusal.ts";
import type { Html } from "./document.ts";
import { shown } from "./text.ts";
import { refusalWording } from "./wording.ts";

/** A refusal as a page: what happened, why, and what to do. `hint` adds where to do it. */
export function refusalBody(refusal: Refusal, hint: Html | null): Html {
  const { title, detail, remedy } = refusalWording(refusal);
  return html`<h1>${shown(title)}</h1>
    <div class="note bad" role="alert">
      <p>${shown(detail)}</p>
      <p>${shown(remedy)}</p>
    </div>
    ${hint ?? html`<p><a href="/_gate/approvals">All proposals</a></p>`}`;
}

/** For somebody who is not signed in: where they can. `tenant` is the one that this browser signed in to last. */
export const signedOutBody = (to: string, tenant: string | null, local: boolean, decided: boolean): Html =>
  html`<h1>Sign in to see this</h1>
    ${decided ? html`<div class="note bad" role="alert"><p>You are not signed in any more. Nothing was decided.</p></div>` : ""}
    <p>Proposals are shown to the people who decide them. You come back here afterwards.</p>
    ${
      tenant === null
        ? ""
        : html`<section class="card" aria-labelledby="again">
            <h2 id="again">${shown(tenant)}</h2>
            <p><a class="button" href="${signInPath(tenant, to)}">Sign in to ${shown(tenant)}</a></p>
          </section>`
    }
    <section class="card" aria-labelledby="tenant-heading">
      <h2 id="tenant-heading">${tenant === null ? "Which tenant are you of?" : "Another tenant"}</h2>
      <form method="get" action="/_gate/sign-in">
        <input type="hidden" name="return" value="${to}" />
        <label for="tenant">Tenant</label>
        <p class="hint" id="tenant-hint">Its short name, such as <code>acme</code>.</p>
        <input
          id="tenant"
          name="tenant"
          required
          maxlength="63"
          pattern="[a-z][a-z0-9\\-]*"
          autocomplete="organization"
          autocapitalize="off"
          spellcheck="false"
          aria-describedby="tenant-hint"
        />
        <div class="buttons"><button>Go on</button></div>
      </form>
    </section>
    ${local ? localHint : ""}`;

export const signInPath = (tenant: string, to: string): string => `/_gate/sign-in/${tenant}?return=${to}`;
export const startPath = (tenant: string, to: string, again: boolean): string =>
  `/_gate/sign-in/${tenant}/start?return=${to}${again ? "&again=1" : ""}`;

const localHint: Html = html`<div class="note">
  <p><strong>This gate runs locally.</strong></p>
  <p>
    Use one of the one-time links that <code>npm start</code> has printed. Each signs one demonstration person in, once;
    starting again prints new ones.
  </p>
</div>`;

/** How the people of a tenant sign in. The same page whether a tenant has no way in or does not exist. */
export const waysInBody = (tenant: string, to: string, oidc: boolean, local: boolean): Html =>
  html`<h1>Sign in to ${shown(tenant)}</h1>
    ${
      oidc
        ? html`<section class="card">
            <p>You sign in with your organisation's identity provider, and come back here.</p>
            <p><a class="button" href="${startPath(tenant, to, false)}">Sign in</a></p>
          </section>`
        : html`<div class="note">
            <p><strong>Nobody can sign in here.</strong></p>
            <p>
              No identity provider is registered under this name. Decide in Slack or with the command line, or ask
              whoever runs this gate to register one.
            </p>
          </div>`
    }
    ${local ? localHint : ""}
    <p><a href="/_gate/approvals">Another tenant</a></p>`;

/** Between this site and another that the person comes from: the browser goes on by itself, and then sends the session. */
export const onTheWayBody = (to: string, words: string): Html =>
  html`<h1>${words}</h1>
    <p><a class="button" href="${to}">Go on</a></p>`;

/** Where a sign-in that failed was to lead: still signed in as before, or asked to sign in, the person sees which. */
export const goBack = (to: string): Html => html`<p><a class="button" href="${to}">Back to where you were</a></p>`;

/** A one-time link: opening it does nothing, pressing the button does. */
export const linkBody = (token: string, subject: string, tenant: string): Html =>
  html`<h1>Sign in as <bdi>${shown(subject)}</bdi></h1>
    <div class="card">
      <p>
        A demonstration person of <bdi>${shown(tenant)}</bdi>. What they decide here is marked as a demonstration in
        every record.
      </p>
      <form method="post" action="/_gate/sign-in/link/${token}">
        <div class="buttons"><button>Sign in, once</button></div>
      </form>
      <p class="hint">Opening this page has not used the link. The button does.</p>
    </div>`;

export const usedLinkBody = (): Html =>
  html`<h1>This link is used up</h1>
    <div class="note bad" role="alert">
      <p>It was used before, its time is over, or it is not one of this gate's.</p>
      <p>Stop the gate and start it again with <code>npm start</code>: it prints new links.</p>
    </div>`;

export const signedOutNowBody = (): Html =>
  html`<h1>Signed out</h1>
    <p>This session opens nothing any more, here or anywhere its cookie may have been copied to.</p>
    <p><a href="/_gate/approvals">Sign in again</a></p>`;
