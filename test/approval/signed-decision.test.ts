import { describe, expect, test } from "vitest";
import {
  approvalIssuerSchema,
  keysOf,
  readApprovalIssuer,
  type ApprovalIssuerDirectory,
} from "../../src/approval/approval-issuers.ts";
import { isOwnToken, verifyApprovalToken } from "../../src/approval/approval-token.ts";
import { verifySignedDecision } from "../../src/approval/signed-decision.ts";
import type { JwksSource } from "../../src/identity/jwks-cache.ts";
import { err, ok } from "../../src/platform/result.ts";
import { fixedKeys, newSigningKey, NOW, NOW_S, signText, valueOf, type SigningKey } from "../identity/fixtures.ts";

const registration = approvalIssuerSchema.parse({
  id: "chat-bot",
  issuer: "https://bot.example.com",
  tenant: "acme",
  jwks_uri: "https://bot.example.com/jwks.json",
  algorithms: ["Ed25519", "ES256"],
  subject_prefix: "person:",
});
const APPROVAL = "apr_0123456789abcdefghjkmnpqrs";
const DIGEST = `sha256:${"a".repeat(64)}`;
const CLAIMS: Readonly<Record<string, unknown>> = {
  iss: registration.issuer,
  aud: "portcullis:acme",
  sub: "alice",
  jti: "5f0d7c1e-1",
  iat: NOW_S,
  exp: NOW_S + 1_800,
  approval_id: APPROVAL,
  approval_digest: DIGEST,
};

const key = await newSigningKey("Ed25519", "bot-1");
const ecKey = await newSigningKey("ES256", "bot-2");
const rsaKey = await newSigningKey("RS256", "bot-3");
const otherKey = await newSigningKey("Ed25519", "bot-1");
const { source } = await fixedKeys(key.publicJwk, ecKey.publicJwk, rsaKey.publicJwk);

const headerOf = (signing: SigningKey, over: object = {}): string =>
  JSON.stringify({ alg: signing.alg, kid: signing.kid, typ: "approval+jwt", ...over });
const token = (claims: object = {}, signing = key, header: object = {}): Promise<string> =>
  signText(headerOf(signing, header), JSON.stringify({ ...CLAIMS, ...claims }), signing);

const issuers: ApprovalIssuerDirectory = (tenant, iss) =>
  Promise.resolve(ok(tenant === "acme" && iss === registration.issuer ? registration : null));
const noIssuers: ApprovalIssuerDirectory = () => Promise.resolve(err("D1 is away"));
const bare: ApprovalIssuerDirectory = () => Promise.resolve(ok({ ...registration, subject_prefix: "" }));
const down: JwksSource = () => Promise.resolve({ kind: "unavailable", cause: "answered 500" });
const stored = (over: object): string => JSON.stringify({ ...registration, ...over });
const BASE64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".split("");

async function verify(
  text: string,
  over: { readonly jwks?: JwksSource; readonly tenant?: string; readonly now?: number } = {},
) {
  return verifySignedDecision(text, over.tenant ?? "acme", { issuers, jwks: over.jwks ?? source }, over.now ?? NOW);
}

/** `approval-invalid: token: …`, or `genuine`. */
async function verdict(text: string, over: Parameters<typeof verify>[1] = {}): Promise<string> {
  const verified = await verify(text, over);
  if (verified.ok) return "genuine";
  return `${verified.error.kind}: ${"reason" in verified.error ? verified.error.reason : verified.error.dependency}`;
}

describe("a signed decision", () => {
  test("says who decided, which proposal, and by which signature", async () => {
    for (const signing of [key, ecKey]) {
      expect(await verify(await token({ confirm: "wl-1", nbf: NOW_S }, signing))).toEqual(
        ok({
          authority: "chat-bot",
          issuer: registration.issuer,
          jti: "5f0d7c1e-1",
          subject: "person:alice",
          approvalId: APPROVAL,
          approvalDigest: DIGEST,
          confirm: "wl-1",
          expiresAt: NOW + 1_800_000,
        }),
      );
    }
  });

  test.each<[string, () => Promise<string>, string]>([
    ["a signature of somebody else's key", () => token({}, otherKey), "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"],
    ["an algorithm that is not registered", () => token({}, rsaKey), "alg is not the authority's"],
    [
      "none at all",
      async () => `${(await token({}, key, { alg: "none" })).split(".").slice(0, 2).join(".")}.AA`,
      "alg is",
    ],
    ["HMAC under the public key", () => token({}, key, { alg: "HS256" }), "alg is not the authority's"],
    ["one key under another's algorithm", () => token({}, ecKey, { kid: "bot-1" }), "key is for another alg"],
    ["a key of an unknown id", () => token({}, key, { kid: "bot-9" }), "kid is not the authority's"],
    ["an access token of the same key", () => token({}, key, { typ: "at+jwt" }), "typ is not approval+jwt"],
    ["an ID token of the same key", () => token({}, key, { typ: "JWT" }), "typ is not approval+jwt"],
    ["a header that brings its own key", () => token({}, key, { jwk: key.publicJwk }), "header parameter"],
    [
      "an issuer that is not registered",
      () => token({ iss: "https://evil.example.com" }),
      "no approval authority here",
    ],
    ["no issuer", () => token({ iss: 7 }), "no iss"],
    ["another tenant's audience", () => token({ aud: "portcullis:globex" }), "ERR_JWT_CLAIM_VALIDATION_FAILED"],
    ["an audience beside ours", () => token({ aud: ["portcullis:acme", "x"] }), "aud names others too"],
    ["a longer life than registered", () => token({ exp: NOW_S + 1_801 }), "lives longer than 1800 s"],
    ["a time to come", () => token({ iat: NOW_S + 120, exp: NOW_S + 600 }), ""],
    ["no expiry", () => token({ exp: undefined }), "ERR_JWT_CLAIM_VALIDATION_FAILED"],
    ["no id of its own", () => token({ jti: "" }), "jti is not an id"],
    ["a subject of another form", () => token({ sub: "al ice" }), "sub is no person"],
    ["no subject", () => token({ sub: "" }), "sub is no person"],
    ["no proposal", () => token({ approval_id: "any" }), "approval_id is not"],
    ["no digest of what was seen", () => token({ approval_digest: "sha256:abc" }), "approval_digest is not a digest"],
    ["a denial", () => token({ decision: "deny" }), 'claim "decision" is not accepted'],
    ["a confirmation that is no text", () => token({ confirm: 7 }), "confirm is not a short text"],
  ])("is refused with %s", async (_, make, reason) => {
    const answer = await verdict(await make());
    expect(answer).toMatch(/^approval-invalid: token/);
    expect(answer).toContain(reason);
  });

  test("is refused for another tenant, whose authority this is not", async () => {
    expect(await verdict(await token(), { tenant: "globex" })).toContain("no approval authority here");
  });

  test("names a person, also where the registration puts nothing before the subject", async () => {
    const verified = await verifySignedDecision(
      await token({ sub: "agent:trainer" }),
      "acme",
      { issuers: bare, jwks: source },
      NOW,
    );
    expect(verified).toMatchObject({ error: { reason: "token: sub is no person" } });
  });

  test("expires to the second, and only a genuine one is called expired", async () => {
    const text = await token();
    expect(await verdict(text, { now: NOW + 1_799_999 })).toBe("genuine");
    expect(await verdict(text, { now: NOW + 1_800_000 })).toMatch(/^approval-expired/);
    expect(await verdict(await token({}, otherKey), { now: NOW + 1_800_000 })).toMatch(/^approval-invalid/);
  });

  test("has no twins: padding, white space and other trailing bits are refused", async () => {
    const text = await token();
    const last = text.at(-1) ?? "";
    const twins = [`${text}=`, `${text}\n`, ` ${text}`, text.replace(/\./, "=."), text.slice(0, -1)];
    twins.push(...BASE64URL.filter((bit) => bit !== last).map((bit) => text.slice(0, -1) + bit));
    for (const twin of twins) expect(await verdict(twin), twin.slice(-4)).toMatch(/^approval-invalid/);
  });

  test("is refused as unavailable, not as wrong, while its keys or registrations cannot be had", async () => {
    expect(await verdict(await token(), { jwks: down })).toBe("unavailable: jwks");
    const verified = await verifySignedDecision(await token(), "acme", { issuers: noIssuers, jwks: source }, NOW);
    expect(verified).toMatchObject({ error: { kind: "unavailable", dependency: "issuers" } });
  });

  test("is none of the gate's own tokens, nor one of those a signed decision", async () => {
    const text = await token();
    expect(isOwnToken(text)).toBe(false);
    expect(isOwnToken(await token({ iss: "portcullis" }))).toBe(true);
    expect(isOwnToken("no.token")).toBe(true);
    const { kid, privateKey } = key;
    const approvalKey = { kid, privateKey, publicKey: privateKey, rawPublicKey: new Uint8Array(32) };
    expect((await verifyApprovalToken(text, "acme", approvalKey, NOW)).ok).toBe(false);
    expect(await verdict(await token({ iss: "portcullis" }))).toContain("no approval authority here");
  });
});

describe("a registration", () => {
  test("reads back as it was written", () => {
    expect(valueOf(readApprovalIssuer(stored({}), "live"))).toEqual(registration);
  });

  test.each([
    ["an algorithm with a shared secret", { algorithms: ["HS256"] }],
    ["no algorithm", { algorithms: [] }],
    ["a longer life than half an hour", { max_lifetime_s: 1_801 }],
    ["subjects that are agents", { subject_prefix: "agent:" }],
    ["a private address", { jwks_uri: "https://10.0.0.1/jwks" }],
    ["plain http", { issuer: "http://bot.example.com" }],
    ["the gate's own name", { issuer: "portcullis" }],
    ["an unknown member", { roles: ["operator"] }],
  ])("is refused with %s", (_, over) => {
    expect(readApprovalIssuer(stored(over), "live").ok).toBe(false);
  });

  test("has keys of its own for each tenant", () => {
    expect(keysOf(registration).issuer).not.toBe(keysOf({ ...registration, tenant: "globex" }).issuer);
  });
});
