import { describe, expect, it } from "vitest";
import { compiling } from "./compiling.ts";

const HEAD = ['version: "1.0"', 'approval: { tier_4_approvers: ["@alice", "@bob"] }'];
const GUARDS = [
  "environments: { production: { gpu_type: [H100] }, sandbox: { gpu_type: [A100] } }",
  'maintenance_windows: { nights: { cron: "0 22 * * *", minutes: 60 } }',
];

const warningsOf = (...lines: readonly string[]) =>
  compiling([...HEAD, ...lines, ""].join("\n")).warnings.map(({ path, message }) => [path, message]);

const tiers = (...written: readonly string[]) => warningsOf("allowed_tools:", ...written.map((line) => `  ${line}`));

describe("what stands in an entry and never matters is warned of, at its place", () => {
  it.each<[string, readonly string[], readonly unknown[]]>([
    [
      "a bound beside a value that keeps it",
      ["tier_2: [workloads.submit: { max_gpus: 4, gpus: 2 }]"],
      [["/allowed_tools/tier_2/0/workloads.submit/max_gpus", "never matters: gpus of 2 stands beside it"]],
    ],
    ["two bounds of one fact that leave something", ["tier_3: [workloads.submit: { max_gpus: 8, min_gpus: 5 }]"], []],
    [
      "a value that a lower tier always takes",
      [
        "tier_2: [workloads.submit: { max_gpus: 4, job_type: [elastic] }]",
        "tier_3: [workloads.submit: { max_gpus: 4, job_type: [elastic, reserved] }]",
      ],
      [
        [
          "/allowed_tools/tier_3/0/workloads.submit/job_type/0",
          "elastic never decides here: allowed_tools.tier_2[0] workloads.submit covers it",
        ],
      ],
    ],
    [
      "a value that a lower tier takes for less",
      [
        "tier_2: [workloads.submit: { max_gpus: 4, job_type: [elastic] }]",
        "tier_3: [workloads.submit: { max_gpus: 8, job_type: [elastic, reserved] }]",
      ],
      [],
    ],
    [
      "an entry that two before it cover together",
      [
        "tier_3: [workloads.submit: { max_gpus: 8, job_type: [elastic] }, workloads.submit: { max_gpus: 8, job_type: [reserved] }]",
        "tier_4: [workloads.submit: { max_gpus: 8, job_type: [elastic, reserved] }]",
      ],
      [
        [
          "/allowed_tools/tier_4/0",
          "never decides: allowed_tools.tier_3[0] workloads.submit and allowed_tools.tier_3[1] workloads.submit cover all of it",
        ],
      ],
    ],
    [
      "members of a fact that is a list, which may come together",
      [
        "tier_3: [workloads.submit: { zones: [a] }, workloads.submit: { zones: [b] }]",
        "tier_4: [workloads.submit: { zones: [a, b] }]",
      ],
      [],
    ],
  ])("%s", (_title, written, warnings) => {
    expect(tiers(...written)).toEqual(warnings);
  });
});

const never = (rule: string) => [["/allowed_tools/tier_3/0", `never decides: ${rule} refuses all that it allows`]];
const guarded = (entry: string, guard: string) =>
  warningsOf("allowed_tools:", `  tier_3: [${entry}]`, ...GUARDS, `blast_radius: [${guard}]`).filter(
    ([path]) => path !== "/maintenance_windows/nights",
  );

describe("an entry all of which a guard refuses is warned of", () => {
  it.each<[string, string, string, readonly unknown[]]>([
    ["everywhere", "workloads.submit: { max_gpus: 8 }", "{ at_least: workload, deny: no }", never("blast_radius[0]")],
    [
      "where the entry alone is",
      "workloads.submit: { gpu_type: [H100] }",
      "{ at_least: workload, environments: [production], runbook: hand }",
      never("blast_radius[0]"),
    ],
    [
      "in all environments",
      "workloads.submit: { max_gpus: 8 }",
      "{ at_least: workload, environments: [sandbox, production], deny: no }",
      never("blast_radius[0]"),
    ],
    [
      "because the action never says where it is",
      "allocations.transfer",
      "{ at_least: allocation, environments: [production], deny: no }",
      never("blast_radius[0]"),
    ],
    [
      "not where some of it is elsewhere",
      "workloads.submit: { max_gpus: 8 }",
      "{ at_least: workload, environments: [production], deny: no }",
      [],
    ],
    [
      "not where its radius is smaller",
      "workloads.submit",
      "{ at_least: pool, environments: [production], deny: no }",
      [],
    ],
    ["not by a window, which opens", "workloads.submit", "{ at_least: workload, inside: [nights] }", []],
    ["not in shadow", "workloads.submit", "{ at_least: workload, deny: no, mode: shadow }", []],
  ])("%s", (_title, entry, guard, warnings) => {
    const about = guarded(entry, guard).filter(([, message]) => message?.startsWith("never decides"));
    expect(about).toEqual(warnings);
  });
});
