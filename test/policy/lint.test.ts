import { describe, expect, it } from "vitest";
import { compiling } from "./compiling.ts";

const warningsOf = (...tiers: readonly string[]) =>
  compiling(
    [
      'version: "1.0"',
      'approval: { tier_4_approvers: ["@alice", "@bob"] }',
      "allowed_tools:",
      ...tiers.map((tier) => `  ${tier}`),
      "",
    ].join("\n"),
  ).warnings.map(({ line, column, message, severity }) => [line, column, message, severity]);

describe("entries that never decide are warned of, at their place", () => {
  it.each<[string, readonly string[], readonly unknown[]]>([
    [
      "widening constraints",
      ["tier_2: [workloads.submit: { max_gpus: 4 }]", "tier_3: [workloads.submit: { max_gpus: 64 }]"],
      [],
    ],
    [
      "narrower than a lower tier",
      ["tier_2: [workloads.submit: { max_gpus: 4 }]", "tier_3: [workloads.submit: { max_gpus: 3 }]"],
      [[5, 12, "never decides: allowed_tools.tier_2[0] workloads.submit covers it", "warning"]],
    ],
    [
      "written twice",
      ["tier_4: [workloads.cancel, workloads.cancel]"],
      [[4, 30, "never decides: allowed_tools.tier_4[0] workloads.cancel covers it", "warning"]],
    ],
    [
      "after an entry without constraints",
      ["tier_3: [workloads.submit]", "tier_4: [workloads.submit: { max_gpus: 4 }]"],
      [[5, 12, "never decides: allowed_tools.tier_3[0] workloads.submit covers it", "warning"]],
    ],
    [
      "constrained by different facts",
      [
        "tier_2: [workloads.submit: { max_gpus: 4, job_type: [elastic] }]",
        "tier_3: [workloads.submit: { max_gpus: 4 }]",
      ],
      [],
    ],
    [
      "bounds that exclude each other",
      ["tier_3: [workloads.submit: { max_gpus: 4, min_gpus: 8 }]"],
      [[4, 55, "never holds: max_gpus is 4", "warning"]],
    ],
  ])("%s", (_title, tiers, warnings) => {
    expect(warningsOf(...tiers)).toEqual(warnings);
  });
});
