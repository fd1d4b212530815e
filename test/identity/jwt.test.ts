import { SignJWT } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import type { IssuerDirectory, IssuerRegistration } from "../../src/identity/issuers.ts";
import type { JwksSource } from "../../src/identity/jwks-cache.ts";
import { verifyJwt } from "../../src/identity/jwt.ts";
import type { AuthOutcome } from "../../src/identity/principal.ts";
import { ok } from "../../src/platform/result.ts";
import {
  accessClaims,
  base64url,
  fixedKeys,
  headerOf,
  issuer,
  newSigningKey,
  NOW,
  NOW_S,
  signText,
  type SigningKey,
} from "./fixtures.ts";

const directory =
  (registration: IssuerRegistration): IssuerDirectory =>
  (iss) =>
    Promise.resolve(ok(iss === registration.issuer ? registration : null));

let key: SigningKey;
let ecKey: SigningKey;
let keys: { source: JwksSource; asked: () => number };

beforeAll(async () => {
  key = await newSigningKey("Ed25519", "ed-1");
  ecKey = await newSigningKey("ES256", "ec-1");
  keys = await fixedKeys(key.publicJwk, ecKey.publicJwk);
});

const token = (claims: object = accessClaims, header: object = headerOf(key), by = key): Promise<string> =>
  signText(JSON.stringify(header), JSON.stringify(claims), by);
const verify = (text: string, registration = issuer, now = NOW): Promise<AuthOutcome> =>
  verifyJwt(text, directory(registration), keys.source, now);

async function expectRefused(text: string, registration = issuer): Promise<void> {
  expect(await verify(text, registration)).toEqual({ kind: "unauthenticated", cause: expect.any(String) });
}

describe("a genuine access token", () => {
  test("stands for the principal that its issuer's registration and its subject make", async () => {
    expect(await verify(await token())).toEqual({
      kind: "verified",
      principal: {
        tenant: "acme",
        subject: "agent:okta/00u1",
        class: "agent",
        owner: "person:dana",
        issuer: "issuer:okta",
        credentialId: `jwt:okta:${String(accessClaims["jti"])}`,
        scopes: { actions: ["workloads.*", "gpus.status"], maxTier: 3 },
        roles: [],
        delegation: [],
        expiresAt: (NOW_S + 600) * 1000,
        authenticatedAt: null,
        demo: false,
      },
    });
  });

  test.each([
    ["signed with ES256", () => token(accessClaims, headerOf(ecKey), ecKey)],
    ["typed application/at+jwt", () => token(accessClaims, { ...headerOf(key), typ: "application/at+jwt" })],
    ["with a certificate thumbprint", () => token(accessClaims, { ...headerOf(key), x5t: "AAAA" })],
    ["for several audiences, the gate among them", () => token({ ...accessClaims, aud: ["a", issuer.audience] })],
    ["living exactly as long as allowed", () => token({ ...accessClaims, exp: NOW_S + 900 })],
    ["issued by a clock that runs a minute ahead", () => token({ ...accessClaims, iat: NOW_S + 60, nbf: NOW_S + 60 })],
    ["in its last second", () => token({ ...accessClaims, iat: NOW_S - 899, exp: NOW_S + 1 })],
  ])("%s is accepted", async (_name, make) => {
    expect((await verify(await make())).kind).toBe("verified");
  });

  test.each([
    [undefined, ["workloads.*", "gpus.status"]],
    ["workloads.submit openid", ["workloads.submit"]],
    ["*", ["workloads.*", "gpus.status"]],
    ["pools.delete", []],
    ["WORKLOADS.*", []],
  ])("TOK-13 with scope %j reaches %j", async (scope, actions) => {
    const outcome = await verify(await token(scope === undefined ? accessClaims : { ...accessClaims, scope }));
    expect(outcome.kind === "verified" && outcome.principal.scopes.actions).toEqual(actions);
  });

  test("names its owner by the registered claim, and only a person", async () => {
    const registration = { ...issuer, owner: { claim: "owner" } };
    const outcome = await verify(await token({ ...accessClaims, owner: "person:eve" }), registration);
    expect(outcome.kind === "verified" && outcome.principal.owner).toBe("person:eve");
    for (const owner of [undefined, "agent:other", "", 7, ["person:eve"]]) {
      await expectRefused(await token({ ...accessClaims, owner }), registration);
    }
  });

  test("of a person has no data-plane scope and owns itself", async () => {
    const registration: IssuerRegistration = {
      ...issuer,
      class: "person",
      subject_prefix: "okta/",
      owner: null,
      actions: [],
    };
    const outcome = await verify(await token({ ...accessClaims, scope: "*" }), registration);
    expect(outcome).toMatchObject({
      principal: { subject: "okta/00u1", owner: "okta/00u1", scopes: { actions: [] }, roles: [] },
    });
  });

  test("TEN-02 cannot name a tenant, a role or a class", async () => {
    const outcome = await verify(
      await token({ ...accessClaims, tenant: "globex", roles: ["operator"], class: "person" }),
    );
    expect(outcome).toMatchObject({ principal: { tenant: "acme", roles: [], class: "agent" } });
  });
});

describe("TOK-01 unsigned tokens", () => {
  test.each(["none", "None", "NONE", "nOnE", ""])("alg %j is refused", async (alg) => {
    const [, payload = "", signature = ""] = (await token()).split(".");
    const header = base64url(JSON.stringify({ ...headerOf(key), alg }));
    await expectRefused(`${header}.${payload}.${signature}`);
    await expectRefused(`${header}.${payload}.`);
  });

  test("an empty signature is refused under a genuine header", async () => {
    const [header = "", payload = ""] = (await token()).split(".");
    await expectRefused(`${header}.${payload}.`);
    await expectRefused(`${header}.${payload}`);
  });
});

describe("TOK-02, TOK-03 algorithm confusion", () => {
  test.each(["HS256", "HS384", "HS512"])("%s keyed with the public key is refused", async (alg) => {
    for (const material of [JSON.stringify(key.publicJwk), key.publicJwk.x ?? ""]) {
      const secret = Buffer.from(material.padEnd(64, "\0"));
      const header = { alg, kid: key.kid, typ: "at+jwt" };
      await expectRefused(await new SignJWT({ ...accessClaims }).setProtectedHeader(header).sign(secret));
    }
  });

  test.each([
    ["another name for the same algorithm", { alg: "EdDSA" }],
    ["another case", { alg: "ed25519" }],
    ["an algorithm that the issuer is not registered for", { alg: "RS256" }],
    ["another registered algorithm than the key's", { alg: "ES256" }],
    ["no algorithm", { alg: undefined }],
    ["an algorithm that is no text", { alg: ["Ed25519"] }],
  ])("%s is refused", async (_name, change) => {
    await expectRefused(await token(accessClaims, { ...headerOf(key), ...change }));
  });

  test("an algorithm that the issuer is not registered for is refused before any key is looked for", async () => {
    const asked = keys.asked();
    await expectRefused(await token(accessClaims, { ...headerOf(key), alg: "EdDSA" }));
    expect(keys.asked()).toBe(asked);
  });

  test("a key that states another algorithm does not verify under the token's", async () => {
    const registration: IssuerRegistration = { ...issuer, algorithms: ["PS256", "RS256"] };
    const rsa = await newSigningKey("RS256", "rsa-1");
    const pinned = await fixedKeys({ ...rsa.publicJwk, alg: "PS256" });
    const outcome = await verifyJwt(
      await token(accessClaims, headerOf(rsa), rsa),
      directory(registration),
      pinned.source,
      NOW,
    );
    expect(outcome).toEqual({ kind: "unauthenticated", cause: "token: key is for another alg" });
    const honest = await fixedKeys(rsa.publicJwk);
    const twin = await verifyJwt(
      await token(accessClaims, headerOf(rsa), rsa),
      directory(registration),
      honest.source,
      NOW,
    );
    expect(twin.kind).toBe("verified");
  });

  test("another key under the issuer's kid is refused", async () => {
    const other = await newSigningKey("Ed25519", key.kid);
    await expectRefused(await token(accessClaims, headerOf(other), other));
  });
});

describe("TOK-04 key ids", () => {
  test.each([
    ["missing", undefined],
    ["empty", ""],
    ["a path", "../../etc/passwd"],
    ["an absolute path", "/dev/null"],
    ["SQL", "x' OR '1'='1"],
    ["an address", "https://evil.example/keys"],
    ["a NUL", "ed-1\u0000"],
    ["a newline", "ed-1\n"],
    ["huge", "a".repeat(65)],
    ["a number", 1],
    ["a list", ["ed-1"]],
    ["a prototype's name", "__proto__."],
  ])("%s is refused", async (_name, kid) => {
    const asked = keys.asked();
    await expectRefused(await token(accessClaims, { ...headerOf(key), kid }));
    if (kid !== "__proto__.") expect(keys.asked(), "no key is looked for").toBe(asked);
  });

  test("a well-formed id that is not the issuer's is refused", async () => {
    await expectRefused(await token(accessClaims, { ...headerOf(key), kid: "constructor" }));
  });

  test("a repeated kid is refused although jose would take the last", async () => {
    await expectRefused(
      await signText(`{"alg":"Ed25519","kid":"x","typ":"at+jwt","kid":"ed-1"}`, JSON.stringify(accessClaims), key),
    );
  });
});

describe("TOK-05, TOK-06 header parameters", () => {
  test.each([
    ["jku", "https://evil.example/keys"],
    ["x5u", "https://evil.example/cert"],
    ["x5c", ["MIIB"]],
    ["jwk", { kty: "OKP" }],
    ["crit", ["exp"]],
    ["crit", []],
    ["b64", false],
    ["b64", true],
    ["zip", "DEF"],
    ["cty", "JWT"],
    ["enc", "A256GCM"],
    ["p2c", 1],
    ["iss", issuer.issuer],
    ["unheard-of", 1],
  ])("%s: %j is refused and no key is looked for", async (name, value) => {
    const asked = keys.asked();
    await expectRefused(await token(accessClaims, { ...headerOf(key), [name]: value }));
    expect(keys.asked()).toBe(asked);
  });

  test("a token that embeds its own key is refused although it verifies under that", async () => {
    const evil = await newSigningKey("Ed25519", key.kid);
    await expectRefused(await token(accessClaims, { ...headerOf(evil), jwk: evil.publicJwk }, evil));
  });

  test("other serialisations are refused", async () => {
    const text = await token();
    const [header = "", payload = "", signature = ""] = text.split(".");
    await expectRefused(JSON.stringify({ protected: header, payload, signature }));
    await expectRefused(JSON.stringify({ payload, signatures: [{ protected: header, signature }] }));
    await expectRefused(`${header}..${signature}`);
    await expectRefused(`${header}.${payload}.${signature}.AA.AA`);
    await expectRefused(`${text}.AA`);
    await expectRefused("");
    await expectRefused("..");
  });

  test("a token inside a token is refused", async () => {
    await expectRefused(await signText(JSON.stringify(headerOf(key)), await token(), key));
  });

  test("a token longer than any honest one is refused before it is parsed", async () => {
    expect(await verify(await token({ ...accessClaims, pad: "x".repeat(9_000) }))).toEqual({
      kind: "unauthenticated",
      cause: "token: too long",
    });
  });
});

describe("TOK-07 a token has one text", () => {
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

  test("no other last character of the signature is accepted", async () => {
    const text = await token();
    for (const character of alphabet) {
      if (text.endsWith(character)) continue;
      await expectRefused(text.slice(0, -1) + character);
    }
    expect((await verify(text)).kind).toBe("verified");
  });

  test("no trailing bits in header or payload are accepted, signed or not", async () => {
    // `{"a":1}`-like segments of each length modulo 3, so that two or four bits are spare.
    for (const pad of ["", "x", "xx"]) {
      const header = base64url(JSON.stringify(headerOf(key)));
      const payload = base64url(JSON.stringify({ ...accessClaims, pad }));
      const last = alphabet.indexOf(payload.charAt(payload.length - 1));
      const twin = payload.slice(0, -1) + alphabet.charAt(last ^ 1);
      if (Buffer.from(twin, "base64url").equals(Buffer.from(payload, "base64url"))) {
        const signature = await crypto.subtle.sign("Ed25519", key.privateKey, Buffer.from(`${header}.${twin}`));
        await expectRefused(`${header}.${twin}.${base64url(new Uint8Array(signature))}`);
      }
    }
  });

  test.each([
    ["padding", (text: string) => `${text}=`],
    ["double padding", (text: string) => `${text}==`],
    ["a trailing space", (text: string) => `${text} `],
    ["a leading space", (text: string) => ` ${text}`],
    ["a trailing newline", (text: string) => `${text}\n`],
    ["a tab inside", (text: string) => text.replace(".", ".\t")],
    ["a NUL at the end", (text: string) => `${text}\0`],
    ["a trailing dot", (text: string) => `${text}.`],
    ["padded segments", (text: string) => text.replaceAll(".", "=.")],
    ["the standard alphabet", (text: string) => `${text.slice(0, -2)}+/`],
    ["a doubled token", (text: string) => `${text}${text}`],
  ])("%s is refused", async (_name, change) => {
    await expectRefused(change(await token()));
  });

  test.each([
    ["a repeated claim", `{"sub":"a","sub":"b"`],
    ["a repeated claim, escaped", `{"sub":"a","s\\u0075b":"b"`],
    ["a reserved name", `{"__proto__":{"sub":"a"}`],
  ])("%s is refused although genuinely signed", async (_name, start) => {
    const payload = `${start},${JSON.stringify(accessClaims).slice(1)}`;
    await expectRefused(await signText(JSON.stringify(headerOf(key)), payload, key));
  });

  test.each([
    ["a byte order mark", `\uFEFF${JSON.stringify(accessClaims)}`],
    ["a second document", `${JSON.stringify(accessClaims)}{}`],
    ["an array", JSON.stringify([accessClaims])],
    ["text", `"x"`],
    ["no JSON", "nonsense"],
  ])("a payload that is %s is refused although genuinely signed", async (_name, payload) => {
    await expectRefused(await signText(JSON.stringify(headerOf(key)), payload, key));
  });

  test("bytes that are not UTF-8 are refused although genuinely signed", async () => {
    const input = `${base64url(JSON.stringify(headerOf(key)))}.${base64url(new Uint8Array([0xff, 0xfe, 0x7b]))}`;
    const signature = await crypto.subtle.sign("Ed25519", key.privateKey, Buffer.from(input));
    await expectRefused(`${input}.${base64url(new Uint8Array(signature))}`);
  });
});

describe("TOK-08 dates", () => {
  test.each([
    ["no exp", { exp: undefined }],
    ["no iat", { iat: undefined }],
    ["expired this second", { iat: NOW_S - 600, exp: NOW_S }],
    ["expired within the clock tolerance", { iat: NOW_S - 600, exp: NOW_S - 30 }],
    ["long expired", { iat: NOW_S - 86_400, exp: NOW_S - 86_000 }],
    ["issued in the future", { iat: NOW_S + 61, exp: NOW_S + 600 }],
    ["not valid yet", { nbf: NOW_S + 61 }],
    ["lives too long", { exp: NOW_S + 901 }],
    ["issued long ago, living too long", { iat: NOW_S - 86_400, exp: NOW_S + 60 }],
    ["expires before it is issued", { iat: NOW_S + 30, exp: NOW_S + 20 }],
    ["exp as text", { exp: `${NOW_S + 600}` }],
    ["iat as text", { iat: `${NOW_S}` }],
    ["nbf as text", { nbf: `${NOW_S}` }],
    ["exp with a fraction", { exp: NOW_S + 600.5 }],
    ["iat with a fraction", { iat: NOW_S - 0.5 }],
    ["negative iat", { iat: -1 }],
    ["exp null", { exp: null }],
    ["exp true", { exp: true }],
    ["exp a list", { exp: [NOW_S + 600] }],
    ["exp in milliseconds", { exp: (NOW_S + 600) * 1000 }],
  ])("%s is refused", async (_name, change) => {
    await expectRefused(await token({ ...accessClaims, ...change }));
  });

  test.each(["1e300", "1e10", "9007199254740993", `${NOW_S + 600}.0`, "1e400", "-0"])(
    "exp %s is refused",
    async (exp) => {
      const payload = JSON.stringify({ ...accessClaims, exp: "EXP" }).replace('"EXP"', exp);
      await expectRefused(await signText(JSON.stringify(headerOf(key)), payload, key));
    },
  );

  test("the registered lifetime bounds it, up to an hour", async () => {
    const registration = { ...issuer, max_lifetime_s: 3_600 };
    expect((await verify(await token({ ...accessClaims, exp: NOW_S + 3_600 }), registration)).kind).toBe("verified");
    await expectRefused(await token({ ...accessClaims, exp: NOW_S + 3_601 }), registration);
  });
});

describe("TOK-09 tokens made for something else", () => {
  test.each([
    ["an ID token", { typ: "JWT" }],
    ["no typ", { typ: undefined }],
    ["an approval token", { typ: "approval+jwt" }],
    ["another case", { typ: "AT+JWT" }],
    ["a DPoP proof", { typ: "dpop+jwt" }],
    ["a parameter", { typ: "at+jwt; v=1" }],
  ])("%s is refused", async (_name, change) => {
    await expectRefused(await token(accessClaims, { ...headerOf(key), ...change }));
  });

  test.each([
    ["another audience", { aud: "https://other.example.com" }],
    ["no audience", { aud: undefined }],
    ["no audience among several", { aud: [] }],
    ["part of the audience", { aud: issuer.audience.slice(0, -1) }],
    ["the audience with a slash", { aud: `${issuer.audience}/` }],
    ["an audience that is no text", { aud: { 0: issuer.audience } }],
    ["another issuer", { iss: "https://evil.example.com" }],
    ["the issuer with a slash", { iss: `${issuer.issuer}/` }],
    ["the issuer in another case", { iss: issuer.issuer.toUpperCase() }],
    ["a list of issuers", { iss: [issuer.issuer] }],
    ["no issuer", { iss: undefined }],
    ["no subject", { sub: undefined }],
    ["an empty subject", { sub: "" }],
    ["a subject with a space", { sub: "a b" }],
    ["a subject that is no text", { sub: 7 }],
    ["a subject too long", { sub: "a".repeat(129) }],
    ["no client", { client_id: undefined }],
    ["an empty client", { client_id: "" }],
    ["no id", { jti: undefined }],
    ["an empty id", { jti: "" }],
    ["an id with a newline", { jti: "a\nb" }],
    ["an id that is no text", { jti: 7 }],
    ["a scope with two spaces", { scope: "workloads.*  *" }],
    ["a scope with a tab", { scope: "workloads.*\t*" }],
    ["a scope with a leading space", { scope: " *" }],
    ["an empty scope", { scope: "" }],
    ["a scope that is a list", { scope: ["*"] }],
  ])("%s is refused", async (_name, change) => {
    await expectRefused(await token({ ...accessClaims, ...change }));
  });

  test("a subject cannot pose as another class's", async () => {
    const people: IssuerRegistration = { ...issuer, class: "person", subject_prefix: "", owner: null, actions: [] };
    await expectRefused(await token({ ...accessClaims, sub: "agent:trainer" }), people);
    await expectRefused(await token({ ...accessClaims, sub: "service:ci" }), people);
    expect((await verify(await token({ ...accessClaims, sub: "person:alice" }), people)).kind).toBe("verified");
  });

  test("whoever stands in its delegation chain is named with it, however deep", async () => {
    const act = { sub: "person:alice", act: { sub: "00u1", iss: "https://idp.example.com/people" } };
    const outcome = await verify(await token({ ...accessClaims, act }));
    if (outcome.kind !== "verified") throw new Error(JSON.stringify(outcome));
    expect(outcome.principal.delegation).toEqual(
      expect.arrayContaining(["person:alice", "https://idp.example.com/people|00u1"]),
    );
    expect(outcome.principal.subject).not.toBe("person:alice");
  });

  test.each([
    ["text", "person:alice"],
    ["without a subject", { iss: "https://idp.example.com" }],
    ["with a number for a subject", { sub: 7 }],
    ["deeper than anybody's", Array.from({ length: 12 }).reduce<object>((act) => ({ sub: "x", act }), { sub: "x" })],
  ])("a delegation chain that is %s is refused", async (_, act) => {
    await expectRefused(await token({ ...accessClaims, act }));
  });

  test("TOK-12 a token bound to a key is refused: its possession cannot be proven here", async () => {
    await expectRefused(await token({ ...accessClaims, cnf: { jkt: "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I" } }));
  });
});

const down: JwksSource = () => Promise.resolve({ kind: "unavailable", cause: "JWKS: timeout" });
const confused: IssuerDirectory = () => Promise.resolve(ok({ ...issuer, issuer: "https://other.example.com" }));

describe("dependencies that do not answer", () => {
  test("an unreachable issuer directory or key set is unavailable, never unauthenticated", async () => {
    const text = await token();
    const noDirectory = await verifyJwt(text, () => Promise.resolve({ ok: false, error: "D1 down" }), keys.source, NOW);
    expect(noDirectory).toEqual({ kind: "unavailable", dependency: "issuers", cause: "D1 down" });
    expect(await verifyJwt(text, directory(issuer), down, NOW)).toEqual({
      kind: "unavailable",
      dependency: "jwks",
      cause: "JWKS: timeout",
    });
  });

  test("a directory that answers with another issuer's registration is not believed", async () => {
    const asked = keys.asked();
    expect((await verifyJwt(await token(), confused, keys.source, NOW)).kind).toBe("unauthenticated");
    expect(keys.asked(), "no key is looked for").toBe(asked);
  });
});
