import { describe, expect, test } from "vitest";
import type { Answered } from "../support/answer.ts";
import { ACME_PEOPLE, replaceOnce, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { asked, cancelling, localIsolate, signedIn } from "../support/page-box.ts";
import { hiddenFields, pageBrowser, readable } from "../support/page-browser.ts";
import { registerProvider, signedToken } from "../support/provider-client.ts";
import { CLIENT, type Signing } from "../support/provider-login.ts";
import { testEnv } from "../support/test-env.ts";

const open = useBlackBox("page-access");
const local = localIsolate();

const ASSERTION = "cf-access-jwt-assertion";
const ALICE = "7335d417-61da-459d-899c-0a01c76a2f94";
const people = replaceOnce(ACME_PEOPLE, "subject: person:alice\n", `subject: access|${ALICE}\n`);

type Application = { readonly box: BlackBox; readonly audience: string };

/** A tenant whose people reach the page through an Access application of its own. */
async function behindAccess(more: object = {}): Promise<Application> {
  const box = await open({ people });
  const audience = crypto.randomUUID().replaceAll("-", "").repeat(2);
  const access = { team_domain: testEnv.PROVIDER_URL, audience, subject_prefix: "access|" };
  const registered = await registerProvider(local, box, { oidc: undefined, access, ...more });
  expect(registered.status, registered.text).toBe(200);
  return { box, audience };
}

type Claims = Signing["claims"];

/** Claims as Access makes them for a person (Cloudflare One, "Application token"). */
const claimsFor = (audience: string, over: Claims = {}): Claims => {
  const now = Math.floor(Date.now() / 1_000);
  return {
    aud: [audience],
    email: "alice@example.com",
    exp: now + 3_600,
    iat: now - 60,
    nbf: now - 60,
    iss: testEnv.PROVIDER_URL,
    type: "app",
    identity_nonce: "6ei69kawdKzMIAPF",
    sub: ALICE,
    country: "US",
    ...over,
  };
};

const asserted = async (path: string, assertion: string): Promise<Answered> =>
  pageBrowser(local.entrance).get(path, "same-origin", { [ASSERTION]: assertion });

test("Access signs its person in on each request, and they decide at tier 3 under their own name", async () => {
  const { box, audience } = await behindAccess();
  const approval = await asked(box);
  const assertion = await signedToken({ claims: claimsFor(audience) });
  const browser = pageBrowser(local.entrance);
  const headers = { [ASSERTION]: assertion };
  const page = await browser.get(`/_gate/approvals/${approval}`, "cross-site", headers);
  expect(page.text).toContain("<bdi>@alice</bdi>");
  expect(page.text).toContain('href="/cdn-cgi/access/logout"');
  const path = `/_gate/approvals/${approval}/decisions`;
  const fields = { ...hiddenFields(page, path), decision: "approve", comment: "" };
  expect((await browser.post(path, fields, "same-origin")).status).toBe(401);
  expect((await browser.post(path, fields, "cross-site", headers)).status).toBe(403);
  expect((await browser.post(path, fields, "same-origin", headers)).status).toBe(303);
  const records = (await ledgerRecords(box.tenant)).filter(({ reason_code: code }) => code === "approve");
  expect(records).toMatchObject([
    {
      principal: `access|${ALICE}`,
      credential_id: expect.stringMatching(/^session:access-[0-9a-f]{32}$/),
      demo: false,
    },
  ]);
  // Nothing of it is left in the browser.
  expect(browser.jar.size).toBe(0);
});

test("a form goes with the assertion that it was rendered for", async () => {
  const { box, audience } = await behindAccess();
  const approval = await asked(box);
  const [one, two] = [
    await signedToken({ claims: claimsFor(audience) }),
    await signedToken({ claims: claimsFor(audience, { identity_nonce: "another" }) }),
  ];
  const browser = pageBrowser(local.entrance);
  const page = await browser.get(`/_gate/approvals/${approval}`, "same-origin", { [ASSERTION]: one });
  const path = `/_gate/approvals/${approval}/decisions`;
  const fields = { ...hiddenFields(page, path), decision: "approve", comment: "" };
  expect((await browser.post(path, fields, "same-origin", { [ASSERTION]: two })).status).toBe(403);
  expect((await browser.post(path, fields, "same-origin", { [ASSERTION]: one })).status).toBe(303);
});

describe("approving at tier 4", () => {
  test("needs another sign-in, however young the assertion: the page says which, and Slack where there is none", async () => {
    const { box, audience } = await behindAccess();
    const { approval } = await cancelling(box);
    const now = Math.floor(Date.now() / 1_000);
    const assertion = await signedToken({ claims: claimsFor(audience, { iat: now, nbf: now }) });
    const page = await asserted(`/_gate/approvals/${approval}`, assertion);
    expect(page.text).not.toContain('value="approve"');
    expect(readable(page)).toContain("yours does not say when it was. You can deny now, or approve in Slack.");
  });

  test("is reached by the tenant's provider, whose session then goes first", async () => {
    const oidc = {
      issuer: testEnv.PROVIDER_URL,
      client_id: CLIENT.id,
      client_secret: CLIENT.secret,
      subject_prefix: "access|",
    };
    const { box, audience } = await behindAccess({ oidc });
    const { approval } = await cancelling(box);
    const assertion = await signedToken({ claims: claimsFor(audience) });
    const page = await asserted(`/_gate/approvals/${approval}`, assertion);
    expect(page.text).toContain(
      `href="/_gate/sign-in/${box.tenant}/start?return=/_gate/approvals/${approval}&amp;again=1"`,
    );
    const browser = await signedIn(local, box, `access|${ALICE}`);
    const own = await browser.get(`/_gate/approvals/${approval}`, "same-origin", { [ASSERTION]: assertion });
    expect(own.text).toContain('value="approve"');
  });
});

/** An assertion for this audience. */
type Variant = (audience: string) => Promise<string>;
const signed =
  (over: Claims, signing: Partial<Pick<Signing, "header" | "with">> = {}): Variant =>
  (audience) =>
    signedToken({ claims: claimsFor(audience, over), ...signing });

describe("an assertion", () => {
  const now = Math.floor(Date.now() / 1_000);
  const refusals: readonly (readonly [string, Variant])[] = [
    ["of another application", signed({ aud: ["0".repeat(64)] })],
    ["of several applications", (audience) => signed({ aud: [audience, "0".repeat(64)] })(audience)],
    ["of no application", signed({ aud: [] })],
    ["of another team", signed({ iss: "https://evil.cloudflareaccess.com" })],
    ["that is over", signed({ iat: now - 7_200, exp: now - 1 })],
    ["of the future", signed({ iat: now + 600, nbf: now + 600 })],
    ["that lives for weeks", signed({ exp: now + 30 * 86_400 })],
    ["without end", signed({ exp: null })],
    ["of the team's own session", signed({ type: "org" })],
    ["without a type", signed({ type: null })],
    ["of a service token", signed({ common_name: "ci.access", sub: "" })],
    ["without a person", signed({ sub: "" })],
    ["whose person is no subject", signed({ sub: "x\u0000y" })],
    ["that nobody signed", signed({}, { with: "nobody" })],
    ["that somebody else signed", signed({}, { with: "stranger" })],
    ["signed with the public key as a secret", signed({}, { with: "public-key" })],
    ["with an unknown key", signed({}, { header: { kid: "other" } })],
    ["with its key inside", signed({}, { header: { jwk: { kty: "RSA" } } })],
    ["that is an access token", signed({}, { header: { typ: "at+jwt" } })],
    ["with a space after it", async (audience) => `${await signed({})(audience)} x`],
    ["with padding", async (audience) => `${await signed({})(audience)}==`],
    ["that is none", () => Promise.resolve("alice@example.com")],
    ["sent twice", async (audience) => `${await signed({})(audience)}, ${await signed({})(audience)}`],
  ];

  test.each(refusals)("%s signs nobody in", async (_name, variant) => {
    const { box, audience } = await behindAccess();
    const approval = await asked(box);
    const refused = await asserted(`/_gate/approvals/${approval}`, await variant(audience));
    expect(refused.status).toBe(401);
    expect(refused.text).not.toContain("workloads.submit");
    // The same path, with a good one.
    const good = await asserted(`/_gate/approvals/${approval}`, await signed({})(audience));
    expect(good.status).toBe(200);
  });

  test("speaks for people of its own tenant only", async () => {
    const [mine, theirs] = [await behindAccess(), await behindAccess()];
    const approval = await asked(theirs.box);
    const assertion = await signedToken({ claims: claimsFor(mine.audience) });
    expect((await asserted(`/_gate/approvals/${approval}`, assertion)).status).toBe(404);
  });

  test("of a row that somebody edited is nobody's", async () => {
    const [mine, theirs] = [await behindAccess(), await behindAccess()];
    const address = `${testEnv.PROVIDER_URL} ${mine.audience}`;
    const { box } = theirs;
    await testEnv.DB.prepare("DELETE FROM channels WHERE tenant = ?").bind(mine.box.tenant).run();
    await testEnv.DB.prepare("UPDATE channels SET address = ? WHERE tenant = ?").bind(address, box.tenant).run();
    const assertion = await signedToken({ claims: claimsFor(mine.audience) });
    expect((await asserted("/_gate/approvals", assertion)).status).toBe(503);
  });
});
