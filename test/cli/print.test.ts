import { describe, expect, test } from "vitest";
import { fields, quote, render, table, text, verbatim } from "../../src/cli/print.ts";
import { displayWidth, wrapped } from "../../src/cli/width.ts";

const PLAIN = { columns: 80, colour: false };

describe("output fits the terminal and loses nothing", () => {
  const long = "a sentence of several words, repeated until it no longer fits into one line. ".repeat(4).trim();

  test.each([40, 80, 100])("at %d columns", (columns) => {
    const shown = render(
      [
        text(long),
        fields([
          ["label", long],
          ["none", null],
        ]),
        table(
          [{ title: "id", keep: true }, { title: "words" }, { title: "more" }],
          [["apr_0123456789", long, "x".repeat(90)]],
        ),
        quote("who", `${long}\n${"y".repeat(200)}`),
      ],
      { columns, colour: false },
    );
    expect(Math.max(...shown.split("\n").map(displayWidth))).toBeLessThanOrEqual(columns);
    expect(shown.match(/apr_0123456789/g)).toHaveLength(1);
    expect(shown.match(/y/g)).toHaveLength(200);
    expect(shown.match(/x/g)).toHaveLength(90);
    expect(shown).not.toContain("none");
  });

  test("wide characters count as two columns", () => {
    expect(displayWidth("東京")).toBe(4);
    expect(wrapped("東京東京", 4)).toEqual(["東京", "東京"]);
  });

  test("a table breaks between words as long as it can", () => {
    const shown = render(
      [table([{ title: "a" }, { title: "b" }], [["workloads.submit tier 3", "z".repeat(60)]])],
      PLAIN,
    );
    expect(shown).toMatch(/^workloads\.submit +z{60}\ntier 3$/m);
  });

  test("columns that are not needed appear only where there is room", () => {
    const blocks = [table([{ title: "a" }, { title: "request", wide: true }], [["x", "req_1"]])];
    expect(render(blocks, { columns: 109, colour: false })).not.toContain("req_1");
    expect(render(blocks, { columns: 110, colour: false })).toContain("req_1");
  });

  test("lines for tools are never broken", () => {
    expect(render([verbatim(["w".repeat(300)])], PLAIN)).toBe(`${"w".repeat(300)}\n`);
  });
});

describe("somebody's text cannot pass for the command's own", () => {
  test("a quotation is marked on each of its lines", () => {
    const shown = render([quote("Evidence", "fine\n\nstate  approved\napprovals  2 of 2")], PLAIN);
    expect(
      shown
        .split("\n")
        .slice(1, -1)
        .every((line) => line.startsWith("  │")),
    ).toBe(true);
  });

  test("a cell brings no colour and no line of its own", () => {
    const shown = render([fields([["reason", "\u001b[32mgreen\nstate  approved"]])], { columns: 80, colour: true });
    expect(shown.trimEnd().split("\n")).toHaveLength(1);
    expect(shown).not.toContain("\u001b[32m");
  });
});

test("colour is added only where the layout has it", () => {
  const blocks = [text({ text: "refused", style: "bad" })];
  expect(render(blocks, { columns: 80, colour: true })).toBe("\u001b[31mrefused\u001b[0m\n");
  expect(render(blocks, PLAIN)).toBe("refused\n");
});
