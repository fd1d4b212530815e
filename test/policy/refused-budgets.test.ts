import { describe, expect, it } from "vitest";
import { refusing } from "./compiling.ts";

/** A policy that allows submissions and has two teams; `text` begins at line 6. */
const after = (...text: readonly string[]): string =>
  [
    'version: "1.0"',
    "allowed_tools: { tier_3: [workloads.submit] }",
    "teams:",
    '  research: ["agent:trainer"]',
    '  serving: ["person:dana"]',
    ...text,
    "",
  ].join("\n");
const budget = (...text: readonly string[]): string => after("budget:", ...text.map((line) => `  ${line}`));
const teams = (...text: readonly string[]): string =>
  ['version: "1.0"', "allowed_tools: {}", "teams:", ...text.map((line) => `  ${line}`), ""].join("\n");
const per = (...text: readonly string[]): string => budget("per:", ...text.map((line) => `  ${line}`));

type Case = readonly [
  title: string,
  document: string,
  place: readonly [line: number, column: number, path: string],
  message: RegExp,
];

/** A budget with these thresholds, and where one of them stands. */
const at = (list: string): string => budget(`notify_at_percent: ${list}`);
const item = (column: number, index: number): Case[2] => [7, column, `/budget/notify_at_percent/${index}`];

/** Runs a table: exactly one mistake per document, at the stated place. */
function table(cases: readonly Case[]): void {
  it.each(cases)("%s", (_title, document, [line, column, path], message) => {
    expect(refusing(document)).toEqual([
      { line, column, path, message: expect.stringMatching(message), severity: "error" },
    ]);
  });
}

describe("a team that is not exactly one is refused, at its place", () => {
  table([
    ["no map", teams("- research"), [4, 3, "/teams"], /expected a map, found a list/],
    ["no list", teams('research: "agent:trainer"'), [4, 13, "/teams/research"], /expected a list/],
    ["nobody in it", teams("research: []"), [4, 13, "/teams/research"], /at least 1 item/],
    ["label in upper case", teams('Research: ["agent:a"]'), [4, 3, "/teams/Research"], /a team is lower-case letters/],
    ["label with a colon", teams('"a:b": ["agent:a"]'), [4, 3, "/teams/a:b"], /a team is lower-case letters/],
    ["member that is no subject", teams('research: ["@alice"]'), [4, 14, "/teams/research/0"], /immutable id/],
    ["member with a space", teams('research: ["agent: a"]'), [4, 14, "/teams/research/0"], /immutable id/],
    [
      "one subject in two teams",
      teams('research: ["agent:a", "agent:b"]', 'serving: ["agent:c", "agent:b"]'),
      [5, 24, "/teams/serving/1"],
      /^agent:b is in team research already/,
    ],
    [
      "one subject twice in a team",
      teams('research: ["agent:a", "agent:a"]'),
      [4, 25, "/teams/research/1"],
      /^agent:a is in team research already/,
    ],
    [
      "one owner in two teams",
      teams('research: ["person:dana"]', "serving:", '  - "person:dana"'),
      [6, 7, "/teams/serving/0"],
      /^person:dana is in team research already/,
    ],
  ]);
});

describe("a cap inside the tenant's that caps nothing is refused, at its place", () => {
  table([
    ["unknown kind", per("role: {}"), [8, 5, "/budget/per/role"], /unknown key "role"/],
    [
      "unknown team",
      per("team:", "  reserch: { daily_limit_usd: 1 }"),
      [9, 7, "/budget/per/team/reserch"],
      /^teams names no "reserch" \(did you mean "research"\?\)$/,
    ],
    [
      "team like nothing",
      per("team: { zzz: { daily_limit_usd: 1 } }"),
      [8, 13, "/budget/per/team/zzz"],
      /^teams names no "zzz"$/,
    ],
    [
      "name that every object has",
      per("team:", "  tostring: { daily_limit_usd: 1 }"),
      [9, 7, "/budget/per/team/tostring"],
      /^teams names no "tostring"$/,
    ],
    [
      "unknown action",
      per("action:", "  workload.submit: { daily_limit_usd: 1 }"),
      [9, 7, "/budget/per/action/workload.submit"],
      /^the catalogue has no action "workload\.submit" \(did you mean "workloads\.submit"\?\)$/,
    ],
    [
      "wildcard",
      per("action:", '  "workloads.*": { daily_limit_usd: 1 }'),
      [9, 7, "/budget/per/action/workloads.*"],
      /^the catalogue has no action/,
    ],
    [
      "each action",
      per("action:", "  each: { daily_limit_usd: 1 }"),
      [9, 7, "/budget/per/action/each"],
      /^the catalogue has no action "each"/,
    ],
    ["handle as principal", per('principal: { "@dana": {} }'), [8, 18, "/budget/per/principal/@dana"], /immutable id/],
    ["no cap", per("team:", "  research: {}"), [9, 17, "/budget/per/team/research"], /states no cap/],
    ["nothing below", per("team:", "  research:"), [9, 16, "/budget/per/team/research"], /expected a map/],
    ["amount alone", per("team:", "  research: 5"), [9, 17, "/budget/per/team/research"], /expected a map, found 5/],
    [
      "unknown limit",
      per("principal:", "  each: { daily_limit_usd: 1, weekly_limit_usd: 5 }"),
      [9, 35, "/budget/per/principal/each/weekly_limit_usd"],
      /unknown key "weekly_limit_usd"/,
    ],
    [
      "amount below zero",
      per("principal:", "  each: { daily_limit_usd: -1 }"),
      [9, 32, "/budget/per/principal/each/daily_limit_usd"],
      /^-1 is not an amount in USD/,
    ],
    [
      "amount of a seventh decimal",
      per("principal:", '  "agent:trainer":', "    monthly_limit_usd: 1.0000001"),
      [10, 28, "/budget/per/principal/agent:trainer/monthly_limit_usd"],
      /^1\.0000001 is not an amount in USD/,
    ],
    [
      "digits that a float forgets",
      per("action: { workloads.submit: {daily_limit_usd: 1.10000000000000000001} }"),
      [8, 51, "/budget/per/action/workloads.submit/daily_limit_usd"],
      /^1\.10000000000000000001 is not an amount in USD/,
    ],
    [
      "the same principal twice",
      per("principal:", "  each: { daily_limit_usd: 1 }", "  each: { daily_limit_usd: 2 }"),
      [10, 7, ""],
      /written twice/,
    ],
  ]);
});

describe("thresholds and the bound of submissions are refused at their place", () => {
  table([
    ["zero", at("[0]"), item(23, 0), /at least 1/],
    ["beyond the cap", at("[50, 101]"), item(27, 1), /at most 100/],
    ["a fraction", at("[12.5]"), item(23, 0), /whole number/],
    ["text", at('["50"]'), item(23, 0), /whole number|a number/],
    ["descending", at("[50, 95, 80]"), item(31, 2), /^80 comes before 95: write the thresholds in ascending order$/],
    ["twice", at("[50, 50, 80]"), item(27, 1), /^50 stands in this list twice/],
    ["nine", at("[1, 2, 3, 4, 5, 6, 7, 8, 9]"), [7, 22, "/budget/notify_at_percent"], /at most 8/],
    ["no list", at("80"), [7, 22, "/budget/notify_at_percent"], /expected a list/],
    [
      "bound below zero",
      budget("gross_daily_limit_usd: -1"),
      [7, 26, "/budget/gross_daily_limit_usd"],
      /not an amount/,
    ],
    ["bound as text", budget('gross_daily_limit_usd: "5"'), [7, 26, "/budget/gross_daily_limit_usd"], /a number/],
  ]);
});

it("every mistake about money is reported, in the order of the text", () => {
  const document = budget(
    "daily_limit_usd: -1",
    "notify_at_percent: [80, 50]",
    "per:",
    "  action: { workload.submit: { daily_limit_usd: 1 } }",
    "  team: { reserch: { daily_limit_usd: -1 } }",
  );
  expect(refusing(document).map(({ line, column }) => [line, column])).toEqual([
    [7, 20],
    [8, 27],
    [10, 15],
    [11, 13],
    [11, 41],
  ]);
});
