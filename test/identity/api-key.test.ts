import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { API_KEY_PATTERN, mintApiKey, principalOfKey, verifyApiKey } from "../../src/identity/api-key.ts";
import type { ApiKeyClaims } from "../../src/identity/api-key-claims.ts";
import { checksum } from "../../src/identity/checksum.ts";
import { macOf } from "../../src/identity/secret-key.ts";
import { agentClaims, base64url, newSecret, NOW, personClaims, valueOf } from "./fixtures.ts";

const secret = newSecret();
const random = (): Uint8Array => crypto.getRandomValues(new Uint8Array(32));
const mint = (claims: ApiKeyClaims): string => valueOf(mintApiKey(claims, random(), secret, "test")).key;
const verify = (key: string, now = NOW) => verifyApiKey(key, secret, "test", now);

/** A key with a genuine MAC and checksum over any payload: what a deployment with looser rules could have minted. */
function signedPayload(payload: string, environment = "test"): string {
  const signed = `pcl_${environment}_${payload}`;
  const checked = `${signed}_${base64url(macOf(secret, "portcullis/api-key/v1", signed))}`;
  return `${checked}_${checksum(checked)}`;
}
const withText = (text: string): string => signedPayload(base64url(Buffer.concat([random(), Buffer.from(text)])));
const textOf = (claims: ApiKeyClaims): string => {
  const payload = mint(claims).slice("pcl_test_".length, -51);
  return Buffer.from(payload, "base64url").subarray(32).toString();
};

function twinOfMac(text: string): string {
  // The last of 43 characters carries two bits that decode to nothing: three other characters give the same bytes.
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  const last = alphabet.indexOf(text.charAt(text.length - 8));
  const twin = `${text.slice(0, -8)}${alphabet.charAt(last ^ 1)}`;
  return `${twin}_${checksum(twin)}`;
}

describe("a genuine key", () => {
  test.each([
    ["agent", agentClaims],
    ["person", personClaims],
    ["service", { ...agentClaims, class: "service", subject: "service:ci" } satisfies ApiKeyClaims],
    [
      "billing batch",
      {
        ...agentClaims,
        class: "service",
        subject: "service:invoices",
        roles: ["billing"],
        scopes: { actions: [], maxTier: 0 },
      } satisfies ApiKeyClaims,
    ],
    ["demonstration", { ...agentClaims, demo: true }],
  ])("of class %s gives back exactly the claims that it was minted with", (_name, claims) => {
    expect(verify(mint(claims))).toEqual({ ok: true, value: claims });
  });

  test("stands for the principal of its claims, named by the key id", () => {
    const { keyId, issuedAt: _, ...rest } = agentClaims;
    const known = { credentialId: keyId, delegation: [], authenticatedAt: null };
    expect(principalOfKey(agentClaims)).toEqual({ ...rest, ...known });
  });

  test("differs from another one with equal claims", () => {
    expect(mint(agentClaims)).not.toBe(mint(agentClaims));
  });

  test("is found by the published pattern inside other text, whole", () => {
    const key = mint(agentClaims);
    expect(API_KEY_PATTERN.exec(`export KEY="${key}"\n`)?.[0]).toBe(key);
    expect(API_KEY_PATTERN.test(`KEY=${key.slice(0, -1)}`)).toBe(false);
  });

  test("is a header value and a b64token: no character needs quoting", () => {
    expect(mint(agentClaims)).toMatch(/^[A-Za-z0-9_-]{200,2048}$/);
  });

  test("is not in its stored record, and neither is any part that could rebuild it", () => {
    const { key, record } = valueOf(mintApiKey(agentClaims, random(), secret, "test"));
    expect(record).toEqual({ ...agentClaims, environment: "test", last4: key.slice(-4) });
    expect(key.endsWith(record.last4)).toBe(true);
  });
});

describe("TOK-14 a changed key is refused", () => {
  const key = mint(agentClaims);

  test("with any one character replaced by any other", () => {
    const ascii = fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code));
    fc.assert(
      fc.property(fc.nat(key.length - 1), ascii, (at, character) => {
        fc.pre(key.charAt(at) !== character);
        expect(verify(key.slice(0, at) + character + key.slice(at + 1)).ok).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  test("with any one character replaced, even by somebody who repairs the checksum", () => {
    for (let at = 0; at < key.length - 7; at++) {
      const changed = key.slice(0, at) + (key.charAt(at) === "A" ? "B" : "A") + key.slice(at + 1, -7);
      expect(verify(`${changed}_${checksum(changed)}`).ok, `position ${at}`).toBe(false);
    }
  });

  test("with any one character removed or doubled", () => {
    for (let at = 0; at < key.length; at++) {
      expect(verify(key.slice(0, at) + key.slice(at + 1)).ok, `removed ${at}`).toBe(false);
      expect(verify(key.slice(0, at + 1) + key.slice(at)).ok, `doubled ${at}`).toBe(false);
    }
  });

  test("cut off at any length", () => {
    for (let length = 0; length < key.length; length++) expect(verify(key.slice(0, length)).ok).toBe(false);
  });

  test.each([
    ["trailing space", `${key} `],
    ["leading space", ` ${key}`],
    ["trailing newline", `${key}\n`],
    ["padding", `${key}=`],
    ["upper-case prefix", key.replace("pcl_", "PCL_")],
    ["another MAC's text for the same bytes", twinOfMac(key)],
    ["empty", ""],
    ["prefix alone", "pcl_test_"],
    ["too long", `pcl_test_${"A".repeat(3_000)}`],
  ])("%s", (_name, changed) => {
    expect(verify(changed).ok).toBe(false);
  });
});

describe("TOK-14 the order of checks", () => {
  const key = mint(agentClaims);

  test("a wrong checksum is found before the MAC is computed", () => {
    const typo = `${key.slice(0, -1)}${key.endsWith("0") ? "1" : "0"}`;
    // A secret that throws when it is touched: the MAC cannot have been computed.
    const untouchable = new Proxy(newSecret(), {
      get: () => {
        throw new Error("the secret was used");
      },
    });
    expect(verifyApiKey(typo, untouchable, "test", NOW)).toEqual({ ok: false, error: "api key: wrong checksum" });
    expect(() => verifyApiKey(key, untouchable, "test", NOW)).toThrow();
  });

  test.each([
    ["of another environment", () => verifyApiKey(key, secret, "live", NOW), "api key: of another environment"],
    ["under another secret", () => verifyApiKey(key, newSecret(), "test", NOW), "api key: wrong MAC"],
    ["relabelled for another environment", () => verifyApiKey(relabelled(), secret, "live", NOW), "api key: wrong MAC"],
    ["at its expiry", () => verify(key, agentClaims.expiresAt), "api key: expired"],
    ["long before it was issued", () => verify(key, NOW - 60_001), "api key: issued in the future"],
  ])("a key %s is refused with that cause", (_name, result, cause) => {
    expect(result()).toEqual({ ok: false, error: cause });
  });

  const relabelled = (): string => {
    const checked = key.slice(0, -7).replace("pcl_test_", "pcl_live_");
    return `${checked}_${checksum(checked)}`;
  };

  test("a key is accepted until the last millisecond, and within a minute of clock skew", () => {
    expect(verify(key, agentClaims.expiresAt - 1).ok).toBe(true);
    expect(verify(key, NOW - 60_000).ok).toBe(true);
  });
});

describe("rules that hold at minting and, for a key signed without them, at verification", () => {
  const rules: readonly (readonly [string, Partial<ApiKeyClaims>])[] = [
    ["an agent holds no role", { roles: ["operator"] }],
    ["an agent does not bill", { roles: ["billing"], scopes: { actions: [], maxTier: 0 } }],
    ["an agent's subject is an agent's", { subject: "person:alice" }],
    ["an owner is a person", { owner: "agent:other" }],
    ["an owner is a subject", { owner: "" }],
    ["a service holds no role but billing", { class: "service", subject: "service:ci", roles: ["finance"] }],
    ["a billing credential reaches no action", { class: "service", subject: "service:ci", roles: ["billing"] }],
    ["a person has no data-plane scope", { class: "person", subject: "person:a", owner: "person:a" }],
    ["a person's key is the person's own", { ...personClaims, owner: "person:bob" }],
    ["billing stands alone", { ...personClaims, roles: ["billing", "finance"] }],
    ["a role is held once", { ...personClaims, roles: ["finance", "finance"] }],
    ["a tenant id has its grammar", { tenant: "Acme" }],
    ["a tenant id is not a reserved name", { tenant: "__proto__" }],
    ["a tenant id is not empty", { tenant: "" }],
    ["a key id has its grammar", { keyId: "key_1" }],
    ["a subject has its grammar", { subject: "agent:tr\u0430iner" }],
    ["an issuer has its grammar", { issuer: "person:o lga" }],
    ["tier 5 is out of reach", { scopes: { actions: ["*"], maxTier: 5 } }],
    ["a scope has its grammar", { scopes: { actions: ["workloads*"], maxTier: 4 } }],
    ["a scope stands once", { scopes: { actions: ["a.b", "a.b"], maxTier: 4 } }],
    ["expiry follows issue", { expiresAt: NOW }],
    ["expiry is within 366 days", { expiresAt: NOW + 366 * 86_400_000 + 1 }],
    ["dates are whole", { expiresAt: NOW + 0.5 }],
  ];

  test.each(rules)("%s", (_name, change) => {
    const claims = { ...agentClaims, ...change };
    expect(mintApiKey(claims, random(), secret, "test").ok).toBe(false);
    const fields = [1, claims.keyId, claims.tenant, claims.subject, claims.class, claims.owner, claims.issuer];
    const rest = [claims.scopes.actions, claims.scopes.maxTier, claims.roles, claims.issuedAt, claims.expiresAt, false];
    expect(verify(withText(JSON.stringify([...fields, ...rest]))).ok).toBe(false);
  });

  test("the signing double of these tests makes keys that verify: the refusals above are the rules'", () => {
    expect(verify(withText(textOf(agentClaims)))).toEqual({ ok: true, value: agentClaims });
  });

  test("a live deployment neither mints nor accepts a demonstration key", () => {
    const demo = { ...agentClaims, demo: true };
    expect(mintApiKey(demo, random(), secret, "live").ok).toBe(false);
    const live = signedPayload(base64url(Buffer.concat([random(), Buffer.from(textOf(demo))])), "live");
    expect(verifyApiKey(live, secret, "live", NOW).ok).toBe(false);
  });

  test("a key takes exactly 32 random bytes", () => {
    expect(mintApiKey(agentClaims, new Uint8Array(16), secret, "test").ok).toBe(false);
  });

  test("claims too long for a header are refused when minting", () => {
    const actions = Array.from({ length: 64 }, (_, index) => `workloads.some_rather_long_action_name_${index}`);
    expect(mintApiKey({ ...agentClaims, scopes: { actions, maxTier: 4 } }, random(), secret, "test").ok).toBe(false);
  });
});

describe("claims have one text only", () => {
  const text = textOf(agentClaims);
  test.each([
    ["white space", text.replace(",", ", ")],
    ["an escaped character", text.replace("acme", "\\u0061cme")],
    ["another layout number", text.replace("[1,", "[2,")],
    ["one more field", text.replace(/\]$/, ",1]")],
    ["one field fewer", text.replace(/,false\]$/, "]")],
    ["an unknown role", text.replace(",[],", ',["root"],')],
    ["an unknown class", text.replace('"agent",', '"admin",')],
    ["a date in exponent form", text.replace(`${NOW}`, `${NOW / 1e5}e5`)],
    ["a tier as text", text.replace(",4,", ',"4",')],
    ["a scope that is no text", text.replace('"gpus.status"', "7")],
    ["an object", `{"0":1}`],
    ["no JSON", "nonsense"],
    ["nothing", ""],
  ])("%s is refused although genuinely signed", (_name, changed) => {
    expect(changed).not.toBe(text);
    expect(verify(withText(changed)).ok).toBe(false);
  });

  test("bytes that are not UTF-8 are refused although genuinely signed", () => {
    expect(verify(signedPayload(base64url(Buffer.concat([random(), Buffer.from([0xff, 0xfe])])))).ok).toBe(false);
  });
});
