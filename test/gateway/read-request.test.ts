import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { NO_GATE_HEADERS } from "../../src/gateway/gate-headers.ts";
import { READ_LIMITS, readRequest } from "../../src/gateway/read-request.ts";
import { METHODS } from "../../src/strict-request.ts";
import { bytesOf, incoming, type Incoming, JSON_TYPE, post, refusal, streamOf } from "./incoming.ts";

describe("reads a plain request into the form in which it is judged", () => {
  test("a read without anything of the gate's own", async () => {
    const result = await readRequest(incoming({ headers: { accept: "application/json", "user-agent": "café" } }));
    expect(result.ok && { ...result.value, header: null }).toEqual({
      method: "GET",
      path: "/v1/jobs",
      segments: ["v1", "jobs"],
      query: new Map(),
      contentType: null,
      body: undefined,
      bodyBytes: 0,
      gate: NO_GATE_HEADERS,
      header: null,
    });
    expect(result.ok && [result.value.header("Accept"), result.value.header("x-absent")]).toEqual([
      "application/json",
      null,
    ]);
    expect(result.ok && result.value.header("user-agent")).toBe(null);
  });

  test("a write with everything", async () => {
    const text = '{"gpus": 4, "name": "é"}';
    const headers = {
      "content-type": "Application/JSON; Charset=UTF-8",
      "gate-dry-run": "?1",
      "idempotency-key": '"k"',
    };
    const target = "/v1/jobs?b=2&a=x%2Fy%26%C3%A9&empty=";
    const result = await readRequest(incoming({ method: "POST", target, headers, body: text }));
    expect(result.ok && result.value).toMatchObject({
      method: "POST",
      path: "/v1/jobs",
      contentType: "application/json",
      body: { gpus: 4, name: "é" },
      bodyBytes: 25,
      gate: { ...NO_GATE_HEADERS, dryRun: true, idempotencyKey: "k" },
    });
    expect(result.ok && [...result.value.query]).toEqual([
      ["b", "2"],
      ["a", "x/y&é"],
      ["empty", ""],
    ]);
  });

  test.each<[string, Incoming]>([
    ["the root", { target: "/" }],
    ["dots, tildes and dashes inside a segment", { target: "/a.b/~c/-d_e/..f" }],
    ["a segment of 128 characters", { target: `/${"a".repeat(128)}` }],
    ["HEAD", { method: "HEAD" }],
    ["DELETE with Content-Length: 0", { method: "DELETE", headers: { "content-length": "0" }, body: "" }],
    ["a GET that states a type without a body", { headers: JSON_TYPE }],
    ["a POST without a body", { method: "POST" }],
    ["a POST whose stream has no bytes", { method: "POST", body: "" }],
    ["Connection: keep-alive", { headers: { connection: "Keep-Alive" } }],
    [
      "headers that are never passed on",
      { headers: { cookie: "a=b", te: "trailers", range: "bytes=0-1", "if-match": '"x"' } },
    ],
    ["non-ASCII text of the platform", { headers: { "cf-ipcity": "Zürich" } }],
  ])("%s", async (_, request) => {
    expect((await readRequest(incoming(request))).ok).toBe(true);
  });

  test("a body that arrives in pieces, split inside a character", async () => {
    const bytes = bytesOf('{"a":"é"}');
    const result = await readRequest(post(streamOf(...Array.from(bytes, (byte) => new Uint8Array([byte])))));
    expect(result).toMatchObject({ ok: true, value: { body: { a: "é" }, bodyBytes: bytes.length } });
  });

  test("further exact media types only where the caller lists them", async () => {
    const patch = { method: "PATCH", headers: { "content-type": "application/merge-patch+json" }, body: "{}" } as const;
    expect(await refusal(incoming(patch))).toMatchObject({
      kind: "unsupported-media-type",
      accepted: ["application/json"],
    });
    const mediaTypes = ["application/json", "application/merge-patch+json"];
    const result = await readRequest(incoming(patch), { ...READ_LIMITS, mediaTypes });
    expect(result).toMatchObject({ ok: true, value: { contentType: "application/merge-patch+json" } });
  });
});

describe("URL-08: only the six methods, spelt as they are", () => {
  test.each(["OPTIONS", "TRACE", "CONNECT", "PURGE", "PROPFIND", "get", "Get", "", "GET "])("%j", async (method) => {
    expect(await refusal(incoming({ method }))).toEqual({ kind: "method-not-allowed", allow: METHODS });
  });
});

test("whatever the URL and the headers say, reading ends with a request or a refusal", async () => {
  const value = fc.string({
    unit: fc.constantFrom(
      "a",
      "A",
      "0",
      "%",
      "/",
      "?",
      "&",
      "=",
      ";",
      "#",
      ".",
      ",",
      ":",
      '"',
      "\\",
      " ",
      "+",
      "é",
      "\u0001",
    ),
    maxLength: 30,
  });
  const name = fc.constantFrom(
    "gate-reason",
    "gate-approval",
    "idempotency-key",
    "connection",
    "content-type",
    "content-length",
    "x-a",
  );
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...METHODS),
      value,
      fc.dictionary(name, value),
      value,
      async (method, path, headers, body) => {
        const result = await readRequest(incoming({ method, target: `/${path}`, headers, body }));
        expect(result.ok ? "request" : result.error.kind).toMatch(/^[a-z-]+$/);
      },
    ),
    { numRuns: 1_000 },
  );
});
