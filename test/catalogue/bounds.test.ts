import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ActionBounds } from "../../src/catalogue/bounds.ts";
import { checkConstraints, type Constraints } from "../../src/catalogue/constraints.ts";
import type { JsonObject } from "../../src/platform/json.ts";
import type { Fact, Facts } from "../../src/vocabulary.ts";
import {
  exampleCatalogue,
  examplePrices,
  NOW,
  slurmCatalogue,
  slurmPrices,
  strictRequest,
  valueOf,
} from "./shipped.ts";

const GPU_TYPES = ["H100", "A100", "L40S"];
const count = fc.integer({ min: 1, max: 64 });

type Asked = { readonly path: string; readonly body: JsonObject };

const exampleRequest: fc.Arbitrary<Asked> = fc.oneof(
  fc
    .record({
      gpus: count,
      gpu_type: fc.constantFrom(...GPU_TYPES),
      max_hours: count,
      job_type: fc.constantFrom("elastic", "reserved"),
    })
    .map((body) => ({ path: "/v1/workloads", body: { name: "a", image: "i", ...body } })),
  fc
    .record({ instances: count, instance_type: fc.constantFrom("8xH100", "8xA100", "4xL40S"), hours: count })
    .map((body) => ({ path: "/v1/allocations", body: { name: "a", ...body } })),
  fc
    .record({ gpus: count, gpu_type: fc.constantFrom(...GPU_TYPES), hours: count })
    .map((body) => ({ path: "/v1/reservations", body: { name: "a", ...body } })),
);

const slurmRequest: fc.Arbitrary<Asked> = fc
  .record({
    size: fc.oneof(
      count.map((gpus) => ({ gpus })),
      fc.constantFrom("h100:4", "a100:2", "8").map((gpus) => ({ gpus })),
      fc.record({ gpus_per_node: count, nodes: count }),
      fc.record({ gpus_per_task: count, tasks: count }),
    ),
    time_limit: fc.integer({ min: 1, max: 10_000 }),
  })
  .map(({ size, time_limit }) => ({
    path: "/slurm/v0.0.38/job/submit",
    body: { script: "#!/bin/sh\n", job: { ...size, time_limit, partition: "gpu", environment: {} } },
  }));

/** Constraints that these facts meet: what an entry may state that allows just this request. */
function constraintsOn(facts: Facts, pick: readonly boolean[]): Constraints {
  const stated: Record<string, Fact> = {};
  for (const [index, [name, fact]] of Object.entries(facts).entries()) {
    if (pick[index % pick.length] !== true) continue;
    if (typeof fact === "number") Object.assign(stated, { [`max_${name}`]: fact + 1, [`min_${name}`]: fact });
    else if (typeof fact === "string") stated[name] = [fact, "other"];
  }
  return stated;
}

describe.each([
  ["example", exampleCatalogue(), examplePrices(), exampleRequest],
  ["slurm", slurmCatalogue(), slurmPrices(), slurmRequest],
] as const)("bounds of catalogue %s", (_name, catalogue, prices, request) => {
  it("are never narrower than a request that there is, and never dearer", () => {
    const bounds = catalogue.bounds();
    const table = prices.at(NOW);
    if (table === null) throw new Error("no table is in force");
    let priced = 0;
    fc.assert(
      fc.property(request, fc.array(fc.boolean(), { minLength: 3, maxLength: 7 }), ({ path, body }, pick) => {
        const operation = valueOf(catalogue.match(strictRequest("POST", path, { body })));
        const { facts } = operation.facts(new Map());
        const own = bounds.get(operation.action);
        if (own === undefined) throw new Error("an action without bounds");
        expectWithin(own, facts);
        const constraints = constraintsOn(facts, pick);
        expect(checkConstraints(constraints, facts).holds).toBe(true);
        expect(own.mayHold(constraints)).toBe(true);
        const cost = operation.cost(facts, new Map(), prices, NOW);
        if (cost.kind !== "priced") return;
        const least = own.leastCost(constraints, table);
        expect(least === "unpriced" ? Infinity : least).toBeLessThanOrEqual(cost.ceilingMicros);
        priced += 1;
      }),
      { numRuns: 500 },
    );
    expect(priced).toBeGreaterThan(100);
  });
});

function expectWithin({ facts: ranges }: ActionBounds, facts: Facts): void {
  for (const [name, fact] of Object.entries(facts)) {
    const range = ranges.get(name);
    if (range === undefined) throw new Error(`no range of ${name}`);
    if (typeof fact === "number") expect([name, fact >= range.least && fact <= range.most]).toEqual([name, true]);
    if (typeof fact === "string") expect([name, range.words === null || range.words.has(fact)]).toEqual([name, true]);
  }
}

describe("bounds of the example catalogue", () => {
  const bounds = exampleCatalogue().bounds();
  const table = examplePrices().at(NOW);

  it.each<[string, Constraints, number]>([
    ["workloads.submit", {}, 800_000],
    ["workloads.submit", { gpu_type: ["H100", "A100"], min_gpus: 8, min_hours: 3 }, 36_000_000],
    ["allocations.create", { min_instances: 2 }, 6_400_000],
    // What is computed from others says nothing of them.
    ["allocations.create", { min_gpus: 64 }, 3_200_000],
    ["workloads.cancel", {}, 0],
    ["workloads.scale", { min_gpus: 64 }, 0],
  ])("%s under %o costs %i at least", (action, constraints, micros) => {
    expect(table === null ? null : bounds.get(action)?.leastCost(constraints, table)).toBe(micros);
  });
});
