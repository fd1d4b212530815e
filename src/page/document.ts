import { html, raw } from "hono/html";
import { shown } from "./text.ts";
import { formToken } from "./csrf.ts";
import type { SecretKey } from "../identity/secret-key.ts";
import type { Visitor } from "./session.ts";
import { STYLESHEET, stylesheetHash } from "./stylesheet.ts";

/** Escaped markup. Whatever is interpolated into `html` and is not of this type is escaped. */
export type Html = ReturnType<typeof html>;

/** Who the page is rendered for, and what its header needs of them. */
export type Viewer = { readonly visitor: Visitor; readonly handle: string | null; readonly signOutToken: string };

/** The viewer of a page. `handle` as the people document has it; null where it does not name the person. */
export const viewerOf = (visitor: Visitor, handle: string | null, key: SecretKey): Viewer => ({
  visitor,
  handle,
  signOutToken: formToken(key, {
    sessionId: visitor.sessionId,
    tenant: visitor.tenant,
    act: "sign-out",
    proposal: null,
  }),
});

export type Content = {
  readonly title: string;
  readonly body: Html;
  readonly viewer: Viewer | null;
  /** Path that the browser goes on to by itself, of this origin. */
  readonly continueTo?: string;
  readonly narrow?: boolean;
};

/** In one piece: the hash in the policy is over exactly what stands between the tags. */
const STYLE = raw(`<style>${STYLESHEET}</style>`);

/** A whole page. No script, nothing loaded from anywhere: the stylesheet is inline and allowed by its hash. */
export const document = ({ title, body, viewer, continueTo, narrow = false }: Content): Html =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="robots" content="noindex, nofollow" />
        ${continueTo === undefined ? "" : html`<meta http-equiv="refresh" content="0; url=${continueTo}" />`}
        <title>${shown(title)} – Portcullis</title>
        ${STYLE}
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="bar">
          <div><a class="brand" href="/_gate/approvals">Portcullis</a>${viewer === null ? "" : whoIs(viewer)}</div>
        </header>
        <main id="main" tabindex="-1" class="${narrow ? "narrow" : "wide"}">${body}</main>
      </body>
    </html>`;

const whoIs = ({ visitor, handle, signOutToken }: Viewer): Html =>
  html`<nav aria-label="Approvals"><a href="/_gate/approvals">Proposals</a></nav>
    <div class="who">
      <span>
        <bdi>${shown(handle ?? visitor.subject)}</bdi> of
        <bdi>${shown(visitor.tenant)}</bdi>${visitor.demo ? ", a demonstration" : ""}
      </span>
      ${
        visitor.via === "access"
          ? html`<a href="/cdn-cgi/access/logout">Sign out</a>`
          : html`<form method="post" action="/_gate/sign-out">
              <input type="hidden" name="token" value="${signOutToken}" /><button class="plain">Sign out</button>
            </form>`
      }
    </div>`;

/** A year: the gate is never again reached by plain http from a browser that was here. */
const HSTS_MAX_AGE_S = 31_536_000;

/**
 * Headers of every page. Forms may go to this origin only, no site may frame it, nothing may run in it, nothing may be loaded,
 * and no address of it leaves with a click.
 */
export const pageHeaders = (secure: boolean): Record<string, string> => ({
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": [
    "default-src 'none'",
    `style-src ${stylesheetHash()}`,
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
  ].join("; "),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
  "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
  "cache-control": "no-store",
  ...(secure ? { "strict-transport-security": `max-age=${HSTS_MAX_AGE_S}` } : {}),
});
