import { describe, expect, test } from "vitest";
import { isFetchable, readIssuer } from "../../src/identity/issuers.ts";
import { issuer } from "./fixtures.ts";

const read = (change: object) => readIssuer(JSON.stringify({ ...issuer, ...change }), "live");

describe("a registration", () => {
  test("is read as written; the lifetime defaults to 15 minutes", () => {
    expect(read({})).toEqual({ ok: true, value: issuer });
    expect(read({ max_lifetime_s: undefined })).toMatchObject({ ok: true, value: { max_lifetime_s: 900 } });
  });

  test.each([
    ["a symmetric algorithm", { algorithms: ["HS256"] }],
    ["alg none", { algorithms: ["none"] }],
    ["no algorithm", { algorithms: [] }],
    ["tier 5", { max_tier: 5 }],
    ["a lifetime above an hour", { max_lifetime_s: 3_601 }],
    ["an unknown member", { jwksUri: "https://idp.example.com/keys" }],
    ["a tenant that is none", { tenant: "Acme" }],
    ["a scope that is none", { actions: ["work*"] }],
    ["an agent without an owner", { owner: null }],
    ["an agent owned by an agent", { owner: { subject: "agent:other" } }],
    ["an agent prefix for people", { class: "person", owner: null, actions: [] }],
    ["a person prefix for agents", { subject_prefix: "person:" }],
    ["no prefix for agents", { subject_prefix: "" }],
    ["people with an owner", { class: "person", subject_prefix: "okta/", actions: [] }],
    ["people with data-plane scopes", { class: "person", subject_prefix: "okta/", owner: null }],
    ["keys over http", { jwks_uri: "http://idp.example.com/keys" }],
    ["an issuer over http", { issuer: "http://idp.example.com" }],
  ])("%s is refused with the place", (_name, change) => {
    expect(read(change)).toEqual({ ok: false, error: expect.stringMatching(/^issuer \/[a-zA-Z_]+/) });
  });

  test.each(["", "[]", '{"id":"a","id":"b"}'])("%j is refused", (text) => {
    expect(readIssuer(text, "live").ok).toBe(false);
  });
});

describe("UPS-02 addresses that the gate fetches", () => {
  test.each(["https://idp.example.com/keys", "https://idp.example.com:443/keys?a=b"])("%s is fetched", (address) => {
    expect(isFetchable(address, "live")).toBe(true);
  });

  test.each([
    "http://idp.example.com/keys",
    "https://localhost/keys",
    "https://idp/keys",
    "https://127.0.0.1/keys",
    "https://2130706433/keys",
    "https://0x7f.1/keys",
    "https://0177.0.0.1/keys",
    "https://169.254.169.254/latest",
    "https://[::1]/keys",
    "https://[::ffff:127.0.0.1]/keys",
    "https://metadata.google.internal/keys",
    "https://printer.local/keys",
    "https://idp.example.com:8443/keys",
    "https://user@idp.example.com/keys",
    "https://idp.example.com@evil.example/keys",
    "https://idp.example.com/keys#x",
    "https://idp.example.com./keys",
    "ftp://idp.example.com/keys",
    "file:///etc/passwd",
    "data:application/json,{}",
    "//idp.example.com/keys",
    "",
  ])("%s is not", (address) => {
    expect(isFetchable(address, "live")).toBe(false);
  });

  test("loopback over http is for local deployments alone", () => {
    for (const address of ["http://127.0.0.1:9/keys", "http://localhost:9/keys", "http://[::1]:9/keys"]) {
      expect(isFetchable(address, "local")).toBe(true);
      expect(isFetchable(address, "test")).toBe(false);
      expect(isFetchable(address, "live")).toBe(false);
    }
    expect(isFetchable("http://idp.example.com/keys", "local")).toBe(false);
  });
});
