import { describe, expect, test } from "vitest";
import { readCookie, setCookie } from "../../src/page/cookies.ts";
import { foreignForm } from "../../src/page/csrf.ts";
import { readForm } from "../../src/page/form.ts";
import { readReturnPath } from "../../src/page/sign-in/return-path.ts";

const FORM = "application/x-www-form-urlencoded";
const read = (body: string, type: string | null = FORM): unknown => {
  const form = readForm(type, new TextEncoder().encode(body), ["one", "two"]);
  return form.ok ? Object.fromEntries(form.value) : null;
};

describe("a form's body", () => {
  test.each([
    ["", {}],
    ["one=1", { one: "1" }],
    ["one=1&two=a+b%20c", { one: "1", two: "a b c" }],
    ["one=a%0D%0Ab%0Ac", { one: "a\nb\nc" }],
    ["one=%E2%82%AC%F0%9F%98%80", { one: "€😀" }],
    ["two=&one=%26%3D", { two: "", one: "&=" }],
  ])("%j is read", (body, expected) => {
    expect(read(body)).toEqual(expected);
  });

  test.each([
    ["three=1", "a field that it should not have"],
    ["one=1&one=1", "a field twice"],
    ["one=1&one=2", "a field twice, differing"],
    ["one", "no value"],
    ["=1", "no name"],
    ["&one=1", "an empty pair"],
    ["one=1&", "an empty pair at the end"],
    ["one=1;two=2", "another separator"],
    ["One=1", "another case"],
    ["%6fne=1", "an encoded name"],
    ["one=%zz", "no encoding"],
    ["one=%C0%AF", "an overlong encoding"],
    ["one=%FF", "no UTF-8"],
    ["one=a=b", "a second equals sign"],
    ["one=<b>", "what no form encoder leaves"],
    ["__proto__=1", "an object's own name"],
    ["\ufeffone=1", "a byte order mark"],
  ])("%j is refused: %s", (body) => {
    expect(read(body)).toBeNull();
  });

  test.each([
    ["application/x-www-form-urlencoded; charset=utf-8", true],
    ["APPLICATION/X-WWW-FORM-URLENCODED", true],
    ["application/x-www-form-urlencoded; charset=utf-16", false],
    ["multipart/form-data; boundary=x", false],
    ["text/plain", false],
    ["application/json", false],
    ["application/x-www-form-urlencoded, text/plain", false],
    [null, false],
  ])("of type %j is read: %s", (type, expected) => {
    expect(read("one=1", type) !== null).toBe(expected);
  });

  test("of bytes that are no text is refused", () => {
    expect(readForm(FORM, new Uint8Array([0xff, 0xfe]), ["one"]).ok).toBe(false);
  });
});

describe("where a form came from", () => {
  const SELF = "https://gate.example";
  test.each([
    ["same-origin", "null", true],
    ["same-origin", SELF, true],
    ["same-origin", null, true],
    [null, SELF, true],
    ["same-origin", "https://evil.example", false],
    ["cross-site", SELF, false],
    ["same-site", SELF, false],
    ["none", SELF, false],
    ["cross-site", "null", false],
    ["Same-Origin", SELF, false],
    ["same-origin, cross-site", SELF, false],
    ["", SELF, false],
    [null, "null", false],
    [null, null, false],
    [null, "http://gate.example", false],
    [null, "https://gate.example:8443", false],
    [null, "https://gate.example.evil.example", false],
  ])("Sec-Fetch-Site %j, Origin %j: ours is %s", (site, origin, ours) => {
    const headers = new Headers();
    if (site !== null) headers.set("sec-fetch-site", site);
    if (origin !== null) headers.set("origin", origin);
    expect(foreignForm(headers, SELF) === null).toBe(ours);
  });
});

describe("a cookie", () => {
  test.each([
    ["__Host-portcullis=v1.a.b", "v1.a.b"],
    ["x=1; __Host-portcullis=v1.a.b; y=2", "v1.a.b"],
    ["__Host-portcullis=a; __Host-portcullis=b", null],
    ["__Host-portcullis=", null],
    ["__Host-portcullis=a b", null],
    ['__Host-portcullis="a"', null],
    [`__Host-portcullis=${"a".repeat(2_049)}`, null],
    ["portcullis-session=v1.a.b", null],
    ["__host-portcullis=v1.a.b", null],
    ["__Host-portcullis-sign-in=v1.a.b", null],
    ["", null],
    [null, null],
  ])("%j has the session %j over https", (header, expected) => {
    expect(readCookie(header, "session", true)).toBe(expected);
  });

  test("of plain http has another name, because __Host- needs https", () => {
    expect(readCookie("portcullis-session=a; __Host-portcullis=b", "session", false)).toBe("a");
    expect(setCookie("session", "a", 60, false)).toBe(
      "portcullis-session=a; Path=/; Max-Age=60; HttpOnly; SameSite=Strict",
    );
    expect(setCookie("session", "a", 60, true)).toBe(
      "__Host-portcullis=a; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure",
    );
  });
});

describe("a path to return to", () => {
  test.each([
    [undefined, "/_gate/approvals"],
    ["/_gate/approvals", "/_gate/approvals"],
    ["/_gate/approvals/apr_0123456789abcdefghjkmnpqrs", "/_gate/approvals/apr_0123456789abcdefghjkmnpqrs"],
    ["", null],
    ["/", null],
    ["//evil.example", null],
    ["/_gate/approvals\n", null],
    ["\t/_gate/approvals", null],
    ["/_gate/approvals/", null],
    ["/_gate/approvals/apr_0123456789abcdefghjkmnpqrs/", null],
    ["/_gate/approvals/apr_0123456789abcdefghjkmnpqr", null],
    ["/_gate/approvals#@evil.example", null],
    ["/_gate/approvals/..//evil.example", null],
    ["https:/_gate/approvals", null],
    ["\\\\evil.example", null],
  ])("%j → %j", (text, expected) => {
    expect(readReturnPath(text)).toBe(expected);
  });
});
