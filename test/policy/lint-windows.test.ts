import { describe, expect, it } from "vitest";
import { compilePolicy } from "../../src/policy/compile-policy.ts";
import { exampleCatalogue, NOW, valueOf } from "../catalogue/shipped.ts";
import { ACME_PEOPLE } from "./compiling.ts";

const CATALOGUE = exampleCatalogue();

/** Both guards cover every submit; `second` is the cron pattern and the minutes of the second one's window. */
function warningsOf(second: string, more = ""): readonly unknown[] {
  const text = `version: "1.0"
approval: { tier_4_approvers: ["@alice", "@bob"] }
allowed_tools: { tier_3: [workloads.submit], tier_4: [workloads.cancel] }
budget: { daily_limit_usd: 500, monthly_limit_usd: 10000 }
maintenance_windows:
  nights: { cron: "0 22 * * *", minutes: 120 }
  second: ${second}
blast_radius:
  - { at_least: workload, inside: [nights] }
  - { at_least: workload, inside: [second]${more} }
`;
  const advice = { bounds: CATALOGUE.bounds(), prices: null, now: NOW };
  return valueOf(compilePolicy(text, ACME_PEOPLE, CATALOGUE, advice)).warnings.map(({ path, message }) => [
    path,
    message,
  ]);
}

const NEVER = "never runs: windows of blast_radius[0] and blast_radius[1] are not open together within a year";

describe("windows that an entry needs together", () => {
  it.each<[string, string, string, readonly unknown[]]>([
    [
      "never open together",
      '{ cron: "0 12 * * *", minutes: 60 }',
      "",
      [
        ["/allowed_tools/tier_3/0", NEVER],
        ["/allowed_tools/tier_4/0", NEVER],
      ],
    ],
    [
      "one closes when the other opens",
      '{ cron: "0 0 * * *", minutes: 60 }',
      "",
      [
        ["/allowed_tools/tier_3/0", NEVER],
        ["/allowed_tools/tier_4/0", NEVER],
      ],
    ],
    ["a minute of each night", '{ cron: "59 23 * * *", minutes: 60 }', "", []],
    ["one night of the year", '{ cron: "30 22 24 12 *", minutes: 60 }', "", []],
    ["in another zone they meet", '{ cron: "0 12 * * *", zone: Pacific/Auckland, minutes: 60 }', "", []],
    ["in shadow nothing needs it", '{ cron: "0 12 * * *", minutes: 60 }', ", mode: shadow", []],
  ])("%s", (_title, second, more, warnings) => {
    expect(warningsOf(second, more)).toEqual(warnings);
  });
});
