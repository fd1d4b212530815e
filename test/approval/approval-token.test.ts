import { exportJWK, generateKeyPair } from "jose";
import { beforeAll, describe, expect, test } from "vitest";
import { readApprovalKey, type ApprovalKey } from "../../src/approval/approval-key.ts";
import { mintApprovalToken, verifyApprovalToken, type ApprovalClaims } from "../../src/approval/approval-token.ts";
import { verifyJwt } from "../../src/identity/jwt.ts";
import { ok } from "../../src/platform/result.ts";
import {
  accessClaims,
  base64url,
  fixedKeys,
  issuer,
  NOW,
  NOW_S,
  signText,
  valueOf,
  type SigningKey,
} from "../identity/fixtures.ts";

const claims: ApprovalClaims = {
  jti: "jti_0123456789abcdefghjkmnpqrs",
  tenant: "acme",
  principalSubject: "agent:trainer",
  approvalId: "apr_0123456789abcdefghjkmnpqrs",
  requestDigest: `sha256:${"a".repeat(64)}`,
  approvalDigest: `sha256:${"b".repeat(64)}`,
  approvers: ["person:alice", "person:bob"],
  issuedAt: NOW,
  expiresAt: NOW + 30 * 60_000,
};

let key: ApprovalKey;
let signer: SigningKey;
let text: string;
let token: string;

beforeAll(async () => {
  const pair = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  const privateJwk = { ...(await exportJWK(pair.privateKey)), kid: "approval-1" };
  text = JSON.stringify(privateJwk);
  key = valueOf(await readApprovalKey(text));
  const publicJwk = { ...(await exportJWK(pair.publicKey)), kid: "approval-1", alg: "EdDSA" };
  signer = { kid: "approval-1", alg: "EdDSA", privateKey: pair.privateKey, publicJwk, privateJwk };
  token = await mintApprovalToken(claims, key);
});

const payloadOf = (jwt: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(jwt.split(".")[1] ?? "", "base64url").toString());
const header = (): Record<string, unknown> => ({ alg: "EdDSA", kid: "approval-1", typ: "approval+jwt" });
const signed = (change: object, headerChange: object = {}): Promise<string> =>
  signText(
    JSON.stringify({ ...header(), ...headerChange }),
    JSON.stringify({ ...payloadOf(token), ...change }),
    signer,
  );
const verify = (jwt: string, now = NOW) => verifyApprovalToken(jwt, "acme", key, now);
const jwk = (): Record<string, unknown> => JSON.parse(text);
const INVALID = { ok: false, error: { kind: "approval-invalid", reason: expect.any(String) } };
const EXPIRED = { ok: false, error: { kind: "approval-expired", reason: expect.any(String) } };

describe("an approval token", () => {
  test("gives back exactly what was approved", async () => {
    expect(await verify(token)).toEqual({ ok: true, value: claims });
  });

  test("is valid until its last second and then expired, not invalid", async () => {
    expect((await verify(token, claims.expiresAt - 1)).ok).toBe(true);
    expect(await verify(token, claims.expiresAt)).toEqual(EXPIRED);
    expect(await verify(token, claims.expiresAt + 30_000)).toEqual(EXPIRED);
    expect(await verify(token, claims.expiresAt + 86_400_000)).toEqual(EXPIRED);
  });

  test("of another tenant is invalid, expired or not", async () => {
    expect(await verifyApprovalToken(token, "globex", key, NOW)).toEqual(INVALID);
    expect(await verifyApprovalToken(token, "globex", key, claims.expiresAt + 86_400_000)).toEqual(INVALID);
    expect(await verifyApprovalToken(token, "acme2", key, NOW)).toEqual(INVALID);
  });

  test("of another key is invalid, even under the same kid, and never called expired", async () => {
    const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
    const forged = await signText(JSON.stringify(header()), JSON.stringify(payloadOf(token)), {
      ...signer,
      privateKey,
    });
    expect(await verify(forged)).toEqual(INVALID);
    expect(await verify(forged, claims.expiresAt + 86_400_000)).toEqual(INVALID);
  });

  test.each([
    ["a jti that is none", { jti: "x" }],
    ["no approver", { approvers: [] }],
    ["one approver twice", { approvers: ["person:alice", "person:alice"] }],
    ["a life longer than 30 minutes", { expiresAt: NOW + 30 * 60_000 + 1000 }],
    ["a date between two seconds", { expiresAt: NOW + 60_500 }],
    ["a digest that is none", { requestDigest: "sha256:short" as const }],
  ])("with %s is never minted", async (_name, change) => {
    await expect(mintApprovalToken({ ...claims, ...change }, key)).rejects.toThrow("invariant");
  });
});

describe("TOK-01…TOK-09 for approval tokens", () => {
  test("the signing double of these tests makes tokens that verify: the refusals below are the rules'", async () => {
    expect(await verify(await signed({}))).toEqual({ ok: true, value: claims });
  });

  test.each([
    ["the unsigned algorithm", { alg: "none" }],
    ["a shared-key algorithm", { alg: "HS256" }],
    ["another name for the algorithm", { alg: "Ed25519" }],
    ["another kid", { kid: "approval-2" }],
    ["no kid", { kid: undefined }],
    ["an access token's type", { typ: "at+jwt" }],
    ["an ID token's type", { typ: "JWT" }],
    ["the type in another case", { typ: "Approval+JWT" }],
    ["the type with its prefix", { typ: "application/approval+jwt" }],
    ["no type", { typ: undefined }],
    ["a key of its own", { jwk: { kty: "OKP" } }],
    ["a key address", { jku: "https://evil.example" }],
    ["an extension", { crit: ["exp"] }],
    ["unencoded payload", { b64: false }],
  ])("a header with %s is refused", async (_name, change) => {
    expect(await verify(await signed({}, change))).toEqual(INVALID);
  });

  test.each([
    ["another issuer", { iss: "evil" }],
    ["another audience", { aud: "portcullis:globex" }],
    ["several audiences", { aud: ["portcullis:acme", "portcullis:globex"] }],
    ["no audience", { aud: undefined }],
    ["no jti", { jti: undefined }],
    ["no subject", { sub: undefined }],
    ["no approval", { approval_id: undefined }],
    ["no request digest", { request_digest: undefined }],
    ["a digest in upper case", { request_digest: `sha256:${"A".repeat(64)}` }],
    ["no approval digest", { approval_digest: undefined }],
    ["no approvers", { approvers: undefined }],
    ["approvers that are no list", { approvers: "person:alice" }],
    ["an approver that is no subject", { approvers: ["person:alice", 7] }],
    ["an approver counted twice", { approvers: ["person:alice", "person:alice"] }],
    ["eleven approvers", { approvers: Array.from({ length: 11 }, (_, index) => `person:p${index}`) }],
    ["one claim more", { tier: 4 }],
    ["no exp", { exp: undefined }],
    ["no iat", { iat: undefined }],
    ["exp as text", { exp: `${NOW_S + 60}` }],
    ["exp with a fraction", { exp: NOW_S + 60.5 }],
    ["a life longer than 30 minutes", { exp: NOW_S + 1_801 }],
    ["iat in the future", { iat: NOW_S + 61, exp: NOW_S + 600 }],
    ["nbf", { nbf: NOW_S }],
  ])("claims with %s are refused although genuinely signed", async (_name, change) => {
    expect(await verify(await signed(change))).toEqual(INVALID);
  });

  test("exp 1e300 and repeated claims are refused although genuinely signed", async () => {
    const payload = JSON.stringify(payloadOf(token));
    const huge = payload.replace(/"exp":\d+/, '"exp":1e300');
    const twice = `{"jti":"jti_zzzzzzzzzzzzzzzzzzzzzzzzzz",${payload.slice(1)}`;
    for (const body of [huge, twice]) {
      expect(body).not.toBe(payload);
      expect(await verify(await signText(JSON.stringify(header()), body, signer))).toEqual(INVALID);
    }
  });

  test("APR-02 no twin of a token verifies: one grant has one text", async () => {
    const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (const character of alphabet) {
      if (!token.endsWith(character)) expect(await verify(token.slice(0, -1) + character)).toEqual(INVALID);
    }
    const [head = "", body = "", signature = ""] = token.split(".");
    const json = JSON.stringify({ protected: head, payload: body, signature });
    for (const twin of [
      `${token}=`,
      `${token}==`,
      `${token} `,
      ` ${token}`,
      `${token}\n`,
      `${token}.`,
      json,
      "",
      "..",
    ]) {
      expect(await verify(twin), JSON.stringify(twin.slice(-4))).toEqual(INVALID);
    }
  });

  test("APR-01 no bit of a token can be changed", async () => {
    const [head = "", body = "", signature = ""] = token.split(".");
    const bytes = Buffer.from(body, "base64url");
    for (let bit = 0; bit < bytes.length * 8; bit += 5) {
      const flipped = Buffer.from(bytes);
      flipped.writeUInt8(flipped.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
      expect((await verify(`${head}.${base64url(flipped)}.${signature}`)).ok).toBe(false);
    }
  });
});

describe("TOK-09 neither kind of token is ever taken for the other", () => {
  test("an access token is no approval, even signed with the approval key", async () => {
    const access = await signText(JSON.stringify({ ...header(), typ: "at+jwt" }), JSON.stringify(accessClaims), signer);
    expect(await verify(access)).toEqual(INVALID);
  });

  test("an approval token is no access token, even of an issuer with the approval key and address", async () => {
    const registration = {
      ...issuer,
      issuer: "portcullis",
      audience: "portcullis:acme",
      algorithms: ["EdDSA" as const],
    };
    const { source } = await fixedKeys(signer.publicJwk);
    const outcome = await verifyJwt(token, () => Promise.resolve(ok(registration)), source, NOW);
    expect(outcome).toEqual({ kind: "unauthenticated", cause: "token: typ is not at+jwt" });
  });
});

describe("TOK-15 the approval key", () => {
  test.each([
    ["nothing", () => ""],
    ["no JSON", () => "secret"],
    ["a public key", () => JSON.stringify({ ...jwk(), d: undefined })],
    ["a key without a kid", () => JSON.stringify({ ...jwk(), kid: undefined })],
    ["a kid that is none", () => JSON.stringify({ ...jwk(), kid: "a/b" })],
    ["a shared key", () => JSON.stringify({ kty: "oct", k: "AAAA", kid: "a" })],
    ["another curve", () => JSON.stringify({ ...jwk(), crv: "X25519" })],
    ["two halves of different keys", () => JSON.stringify({ ...jwk(), x: base64url(new Uint8Array(32).fill(7)) })],
    ["a short key", () => JSON.stringify({ ...jwk(), d: "AAAA" })],
    ["an unknown member", () => JSON.stringify({ ...jwk(), n: "AAAA" })],
    ["a repeated member", () => text.replace("{", '{"kid":"other",')],
  ])("%s is refused, without quoting it", async (_name, make) => {
    const result = await readApprovalKey(make());
    expect(result).toEqual({ ok: false, error: expect.stringContaining("APPROVAL_KEY") });
    expect(JSON.stringify(result)).not.toContain(String(jwk()["d"]));
  });
});
