import { TENANT_ID } from "../vocabulary.ts";
import type { PageAnswer, PageCall } from "./call.ts";
import { readCookie } from "./cookies.ts";
import { onTheWayBody, signedOutBody } from "./notice-pages.ts";
import { hasLinks } from "./sign-in/link.ts";

/**
 * The answer to somebody who is not signed in, or whose browser does not say so: a session's cookie does not come along with
 * a click in another site (a chat, a mail). Such a browser is sent to the same page once more, by the gate's own page.
 */
export function signedOut(call: PageCall, to: string): PageAnswer {
  const from = call.headers.get("sec-fetch-site");
  if (from === "cross-site" || from === "same-site") {
    return { kind: "page", title: "One moment", body: onTheWayBody(to, "One moment"), continueTo: to, narrow: true };
  }
  const hinted = readCookie(call.headers.get("cookie"), "tenant", call.secure);
  const tenant = hinted !== null && TENANT_ID.test(hinted) ? hinted : null;
  return {
    kind: "page",
    title: "Sign in",
    body: signedOutBody(to, tenant, hasLinks(call.gate), call.trail.method === "POST"),
    refusal: { kind: "unauthenticated", cause: "nobody is signed in at the page" },
    narrow: true,
  };
}
