import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { equalBytes, macOf, readSecretKey } from "../../src/identity/secret-key.ts";
import { newSecret } from "./fixtures.ts";

describe("TOK-15 a weak secret is refused before anything is signed under it", () => {
  test.each([
    ["empty", ""],
    ["31 random bytes", randomBytes(31).toString("base64url")],
    ["32 zero bytes", Buffer.alloc(32).toString("base64url")],
    [
      "32 bytes counting up to 15 and again",
      Buffer.from(Array.from({ length: 32 }, (_, i) => i % 15)).toString("base64url"),
    ],
    ["a repeated block", Buffer.alloc(64, Buffer.from([1, 2, 3, 250, 251])).toString("base64url")],
    ["an encoded phrase", Buffer.from("correct horse battery staple, again and again").toString("base64url")],
    ["a phrase in lower case", "this-is-our-very-long-and-very-secret-signing-key"],
    ["padded", `${randomBytes(32).toString("base64url")}=`],
    ["standard base64", Buffer.alloc(33, Buffer.from([0xfb, 0xff, 0xbf])).toString("base64")],
    ["surrounding space", ` ${randomBytes(32).toString("base64url")}`],
    ["trailing newline", `${randomBytes(32).toString("base64url")}\n`],
  ])("%s", (_name, text) => {
    expect(readSecretKey("CREDENTIAL_KEY", text).ok).toBe(false);
  });

  test("the refusal names the secret and never quotes it", () => {
    const text = "this-is-our-very-long-and-very-secret-signing-key";
    const result = readSecretKey("CREDENTIAL_KEY", text);
    expect(result).toEqual({ ok: false, error: expect.stringContaining("CREDENTIAL_KEY") });
    expect(JSON.stringify(result)).not.toContain("signing");
  });

  test.each([32, 48, 64])("%i random bytes are accepted, every time", (length) => {
    for (let run = 0; run < 500; run++) {
      expect(readSecretKey("K", randomBytes(length).toString("base64url")).ok).toBe(true);
    }
  });

  test("64 random hex digits are accepted", () => {
    expect(readSecretKey("K", randomBytes(32).toString("hex")).ok).toBe(true);
  });
});

test("a MAC made for one purpose is another's for no text", () => {
  const key = newSecret();
  expect(equalBytes(macOf(key, "a", "text"), macOf(key, "a", "text"))).toBe(true);
  expect(equalBytes(macOf(key, "a", "text"), macOf(key, "b", "text"))).toBe(false);
  expect(equalBytes(macOf(key, "a", "text"), macOf(newSecret(), "a", "text"))).toBe(false);
  expect(equalBytes(new Uint8Array(32), new Uint8Array(31))).toBe(false);
});
