import { generateKeyPairSync } from "node:crypto";
import { beforeAll, describe, expect, test } from "vitest";
import {
  createJwksCache,
  JWKS_COOL_DOWN_MS,
  JWKS_MAX_AGE_MS,
  JWKS_REFRESH_MS,
  MAX_COLD_FETCHES,
} from "../../src/identity/jwks-cache.ts";
import { readKeySet } from "../../src/identity/jwks-document.ts";
import { fetchJwks, MAX_JWKS_BYTES, type Fetch } from "../../src/identity/jwks-fetch.ts";
import type { Result } from "../../src/platform/result.ts";
import { issuer, newSigningKey, NOW, type SigningKey } from "./fixtures.ts";

let key: SigningKey;
let next: SigningKey;
beforeAll(async () => {
  key = await newSigningKey("Ed25519", "ed-1");
  next = await newSigningKey("Ed25519", "ed-2");
});

const json = (body: unknown, headers: Record<string, string> = {}): Response =>
  new Response(JSON.stringify(body), { headers: { "content-type": "application/json", ...headers } });
const setOf = (...keys: readonly SigningKey[]): Response => json({ keys: keys.map((each) => each.publicJwk) });

const down = (): Promise<Response> => Promise.reject(new Error("connection refused"));
const timeout: Fetch = () => Promise.reject(new DOMException("The operation timed out.", "TimeoutError"));
const textOf = (answer: Response): Promise<Result<string, string>> =>
  fetchJwks(() => Promise.resolve(answer), issuer.jwks_uri);
const read = (keys: unknown) => readKeySet(JSON.stringify({ keys }), ["Ed25519", "ES256"]);

/** A network of one address whose answer each test chooses. */
function network(answer: () => Response | Promise<Response>) {
  const calls: { url: string; init: RequestInit }[] = [];
  const state = { answer };
  const fetch: Fetch = async (url, init) => {
    calls.push({ url, init });
    return state.answer();
  };
  return { calls, state, keyOf: createJwksCache(fetch) };
}

describe("keys are fetched when needed and no more often", () => {
  test("one fetch serves many look-ups", async () => {
    const { calls, keyOf } = network(() => setOf(key));
    for (let second = 0; second < 60; second++) {
      expect((await keyOf(issuer, "ed-1", NOW + second * 1000)).kind).toBe("found");
    }
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatchObject({ url: issuer.jwks_uri, init: { method: "GET", redirect: "manual" } });
    expect(calls[0]?.init.signal).toBeInstanceOf(AbortSignal);
  });

  test("TOK-10 a flood of unknown key ids costs one fetch per cool-down", async () => {
    const { calls, keyOf } = network(() => setOf(key));
    await keyOf(issuer, "ed-1", NOW);
    for (let index = 0; index < 1_000; index++) {
      expect(await keyOf(issuer, `kid-${index}`, NOW + JWKS_COOL_DOWN_MS - 1)).toEqual({ kind: "unknown" });
    }
    expect(calls).toHaveLength(1);
    for (let index = 0; index < 1_000; index++) await keyOf(issuer, `kid-${index}`, NOW + JWKS_COOL_DOWN_MS);
    expect(calls).toHaveLength(2);
  });

  test("a rotated key is found by the first look-up after the cool-down", async () => {
    const { state, keyOf } = network(() => setOf(key));
    await keyOf(issuer, "ed-1", NOW);
    state.answer = () => setOf(key, next);
    expect((await keyOf(issuer, "ed-2", NOW + 1_000)).kind).toBe("unknown");
    expect((await keyOf(issuer, "ed-2", NOW + JWKS_COOL_DOWN_MS)).kind).toBe("found");
  });

  test("a withdrawn key is gone once the set is due", async () => {
    const { state, keyOf } = network(() => setOf(key));
    await keyOf(issuer, "ed-1", NOW);
    state.answer = () => setOf(next);
    expect((await keyOf(issuer, "ed-1", NOW + JWKS_REFRESH_MS - 1)).kind).toBe("found");
    expect((await keyOf(issuer, "ed-1", NOW + JWKS_REFRESH_MS)).kind).toBe("unknown");
  });

  test("a changed registration starts anew", async () => {
    const { calls, keyOf } = network(() => setOf(key));
    await keyOf(issuer, "ed-1", NOW);
    await keyOf({ ...issuer, jwks_uri: "https://idp.example.com/new" }, "ed-1", NOW);
    expect(calls.map((call) => call.url)).toEqual([issuer.jwks_uri, "https://idp.example.com/new"]);
  });
});

describe("TOK-10 when the issuer does not answer", () => {
  test("the last good set serves until its maximum age, and then nothing does", async () => {
    const { state, keyOf } = network(() => setOf(key));
    await keyOf(issuer, "ed-1", NOW);
    state.answer = down;
    expect((await keyOf(issuer, "ed-1", NOW + JWKS_REFRESH_MS)).kind).toBe("found");
    expect((await keyOf(issuer, "ed-1", NOW + JWKS_MAX_AGE_MS - 1)).kind).toBe("found");
    expect(await keyOf(issuer, "ed-1", NOW + JWKS_MAX_AGE_MS)).toEqual({
      kind: "unavailable",
      cause: "JWKS: connection refused",
    });
    state.answer = () => setOf(key);
    expect((await keyOf(issuer, "ed-1", NOW + JWKS_MAX_AGE_MS + JWKS_COOL_DOWN_MS)).kind).toBe("found");
  });

  test("an unknown key id is unavailable, since it may be a new key", async () => {
    const { state, keyOf } = network(() => setOf(key));
    await keyOf(issuer, "ed-1", NOW);
    state.answer = down;
    expect((await keyOf(issuer, "ed-2", NOW + JWKS_COOL_DOWN_MS)).kind).toBe("unavailable");
    expect((await keyOf(issuer, "ed-1", NOW + JWKS_COOL_DOWN_MS)).kind).toBe("found");
  });

  test("with nothing in hand, fetches are bounded", async () => {
    const { calls, keyOf } = network(down);
    for (let index = 0; index < 100; index++) {
      expect((await keyOf(issuer, "ed-1", NOW)).kind).toBe("unavailable");
    }
    expect(calls).toHaveLength(MAX_COLD_FETCHES);
  });

  test("requests that arrive together each fetch for themselves: none waits for another's promise", async () => {
    const waiting: (() => void)[] = [];
    const { calls, keyOf } = network(() => new Promise<Response>((resolve) => waiting.push(() => resolve(setOf(key)))));
    const abandoned = keyOf(issuer, "ed-1", NOW);
    const served = keyOf(issuer, "ed-1", NOW);
    expect(calls).toHaveLength(2);
    waiting[1]?.();
    expect((await served).kind).toBe("found");
    waiting[0]?.();
    expect((await abandoned).kind).toBe("found");
  });
});

describe("TOK-10 what an address may answer with", () => {
  test("a JSON answer is read, with either media type", async () => {
    const plain = await textOf(json({ keys: [] }));
    const registered = await textOf(json({ keys: [] }, { "content-type": "application/jwk-set+json; charset=utf-8" }));
    expect(plain).toEqual({ ok: true, value: '{"keys":[]}' });
    expect(registered).toEqual(plain);
  });

  test.each([
    ["a redirect", () => new Response(null, { status: 302, headers: { location: "https://evil.example/" } })],
    ["an empty success", () => new Response(null, { status: 204 })],
    ["a partial answer", () => new Response("{}", { status: 206, headers: { "content-type": "application/json" } })],
    ["an error", () => new Response("{}", { status: 500, headers: { "content-type": "application/json" } })],
    ["a login page", () => new Response("<html>", { headers: { "content-type": "text/html" } })],
    ["text", () => new Response("{}", { headers: { "content-type": "text/plain" } })],
    ["no media type", () => new Response(new Uint8Array([0x7b, 0x7d]))],
    ["a media type that only starts alike", () => json({}, { "content-type": "application/json5" })],
    [
      "bytes that are not UTF-8",
      () => new Response(new Uint8Array([0xff]), { headers: { "content-type": "application/json" } }),
    ],
    ["too many bytes", () => json("x".repeat(MAX_JWKS_BYTES))],
  ])("%s is refused", async (_name, answer) => {
    expect((await textOf(answer())).ok).toBe(false);
  });

  test("a body without end is read no further than the bound", async () => {
    let pulled = 0;
    const endless = new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled++;
        controller.enqueue(new Uint8Array(16 * 1024));
      },
    });
    const result = await textOf(new Response(endless, { headers: { "content-type": "application/json" } }));
    expect(result.ok).toBe(false);
    expect(pulled).toBeLessThan(10);
  });

  test("a fetch that is aborted by its deadline is an error and not an exception", async () => {
    expect(await fetchJwks(timeout, issuer.jwks_uri)).toEqual({ ok: false, error: "JWKS: The operation timed out." });
  });
});

describe("TOK-10 what a key set may publish", () => {
  test("keys that are of use are read, each bound to one algorithm", async () => {
    const ec = await newSigningKey("ES256", "ec-1");
    const { alg: _, ...unstated } = ec.publicJwk;
    const result = await read([key.publicJwk, unstated]);
    expect(result.ok && [...result.value].map(([kid, each]) => [kid, each.alg])).toEqual([
      ["ed-1", "Ed25519"],
      ["ec-1", "ES256"],
    ]);
  });

  test("a key that could serve two registered algorithms and states none is left out", async () => {
    const { alg: _, ...unstated } = key.publicJwk;
    expect((await readKeySet(JSON.stringify({ keys: [unstated] }), ["Ed25519", "EdDSA"])).ok).toBe(false);
    expect((await readKeySet(JSON.stringify({ keys: [unstated] }), ["EdDSA"])).ok).toBe(true);
  });

  test.each([
    ["encryption keys", () => ({ ...next.publicJwk, use: "enc" })],
    ["keys for other operations", () => ({ ...next.publicJwk, key_ops: ["encrypt"] })],
    ["keys of an unregistered algorithm", () => ({ ...next.publicJwk, alg: "EdDSA" })],
    ["keys of a curve that the algorithm does not have", () => ({ ...next.publicJwk, crv: "Ed448" })],
    ["keys without an id", () => ({ ...next.publicJwk, kid: undefined })],
    ["keys with an id that is no id", () => ({ ...next.publicJwk, kid: "../ed-2" })],
  ])("%s are left out", async (_name, other) => {
    const result = await read([other(), key.publicJwk]);
    expect(result.ok && [...result.value.keys()]).toEqual(["ed-1"]);
  });

  test.each([
    ["a private key", () => [key.privateJwk]],
    ["a private key beside a good one", () => [key.publicJwk, next.privateJwk]],
    ["a shared key", () => [{ kty: "oct", k: "AAAA", kid: "x", alg: "HS256" }, key.publicJwk]],
    ["one kid twice", () => [key.publicJwk, { ...next.publicJwk, kid: "ed-1" }]],
    ["one kid twice, once for encryption", () => [key.publicJwk, { ...next.publicJwk, kid: "ed-1", use: "enc" }]],
    ["no keys", () => []],
    ["33 keys", () => Array.from({ length: 33 }, (_, index) => ({ ...key.publicJwk, kid: `k${index}` }))],
    ["a key that does not import", () => [{ ...key.publicJwk, x: "AAAA" }]],
    ["a member that is no object", () => [key.publicJwk, "x"]],
    ["no list", () => ({ 0: key.publicJwk })],
  ])("%s is refused as a whole", async (_name, keys) => {
    expect((await read(keys())).ok).toBe(false);
  });

  test.each(["", "[]", "null", "{}", '{"keys":[],"keys":[]}', "<html>"])("%j is no key set", async (text) => {
    expect((await readKeySet(text, ["Ed25519"])).ok).toBe(false);
  });

  test("a short RSA key is refused", async () => {
    const { publicKey } = generateKeyPairSync("rsa", { modulusLength: 1_024 });
    const jwk = { ...publicKey.export({ format: "jwk" }), kid: "short", alg: "RS256" };
    expect(await readKeySet(JSON.stringify({ keys: [jwk] }), ["RS256"])).toEqual({
      ok: false,
      error: expect.stringContaining("2048 bits"),
    });
  });
});
