import { describe, expect, test } from "vitest";
import { mintApiKey } from "../../src/identity/api-key.ts";
import type { ApiKeyClaims } from "../../src/identity/api-key-claims.ts";
import { authenticate, type AuthDependencies } from "../../src/identity/authenticate.ts";
import {
  createCredentialCache,
  CREDENTIAL_CACHE_MS,
  MAX_CACHED_CHARS,
  MAX_CACHED_CREDENTIALS,
} from "../../src/identity/credential-cache.ts";
import { principalOfKey } from "../../src/identity/api-key.ts";
import { ok } from "../../src/platform/result.ts";
import {
  accessClaims,
  agentClaims,
  fixedKeys,
  headerOf,
  issuer,
  newSecret,
  newSigningKey,
  NOW,
  NOW_S,
  signText,
  valueOf,
} from "./fixtures.ts";

const credentialKey = newSecret();
const long = (index: number): string => `${index}`.padStart(8_192, "x");
const mint = (claims: ApiKeyClaims): string =>
  valueOf(mintApiKey(claims, crypto.getRandomValues(new Uint8Array(32)), credentialKey, "test")).key;

async function gate() {
  const signing = await newSigningKey("Ed25519", "ed-1");
  const keys = await fixedKeys(signing.publicJwk);
  const base: AuthDependencies = {
    environment: "test",
    credentialKey,
    cache: createCredentialCache(),
    issuers: (iss) => Promise.resolve(ok(iss === issuer.issuer ? issuer : null)),
    jwks: keys.source,
    now: NOW,
  };
  return { base, keys, signing, at: (now: number) => ({ ...base, now }) };
}

describe("whatever is presented", () => {
  test("an API key and an access token each stand for their principal", async () => {
    const { base, signing } = await gate();
    const token = await signText(JSON.stringify(headerOf(signing)), JSON.stringify(accessClaims), signing);
    expect(await authenticate(mint(agentClaims), base)).toEqual({
      kind: "verified",
      principal: principalOfKey(agentClaims),
    });
    expect(await authenticate(token, base)).toMatchObject({ kind: "verified", principal: { tenant: "acme" } });
  });

  test.each(["", "pcl_", "pcl_test_x", "x", "a.b", "a.b.c", "a.b.c.d.e", "{}", "__proto__", "\u{1F511}"])(
    "%j is unauthenticated and throws nothing",
    async (credential) => {
      expect((await authenticate(credential, (await gate()).base)).kind).toBe("unauthenticated");
    },
  );
});

describe("TOK-11 the cache of verified credentials", () => {
  test("saves verifying again for 30 s and no longer", async () => {
    const { at, keys, signing } = await gate();
    const token = await signText(JSON.stringify(headerOf(signing)), JSON.stringify(accessClaims), signing);
    await authenticate(token, at(NOW));
    await authenticate(token, at(NOW + CREDENTIAL_CACHE_MS - 1));
    expect(keys.asked()).toBe(1);
    await authenticate(token, at(NOW + CREDENTIAL_CACHE_MS));
    expect(keys.asked()).toBe(2);
  });

  test("never outlives the credential", async () => {
    const { at, signing } = await gate();
    const claims = { ...accessClaims, exp: NOW_S + 10 };
    const token = await signText(JSON.stringify(headerOf(signing)), JSON.stringify(claims), signing);
    const key = mint({ ...agentClaims, expiresAt: NOW + 10_000 });
    for (const credential of [token, key]) {
      expect((await authenticate(credential, at(NOW))).kind).toBe("verified");
      expect((await authenticate(credential, at(NOW + 9_999))).kind).toBe("verified");
      expect((await authenticate(credential, at(NOW + 10_000))).kind).toBe("unauthenticated");
    }
  });

  test("knows no twin of a cached credential", async () => {
    const { base, signing } = await gate();
    const token = await signText(JSON.stringify(headerOf(signing)), JSON.stringify(accessClaims), signing);
    const key = mint(agentClaims);
    for (const credential of [token, key]) {
      await authenticate(credential, base);
      for (const twin of [`${credential}=`, `${credential} `, `${credential}\n`, ` ${credential}`]) {
        expect((await authenticate(twin, base)).kind, JSON.stringify(twin.slice(-3))).toBe("unauthenticated");
      }
    }
  });

  test("keeps no refusal: what becomes valid is accepted at once", async () => {
    const { base, keys, signing } = await gate();
    const token = await signText(JSON.stringify(headerOf(signing)), JSON.stringify(accessClaims), signing);
    const before = { ...base, issuers: () => Promise.resolve(ok(null)) };
    expect((await authenticate(token, before)).kind).toBe("unauthenticated");
    const down = { ...base, issuers: () => Promise.resolve({ ok: false, error: "D1 down" } as const) };
    expect((await authenticate(token, down)).kind).toBe("unavailable");
    expect(base.cache.size()).toBe(0);
    expect((await authenticate(token, base)).kind).toBe("verified");
    expect(keys.asked()).toBe(1);
  });

  test("serves what it verified while the issuer directory is down, within its bound", async () => {
    const { at, base, signing } = await gate();
    const token = await signText(JSON.stringify(headerOf(signing)), JSON.stringify(accessClaims), signing);
    await authenticate(token, base);
    const down = (now: number) => ({
      ...at(now),
      issuers: () => Promise.resolve({ ok: false, error: "down" } as const),
    });
    expect((await authenticate(token, down(NOW + CREDENTIAL_CACHE_MS - 1))).kind).toBe("verified");
    expect((await authenticate(token, down(NOW + CREDENTIAL_CACHE_MS))).kind).toBe("unavailable");
  });

  test("holds a bounded number of entries and drops the oldest first", () => {
    const cache = createCredentialCache();
    const principal = principalOfKey(agentClaims);
    for (let index = 0; index <= MAX_CACHED_CREDENTIALS; index++) cache.put(`credential-${index}`, principal, NOW);
    expect(cache.size()).toBe(MAX_CACHED_CREDENTIALS);
    expect(cache.get("credential-0", NOW)).toBeNull();
    expect(cache.get("credential-1", NOW)).toBe(principal);
    expect(cache.get(`credential-${MAX_CACHED_CREDENTIALS}`, NOW)).toBe(principal);
  });

  test("holds a bounded number of characters, counting a renewed entry once", () => {
    const cache = createCredentialCache();
    const principal = principalOfKey(agentClaims);
    const fitting = MAX_CACHED_CHARS / 8_192;
    for (let index = 0; index < fitting; index++) {
      cache.put(long(index), principal, NOW);
      cache.put(long(index), principal, NOW);
    }
    expect(cache.size()).toBe(fitting);
    cache.put(long(fitting), principal, NOW);
    expect(cache.size()).toBe(fitting);
    expect(cache.get(long(0), NOW)).toBeNull();
  });

  test("does not trust an entry from the future: the clock was set back", () => {
    const cache = createCredentialCache();
    cache.put("credential", principalOfKey(agentClaims), NOW);
    expect(cache.get("credential", NOW - 1)).toBeNull();
    expect(cache.size()).toBe(0);
  });
});
