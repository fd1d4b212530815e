import { describe, expect, it } from "vitest";
import { compiling, refusing } from "./compiling.ts";

const policy = (...text: readonly string[]): string => ['version: "1.0"', "allowed_tools: {}", ...text, ""].join("\n");
const audit = (...lines: readonly string[]): string => policy("audit:", ...lines.map((line) => `  ${line}`));

describe("retention of audit records", () => {
  it.each([
    ["nothing stated: for ever", policy(), { retainDays: null, legalHold: false }],
    ["an empty map", policy("audit: {}"), { retainDays: null, legalHold: false }],
    ["days", audit("retain_days: 30"), { retainDays: 30, legalHold: false }],
    ["a hold", audit("retain_days: 36500", "legal_hold: true"), { retainDays: 36_500, legalHold: true }],
    ["a hold alone", audit("legal_hold: true"), { retainDays: null, legalHold: true }],
  ])("%s", (_title, text, retention) => {
    expect(compiling(text).policy.retention).toEqual(retention);
  });

  it.each([
    ["less than a month", "retain_days: 29"],
    ["more than a hundred years", "retain_days: 36501"],
    ["a fraction", "retain_days: 30.5"],
    ["a text", 'retain_days: "90"'],
    ["a hold that is neither", 'legal_hold: "yes"'],
    ["a key that is none", "keep_days: 90"],
  ])("%s refuses the document at its place", (_title, line) => {
    expect(refusing(audit(line))).toMatchObject([{ line: 4 }]);
  });
});
