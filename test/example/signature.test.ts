import { createHash } from "node:crypto";
import { parseDictionary } from "structured-headers";
import type { InnerList, Item } from "structured-headers";
import { describe, expect, test } from "vitest";
import { MAX_NONCES, NonceWindow } from "../../example/control-plane/nonce-window.ts";
import { checkContentDigest, hmacOf, signatureBase, verifySignature } from "../../example/control-plane/signature.ts";
import type { ReceivedMessage } from "../../example/control-plane/signature.ts";
import { SIGNING_KEY, signatureHeaders } from "./signed-call.ts";
import type { SignOverrides } from "./signed-call.ts";

const KEY = Buffer.from(SIGNING_KEY, "base64url");
const NOW = 1_800_000_000;
const BODY = '{"name":"a"}';
const FIELDS = {
  authorization: "Bearer cred-acme",
  "content-type": "application/json",
  "content-digest": `sha-256=:${createHash("sha256").update(BODY).digest("base64")}:`,
  "idempotency-key": '"k-1"',
};

type Change = {
  readonly sign?: SignOverrides;
  readonly received?: Partial<{ method: string; target: string; body: string }>;
  readonly headers?: Readonly<Record<string, string | null>>;
};

/** A message signed by the gate, then changed on its way. */
function message(change: Change = {}): ReceivedMessage {
  const signed = signatureHeaders("POST", "cp.example:8788", "/v1/workloads?dry_run=true", FIELDS, {
    created: NOW,
    ...change.sign,
  });
  const headers = new Map(Object.entries({ host: "cp.example:8788", ...FIELDS, ...signed }));
  for (const [name, value] of Object.entries(change.headers ?? {})) {
    if (value === null) headers.delete(name);
    else headers.set(name, value);
  }
  return {
    method: change.received?.method ?? "POST",
    target: change.received?.target ?? "/v1/workloads?dry_run=true",
    headers,
    body: Buffer.from(change.received?.body ?? BODY),
  };
}

const verify = (received: ReceivedMessage, now = NOW, nonces = new NonceWindow()): string => {
  const result = verifySignature(received, KEY, now, nonces);
  return result.ok ? "accepted" : result.error;
};

const innerList = (member: Item | InnerList | undefined): InnerList => {
  if (member === undefined) throw new Error("no such member");
  const [items, parameters] = member;
  if (!Array.isArray(items)) throw new Error("not an inner list");
  return [items, parameters];
};

describe("signature base and HMAC follow RFC 9421", () => {
  const input = '("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"';
  const received: ReceivedMessage = {
    method: "POST",
    target: "/foo?param=Value&Pet=dog",
    headers: new Map([
      ["host", "example.com"],
      ["date", "Tue, 20 Apr 2021 02:07:55 GMT"],
      ["content-type", "application/json"],
    ]),
    body: Buffer.from('{"hello": "world"}'),
  };
  const base = signatureBase(received, innerList(parseDictionary(`sig-b25=${input}`).get("sig-b25")));

  test("appendix B.2.5: the signature base", () => {
    expect(base).toEqual({
      ok: true,
      value: [
        '"date": Tue, 20 Apr 2021 02:07:55 GMT',
        '"@authority": example.com',
        '"content-type": application/json',
        `"@signature-params": ${input}`,
      ].join("\n"),
    });
  });

  test("appendix B.2.5: the HMAC", () => {
    const key = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    const mac = hmacOf(Buffer.from(key, "base64"), base.ok ? base.value : "");
    expect(Buffer.from(mac).toString("base64")).toBe("pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
  });

  test.each([
    ["host with the default port and capitals", "EXAMPLE.com:80", '"@authority": example.com'],
    ["host with another port", "example.com:8788", '"@authority": example.com:8788'],
  ])("@authority: %s", (_, host, line) => {
    const other = { ...received, headers: new Map([["host", host]]) };
    const made = signatureBase(other, innerList(parseDictionary('a=("@authority")').get("a")));
    expect(made.ok && made.value.split("\n")[0]).toBe(line);
  });

  test("@query of a target without one is a single question mark", () => {
    const made = signatureBase(
      { ...received, target: "/foo" },
      innerList(parseDictionary('a=("@path" "@query")').get("a")),
    );
    expect(made.ok && made.value.split("\n").slice(0, 2)).toEqual(['"@path": /foo', '"@query": ?']);
  });
});

describe("only what the gate signed is accepted", () => {
  test("an unchanged message", () => expect(verify(message())).toBe("accepted"));

  test.each<[string, Change, string]>([
    ["other method", { received: { method: "PUT" } }, "signature mismatch"],
    ["other path", { received: { target: "/v1/allocations?dry_run=true" } }, "signature mismatch"],
    ["query dropped", { received: { target: "/v1/workloads" } }, "signature mismatch"],
    ["query encoded differently", { received: { target: "/v1/workloads?dry_run=%74rue" } }, "signature mismatch"],
    ["other host", { headers: { host: "other.example" } }, "signature mismatch"],
    ["other credential", { headers: { authorization: "Bearer cred-globex" } }, "signature mismatch"],
    ["other reference", { headers: { "idempotency-key": '"k-2"' } }, "signature mismatch"],
    ["other media type", { headers: { "content-type": "text/plain" } }, "signature mismatch"],
    ["other body", { received: { body: '{"name":"b"}' } }, "Content-Digest does not match the body"],
    ["digest removed", { headers: { "content-digest": null } }, "Content-Digest is missing"],
    ["digest of another algorithm", { headers: { "content-digest": "md5=:AAAA:" } }, "Content-Digest has no sha-256"],
    ["no Signature", { headers: { signature: null } }, "signature is missing"],
    ["no Signature-Input", { headers: { "signature-input": null } }, "signature-input is missing"],
    ["unparsable Signature", { headers: { signature: "gate=:" } }, 'signature has no member "gate"'],
    ["Signature that is a string", { headers: { signature: 'gate="AAAA"' } }, "Signature is not a byte sequence"],
    [
      "Signature-Input that is an item",
      { headers: { "signature-input": "gate=1" } },
      "Signature-Input is not an inner list",
    ],
    ["other label", { sign: { label: "other" } }, 'signature-input has no member "gate"'],
    ["other key", { sign: { key: Buffer.alloc(32, 8).toString("base64url") } }, "signature mismatch"],
    ["other keyid", { sign: { keyid: "gate-2" } }, "unknown keyid"],
    ["other tag", { sign: { tag: "gpu-gate" } }, "unknown tag"],
    ["other algorithm", { sign: { extra: ';alg="ed25519"' } }, "alg does not fit the key"],
    ["unknown parameter", { sign: { extra: ";x" } }, 'unknown parameter "x"'],
    ["expired", { sign: { created: NOW - 60 } }, "signature has expired"],
    ["from the future", { sign: { created: NOW + 6 } }, "created lies in the future"],
    ["longer than 60 s", { sign: { expires: NOW + 61 } }, "life is not within 60 s"],
    ["ending before it began", { sign: { expires: NOW - 1 } }, "life is not within 60 s"],
    ["short nonce", { sign: { nonce: "short" } }, "nonce is missing or malformed"],
    ["component twice", { sign: { components: (all) => [...all, "@method"] } }, 'component "@method" is covered twice'],
    ["absent component", { sign: { components: (all) => [...all, "date"] } }, 'component "date" is not in the message'],
  ])("refuses: %s", (_, change, error) => expect(verify(message(change))).toBe(error));

  test.each([
    "@method",
    "@authority",
    "@path",
    "@query",
    "authorization",
    "content-type",
    "content-digest",
    "idempotency-key",
  ])("refuses a signature that does not cover %s", (name) => {
    const received = message({ sign: { components: (all) => all.filter((one) => one !== name) } });
    expect(verify(received)).toBe(`not covered: ${name}`);
  });

  test("a nonce is accepted once, and a refused message does not use it up", () => {
    const nonces = new NonceWindow();
    const nonce = "nonce-nonce-nonce-1";
    expect(verify(message({ sign: { nonce }, received: { method: "PUT" } }), NOW, nonces)).toBe("signature mismatch");
    expect(verify(message({ sign: { nonce } }), NOW, nonces)).toBe("accepted");
    expect(verify(message({ sign: { nonce } }), NOW + 59, nonces)).toBe("nonce was used before");
  });

  test("a full nonce window refuses until nonces expire", () => {
    const nonces = new NonceWindow();
    for (let index = 0; index < MAX_NONCES; index += 1) nonces.use(`n${index}`, NOW + 60, NOW);
    expect(nonces.use("one-more", NOW + 60, NOW)).toBe(false);
    expect(nonces.use("one-more", NOW + 120, NOW + 60)).toBe(true);
  });
});

test("a digest over an empty body is checked when stated and not required otherwise", () => {
  const empty = { method: "GET", target: "/", body: new Uint8Array() };
  expect(checkContentDigest({ ...empty, headers: new Map() }).ok).toBe(true);
  const stated = `sha-256=:${createHash("sha256").update("x").digest("base64")}:`;
  expect(checkContentDigest({ ...empty, headers: new Map([["content-digest", stated]]) }).ok).toBe(false);
});
