import { exportJWK, generateKeyPair, type JWK } from "jose";
import type { ApiKeyClaims } from "../../src/identity/api-key-claims.ts";
import type { IssuerRegistration } from "../../src/identity/issuers.ts";
import { readKeySet } from "../../src/identity/jwks-document.ts";
import type { JwksSource } from "../../src/identity/jwks-cache.ts";
import { readSecretKey, type SecretKey } from "../../src/identity/secret-key.ts";
import type { Result } from "../../src/platform/result.ts";

/** A fixed instant in whole seconds: tests never look at the clock. */
export const NOW = Date.UTC(2026, 10, 20, 12, 0, 0);
export const NOW_S = NOW / 1000;

export const base64url = (text: string | Uint8Array): string => Buffer.from(text).toString("base64url");

/** The value of a result that must be a success. */
export function valueOf<T>(result: Result<T, unknown>): T {
  if (!result.ok) throw new Error(`expected a success, found ${JSON.stringify(result.error)}`);
  return result.value;
}

export const newSecret = (): SecretKey =>
  valueOf(readSecretKey("TEST_KEY", base64url(crypto.getRandomValues(new Uint8Array(32)))));

export const agentClaims: ApiKeyClaims = {
  keyId: "key_0123456789abcdefghjkmnpqrs",
  tenant: "acme",
  subject: "agent:trainer",
  class: "agent",
  owner: "person:dana",
  issuer: "person:olga",
  scopes: { actions: ["workloads.*", "gpus.status"], maxTier: 4 },
  roles: [],
  issuedAt: NOW,
  expiresAt: NOW + 86_400_000,
  demo: false,
};

export const personClaims: ApiKeyClaims = {
  ...agentClaims,
  subject: "person:alice",
  class: "person",
  owner: "person:alice",
  scopes: { actions: [], maxTier: 0 },
  roles: ["operator"],
};

export const issuer: IssuerRegistration = {
  id: "okta",
  issuer: "https://idp.example.com/oauth2",
  tenant: "acme",
  jwks_uri: "https://idp.example.com/keys",
  algorithms: ["Ed25519", "ES256"],
  audience: "https://gate.example.com",
  class: "agent",
  subject_prefix: "agent:okta/",
  owner: { subject: "person:dana" },
  actions: ["workloads.*", "gpus.status"],
  max_tier: 3,
  max_lifetime_s: 900,
};

export type SigningKey = {
  readonly kid: string;
  readonly alg: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
  readonly privateJwk: JWK;
};

export async function newSigningKey(alg: string, kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true });
  return {
    kid,
    alg,
    privateKey,
    publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: "sig" },
    privateJwk: { ...(await exportJWK(privateKey)), kid, alg },
  };
}

const WEB_CRYPTO: Readonly<Record<string, SubtleCryptoSignAlgorithm>> = {
  Ed25519: { name: "Ed25519" },
  EdDSA: { name: "Ed25519" },
  ES256: { name: "ECDSA", hash: "SHA-256" },
  RS256: { name: "RSASSA-PKCS1-v1_5" },
  PS256: { name: "RSA-PSS", saltLength: 32 },
};

/** Signs header and payload exactly as written, so that a malformed token can still carry a genuine signature. */
export async function signText(header: string, payload: string, key: SigningKey): Promise<string> {
  const input = `${base64url(header)}.${base64url(payload)}`;
  const algorithm = WEB_CRYPTO[key.alg];
  if (algorithm === undefined) throw new Error(`no signer for ${key.alg}`);
  const signature = await crypto.subtle.sign(algorithm, key.privateKey, Buffer.from(input));
  return `${input}.${base64url(new Uint8Array(signature))}`;
}

export const headerOf = (key: SigningKey): Record<string, unknown> => ({ alg: key.alg, kid: key.kid, typ: "at+jwt" });

export const accessClaims: Readonly<Record<string, unknown>> = {
  iss: issuer.issuer,
  aud: issuer.audience,
  sub: "00u1",
  client_id: "trainer-ci",
  jti: "2f1c7b1e-8a55-4d6e-9d4b-0c6b8a1f0e11",
  iat: NOW_S,
  exp: NOW_S + 600,
};

/** A source that serves one fixed set and counts how often it was asked. */
export async function fixedKeys(...keys: readonly JWK[]): Promise<{ source: JwksSource; asked: () => number }> {
  const set = valueOf(await readKeySet(JSON.stringify({ keys }), ["Ed25519", "EdDSA", "ES256", "PS256", "RS256"]));
  let count = 0;
  return {
    source: (_issuer, kid) => {
      count++;
      const key = set.get(kid);
      return Promise.resolve(key === undefined ? { kind: "unknown" } : { kind: "found", key });
    },
    asked: () => count,
  };
}
