import { exportJWK, generateKeyPair } from "jose";
import { describe, expect, test } from "vitest";
import { readApprovalKey } from "../../src/approval/approval-key.ts";
import { mintApprovalToken, verifyApprovalToken } from "../../src/approval/approval-token.ts";
import { mintApiKey, principalOfKey } from "../../src/identity/api-key.ts";
import { authenticate, type AuthDependencies } from "../../src/identity/authenticate.ts";
import { createCredentialCache } from "../../src/identity/credential-cache.ts";
import { createJwksCache } from "../../src/identity/jwks-cache.ts";
import { fetchJwks } from "../../src/identity/jwks-fetch.ts";
import { open, seal } from "../../src/identity/sealed.ts";
import { readSecretKey } from "../../src/identity/secret-key.ts";
import { ok } from "../../src/platform/result.ts";
import {
  accessClaims,
  agentClaims,
  headerOf,
  issuer,
  newSecret,
  newSigningKey,
  NOW,
  signText,
  valueOf,
} from "./fixtures.ts";

describe("in the Workers runtime", () => {
  test.each(["Ed25519", "ES256", "RS256"] as const)(
    "API keys and %s tokens authenticate, their twins do not",
    async (alg) => {
      const signing = await newSigningKey(alg, "k-1");
      const body = JSON.stringify({ keys: [signing.publicJwk] });
      const credentialKey = newSecret();
      const dependencies: AuthDependencies = {
        environment: "test",
        credentialKey,
        cache: createCredentialCache(),
        issuers: () => Promise.resolve(ok({ ...issuer, algorithms: [alg] })),
        jwks: createJwksCache(() =>
          Promise.resolve(new Response(body, { headers: { "content-type": "application/json" } })),
        ),
        now: NOW,
      };
      const random = crypto.getRandomValues(new Uint8Array(32));
      const { key } = valueOf(mintApiKey(agentClaims, random, credentialKey, "test"));
      const token = await signText(JSON.stringify(headerOf(signing)), JSON.stringify(accessClaims), signing);
      expect(await authenticate(key, dependencies)).toEqual({
        kind: "verified",
        principal: principalOfKey(agentClaims),
      });
      expect((await authenticate(token, dependencies)).kind).toBe("verified");
      for (const credential of [key, token]) {
        for (const twin of [`${credential}=`, `${credential}\n`, credential.slice(0, -1)]) {
          expect((await authenticate(twin, dependencies)).kind).toBe("unauthenticated");
        }
      }
    },
  );

  test("a sealed credential opens in its own context alone", async () => {
    const key = newSecret();
    const sealed = await seal({ token: "upstream" }, key, "acme\nexample");
    expect(await open(sealed, key, "globex\nexample")).toMatchObject({ ok: false });
    expect(valueOf(await open(sealed, key, "acme\nexample"))["token"]).toBe("upstream");
  });

  test("an approval token is minted and verified, and a key of two unrelated halves is refused", async () => {
    const [one, two] = await Promise.all(
      [1, 2].map(async () =>
        exportJWK((await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true })).privateKey),
      ),
    );
    const key = valueOf(await readApprovalKey(JSON.stringify({ ...one, kid: "approval-1" })));
    const claims = {
      jti: "jti_0123456789abcdefghjkmnpqrs",
      tenant: "acme",
      principalSubject: "agent:trainer",
      approvalId: "apr_0123456789abcdefghjkmnpqrs",
      requestDigest: `sha256:${"a".repeat(64)}`,
      approvalDigest: `sha256:${"b".repeat(64)}`,
      approvers: ["person:alice"],
      issuedAt: NOW,
      expiresAt: NOW + 60_000,
    } as const;
    const token = await mintApprovalToken(claims, key);
    expect(await verifyApprovalToken(token, "acme", key, NOW)).toEqual({ ok: true, value: claims });
    expect((await readApprovalKey(JSON.stringify({ ...one, x: two?.x, kid: "approval-1" }))).ok).toBe(false);
  });

  test("the runtime's own fetch takes every option that the key fetch gives, and its failure is a value", async () => {
    // Nothing listens on the discard port: the call fails, as a value that names the network and no bad option.
    const result = await fetchJwks((url, init) => fetch(url, init), "http://127.0.0.1:9/keys");
    expect(result.ok || result.error).not.toMatch(/cache|redirect|signal|option|not supported|implemented/i);
    expect(result.ok).toBe(false);
  });

  test("a weak secret is refused here too", () => {
    expect(readSecretKey("CREDENTIAL_KEY", "this-is-our-very-long-and-very-secret-signing-key").ok).toBe(false);
  });
});
