import { afterEach, describe, expect, test, vi } from "vitest";
import { text, verdict, type Answered } from "../support/answer.ts";
import { caller, useBlackBox, type BlackBox, type Entrance } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { MINUTE_MS, moveClock } from "../support/clock.ts";
import { openIsolate } from "../support/isolates.ts";
import { cancelling, linkFor, localIsolate, signedIn } from "../support/page-box.ts";
import { hiddenFields, pageBrowser, readable, type PageBrowser } from "../support/page-browser.ts";
import { beginSignIn, registerProvider, signInAt, signInByProvider } from "../support/provider-client.ts";
import type { LoginInput } from "../support/provider-login.ts";
import { confirmed } from "../support/registered.ts";
import { testEnv } from "../support/test-env.ts";

const open = useBlackBox("page-sign-in");
const local = localIsolate();

afterEach(() => {
  vi.useRealTimers();
});

const SESSION = "__Host-portcullis";
const TRANSACTION = "__Host-portcullis-sign-in";
const sessionOf = (browser: PageBrowser): string | null => browser.jar.get(SESSION)?.value ?? null;
const isSignedIn = async (browser: PageBrowser): Promise<boolean> =>
  (await browser.get("/_gate/approvals", "same-origin")).status === 200;

/** A gate of another environment on the same stores. */
const entranceOf = (environment: string): Entrance =>
  openIsolate({ ENVIRONMENT: environment, ...(environment === "live" ? { UPSTREAMS: "{}", ...LIVE } : {}) }).entrance;
/** What a live deployment may not have on loopback. */
const LIVE = { WEBHOOK_ORIGINS: "", SLACK_API_URL: undefined };

const register = (credential: string | null, body: object): Promise<Answered> =>
  caller(credential, "").post("/_gate/v1/sign-in", body);

async function withProvider(): Promise<BlackBox> {
  const box = await open();
  expect((await registerProvider(local, box)).status).toBe(200);
  return box;
}

describe("who may say how people sign in", () => {
  const oidc = {
    issuer: "https://idp.example.com",
    client_id: "gate",
    client_secret: "s3cret",
    subject_prefix: "idp|",
  };
  const access = { team_domain: "https://acme.cloudflareaccess.com", audience: "a".repeat(64), subject_prefix: "acc|" };
  test("the deployment's secret, and no credential of the tenant", async () => {
    const box = await open();
    const body = { tenant: box.tenant, oidc };
    for (const name of ["agent", "alice", "operator", "security", "finance"] as const) {
      expect(verdict(await register((await box.as(name)).key, body))).toBe("401 unauthenticated");
    }
    expect(verdict(await register(null, body))).toBe("401 unauthenticated");
    const registered = await register(testEnv.BOOTSTRAP_SECRET, body);
    expect(registered.status).toBe(202);
    expect(registered.body).toMatchObject({
      registered: false,
      tenant: box.tenant,
      issuer: "oidc https://idp.example.com",
    });
    const waiting = await (await box.as("security")).get("/_gate/v1/sign-in");
    expect(waiting.body).toMatchObject({
      records: [{ state: "waiting", registration: { oidc: { client_id: "gate" } } }],
    });
    expect(waiting.text).not.toContain("s3cret");
    await confirmed(box, "sign-in", registered);
    const acts = (await ledgerRecords(box.tenant)).filter(({ reason_code: code }) => code?.startsWith("sign-in-"));
    expect(acts).toMatchObject([
      { kind: "admin", principal: "deployment", detail: expect.stringContaining("oidc https://idp.example.com") },
      { kind: "admin", principal: "person:security" },
    ]);
    // What is stored, wherever it is looked at, does not have the secret in it.
    const rows = await testEnv.DB.prepare("SELECT * FROM channels WHERE tenant = ?").bind(box.tenant).all();
    expect(JSON.stringify(rows.results)).not.toContain("s3cret");
    expect((await (await box.as("operator")).get("/_gate/v1/channels")).text).not.toContain("s3cret");
  });

  test("a tenant's operator cannot remove it either", async () => {
    const box = await withProvider();
    expect(verdict(await (await box.as("operator")).delete("/_gate/v1/channels/sign-in"))).toBe("404 not-found");
  });

  test.each([
    ["no way in", {}],
    ["plain http", { oidc: { ...oidc, issuer: "http://idp.example.com" } }],
    ["a provider on loopback", { oidc: { ...oidc, issuer: "http://127.0.0.1:1" } }],
    ["a provider by address", { oidc: { ...oidc, issuer: "https://169.254.169.254" } }],
    ["subjects of agents", { oidc: { ...oidc, subject_prefix: "agent:" } }],
    ["subjects of services", { access: { ...access, subject_prefix: "service:" } }],
    ["no secret", { oidc: { ...oidc, client_secret: "" } }],
    ["an algorithm with a shared secret", { oidc: { ...oidc, algorithms: ["HS256"] } }],
    ["no algorithm", { oidc: { ...oidc, algorithms: ["none"] } }],
    ["a team domain with a path", { access: { ...access, team_domain: "https://acme.cloudflareaccess.com/x" } }],
    ["an audience that is no tag", { access: { ...access, audience: "acme" } }],
    ["another member", { oidc, saml: {} }],
  ])("%s is refused", async (_name, body) => {
    const box = await open();
    expect(verdict(await register(testEnv.BOOTSTRAP_SECRET, { tenant: box.tenant, ...body }))).toBe(
      "400 malformed-request",
    );
  });

  test("an Access application is one tenant's", async () => {
    const [box, other] = [await open(), await open()];
    const audience = crypto.randomUUID().replaceAll("-", "").repeat(2);
    const body = { access: { ...access, audience } };
    const early = await register(testEnv.BOOTSTRAP_SECRET, { tenant: other.tenant, ...body });
    await confirmed(box, "sign-in", await register(testEnv.BOOTSTRAP_SECRET, { tenant: box.tenant, ...body }));
    await confirmed(box, "sign-in", await register(testEnv.BOOTSTRAP_SECRET, { tenant: box.tenant, ...body }));
    expect(verdict(await register(testEnv.BOOTSTRAP_SECRET, { tenant: other.tenant, ...body }))).toBe(
      "400 malformed-request",
    );
    // Nor by one who asked before it was.
    const late = await (
      await other.as("security")
    ).post("/_gate/v1/sign-in/confirm", { digest: text(early, "digest") });
    expect(verdict(late)).toBe("400 malformed-request");
  });

  test("a tenant that does not exist has no way in", async () => {
    expect(verdict(await register(testEnv.BOOTSTRAP_SECRET, { tenant: "nobody", oidc }))).toBe("404 not-found");
  });
});

describe("signing in with the tenant's provider", () => {
  test("asks for a code with PKCE, state and nonce, and opens a session of the gate's own", async () => {
    const box = await withProvider();
    const browser = pageBrowser(local.entrance);
    const ways = await browser.get(`/_gate/sign-in/${box.tenant}?return=/_gate/approvals`);
    expect(ways.text).toContain(`href="/_gate/sign-in/${box.tenant}/start?return=/_gate/approvals"`);
    const address = await beginSignIn(browser, box);
    expect(address.origin).toBe(testEnv.PROVIDER_URL);
    expect(Object.fromEntries(address.searchParams)).toEqual({
      response_type: "code",
      client_id: "gate-client",
      redirect_uri: "https://gate.example/_gate/sign-in/callback",
      scope: "openid",
      state: expect.stringMatching(/^[\w-]{43}$/),
      nonce: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge: expect.stringMatching(/^[\w-]{43}$/),
      code_challenge_method: "S256",
    });
    expect(browser.jar.get(TRANSACTION)?.attributes).toBe("Path=/; Max-Age=600; HttpOnly; SameSite=Lax; Secure");
    const back = await browser.get(await signInAt(address), "cross-site");
    expect(back.status).toBe(200);
    // A redirect would go without the session: this page is what the browser goes on from.
    expect(back.text).toContain('<meta http-equiv="refresh" content="0; url=/_gate/approvals" />');
    expect(browser.jar.get(SESSION)?.attributes).toBe("Path=/; Max-Age=28800; HttpOnly; SameSite=Strict; Secure");
    expect(browser.jar.has(TRANSACTION)).toBe(false);
    const list = await browser.get("/_gate/approvals", "same-origin");
    expect(readable(list)).toContain("Proposals");
    expect(list.text).toContain("<bdi>@alice</bdi>");
    expect(list.text).not.toContain("a demonstration");
  });

  test("the person is the prefix and the provider's sub, and somebody whom the tenant does not know sees that", async () => {
    const box = await withProvider();
    const browser = pageBrowser(local.entrance);
    await signInByProvider(browser, box, { sub: "00u1.x_y" });
    const list = readable(await browser.get("/_gate/approvals", "same-origin"));
    expect(list).toContain("You are signed in as person:00u1.x_y");
  });

  test("is on record in the person's tenant, without the provider's code", async () => {
    const box = await withProvider();
    const browser = pageBrowser(local.entrance);
    const callback = await signInAt(await beginSignIn(browser, box));
    await browser.get(callback, "cross-site");
    const security = await box.as("security");
    await expect
      .poll(async () => (await security.get("/_gate/v1/audit?principal=person:alice")).body, { timeout: 10_000 })
      .toMatchObject({ records: [{ path: "/_gate/sign-in/callback", decision: "allow", demo: false }] });
  });

  test("leads back to the proposal that the person came for", async () => {
    const box = await withProvider();
    const browser = pageBrowser(local.entrance);
    const path = "/_gate/approvals/apr_0123456789abcdefghjkmnpqrs";
    const back = await signInByProvider(browser, box, {}, `?return=${path}`);
    expect(back.text).toContain(`content="0; url=${path}"`);
  });

  const refusals: readonly (readonly [string, LoginInput])[] = [
    ["another nonce", { claims: { nonce: "another" } }],
    ["no nonce", { claims: { nonce: null } }],
    ["another audience", { claims: { aud: "another-client" } }],
    ["several audiences without a party", { claims: { aud: ["gate-client", "another"] } }],
    ["another party", { claims: { azp: "another-client" } }],
    ["another issuer", { claims: { iss: "https://evil.example" } }],
    ["an expired token", { claims: { exp: 1_700_000_000 } }],
    ["a token without end", { claims: { exp: 1e300 } }],
    ["a token of long ago", { claims: { iat: Math.floor(Date.now() / 1_000) - 3_600 } }],
    ["a token of the future", { claims: { iat: Math.floor(Date.now() / 1_000) + 3_600 } }],
    ["no subject", { claims: { sub: null } }],
    ["an empty subject", { sub: "" }],
    ["a subject that is none", { sub: "a b\u202ec" }],
    ["a token that nobody signed", { signedBy: "nobody" }],
    ["a token that somebody else signed", { signedBy: "stranger" }],
    ["the public key as a shared secret", { signedBy: "public-key" }],
    ["no ID token", { signedBy: "no-token" }],
    ["an unknown key", { header: { kid: "provider-2" } }],
    ["a key named by address", { header: { jku: "https://evil.example/keys" } }],
    ["an access token", { header: { typ: "at+jwt" } }],
    ["an approval token", { header: { typ: "approval+jwt" } }],
    ["an error of the provider", { error: "access_denied" }],
    ["another state", { state: "another" }],
    ["another issuer of the answer", { responseIssuer: "https://evil.example" }],
  ];

  test.each(refusals)("%s signs nobody in, and one page says so for every cause", async (_name, login) => {
    const box = await withProvider();
    const browser = pageBrowser(local.entrance);
    const refused = await signInByProvider(browser, box, login);
    expect(refused.status).toBe(401);
    expect(readable(refused)).toContain("Sign in first");
    expect(refused.text).not.toContain("evil");
    expect(sessionOf(browser)).toBeNull();
    expect(await isSignedIn(browser)).toBe(false);
  });

  test("an answer counts once, in the browser that asked, and within ten minutes", async () => {
    const box = await withProvider();
    const browser = pageBrowser(local.entrance);
    const address = await beginSignIn(browser, box);
    const transaction = browser.jar.get(TRANSACTION);
    const callback = await signInAt(address);
    // Somebody else's browser, with the victim's answer: login CSRF and a leaked code.
    expect((await pageBrowser(local.entrance).get(callback, "cross-site")).status).toBe(401);
    expect((await browser.head(callback)).status).toBe(405);
    expect((await browser.get(callback, "cross-site")).status).toBe(200);
    const first = sessionOf(browser);
    expect((await browser.get(callback, "cross-site")).status).toBe(401);
    // Even with the transaction's cookie put back the code is spent.
    if (transaction !== undefined) browser.jar.set(TRANSACTION, transaction);
    expect((await browser.get(callback, "cross-site")).status).toBe(401);
    expect(sessionOf(browser)).toBe(first);
    const late = pageBrowser(local.entrance);
    const other = await beginSignIn(late, box);
    moveClock(10 * MINUTE_MS + 1_000);
    expect((await late.get(await signInAt(other), "cross-site")).status).toBe(401);
  });

  test("an answer to one transaction does not end another", async () => {
    const box = await withProvider();
    const [one, two] = [pageBrowser(local.entrance), pageBrowser(local.entrance)];
    const mine = await signInAt(await beginSignIn(one, box));
    await beginSignIn(two, box);
    expect((await two.get(mine, "cross-site")).status).toBe(401);
  });

  test.each(["code", "state", "iss"])("an answer with two %s is refused", async (name) => {
    const box = await withProvider();
    const browser = pageBrowser(local.entrance);
    const callback = await signInAt(await beginSignIn(browser, box));
    expect((await browser.get(`${callback}&${name}=another`, "cross-site")).status).toBe(401);
  });

  test("a provider that cannot be reached signs nobody in, and nothing is believed without it", async () => {
    const box = await open();
    const oidc = { issuer: "http://127.0.0.1:9", client_id: "x", client_secret: "y", subject_prefix: "p:" };
    expect((await registerProvider(local, box, { oidc })).status).toBe(200);
    const started = await pageBrowser(local.entrance).get(`/_gate/sign-in/${box.tenant}/start`);
    expect(started.status).toBe(503);
    expect(readable(started)).toContain("identity-provider");
  });
});

/** Approving at tier 4 asks for it; the page leads there. */
describe("signing in again", () => {
  test("asks the provider to do it anew, replaces the session, and comes back to the proposal", async () => {
    const box = await withProvider();
    const { approval } = await cancelling(box);
    const browser = pageBrowser(local.entrance);
    await signInByProvider(browser, box, { authAgeS: 3_600 });
    const before = sessionOf(browser);
    const page = await browser.get(`/_gate/approvals/${approval}`, "same-origin");
    expect(page.text).not.toContain('value="approve"');
    const [, link = ""] = /href="(\/_gate\/sign-in\/[^"]*)"/.exec(page.text) ?? [];
    const started = await browser.get(link.replaceAll("&amp;", "&"), "same-origin");
    const address = new URL(started.headers.get("location") ?? "");
    expect(Object.fromEntries(address.searchParams)).toMatchObject({ max_age: "0", prompt: "login" });
    const back = await browser.get(await signInAt(address), "cross-site");
    expect(back.text).toContain(`content="0; url=/_gate/approvals/${approval}"`);
    expect(sessionOf(browser)).not.toBe(before);
    const fresh = await browser.get(`/_gate/approvals/${approval}`, "same-origin");
    expect(fresh.text).toContain('value="approve"');
    // The session that it replaced is over, wherever its cookie is.
    const old = pageBrowser(local.entrance);
    old.jar.set(SESSION, { value: before ?? "", attributes: "" });
    expect(await isSignedIn(old)).toBe(false);
  });

  test.each([
    ["the sign-in of an hour ago", { authAgeS: 3_600 }],
    ["no time of signing in", { authAgeS: null }],
  ])("an answer with %s is none", async (_name, login) => {
    const box = await withProvider();
    const browser = pageBrowser(local.entrance);
    await signInByProvider(browser, box);
    const before = sessionOf(browser);
    const path = "/_gate/approvals/apr_0123456789abcdefghjkmnpqrs";
    const refused = await signInByProvider(browser, box, login, `?again=1&return=${path}`);
    expect(refused.text).toContain(`href="${path}"`);
    expect(refused.status).toBe(403);
    expect(readable(refused)).toContain("did not say that you signed in just now");
    expect(sessionOf(browser)).toBe(before);
  });
});

/** WEB-04. */
describe("a session", () => {
  test("is never the one that the browser had before: what an attacker has planted is not signed in", async () => {
    const box = await open();
    const attacker = await signedIn(local, box, "person:carol");
    const planted = attacker.jar.get(SESSION);
    if (planted === undefined) throw new Error("no session");
    const victim = pageBrowser(local.entrance);
    victim.jar.set(SESSION, planted);
    await victim.post(`/_gate/sign-in/link/${await linkFor(box, "person:alice")}`, {});
    expect(sessionOf(victim)).not.toBe(planted.value);
    expect((await victim.get("/_gate/approvals", "same-origin")).text).toContain("<bdi>@alice</bdi>");
    // The planted one ended with it, and never became alice's.
    expect(await isSignedIn(attacker)).toBe(false);
  });

  test("ends at sign-out: its cookie, kept by somebody, opens nothing any more", async () => {
    const box = await open();
    const browser = await signedIn(local, box);
    const kept = browser.jar.get(SESSION);
    const page = await browser.get("/_gate/approvals", "same-origin");
    const fields = hiddenFields(page, "/_gate/sign-out");
    expect((await browser.post("/_gate/sign-out", { token: "" })).status).toBe(403);
    expect((await browser.post("/_gate/sign-out", fields, "cross-site")).status).toBe(403);
    expect(await isSignedIn(browser)).toBe(true);
    const out = await browser.post("/_gate/sign-out", fields);
    expect(out.status).toBe(200);
    expect(browser.jar.has(SESSION)).toBe(false);
    if (kept !== undefined) browser.jar.set(SESSION, kept);
    expect(await isSignedIn(browser)).toBe(false);
  });

  test("ends for all of a person's browsers when security or an operator says so", async () => {
    const box = await open();
    const [one, two, other] = [
      await signedIn(local, box),
      await signedIn(local, box),
      await signedIn(local, box, "person:bob"),
    ];
    const revoked = await (await box.as("security")).post("/_gate/v1/sessions/revoke", { subject: "person:alice" });
    expect(revoked.body).toEqual({ subject: "person:alice", ended: 2 });
    expect([await isSignedIn(one), await isSignedIn(two), await isSignedIn(other)]).toEqual([false, false, true]);
    const acts = (await ledgerRecords(box.tenant)).filter(({ reason_code: code }) => code === "sessions-revoked");
    expect(acts).toMatchObject([{ principal: "person:security", detail: "person:alice: 2" }]);
  });

  test("of one tenant ends in no other", async () => {
    const [box, other] = [await open(), await open()];
    const browser = await signedIn(local, box);
    await (await other.as("security")).post("/_gate/v1/sessions/revoke", { subject: "person:alice" });
    expect(await isSignedIn(browser)).toBe(true);
  });

  test("ends after eight hours, and when the table that it stands in is lost", async () => {
    const box = await open();
    const [early, late] = [await signedIn(local, box), await signedIn(local, box)];
    await testEnv.DB.prepare(
      "DELETE FROM sign_ins WHERE tenant = ? AND id IN (SELECT id FROM sign_ins ORDER BY rowid DESC LIMIT 1)",
    )
      .bind(box.tenant)
      .run();
    expect(await isSignedIn(late)).toBe(false);
    expect(await isSignedIn(early)).toBe(true);
    moveClock(8 * 60 * MINUTE_MS);
    expect(await isSignedIn(early)).toBe(false);
  });

  test.each([
    ["cut", (value: string) => value.slice(0, -1)],
    ["changed", (value: string) => `${value.slice(0, -1)}${value.endsWith("A") ? "B" : "A"}`],
    ["of another sealing", (value: string) => value.replace("v1.", "v2.")],
    ["made up", () => "v1.AAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"],
    ["empty", () => ""],
  ])("whose cookie is %s is none", async (_name, change) => {
    const box = await open();
    const browser = await signedIn(local, box);
    browser.jar.set(SESSION, { value: change(sessionOf(browser) ?? ""), attributes: "" });
    expect(await isSignedIn(browser)).toBe(false);
  });

  test("sent twice is none: one of the two is somebody else's", async () => {
    const box = await open();
    const browser = await signedIn(local, box);
    const value = sessionOf(browser) ?? "";
    const headers = { cookie: `${SESSION}=${value}; ${SESSION}=${value}` };
    const response = await local.entrance(new Request("https://gate.example/_gate/approvals", { headers }));
    expect(response.status).toBe(401);
    await response.body?.cancel();
  });

  test("of a sign-in transaction is none, nor is a session a transaction", async () => {
    const box = await withProvider();
    const browser = await signedIn(local, box);
    const callback = await signInAt(await beginSignIn(browser, box));
    const [session, transaction] = [browser.jar.get(SESSION), browser.jar.get(TRANSACTION)];
    if (session === undefined || transaction === undefined) throw new Error("no cookies");
    browser.jar.set(SESSION, transaction);
    browser.jar.set(TRANSACTION, session);
    expect(await isSignedIn(browser)).toBe(false);
    expect((await browser.get(callback, "cross-site")).status).toBe(401);
  });
});

/** WEB-04: where a sign-in may lead. */
describe("an address to return to", () => {
  const elsewhere = [
    "https://evil.example",
    "//evil.example",
    "/%5Cevil.example",
    "/_gate/approvals@evil.example",
    "/_gate/approvals/../../evil",
    "/_gate/approvals/apr_0123456789abcdefghjkmnpqrs/decisions",
    "/_gate/approvals?x=1",
    "/_gate/approvals%0D%0Aset-cookie:x",
    "/_gate/sign-out",
    "javascript:alert(1)",
    "data:text/html,x",
    "/_gate/approvals/apr_0123456789ABCDEFGHJKMNPQRS",
    "%20/_gate/approvals",
    "",
  ];

  test.each(elsewhere)("%j is refused wherever it is said", async (to) => {
    const box = await withProvider();
    const browser = pageBrowser(local.entrance);
    for (const path of [
      `/_gate/sign-in?tenant=${box.tenant}&return=${to}`,
      `/_gate/sign-in/${box.tenant}?return=${to}`,
      `/_gate/sign-in/${box.tenant}/start?return=${to}`,
    ]) {
      const refused = await browser.get(path);
      expect(refused.status, path).toBe(400);
      expect(refused.headers.get("location")).toBeNull();
      expect(refused.text).not.toContain("evil");
    }
    expect(browser.jar.size).toBe(0);
  });

  test("a tenant's name leads nowhere but to its own page", async () => {
    const browser = pageBrowser(local.entrance);
    const found = await browser.get("/_gate/sign-in?tenant=acme&return=/_gate/approvals");
    expect([found.status, found.headers.get("location")]).toEqual([303, "/_gate/sign-in/acme?return=/_gate/approvals"]);
    for (const tenant of ["//evil.example", "acme/../x", "ACME", "a b", "%0d%0a"]) {
      expect((await browser.get(`/_gate/sign-in?tenant=${tenant}`)).headers.get("location")).toBeNull();
    }
  });

  test("a tenant without a way in and one that does not exist look the same", async () => {
    const box = await open();
    const browser = pageBrowser(local.entrance);
    const [there, absent] = [
      await browser.get(`/_gate/sign-in/${box.tenant}`),
      await browser.get("/_gate/sign-in/absent-tenant"),
    ];
    expect(there.status).toBe(200);
    expect(there.text.replaceAll(box.tenant, "")).toBe(absent.text.replaceAll("absent-tenant", ""));
  });
});

describe("a one-time link of a local gate", () => {
  test("signs its person in once; of twenty at once one gets in", async () => {
    const box = await open();
    const path = `/_gate/sign-in/link/${await linkFor(box, "person:bob")}`;
    const browsers = Array.from({ length: 20 }, () => pageBrowser(local.entrance));
    const answers = await Promise.all(browsers.map((browser) => browser.post(path, {})));
    expect(answers.map(({ status }) => status).filter((status) => status === 200)).toHaveLength(1);
    expect(answers.filter(({ status }) => status === 401)).toHaveLength(19);
    expect(browsers.filter((browser) => sessionOf(browser) !== null)).toHaveLength(1);
  });

  test("is over after twelve hours", async () => {
    const box = await open();
    const path = `/_gate/sign-in/link/${await linkFor(box, "person:bob")}`;
    moveClock(12 * 60 * MINUTE_MS);
    expect((await pageBrowser(local.entrance).post(path, {})).status).toBe(401);
  });

  test("is none with another person, another signature or another row than it was made with", async () => {
    const box = await open();
    const token = await linkFor(box, "person:bob");
    const [id = "", mac = ""] = token.split(".");
    const other = (await linkFor(box, "person:alice")).split(".")[1] ?? "";
    for (const forged of [`${id}.${other}`, id, `${id}.`, `.${mac}`, `${id}.${mac.slice(0, -1)}`, "x".repeat(74)]) {
      expect((await pageBrowser(local.entrance).post(`/_gate/sign-in/link/${forged}`, {})).status, forged).not.toBe(
        200,
      );
    }
    await testEnv.DB.prepare("UPDATE sign_ins SET subject = 'person:alice' WHERE id = ?").bind(id).run();
    expect((await pageBrowser(local.entrance).post(`/_gate/sign-in/link/${token}`, {})).status).toBe(401);
    await testEnv.DB.prepare("UPDATE sign_ins SET subject = 'person:bob' WHERE id = ?").bind(id).run();
    expect((await pageBrowser(local.entrance).post(`/_gate/sign-in/link/${token}`, {})).status).toBe(200);
  });

  test("from another site signs nobody in: nobody is made to be somebody else", async () => {
    const box = await open();
    const path = `/_gate/sign-in/link/${await linkFor(box, "person:bob")}`;
    const victim = pageBrowser(local.entrance);
    expect((await victim.post(path, {}, "cross-site")).status).toBe(403);
    expect(victim.jar.size).toBe(0);
    expect((await victim.post(path, {})).status).toBe(200);
  });

  test("does not exist anywhere else, nor does a demonstration's session in a live gate", async () => {
    const box = await open();
    const path = `/_gate/sign-in/link/${await linkFor(box, "person:bob")}`;
    const elsewhere = pageBrowser(entranceOf("test"));
    expect((await elsewhere.get(path)).status).toBe(404);
    expect((await elsewhere.post(path, {})).status).toBe(404);
    const browser = await signedIn(local, box);
    const live = pageBrowser(entranceOf("live"));
    const session = browser.jar.get(SESSION);
    if (session !== undefined) live.jar.set(SESSION, session);
    expect(await isSignedIn(live)).toBe(false);
  });
});
