import { describe, expect, it } from "vitest";
import { DEFAULT_SIGNALS } from "../../src/policy/signals.ts";
import { compiling, refusing } from "./compiling.ts";

const policy = (...text: readonly string[]): string => ['version: "1.0"', "allowed_tools: {}", ...text, ""].join("\n");
const signals = (...lines: readonly string[]): string => policy("signals:", ...lines.map((line) => `  ${line}`));

describe("bounds of signals", () => {
  it.each([
    ["nothing stated", policy(), {}],
    ["an empty map", policy("signals: {}"), {}],
    ["one of them, the others by default", signals("denials_per_10_minutes: 7"), { denialsPer10Minutes: 7 }],
    [
      "all, 0 for never",
      signals(
        "denials_per_10_minutes: 0",
        "ineligible_approvals_per_hour: 1",
        "audit_backlog_rows: 25000",
        "audit_copy_late_minutes: 0",
      ),
      { denialsPer10Minutes: 0, ineligibleApprovalsPerHour: 1, auditBacklogRows: 25_000, auditCopyLateMinutes: 0 },
    ],
  ])("%s", (_title, text, stated) => {
    expect(compiling(text).policy.signals).toEqual({ ...DEFAULT_SIGNALS, ...stated });
  });

  it.each([
    ["a negative one", "denials_per_10_minutes: -1", 27],
    ["a fraction", "ineligible_approvals_per_hour: 1.5", 34],
    ["a backlog at which writes have long stopped", "audit_backlog_rows: 25001", 23],
    ["a copy that nobody hears of for more than a week", "audit_copy_late_minutes: 10081", 28],
    ["a text", 'audit_backlog_rows: "5000"', 23],
    ["a key that is none", "denials_per_hour: 5", 3],
  ])("%s refuses the document at its place", (_title, line, column) => {
    expect(refusing(signals(line))).toMatchObject([{ line: 4, column }]);
  });
});
