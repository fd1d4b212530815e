import type { Gate } from "../../gateway/gate.ts";
import type { Refusal } from "../../refusal.ts";
import { TENANT_ID } from "../../vocabulary.ts";
import { forged, refusedPage, type PageAnswer, type PageCall, type PageRoute } from "../call.ts";
import { dropCookie, readCookie, setCookie } from "../cookies.ts";
import { isFormToken } from "../csrf.ts";
import {
  goBack,
  linkBody,
  onTheWayBody,
  signedOutNowBody,
  signInPath,
  usedLinkBody,
  waysInBody,
} from "../notice-pages.ts";
import { endSession, openSession, principalOf, type NewSession } from "../session.ts";
import { signedOut } from "../signed-out.ts";
import { hasLinks, readLink, takeLink } from "./link.ts";
import { CALLBACK_PATH, finishOidc, startOidc } from "./oidc.ts";
import { LIST_PATH, readReturnPath } from "./return-path.ts";
import { readSignInSettings, type OidcSettings } from "./settings.ts";
import { openTransaction, sealTransaction, TRANSACTION_MAX_MS } from "./transaction.ts";

/** How long a browser remembers which tenant it signed in to last. Saves typing; means nothing. */
const TENANT_HINT_S = 180 * 86_400;

export const signInRoutes: readonly PageRoute[] = [
  { method: "GET", path: "/_gate/sign-in", handle: chooseTenant },
  { method: "GET", path: CALLBACK_PATH, provider: true, handle: callback },
  { method: "GET", path: "/_gate/sign-in/link/:token", handle: showLink },
  { method: "POST", path: "/_gate/sign-in/link/:token", fields: [], handle: consumeLink },
  { method: "GET", path: "/_gate/sign-in/:tenant", handle: showWaysIn },
  { method: "GET", path: "/_gate/sign-in/:tenant/start", handle: start },
  { method: "POST", path: "/_gate/sign-out", fields: ["token"], handle: signOut },
];

/** The form in which a person has typed their tenant leads here; the tenant's own address is `/_gate/sign-in/{tenant}`. */
async function chooseTenant(call: PageCall): Promise<PageAnswer> {
  const to = readReturnPath(call.query.get("return"));
  if (to === null) return wrongReturn();
  const tenant = (call.query.get("tenant") ?? "").trim();
  if (tenant === "") return signedOut(call, to);
  return TENANT_ID.test(tenant)
    ? { kind: "see-other", location: signInPath(tenant, to) }
    : refusedPage({ kind: "malformed-request", reason: "A tenant's name has small letters, digits and hyphens." });
}

async function showWaysIn(call: PageCall): Promise<PageAnswer> {
  const to = readReturnPath(call.query.get("return"));
  const tenant = call.param("tenant");
  if (to === null) return wrongReturn();
  if (!TENANT_ID.test(tenant)) return refusedPage({ kind: "not-found" });
  const settings = await readSignInSettings(call.gate, tenant);
  if (!settings.ok) return refusedPage(d1(settings.error));
  const oidc = (settings.value?.oidc ?? null) !== null;
  const body = waysInBody(tenant, to, oidc, hasLinks(call.gate));
  return { kind: "page", title: "Sign in", body, narrow: true };
}

/** Sends the browser to the provider. Being sent there by somebody else does no harm: what comes back is the person's own. */
async function start(call: PageCall): Promise<PageAnswer> {
  const to = readReturnPath(call.query.get("return"));
  if (to === null) return wrongReturn();
  const tenant = call.param("tenant");
  const settings = await oidcOf(call.gate, tenant);
  if ("kind" in settings) return refusedPage(settings);
  const wanted = { tenant, to, again: call.query.get("again") === "1", replaces: ownSession(call) };
  const started = await startOidc(call.gate, settings, wanted, redirectUri(call), call.trail.receivedAt);
  if (!started.ok) return refusedPage(started.error);
  const cookie = await sealTransaction(started.value.transaction, call.gate.keys.sealing);
  return {
    kind: "see-other",
    location: started.value.location,
    cookies: [setCookie("transaction", cookie, TRANSACTION_MAX_MS / 1_000, call.secure)],
  };
}

async function callback(call: PageCall): Promise<PageAnswer> {
  const { gate, trail, secure } = call;
  const forgotten = [dropCookie("transaction", secure)];
  const refuse = (refusal: Refusal, to = LIST_PATH): PageAnswer => ({
    ...refusedPage(refusal, { hint: goBack(to) }),
    cookies: forgotten,
  });
  const cookie = readCookie(call.headers.get("cookie"), "transaction", secure);
  const transaction = cookie === null ? null : await openTransaction(cookie, gate.keys.sealing, trail.receivedAt);
  if (transaction === null) {
    return refuse({ kind: "unauthenticated", cause: "sign-in: no transaction of this browser" });
  }
  const settings = await oidcOf(gate, transaction.tenant);
  if ("kind" in settings) return refuse(settings, transaction.to);
  const answer = call.url.searchParams;
  const signedIn = await finishOidc(gate, settings, transaction, answer, redirectUri(call), trail.receivedAt);
  if (!signedIn.ok) return refuse(signedIn.error, transaction.to);
  const { tenant, replaces } = transaction;
  return welcome(call, { tenant, via: "oidc", demo: false, ...signedIn.value }, replaces, transaction.to);
}

/**
 * Opens the session and goes on. By a page rather than a redirect: the browser has come from another site, and would not send
 * a cookie with `SameSite=Strict` along with a redirect.
 */
async function welcome(call: PageCall, session: NewSession, replaces: string | null, to: string): Promise<PageAnswer> {
  const { gate, trail, secure } = call;
  const opened = await openSession(gate, session, replaces, trail.receivedAt);
  if (!opened.ok) return refusedPage(d1(opened.error));
  const { visitor, cookie, maxAgeS } = opened.value;
  // From here on it is theirs: the record of this call is in their tenant, under the session it made.
  trail.principal = principalOf(visitor);
  return {
    kind: "page",
    title: "Signed in",
    body: onTheWayBody(to, "You are signed in"),
    continueTo: to,
    narrow: true,
    cookies: [
      setCookie("session", cookie, maxAgeS, secure),
      setCookie("tenant", visitor.tenant, TENANT_HINT_S, secure),
      dropCookie("transaction", secure),
    ],
  };
}

/** A chat that previews the link, or a browser that loads it ahead, does this and no more. */
async function showLink(call: PageCall): Promise<PageAnswer> {
  const { gate } = call;
  if (!hasLinks(gate)) return refusedPage({ kind: "not-found" });
  const token = call.param("token");
  const linked = await readLink(gate, token, call.trail.receivedAt);
  if (!linked.ok) return refusedPage(d1(linked.error));
  if (linked.value === null) return usedLink();
  const { subject, tenant } = linked.value;
  return { kind: "page", title: "Sign in", body: linkBody(token, subject, tenant), narrow: true };
}

async function consumeLink(call: PageCall): Promise<PageAnswer> {
  const { gate } = call;
  if (!hasLinks(gate)) return refusedPage({ kind: "not-found" });
  const linked = await takeLink(gate, call.param("token"), call.trail.receivedAt);
  if (!linked.ok) return refusedPage(d1(linked.error));
  if (linked.value === null) return usedLink();
  const session: NewSession = { ...linked.value, via: "link", demo: true, authenticatedAt: call.trail.receivedAt };
  return welcome(call, session, ownSession(call), LIST_PATH);
}

const usedLink = (): PageAnswer => ({
  kind: "page",
  title: "This link is used up",
  body: usedLinkBody(),
  refusal: { kind: "unauthenticated", cause: "sign-in link: used, over or none" },
  narrow: true,
});

async function signOut(call: PageCall): Promise<PageAnswer> {
  const { gate, visitor, secure } = call;
  if (visitor === null) return { kind: "see-other", location: LIST_PATH };
  const { sessionId, tenant } = visitor;
  const purpose = { sessionId, tenant, act: "sign-out", proposal: null } as const;
  if (!isFormToken(gate.keys.sealing, purpose, call.form.get("token") ?? "")) {
    return refusedPage(forged("it was made for another sign-in"), { visitor });
  }
  const ended = await endSession(gate, sessionId, call.trail.receivedAt);
  if (!ended.ok) return refusedPage(d1(ended.error), { visitor });
  return {
    kind: "page",
    title: "Signed out",
    body: signedOutNowBody(),
    narrow: true,
    cookies: [dropCookie("session", secure), dropCookie("transaction", secure)],
  };
}

/** The gate's own session of the visitor, which a new sign-in ends. What Access vouches for is not the gate's to end. */
const ownSession = ({ visitor }: PageCall): string | null =>
  visitor === null || visitor.via === "access" ? null : visitor.sessionId;

async function oidcOf(gate: Gate, tenant: string): Promise<OidcSettings | Refusal> {
  if (!TENANT_ID.test(tenant)) return { kind: "not-found" };
  const settings = await readSignInSettings(gate, tenant);
  if (!settings.ok) return d1(settings.error);
  return settings.value?.oidc ?? { kind: "not-found" };
}

const redirectUri = ({ gate, url }: PageCall): string => `${gate.config.publicUrl ?? url.origin}${CALLBACK_PATH}`;

const wrongReturn = (): PageAnswer =>
  refusedPage({
    kind: "malformed-request",
    reason: "A sign-in leads back to a proposal or to the list, and nowhere else.",
  });

const d1 = (cause: string): Refusal => ({ kind: "unavailable", dependency: "d1", cause });
