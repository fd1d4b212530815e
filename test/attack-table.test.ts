import { globSync, readFileSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";

/** What the table of attacks names is there: a test that was renamed shows nothing any more. */
const ROOT = import.meta.dirname;
const ROWS = readFileSync(`${ROOT}/attack-table.md`, "utf8")
  .split("\n")
  .map((line) => line.split("|").map((cell) => cell.trim()))
  .filter(([, id = ""]) => /^[A-Z]{2,4}-\d\d/.test(id))
  .map(([, id = "", attack = "", shownBy = ""]) => ({ id, attack, shownBy }));

/** The files that a row names, `g/` standing for `gateway/`. What is the deployment's matter is in `docs/`. */
const namedIn = (shownBy: string): readonly string[] =>
  (
    shownBy.replaceAll(/"[^"]*"|`[^`]*`|docs\/\S+/g, "").match(/(?<![\w/.-])[a-z]+\/[a-z0-9-]+(?:\/[a-z0-9-]+)*/g) ?? []
  ).map((path) => path.replace(/^g\//, "gateway/"));

const filesOf = (path: string): readonly string[] =>
  globSync([`${path}.ts`, `${path}.test.ts`, `${path}.worker.test.ts`, `${path}/*.ts`], { cwd: ROOT });

test.each(ROWS)("$id, $attack: the tests named are there, and those named by their title say so", ({ shownBy }) => {
  const named = namedIn(shownBy);
  for (const path of named) expect(filesOf(path), path).not.toEqual([]);
  const text = named
    .flatMap(filesOf)
    .filter((file) => statSync(`${ROOT}/${file}`).isFile())
    .map((file) => readFileSync(`${ROOT}/${file}`, "utf8"))
    .join("\n");
  for (const [, title = ""] of shownBy.matchAll(/"([^"]+)"/g))
    for (const part of title.split(" … ")) expect(text, title).toContain(part);
});

describe("every attack on the record (security catalogue: AUD)", () => {
  test("has its row, and a test", () => {
    const rows = ROWS.filter(({ id }) => id.startsWith("AUD-"));
    expect(rows.map(({ id }) => id)).toEqual(Array.from({ length: 9 }, (_, index) => `AUD-0${index + 1}`));
    for (const { id, shownBy } of rows) expect(namedIn(shownBy), id).not.toEqual([]);
  });
});
