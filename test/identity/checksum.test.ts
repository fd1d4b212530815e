import { crc32 } from "node:zlib";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { checksum } from "../../src/identity/checksum.ts";

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const valueOf = (digits: string): number =>
  digits.split("").reduce((sum, digit) => sum * 62 + DIGITS.indexOf(digit), 0);

test("the checksum is the CRC-32 that zip computes, in six digits", () => {
  const ascii = fc.string({ unit: fc.integer({ min: 0x20, max: 0x7e }).map((code) => String.fromCharCode(code)) });
  fc.assert(
    fc.property(ascii, (text) => {
      expect(checksum(text)).toMatch(/^[0-9A-Za-z]{6}$/);
      expect(valueOf(checksum(text))).toBe(crc32(text));
    }),
  );
});

test("the published check value of CRC-32 holds", () => {
  expect(valueOf(checksum("123456789"))).toBe(0xcbf43926);
});
