import { describe, expect, test } from "vitest";
import { incoming, JSON_TYPE, refusal } from "./incoming.ts";

const malformed = (reason: string) => ({ kind: "malformed-request", reason: expect.stringContaining(reason) });

describe("URL-07, HDR: headers that change what the request is are refused", () => {
  test.each([
    ["URL-07 X-HTTP-Method", { "x-http-method": "DELETE" }, malformed("X-HTTP-Method:")],
    ["URL-07 X-HTTP-Method-Override", { "x-http-method-override": "DELETE" }, malformed("X-HTTP-Method-Override:")],
    ["URL-07 X-Method-Override", { "x-method-override": "GET" }, malformed("X-Method-Override:")],
    ["HDR-01 Connection names a header", { connection: "close, authorization" }, malformed("Connection:")],
    ["HDR-01 Connection is empty", { connection: "" }, malformed("Connection:")],
    ["HDR-04 two Authorization headers", { authorization: "Bearer a, Bearer b" }, malformed("Authorization:")],
    ["HDR-04 two DPoP headers", { dpop: "eyJ.a.b, eyJ.a.b" }, malformed("DPoP:")],
    ["HDR-04 two idempotency keys", { "idempotency-key": '"k1", "k2"' }, malformed("Idempotency-Key:")],
    ["HDR-04 a misspelt Gate-Dry-Run", { "gate-dry-runs": "?1" }, malformed("gate-dry-runs:")],
    ["HDR-06 Upgrade: websocket", { upgrade: "websocket" }, { kind: "upgrade-refused" }],
    ["HDR-06 Upgrade: h2c", { upgrade: "h2c", connection: "Upgrade" }, { kind: "upgrade-refused" }],
    ["HDR-06 Connection: Upgrade alone", { connection: "keep-alive, Upgrade" }, { kind: "upgrade-refused" }],
    ["HDR-06 Expect", { expect: "100-continue" }, { kind: "expectation-failed" }],
    [
      "HDR-07 non-ASCII in a gate header",
      { "gate-reason": "café" },
      malformed("gate-reason: expected printable ASCII"),
    ],
    [
      "HDR-07 a control character",
      { "gate-incident": "a\u0001" },
      malformed("gate-incident: expected printable ASCII"),
    ],
    ["HDR-07 a tab", { authorization: "Bearer\ta" }, malformed("authorization: expected printable ASCII")],
    ["HDR-07 non-ASCII in a catalogue's carrier", { "x-slurm-user-token": "ÿ" }, malformed("x-slurm-user-token:")],
    ["PAR-12 gzip", { "content-encoding": "gzip" }, expect.objectContaining({ kind: "unsupported-media-type" })],
    [
      "PAR-12 identity",
      { "content-encoding": "identity" },
      expect.objectContaining({ kind: "unsupported-media-type" }),
    ],
    ["PAR-13 two lengths", { "content-length": "4, 4" }, malformed("Content-Length:")],
    ["PAR-13 a signed length", { "content-length": "+4" }, malformed("Content-Length:")],
    ["PAR-13 a hexadecimal length", { "content-length": "0x4" }, malformed("Content-Length:")],
  ])("%s", async (_, headers, expected) => {
    expect(await refusal(incoming({ method: "POST", headers: { ...JSON_TYPE, ...headers }, body: "{}" }))).toEqual(
      expected,
    );
  });

  test("HDR-04 headers sent twice arrive joined, and are refused", async () => {
    const twice = [
      ["authorization", "Bearer a"],
      ["authorization", "Bearer b"],
    ] as const;
    expect(await refusal(incoming({ headers: twice }))).toEqual(malformed("Authorization:"));
  });
});

describe("URL-10: 32 KiB of headers, lines and all", () => {
  /** Four lines of `x-N: ` and a line end around the value. */
  const atTheCap = 32_768 / 4 - 7;
  test.each([
    ["at the cap", atTheCap, "accepted"],
    ["beyond it", atTheCap + 1, { kind: "headers-too-large", limit_bytes: 32_768 }],
  ])("%s", async (_, length, expected) => {
    const headers = ["x-1", "x-2", "x-3", "x-4"].map(
      (name, index) => [name, "v".repeat(index === 0 ? length : atTheCap)] as const,
    );
    expect(await refusal(incoming({ headers }))).toEqual(expected);
  });
});
