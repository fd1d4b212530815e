import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import { floorOf } from "../../src/catalogue/floors.ts";
import type { CompiledCatalogue } from "../../src/catalogue/types.ts";
import type { PolicyOutcome } from "../../src/policy/types.ts";
import type { Facts, Tier } from "../../src/vocabulary.ts";
import { compiling, peopleOf, tenantFile } from "./compiling.ts";

const submit = (gpus: number, job_type: string): Facts => ({
  gpus,
  gpu_type: "H100",
  hours: 1,
  job_type,
  image: "x",
});

const job = (gpus: number, job_type: string): Facts => ({
  gpus,
  gpu_type: "h100",
  minutes: 5,
  hours: 5 / 60,
  job_type,
});

function published(tenant: string, catalogueName: string) {
  const file = join(import.meta.dirname, "../../policies/catalogues", `${catalogueName}.yaml`);
  const compiled = compileCatalogue(readFileSync(file, "utf8"));
  if (!compiled.ok) throw new Error(`the catalogue ${catalogueName} does not compile`);
  const catalogue: CompiledCatalogue = compiled.value;
  const people = peopleOf(tenantFile(`${tenant}.people.yaml`));
  const { policy, warnings } = compiling(tenantFile(`${tenant}.yaml`), people, catalogue);
  const decide = (action: string, facts: Facts): PolicyOutcome =>
    policy.evaluate({
      action,
      facts,
      missing: [],
      floor: floorOf(catalogue.actions.get(action)?.floors ?? [], facts),
      now: 0,
    });
  return { catalogue, people, policy, warnings, decide };
}

describe.each([
  ["acme", "example"],
  ["globex", "example"],
  ["slurm-lab", "slurm-v0.0.38"],
])("%s's policy against the catalogue %s", (tenant, catalogueName) => {
  const { catalogue, people, policy, warnings } = published(tenant, catalogueName);

  it("loads without a warning and remembers what it was compiled with", () => {
    expect(warnings).toEqual([]);
    expect(policy.catalogueDigest).toBe(catalogue.digest);
    expect(policy.peopleDigest).toBe(people.digest);
  });

  it("has enough approvers for every tier that needs them", () => {
    for (const tier of [3, 4] as const) {
      const { needed, people: eligible, unresolved } = policy.approvers(tier);
      expect(unresolved).toEqual([]);
      expect(eligible.length).toBeGreaterThanOrEqual(needed);
    }
  });
});

describe("acme on the example control plane", () => {
  const { decide } = published("acme", "example");

  it.each<[string, Facts, Tier]>([
    ["workloads.list", {}, 0],
    ["workloads.explain", { resource: "w-1" }, 1],
    ["workloads.submit", submit(4, "elastic"), 2],
    ["workloads.submit", submit(8, "elastic"), 3],
    ["workloads.submit", submit(2, "reserved"), 3],
    ["workloads.submit", submit(64, "elastic"), 3],
    ["workloads.cancel", { resource: "w-1" }, 4],
    ["allocations.release", { resource: "a-1" }, 4],
  ])("%s %o is tier %i", (action, facts, tier) => {
    expect(decide(action, facts)).toMatchObject({ kind: "matched", tier });
  });

  it("128 GPUs are 64 too many, and pools are not deleted", () => {
    expect(decide("workloads.submit", submit(128, "elastic"))).toMatchObject({
      kind: "constraint-exceeded",
      violations: [{ constraint: "max_gpus", limit: 64, actual: 128 }],
      nearest: { tier: 3, facts: { gpus: 64 } },
    });
    expect(decide("pools.delete", { resource: "p-1" }).kind).toBe("prohibited");
  });
});

describe("the Slurm lab", () => {
  const { decide } = published("slurm-lab", "slurm-v0.0.38");

  it.each<[string, Facts, Tier]>([
    ["workloads.list", {}, 0],
    ["gpus.status", {}, 0],
    ["workloads.submit", job(1, "gpu"), 2],
    ["workloads.submit", job(4, "gpu"), 2],
    ["workloads.submit", job(1, "debug"), 3],
    ["workloads.submit", job(8, "gpu"), 3],
    ["workloads.submit", job(32, "gpu"), 3],
    ["workloads.update", { resource: "7", ...job(4, "gpu") }, 2],
    ["workloads.update", { resource: "7", ...job(32, "gpu") }, 3],
    ["workloads.cancel", { resource: "7" }, 4],
  ])("%s %o is tier %i", (action, facts, tier) => {
    expect(decide(action, facts)).toMatchObject({ kind: "matched", tier });
  });

  it("takes no job larger than the cluster", () => {
    expect(decide("workloads.submit", job(33, "gpu"))).toMatchObject({
      kind: "constraint-exceeded",
      nearest: { tier: 3, facts: { gpus: 32 } },
    });
  });
});
