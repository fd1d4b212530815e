import { describe, expect, it } from "vitest";
import { ACME_PEOPLE, compiling } from "./compiling.ts";
import { actionSpec, EXAMPLE_CATALOGUE } from "./example-actions.ts";

/** The example catalogue, with a cancel that is declared to cost nothing. */
const CATALOGUE = {
  ...EXAMPLE_CATALOGUE,
  actions: new Map([
    ...EXAMPLE_CATALOGUE.actions,
    ["workloads.cancel", { ...actionSpec("workloads.cancel", [[4, null]], {}), free: true }],
  ]),
};

/** Warnings of a policy whose budget begins at line 9. */
const warningsOf = (...budget: readonly string[]) =>
  compiling(
    [
      'version: "1.0"',
      'approval: { tier_4_approvers: ["@alice", "@bob"] }',
      "allowed_tools:",
      "  tier_3: [workloads.submit]",
      "  tier_4: [workloads.cancel]",
      "  tier_5: [reservations.create]",
      'teams: { research: ["agent:trainer"] }',
      "budget:",
      ...budget.map((line) => `  ${line}`),
      "",
    ].join("\n"),
    ACME_PEOPLE,
    CATALOGUE,
  ).warnings.map(({ line, column, path, message, severity }) => [line, column, path, message, severity]);

const CAPS = ["daily_limit_usd: 500", "monthly_limit_usd: 10000"] as const;
/** One kind of caps, at line 12. */
const per = (text: string): readonly string[] => [...CAPS, "per:", `  ${text}`];

describe("caps that can never bind are warned of, at their place", () => {
  it.each<[string, readonly string[], readonly unknown[]]>([
    ["caps within the tenant's", per("principal: { each: { daily_limit_usd: 100, monthly_limit_usd: 1000 } }"), []],
    ["caps as high as the tenant's", per("team: { research: { daily_limit_usd: 500, monthly_limit_usd: 10000 } }"), []],
    [
      "a daily cap above the tenant's",
      per('principal: { "agent:trainer": { daily_limit_usd: 500.000001 } }'),
      [
        [
          12,
          54,
          "/budget/per/principal/agent:trainer/daily_limit_usd",
          "higher than the tenant's own daily_limit_usd of 500.00: it can never bind",
          "warning",
        ],
      ],
    ],
    [
      "both above the tenant's",
      per("team: { research: { daily_limit_usd: 501, monthly_limit_usd: 10001 } }"),
      [
        [
          12,
          42,
          "/budget/per/team/research/daily_limit_usd",
          "higher than the tenant's own daily_limit_usd of 500.00: it can never bind",
          "warning",
        ],
        [
          12,
          66,
          "/budget/per/team/research/monthly_limit_usd",
          "higher than the tenant's own monthly_limit_usd of 10000.00: it can never bind",
          "warning",
        ],
      ],
    ],
    [
      "a monthly cap where the tenant states none, which is 0",
      ["daily_limit_usd: 500", "per: { action: { workloads.submit: { monthly_limit_usd: 1 } } }"],
      [
        [
          10,
          59,
          "/budget/per/action/workloads.submit/monthly_limit_usd",
          "higher than the tenant's own monthly_limit_usd of 0.00: it can never bind",
          "warning",
        ],
      ],
    ],
    [
      "an action that costs nothing",
      per("action: { workloads.cancel: { daily_limit_usd: 1 } }"),
      [
        [
          12,
          15,
          "/budget/per/action/workloads.cancel",
          "workloads.cancel costs nothing: this cap can never bind",
          "warning",
        ],
      ],
    ],
    [
      "an action that the policy does not name",
      per("action: { allocations.create: { daily_limit_usd: 1 } }"),
      [
        [
          12,
          15,
          "/budget/per/action/allocations.create",
          "no tier of allowed_tools allows allocations.create: this cap can never bind",
          "warning",
        ],
      ],
    ],
    [
      "an action that the policy prohibits",
      per("action: { reservations.create: { daily_limit_usd: 1 } }"),
      [
        [
          12,
          15,
          "/budget/per/action/reservations.create",
          "no tier of allowed_tools allows reservations.create: this cap can never bind",
          "warning",
        ],
      ],
    ],
    [
      "a person, who spends through agents only",
      per('principal: { "person:dana": { daily_limit_usd: 1 } }'),
      [
        [
          12,
          18,
          "/budget/per/principal/person:dana",
          "person:dana is a person and spends nothing: a team that names a person reaches the agents that the person owns",
          "warning",
        ],
      ],
    ],
    ["a service", per('principal: { "service:ci": { daily_limit_usd: 1 } }'), []],
    [
      "a bound of submissions below the daily cap",
      [...CAPS, "gross_daily_limit_usd: 499.5"],
      [
        [
          11,
          26,
          "/budget/gross_daily_limit_usd",
          "lower than daily_limit_usd of 500.00, which can then never be reached",
          "warning",
        ],
      ],
    ],
    ["a bound of submissions as high as the daily cap", [...CAPS, "gross_daily_limit_usd: 500"], []],
  ])("%s", (_title, budget, warnings) => {
    expect(warningsOf(...budget)).toEqual(warnings);
  });
});
