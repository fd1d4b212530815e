import { describe, expect, it } from "vitest";
import type { Facts, Tier } from "../../src/vocabulary.ts";
import { compiling, decide } from "./compiling.ts";

/** A policy with these `tier_N: [entry]` lines, in flow style. */
const policyOf = (...tiers: readonly string[]) =>
  compiling(['version: "1.0"', "allowed_tools:", ...tiers.map((tier) => `  ${tier}`), ""].join("\n")).policy;
const submit = (constraints: string): string => `[workloads.submit: { ${constraints} }]`;

describe("the nearest request that would pass", () => {
  it.each<[string, readonly string[], Facts, string, readonly unknown[], unknown]>([
    [
      "fewest changes win over a lower tier",
      [`tier_2: ${submit("max_gpus: 4, job_type: [elastic]")}`, `tier_3: ${submit("max_gpus: 64")}`],
      { gpus: 100, job_type: "reserved" },
      "allowed_tools.tier_3[0] workloads.submit",
      [{ constraint: "max_gpus", limit: 64, actual: 100 }],
      { tier: 3, facts: { gpus: 64 } },
    ],
    [
      "then the smallest change",
      [`tier_2: ${submit("max_gpus: 4")}`, `tier_3: ${submit("min_gpus: 8, max_gpus: 64")}`],
      { gpus: 5 },
      "allowed_tools.tier_2[0] workloads.submit",
      [{ constraint: "max_gpus", limit: 4, actual: 5 }],
      { tier: 2, facts: { gpus: 4 } },
    ],
    [
      "then the lower tier",
      [`tier_2: ${submit("max_gpus: 4, job_type: [elastic]")}`, `tier_3: ${submit("gpu_type: [A100]")}`],
      { gpus: 2, job_type: "reserved", gpu_type: "H100" },
      "allowed_tools.tier_2[0] workloads.submit",
      [{ constraint: "job_type", limit: ["elastic"], actual: "reserved" }],
      { tier: 2, facts: { job_type: "elastic" } },
    ],
    [
      "a far change of one fact is still one change",
      [`tier_2: ${submit("max_gpus: 4")}`, `tier_3: ${submit("max_hours: 8, min_gpus: 8")}`],
      { gpus: 8, hours: 9 },
      "allowed_tools.tier_3[0] workloads.submit",
      [{ constraint: "max_hours", limit: 8, actual: 9 }],
      { tier: 3, facts: { hours: 8 } },
    ],
    [
      "a lower bound is raised to",
      [`tier_3: ${submit("min_hours: 2, max_hours: 4")}`],
      { hours: 1 },
      "allowed_tools.tier_3[0] workloads.submit",
      [{ constraint: "min_hours", limit: 2, actual: 1 }],
      { tier: 3, facts: { hours: 2 } },
    ],
    [
      "every broken constraint is named",
      [`tier_3: ${submit("max_gpus: 8, gpu_type: [A100, L40S], preemptible: true")}`],
      { gpus: 9, gpu_type: "H100", preemptible: false },
      "allowed_tools.tier_3[0] workloads.submit",
      [
        { constraint: "max_gpus", limit: 8, actual: 9 },
        { constraint: "gpu_type", limit: ["A100", "L40S"], actual: "H100" },
        { constraint: "preemptible", limit: true, actual: false },
      ],
      { tier: 3, facts: { gpus: 8, gpu_type: "A100", preemptible: true } },
    ],
    [
      "a fact that is missing beside a broken one shows as null",
      [`tier_3: ${submit("max_gpus: 8, gpu_type: [A100]")}`],
      { gpus: 9 },
      "allowed_tools.tier_3[0] workloads.submit",
      [
        { constraint: "max_gpus", limit: 8, actual: 9 },
        { constraint: "gpu_type", limit: ["A100"], actual: null },
      ],
      { tier: 3, facts: { gpus: 8, gpu_type: "A100" } },
    ],
    [
      "a list keeps what is allowed of it",
      [`tier_3: ${submit("zones: [a, b]")}`],
      { zones: ["a", "c"] },
      "allowed_tools.tier_3[0] workloads.submit",
      [{ constraint: "zones", limit: ["a", "b"], actual: ["a", "c"] }],
      { tier: 3, facts: { zones: ["a"] } },
    ],
    [
      "a list of nothing allowed becomes the first that is",
      [`tier_3: ${submit("zones: [a, b]")}`],
      { zones: [] },
      "allowed_tools.tier_3[0] workloads.submit",
      [{ constraint: "zones", limit: ["a", "b"], actual: [] }],
      { tier: 3, facts: { zones: ["a"] } },
    ],
    [
      "an entry that contradicts itself offers none",
      [`tier_3: ${submit("min_gpus: 8, max_gpus: 4")}`],
      { gpus: 6 },
      "allowed_tools.tier_3[0] workloads.submit",
      [
        { constraint: "min_gpus", limit: 8, actual: 6 },
        { constraint: "max_gpus", limit: 4, actual: 6 },
      ],
      null,
    ],
  ])("%s", (_title, tiers, facts, rule, violations, nearest) => {
    const outcome = decide(policyOf(...tiers), "workloads.submit", facts);
    expect(outcome).toEqual({ kind: "constraint-exceeded", rule, violations, nearest });
  });

  it("keeps a floor that the route put above the action's own", () => {
    const policy = policyOf(`tier_2: ${submit("max_gpus: 4")}`, `tier_3: ${submit("max_gpus: 8")}`);
    const outcome = policy.evaluate({ action: "workloads.submit", facts: { gpus: 9 }, missing: [], floor: 4, now: 0 });
    expect(outcome).toMatchObject({ kind: "constraint-exceeded", nearest: null });
  });
});

describe("missing facts never hold", () => {
  const policy = policyOf(
    `tier_2: ${submit("max_gpus: 4, job_type: [elastic]")}`,
    `tier_3: ${submit("max_gpus: 64, max_hours: 8")}`,
  );

  it.each<[string, Facts, readonly string[], object]>([
    ["the only obstacle", { job_type: "elastic" }, ["gpus"], { kind: "unsized", missing: ["gpus"] }],
    ["all of them", {}, [], { kind: "unsized", missing: ["gpus", "job_type"] }],
    [
      "reported missing although a value came along",
      { gpus: 1, job_type: "elastic", hours: 1 },
      ["gpus"],
      { kind: "unsized", missing: ["gpus"] },
    ],
    ["only at a higher tier", { gpus: 5, job_type: "elastic" }, [], { kind: "unsized", missing: ["hours"] }],
    ["not needed by the entry that decides", { gpus: 4, job_type: "elastic" }, ["hours"], { kind: "matched", tier: 2 }],
  ])("%s", (_title, facts, missing, outcome) => {
    expect(decide(policy, "workloads.submit", facts, missing)).toMatchObject(outcome);
  });

  it("is no excuse where another fact is broken as well", () => {
    expect(decide(policy, "workloads.submit", { gpus: 65 }).kind).toBe("constraint-exceeded");
  });

  it("an entry without constraints accepts what cannot be sized, where the floor lets it stand", () => {
    const open = policyOf(`tier_2: ${submit("max_gpus: 4")}`, "tier_3: [workloads.submit]");
    expect(decide(open, "workloads.submit", {}, ["gpus"])).toMatchObject({ kind: "matched", tier: 3 });
  });
});

describe("values of another type than the limit are broken, never converted", () => {
  const policy = policyOf(`tier_2: ${submit("max_gpus: 4, job_type: [elastic]")}`);
  it.each<Facts>([
    { gpus: "1", job_type: "elastic" },
    { gpus: true, job_type: "elastic" },
    { gpus: ["1"], job_type: "elastic" },
    { gpus: Number.NaN, job_type: "elastic" },
    { gpus: 1, job_type: ["elastic", "reserved"] },
    { gpus: 1, job_type: "Elastic" },
    { gpus: 1, job_type: "elastic " },
  ])("%o", (facts) => {
    expect(decide(policy, "workloads.submit", facts).kind).toBe("constraint-exceeded");
  });
});

describe("the floor holds at decision time too", () => {
  const policy = policyOf(`tier_2: ${submit("max_gpus: 4")}`, "tier_4: [workloads.submit]");
  it.each<[Tier, Tier]>([
    [0, 2],
    [2, 2],
    [3, 4],
    [4, 4],
  ])("floor %i is decided at tier %i", (floor, tier) => {
    expect(
      policy.evaluate({ action: "workloads.submit", facts: { gpus: 1 }, missing: [], floor, now: 0 }),
    ).toMatchObject({
      kind: "matched",
      tier,
    });
  });

  it("floor 5 is prohibited whatever stands in the policy", () => {
    const outcome = policy.evaluate({ action: "workloads.submit", facts: { gpus: 1 }, missing: [], floor: 5, now: 0 });
    expect(outcome).toEqual({ kind: "prohibited", rule: "catalogue floor 5 workloads.submit" });
  });

  it("an action whose entries all stand below is not allowed", () => {
    const low = policyOf(`tier_2: ${submit("max_gpus: 4")}`);
    const outcome = low.evaluate({ action: "workloads.submit", facts: { gpus: 1 }, missing: [], floor: 3, now: 0 });
    expect(outcome).toEqual({
      kind: "not-allowed",
      rule: "allowed_tools has no entry for workloads.submit at tier 3 or above",
    });
  });
});

describe("tier 5 of a policy", () => {
  const policy = policyOf("tier_4: [workloads.cancel]", "tier_5: [workloads.submit]");
  it("prohibits whatever the facts, and counts as naming the action", () => {
    const outcome = { kind: "prohibited", rule: "allowed_tools.tier_5[0] workloads.submit" };
    expect(decide(policy, "workloads.submit", { gpus: 1 })).toEqual(outcome);
    expect(decide(policy, "workloads.submit", {}, ["gpus"])).toEqual(outcome);
    expect(policy.names("workloads.submit")).toBe(true);
  });
});
