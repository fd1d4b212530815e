import { z } from "zod";
import type { Answered } from "./answer.ts";
import { caller, type BlackBox } from "./black-box.ts";
import type { Isolate } from "./isolates.ts";
import type { PageBrowser } from "./page-browser.ts";
import { CLIENT, LOGIN, SIGNING, type LoginInput } from "./provider-login.ts";
import { confirmed } from "./registered.ts";
import { testEnv } from "./test-env.ts";

/** Registers the stand-in as this tenant's provider: whoever runs the deployment asks, security confirms. `more` overrides the body. */
export async function registerProvider(isolate: Isolate, box: BlackBox, more: object = {}): Promise<Answered> {
  const asked = await caller(testEnv.BOOTSTRAP_SECRET, "", isolate.entrance).post("/_gate/v1/sign-in", {
    tenant: box.tenant,
    oidc: {
      issuer: testEnv.PROVIDER_URL,
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
      subject_prefix: "person:",
    },
    ...more,
  });
  return confirmed(box, "sign-in", asked);
}

/** Begins a sign-in in this browser, and returns the address at the provider that it is sent to. */
export async function beginSignIn(browser: PageBrowser, box: BlackBox, query = ""): Promise<URL> {
  const started = await browser.get(`/_gate/sign-in/${box.tenant}/start${query}`, "same-origin");
  if (started.status !== 303) throw new Error(`${started.status} ${started.text}`);
  return new URL(started.headers.get("location") ?? "");
}

/** What the person does there: the path, with query, that the provider sends the browser back to. */
export async function signInAt(address: URL, login: LoginInput = {}): Promise<string> {
  const there = new URL(address);
  there.searchParams.set("login", JSON.stringify(LOGIN.parse(login)));
  const answered = await fetch(there.href, { redirect: "manual" });
  const back = new URL(answered.headers.get("location") ?? "");
  return `${back.pathname}${back.search}`;
}

/** The whole way: to the provider, signed in there, and back. */
export async function signInByProvider(
  browser: PageBrowser,
  box: BlackBox,
  login: LoginInput = {},
  query = "",
): Promise<Answered> {
  return browser.get(await signInAt(await beginSignIn(browser, box, query), login), "cross-site");
}

/** A token with these claims, signed by the stand-in. */
export async function signedToken(signing: z.input<typeof SIGNING>): Promise<string> {
  const answered = await fetch(`${testEnv.PROVIDER_URL}/_standin/sign`, {
    method: "POST",
    body: JSON.stringify(SIGNING.parse(signing)),
  });
  return z.object({ jwt: z.string() }).parse(await answered.json()).jwt;
}
