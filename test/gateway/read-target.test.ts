import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readRequest } from "../../src/gateway/read-request.ts";
import { incoming, ORIGIN, refusal } from "./incoming.ts";

const malformed = (reason: string) => ({ kind: "malformed-request", reason: expect.stringContaining(reason) });

test("a path that holds a credential is refused: it would stand in records, messages and other people's logs", async () => {
  for (const path of [
    `/v1/workloads/${["ghp_", "16C7e42F292c6912E7710c838347Ae178B4a"].join("")}`,
    "/v1/AKIAIOSFODNN7EXAMPLE/x",
  ])
    expect(await refusal(incoming({ target: path }))).toEqual(malformed("looks like a credential"));
});

describe("URL-01 to URL-04: a path that two parsers could read differently is refused", () => {
  test.each([
    "/v1/%77orkloads",
    "/v1/a%2fb",
    "/v1/a%5cb",
    "/v1/%2e%2e/x",
    "/v1/%252e%252e",
    "/v1/%c0%ae",
    "/v1/%u002e",
    "/v1/a%00",
    "/v1/a%0d%0aEvil:1",
    "/v1//jobs",
    "//v1/jobs",
    "/v1/./jobs",
    "/v1/../jobs",
    "/v1/..",
    "/v1/.",
    "/v1/...",
    "/v1/jobs.",
    "/v1/jobs/",
    "/v1\\jobs",
    "/v1/jobs;a=b",
    "/v1/jobs:cancel",
    "/v1/a@b",
    "/v1/a+b",
    "/v1/a b",
    "/v1/é",
    "/v1/a\u0000b",
    "/v1/a\nb",
    "/v1/jobs\n",
    `/${"a".repeat(129)}`,
    "/*",
    "/v1/{id}",
    "",
  ])("%j", async (target) => {
    expect(await refusal(incoming({ target }))).toMatchObject({ kind: "malformed-request" });
  });

  test.each([
    ["URL-04 a fragment", "https://gate.example/v1/x#y"],
    ["URL-09 userinfo", "https://user:secret@gate.example/v1"],
    ["URL-09 another scheme", "ftp://gate.example/v1"],
    ["URL-09 no host", "https:///v1"],
    ["URL-09 a backslash in the host", "https://gate.example\\evil.example/v1"],
    ["URL-09 no scheme", "gate.example/v1"],
  ])("%s", async (_, url) => {
    expect(await refusal(incoming({ url }))).toEqual(malformed(url.includes("#") ? "fragment" : "URL"));
  });
});

describe("URL-05: a query that two parsers could read differently is refused", () => {
  test.each([
    ["a repeated name", "a=1&a=2", "a is repeated"],
    ["brackets", "a[]=1", "name=value"],
    ["a nested name", "a[b]=1", "name=value"],
    ["an encoded name", "%61=1", "name=value"],
    ["an empty name", "=1", "name=value"],
    ["a name without a value", "watch", "name=value"],
    ["an empty query", "", "name=value"],
    ["an empty pair", "a=1&&b=2", "name=value"],
    ["a trailing ampersand", "a=1&", "name=value"],
    ["a long name", `${"n".repeat(65)}=1`, "name=value"],
    ["semicolons", "a=1;b=2", "a: expected"],
    ["a second equals sign", "a=b=c", "a: expected"],
    ["a plus sign", "a=x+y", "a: expected"],
    ["half an escape", "a=%4", "a: expected"],
    ["a foreign escape", "a=%u0041", "a: expected"],
    ["overlong UTF-8", "a=%c0%ae", "a: expected"],
    ["an encoded surrogate", "a=%ED%A0%80", "a: expected"],
    ["an encoded NUL", "a=%00", "a: expected"],
    ["an encoded line break", "a=%0d%0aEvil:1", "a: expected"],
    ["a C1 control character", "a=%C2%85", "a: expected"],
    ["raw non-ASCII", "a=é", "a: expected"],
    ["a raw space", "a=x y", "a: expected"],
    ["a long value", `a=${"v".repeat(1_025)}`, "a: expected"],
    ["33 parameters", Array.from({ length: 33 }, (_, index) => `p${index}=`).join("&"), "more than 32"],
  ])("%s", async (_, query, reason) => {
    expect(await refusal(incoming({ target: `/v1/jobs?${query}` }))).toEqual(malformed(reason));
  });

  test("the limits themselves are accepted, counted after decoding", async () => {
    const names = Array.from({ length: 31 }, (_, index) => `p${index}=`).join("&");
    const query = `${"n".repeat(64)}=${"%C3%A9".repeat(512)}&${names}`;
    const result = await readRequest(incoming({ target: `/v1/jobs?${query}` }));
    expect(result.ok && [result.value.query.size, result.value.query.get("n".repeat(64))]).toEqual([
      32,
      "é".repeat(512),
    ]);
  });

  test("any value that a client encodes is read back", async () => {
    const text = fc.string({ unit: "grapheme", maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        const result = await readRequest(incoming({ target: `/v1/jobs?a=${encodeURIComponent(value)}` }));
        expect(result.ok && result.value.query.get("a")).toBe(value);
      }),
    );
  });
});

describe("URL-10: size is judged before content", () => {
  const room = 8_192 - ORIGIN.length;
  test.each([
    ["at 8 KiB the content decides", room, { kind: "malformed-request" }],
    ["beyond, it does not", room + 1, { kind: "uri-too-long", limit_bytes: 8_192 }],
  ])("%s", async (_, length, expected) => {
    expect(await refusal(incoming({ target: `/%?${"a".repeat(length - 3)}` }))).toMatchObject(expected);
  });
});
