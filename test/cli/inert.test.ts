import { describe, expect, test } from "vitest";
import { inert, inertJson, inertLines } from "../../src/cli/inert.ts";

describe("text of others cannot act on a terminal", () => {
  test.each([
    ["an ANSI escape", "\u001b[2Jgone", "\\u{1b}[2Jgone"],
    ["an 8-bit escape", "\u009b2Jgone", "\\u{9b}2Jgone"],
    ["a hyperlink (OSC 8)", "\u001b]8;;http://evil\u0007x", "\\u{1b}]8;;http://evil\\u{7}x"],
    ["a carriage return that overwrites the line", "approve\rdeny", "approve\\u{d}deny"],
    ["a backspace", "a\bb", "a\\u{8}b"],
    ["a right-to-left override", "job\u202egpj", "job\\u{202e}gpj"],
    ["an isolate", "\u2066x\u2069", "\\u{2066}x\\u{2069}"],
    ["a zero-width space", "job\u200b-7", "job\\u{200b}-7"],
    ["a blank letter", "job\u3164", "job\\u{3164}"],
    ["a tag character", "a\u{e0041}", "a\\u{e0041}"],
    ["a line separator", "a\u2028b", "a\\u{2028}b"],
    ["a lone surrogate", "a\ud800", "a\\u{d800}"],
    ["a line feed in one line", "a\nb", "a\\nb"],
    ["a heap of combining marks", `a${"\u0301".repeat(6)}`, `a${"\u0301".repeat(4)}\\u{301}\\u{301}`],
    ["ordinary text of any language", "größe 東京 שלום", "größe 東京 שלום"],
  ])("%s", (_, text, shown) => {
    expect(inert(text)).toBe(shown);
  });

  test("lines stay lines, and blank ones cannot push anything out of sight", () => {
    expect(inertLines(`seen\n${"\n".repeat(200)}\thidden\u001b[A`)).toEqual(["seen", "", "    hidden\\u{1b}[A"]);
  });

  test("JSON for machines keeps its value and loses its live characters", () => {
    const value = { text: "\u001b[2J \u009b \u202e \u{e0041} größe\n", list: [1, null] };
    const json = inertJson(value);
    expect(JSON.parse(json)).toEqual(value);
    expect(json.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
  });
});
