import { describe, expect, it } from "vitest";
import { createRedactor } from "../../src/audit/redact.ts";

const redactor = createRedactor(new TextEncoder().encode("a key of 32 bytes, for tests only"));
const MARK = /\[redacted:[0-9a-f]{16}\]/;

/** Apart from its neighbours, so that no scanner takes this file for a leak. */
const PRIVATE = "PRIVATE".toUpperCase();

const MARKED: unknown = expect.stringMatching(MARK);

/** `prefix + tail`, joined here so that no scanner takes this file for a leak. */
const canary = (prefix: string, tail: string): string => `${prefix}${tail}`;

const CANARIES: readonly (readonly [string, string])[] = [
  ["our own key", canary("pcl_live_", "q7Zt9LmB2xVc4NpR8sKd1WfH")],
  ["a JWT", canary("eyJ", "hbGciOiJFZERTQSJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLW9mLXRlbg")],
  ["a JWT without signature", canary("eyJ", "hbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.")],
  ["an AWS access key id", canary("AKIA", "IOSFODNN7EXAMPLE")],
  ["an AWS secret", canary("wJalrXUtnFEMI", "/K7MDENG/bPxRfiCYEXAMPLEKEY")],
  ["an AWS pair", canary("AKIAIOSFODNN7EXAMPLE", "/wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY")],
  ["a GitHub token", canary("ghp_", "16C7e42F292c6912E7710c838347Ae178B4a")],
  ["a GitLab token", canary("glpat-", "xY7zW8vU9tS0rQ1pO2nM")],
  ["a Slack token", canary("xoxb-", "123456789012-abcdefghijkl")],
  ["a model key", canary("sk-", "proj-Ab12Cd34Ef56Gh78Ij90")],
  ["a Hugging Face token", canary("hf_", "QwErTyUiOpAsDfGhJkLzXcVbNm")],
  ["a PEM key", `-----BEGIN RSA ${PRIVATE} KEY-----\nMIIEpAIBAAKCAQEA\n-----END RSA ${PRIVATE} KEY-----`],
  ["a PEM key without end", `-----BEGIN ${PRIVATE} KEY-----\nMIIEpAIBAAKCAQEA`],
  ["a URL with user and password", "postgres://admin:hunter2hunter@db"],
  ["a URL with a password alone", "redis://:hunter2hunter@cache"],
  ["password: value", "password: hunter2hunter"],
  ["TOKEN=value", "TOKEN=abcdef123"],
  ["api_key in JSON", '"api_key": "abcdef123"'],
  ["a bearer header", "Authorization: Bearer abcdef123456"],
  ["an access token", "access_token=abcdef123"],
  ["an environment variable", "export AWS_SECRET_ACCESS_KEY=abcdef123"],
  ["a camel-case secret", '"clientSecret": "abcdef123"'],
  ["a flag", "--db-password abcdef123"],
  ["an unknown random string", "Zm9vYmFyMTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3A="],
];

describe("free text", () => {
  it.each(CANARIES)("never shows %s, wherever it stands", (_, secret) => {
    for (const text of [secret, `before ${secret} after`, `(${secret})`, `x=${secret}`, `${secret}\n${secret}`]) {
      const shown = redactor.text(text) ?? "";
      expect(shown).toMatch(MARK);
      expect(shown).not.toContain(secret);
      for (const part of secret.split(/[^A-Za-z0-9]+/).filter((piece) => piece.length >= 12 && /[0-9]/.test(piece))) {
        expect(shown).not.toContain(part);
      }
    }
  });

  it.each([
    "disk /dev/sda1 is 97 % full since 2026-11-20T12:00:00Z",
    `sha256:${"0123456789abcdef".repeat(4)}`,
    "0123456789abcdef".repeat(4),
    "request req_0123456789abcdefghjkmnpqrs of key_0123456789abcdefghjkmnpqrs",
    "workload 123e4567-e89b-12d3-a456-426614174000 on node gpu-a100-017",
    "token_bucket_size is 10, max_tokens=100000, tokenizer: llama-3",
    "see https://wiki.example.com/runbooks/full-disk?section=2",
    "",
  ])("leaves alone what is harmless: %s", (text) => {
    expect(redactor.text(text)).toBe(text);
  });

  it("marks equal secrets alike under one key, and differently under another: a guess cannot be tested without the key", () => {
    const other = createRedactor(new TextEncoder().encode("another key of 32 bytes, for tests"));
    const [first, second] = ["token: abcdef1", "token: abcdef2"].map((text) => redactor.text(text));
    expect(redactor.text("token: abcdef1")).toBe(first);
    expect(second).not.toBe(first);
    expect(other.text("token: abcdef1")).not.toBe(first);
  });

  it("is capped, and says how long it was", () => {
    const long = "lorem ipsum ".repeat(2_000);
    const shown = redactor.text(long) ?? "";
    expect(shown.length).toBeLessThan(8_192 + 80);
    expect(shown).toMatch(/^lorem ipsum .*… \[24000 characters, \[redacted:[0-9a-f]{16}\]\]$/);
    expect(redactor.longText(long)).toBe(long);
    expect(redactor.text(`${long}!`)?.slice(-30)).not.toBe(shown.slice(-30));
  });

  it.each([8_190, 8_191, 8_192, 8_193])("stays well-formed when a character straddles the cap at %i", (before) => {
    const text = `${"a ".repeat(before / 2)}${before % 2 === 1 ? "a" : ""}${"\u{1F600}".repeat(4)}`;
    expect(redactor.text(text)?.isWellFormed()).toBe(true);
    expect(redactor.text(String.fromCharCode(0xd83d))).toBe("\ufffd");
  });

  it("null stays null", () => {
    expect(redactor.text(null)).toBeNull();
  });

  /** A pattern that backtracks takes minutes over these; the limit of the test is far above what a linear one needs. */
  it.each([
    ["dashes", "a-"],
    ["dots", "a."],
    ["digits and dashes", "1-"],
    ["JWT heads", "eyJaaaaaaaa-"],
    ["PEM heads", `-----BEGIN ${PRIVATE} KEY----- `],
    ["spaces after a name", " "],
    ["colons", "a:"],
    ["schemes", "a://b:"],
    ["vendor prefixes", "sk-"],
  ])("of half a megabyte made of %s is read in linear time", (_, piece) => {
    const text = `token${piece.repeat(Math.floor(524_288 / piece.length))}`;
    expect(redactor.text(text)?.length).toBeLessThan(9_000);
  });
});

describe("a path", () => {
  it.each([
    "/v1/workloads",
    "/v1/allocations/alloc-00001234/transfer",
    "/_gate/v1/approvals/apr_0123456789abcdefghjkmnpqrs/decisions",
    "/apis/batch/v1/namespaces/team-7/jobs/resnet50-train-2026?dryRun=All&fieldManager=kubectl",
    "/v1/workloads/123e4567-e89b-12d3-a456-426614174000/logs?tail=100",
  ])("stays readable: %s", (path) => {
    expect(redactor.path(path)).toBe(path);
  });

  it("never shows a secret in a segment or in the query", () => {
    for (const [, secret] of CANARIES.filter(([, text]) => !/[\s/?]/.test(text))) {
      for (const path of [`/v1/${secret}/logs`, `/v1/x?q=${secret}`, `/v1/x?a=1?b=${secret}`]) {
        expect(redactor.path(path)).not.toContain(secret);
      }
    }
    expect(redactor.path("/v1/x?access_token=abcdef12")).not.toContain("abcdef12");
  });
});

describe("a body", () => {
  it("hides the environment whole, members named like secrets, and secrets anywhere else", () => {
    const body = {
      name: "resnet",
      gpus: 4,
      env: { PLAIN: "value", NESTED: ["a", { b: 1 }], EMPTY: null },
      Environment: ["X=1"],
      registry_password: "short",
      auth: { user: "bob", apiKey: "k" },
      args: ["--lr", "0.1", "--token", "hush", "--api-key=hf_QwErTyUiOpAsDfGhJkLz", "next"],
      max_tokens: 4_096,
      credentials: { user: "root", pass: "toor", port: 22 },
      nested: [{ env: { A: "b" } }],
    };
    const shown = redactor.body(body);
    expect(shown).toMatchObject({
      name: "resnet",
      gpus: 4,
      max_tokens: 4_096,
      args: ["--lr", "0.1", "--token", MARKED, MARKED, "next"],
      credentials: { port: 22 },
    });
    const text = JSON.stringify(shown);
    for (const hidden of ["value", "short", "hush", "toor", "X=1", "hf_Qw", '"b":1', '"A":"b"', '"apiKey":"k"'])
      expect(text).not.toContain(hidden);
    expect(Object.keys(body.env)).toEqual(["PLAIN", "NESTED", "EMPTY"]);
    expect(text).toContain("PLAIN");
  });

  it("keeps numbers, booleans and null, and what is named like nothing in particular", () => {
    const body = { a: 1, b: true, c: null, d: [1.5, "text"], e: {} };
    expect(redactor.body(body)).toEqual(body);
  });
});
