import { describe, expect, it } from "vitest";
import { compilePolicy } from "../../src/policy/compile-policy.ts";
import { exampleCatalogue, examplePrices, NOW, slurmCatalogue, slurmPrices, valueOf } from "../catalogue/shipped.ts";
import { ACME_PEOPLE } from "./compiling.ts";

const CATALOGUE = exampleCatalogue();
const PRICES = examplePrices();
const SLURM = slurmCatalogue();
const BUDGET = "budget: { daily_limit_usd: 500, monthly_limit_usd: 10000 }";

type Documents = { readonly catalogue: typeof CATALOGUE; readonly prices: typeof PRICES | null };

function warningsOf(
  lines: readonly string[],
  { catalogue, prices }: Documents = { catalogue: CATALOGUE, prices: PRICES },
): readonly unknown[] {
  const text = ['version: "1.0"', 'approval: { tier_4_approvers: ["@alice", "@bob"] }', ...lines, ""].join("\n");
  const advice = { bounds: catalogue.bounds(), prices, now: NOW };
  return valueOf(compilePolicy(text, ACME_PEOPLE, catalogue, advice)).warnings.map(({ path, message }) => [
    path,
    message,
  ]);
}

const submit = (constraints: string, budget = BUDGET) =>
  warningsOf(["allowed_tools:", `  tier_3: [workloads.submit: { ${constraints} }]`, budget]);
const PLACE = "/allowed_tools/tier_3/0/workloads.submit";

const create = (constraints: string) =>
  warningsOf(["allowed_tools:", `  tier_3: [allocations.create: { ${constraints} }]`, BUDGET]);
const budget = (daily: number, monthly: number, more = ""): string =>
  `budget: { daily_limit_usd: ${daily}, monthly_limit_usd: ${monthly}${more} }`;

describe("against what the catalogue's requests can be at all", () => {
  it.each<[string, string, readonly unknown[]]>([
    ["a bound within", "max_gpus: 64", []],
    ["the catalogue's own bound, said again", "max_gpus: 4096", []],
    ["a bound beyond", "max_gpus: 5000", [[`${PLACE}/max_gpus`, "never matters: the catalogue takes gpus up to 4096"]]],
    ["a least below", "min_gpus: 0", [[`${PLACE}/min_gpus`, "never matters: the catalogue takes gpus from 1"]]],
    ["less than the least", "max_hours: 0", [[`${PLACE}/max_hours`, "never holds: hours is at least 1"]]],
    ["more than the most", "min_hours: 8761", [[`${PLACE}/min_hours`, "never holds: hours is at most 8760"]]],
    ["a value out of reach", "gpus: 5000", [[`${PLACE}/gpus`, "never holds: gpus is at most 4096"]]],
    [
      "a word that there is none of",
      "job_type: [elastic, resrved]",
      [[`${PLACE}/job_type/1`, 'the catalogue has no job_type "resrved" (did you mean "reserved"?)']],
    ],
    [
      "only such a word",
      "gpu_type: H200",
      [[`${PLACE}/gpu_type`, 'the catalogue has no gpu_type "H200" (did you mean "H100"?)']],
    ],
    ["text that the catalogue leaves open", 'image: ["registry.example/a:1"]', []],
  ])("%s", (_title, constraints, warnings) => {
    expect(submit(constraints)).toEqual(warnings);
  });

  it("bounds of a fact that is computed from another are told", () => {
    expect(create("max_gpus: 3")).toEqual([
      ["/allowed_tools/tier_3/0/allocations.create/max_gpus", "never holds: gpus is at least 4"],
    ]);
    expect(create("gpus: 4, instance_type: [8xH100]")).toEqual([
      ["/allowed_tools/tier_3/0", "never holds: the catalogue has no request that meets all of it"],
    ]);
  });

  it("says nothing of what the catalogue reads out of text", () => {
    const lines = [
      "allowed_tools:",
      "  tier_3: [workloads.submit: { max_gpus: 32, job_type: [gpu], min_gpus: 1 }]",
      BUDGET,
    ];
    expect(warningsOf(lines, { catalogue: SLURM, prices: slurmPrices() })).toEqual([]);
  });
});

describe("caps that nothing allowed can fit", () => {
  it.each<[string, string, string, readonly unknown[]]>([
    ["a request that fits exactly", "min_gpus: 100, gpu_type: [H100], min_hours: 2", BUDGET, []],
    [
      "a cent more",
      "min_gpus: 100, gpu_type: [H100], min_hours: 2",
      budget(499.99, 10_000),
      [
        [
          "/allowed_tools/tier_3/0",
          "never runs: the cheapest request that it allows costs 500.00, more than daily_limit_usd of 499.99",
        ],
      ],
    ],
    [
      "the month",
      "gpus: 8, gpu_type: [H100]",
      budget(500, 19),
      [
        [
          "/allowed_tools/tier_3/0",
          "never runs: the cheapest request that it allows costs 20.00, more than monthly_limit_usd of 19.00",
        ],
      ],
    ],
    [
      "what may be submitted in a day",
      "gpus: 8, gpu_type: [H100]",
      budget(20, 500, ", gross_daily_limit_usd: 19"),
      [
        ["/budget/gross_daily_limit_usd", "lower than daily_limit_usd of 20.00, which can then never be reached"],
        [
          "/allowed_tools/tier_3/0",
          "never runs: the cheapest request that it allows costs 20.00, more than gross_daily_limit_usd of 19.00",
        ],
      ],
    ],
    ["the cheapest kind of GPU counts, where the entry leaves it open", "min_gpus: 100", budget(80, 80), []],
    [
      "and no cheaper one does",
      "min_gpus: 100",
      budget(79, 79),
      [
        [
          "/allowed_tools/tier_3/0",
          "never runs: the cheapest request that it allows costs 80.00, more than daily_limit_usd of 79.00",
        ],
      ],
    ],
  ])("%s", (_title, constraints, limits, warnings) => {
    expect(new Set(submit(constraints, limits))).toEqual(new Set(warnings));
  });

  it("a policy without a budget allows nothing that costs money, and is told", () => {
    expect(submit("max_gpus: 8", "timezone: UTC")).toEqual([
      [
        "/allowed_tools/tier_3/0",
        "never runs: the cheapest request that it allows costs 0.80, more than daily_limit_usd of 0.00",
      ],
    ]);
  });

  it.each<[string, string, readonly unknown[]]>([
    [
      "an action",
      "action: { workloads.submit: { daily_limit_usd: 9.99 } }",
      [
        [
          "/budget/per/action/workloads.submit/daily_limit_usd",
          "nothing fits: the cheapest request that the policy allows costs 10.00",
        ],
      ],
    ],
    [
      "every principal",
      "principal: { each: { monthly_limit_usd: 1 } }",
      [
        [
          "/budget/per/principal/each/monthly_limit_usd",
          "nothing fits: the cheapest request that the policy allows costs 10.00",
        ],
      ],
    ],
    ["one that fits", "principal: { each: { monthly_limit_usd: 10 } }", []],
    ["a principal that is to spend nothing", 'principal: { "agent:x": { daily_limit_usd: 0 } }', []],
    [
      "an action that is allowed and may cost nothing",
      "action: { workloads.submit: { daily_limit_usd: 0 } }",
      [
        [
          "/budget/per/action/workloads.submit/daily_limit_usd",
          "nothing fits: the cheapest request that the policy allows costs 10.00",
        ],
      ],
    ],
  ])("of %s", (_title, per, warnings) => {
    expect(
      submit(
        "min_gpus: 4, gpu_type: [H100]",
        `budget: { daily_limit_usd: 500, monthly_limit_usd: 10000, per: { ${per} } }`,
      ),
    ).toEqual(warnings);
  });

  it("a change may ask for no growth at all, so no cap is too low for it", () => {
    expect(warningsOf(["allowed_tools:", "  tier_3: [workloads.scale: { min_gpus: 100 }]", budget(1, 1)])).toEqual([]);
  });

  it("what no price is known for is told; without a price table nothing is said of money", () => {
    const lines = ["allowed_tools:", "  tier_3: [workloads.submit: { partition: gpu, gpu_type: [B200] }]", BUDGET];
    expect(warningsOf(lines, { catalogue: SLURM, prices: slurmPrices() })).toEqual([
      ["/allowed_tools/tier_3/0", "never decides: price version 2026-11-01 has no price for anything that it allows"],
    ]);
    expect(warningsOf(lines, { catalogue: SLURM, prices: null })).toEqual([]);
  });
});
