import { describe, expect, test } from "vitest";
import { checkRecord, sealRecord } from "../../src/identity/record-mac.ts";
import type { JsonObject } from "../../src/platform/json.ts";
import { agentClaims, newSecret } from "./fixtures.ts";

const pepper = newSecret();
const row: JsonObject = { ...agentClaims, scopes: { ...agentClaims.scopes } };
const mac = sealRecord("channel", row, pepper);

describe("edit rights on the database mint nothing", () => {
  test("an unchanged row is its own, whatever the order of its columns", () => {
    expect(checkRecord("channel", row, mac, pepper)).toBe(true);
    expect(checkRecord("channel", Object.fromEntries(Object.entries(row).toReversed()), mac, pepper)).toBe(true);
  });

  test.each(Object.keys(row))("a changed %s is detected, and so is its absence", (name) => {
    expect(checkRecord("channel", { ...row, [name]: "changed" }, mac, pepper)).toBe(false);
    const { [name]: _, ...without } = row;
    expect(checkRecord("channel", without, mac, pepper)).toBe(false);
  });

  test("an added column is detected", () => {
    expect(checkRecord("channel", { ...row, note: null }, mac, pepper)).toBe(false);
  });

  test("a widened scope deep inside is detected", () => {
    const wider = { ...row, scopes: { actions: ["*"], maxTier: 4 } };
    expect(checkRecord("channel", wider, mac, pepper)).toBe(false);
  });

  test("a row of one table is nothing in another", () => {
    expect(checkRecord("tenant", row, mac, pepper)).toBe(false);
    expect(checkRecord("issuer", row, mac, pepper)).toBe(false);
  });

  test("another pepper's row is refused", () => {
    expect(checkRecord("channel", row, mac, newSecret())).toBe(false);
  });

  test.each(["", "x", `${mac}=`, `${mac} `, mac.slice(0, -1), mac.toUpperCase(), `${mac}AAAA`])(
    "the MAC text %j is refused",
    (text) => {
      expect(checkRecord("channel", row, text, pepper)).toBe(false);
    },
  );
});
