import { describe, expect, test } from "vitest";
import { extractCredential, readBearer } from "../../src/identity/carriers.ts";

describe("an Authorization value", () => {
  test("is one Bearer credential or absent", () => {
    expect(readBearer("Bearer pcl_test_x")).toEqual({ ok: true, value: "pcl_test_x" });
    expect(readBearer("Bearer a.b-c_d")).toEqual({ ok: true, value: "a.b-c_d" });
    expect(readBearer(null)).toEqual({ ok: true, value: null });
  });

  test.each(["Bearer a, Bearer b", "Bearer a,b", "Bearer a,", ",Bearer a"])(
    "HDR-04 %j is two credentials: malformed",
    (value) => {
      expect(readBearer(value)).toMatchObject({ ok: false, error: { kind: "malformed-request" } });
    },
  );

  test.each([
    "",
    "Bearer",
    "Bearer ",
    "Bearer  a",
    " Bearer a",
    "Bearer a ",
    "Bearer a b",
    "Bearer\ta",
    "Bearer a\n",
    "Bearer a\r\nX: y",
    "Bearer a\0",
    "Bearer \u0430",
    "bearer a",
    "BEARER a",
    "Basic YTpi",
    "DPoP a",
    "Bearera",
    "a",
    `Bearer ${"a".repeat(8_193)}`,
  ])("%j is no credential: unauthenticated", (value) => {
    expect(readBearer(value)).toMatchObject({ ok: false, error: { kind: "unauthenticated" } });
  });
});

const extract = (headers: Record<string, string>) => extractCredential((name) => headers[name] ?? null);

describe("a request's credential", () => {
  test("travels in one known carrier", () => {
    expect(extract({ authorization: "Bearer a" })).toEqual({ ok: true, value: "a" });
    expect(extract({ "x-slurm-user-token": "a" })).toEqual({ ok: true, value: "a" });
    expect(extract({ "x-api-key": "a" })).toEqual({ ok: true, value: null });
    expect(extract({})).toEqual({ ok: true, value: null });
  });

  test.each([
    ["different", "b"],
    ["equal", "a"],
    ["empty", ""],
  ])("in two carriers is refused, even with %s values", (_name, other) => {
    expect(extract({ authorization: "Bearer a", "x-slurm-user-token": other })).toMatchObject({
      ok: false,
      error: { kind: "malformed-request" },
    });
  });

  test("joined in the other carrier is refused too", () => {
    expect(extract({ "x-slurm-user-token": "a, b" })).toMatchObject({
      ok: false,
      error: { kind: "malformed-request" },
    });
    expect(extract({ "x-slurm-user-token": "a b" })).toMatchObject({ ok: false, error: { kind: "unauthenticated" } });
  });
});
