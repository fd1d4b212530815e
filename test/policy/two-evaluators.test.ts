import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CompiledPolicy } from "../../src/policy/types.ts";
import type { Facts } from "../../src/vocabulary.ts";
import { compiling } from "./compiling.ts";
import { exampleFloor } from "./example-actions.ts";
import { naivePolicy } from "./naive-evaluator.ts";
import { GPU_TYPES, GPUS, HOURS, JOB_TYPES, policyText, request } from "./random-policies.ts";

const POLICIES = 500;
const REQUESTS_PER_POLICY = 50;

const ask = (policy: CompiledPolicy, action: string, facts: Facts) =>
  policy.evaluate({ action, facts, missing: [], floor: exampleFloor(action, facts), now: 0 });

describe("the compiled policy and a naive reading of the same text", () => {
  it(`agree on ${POLICIES * REQUESTS_PER_POLICY} random decisions, and every kind of outcome occurs`, () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(policyText, requests(REQUESTS_PER_POLICY), (text, asked) => {
        const { policy } = compiling(text);
        const naive = naivePolicy(text);
        for (const { action, facts } of asked) {
          const outcome = ask(policy, action, facts);
          const verdict = { kind: outcome.kind, tier: outcome.kind === "matched" ? outcome.tier : null };
          expect(verdict).toEqual(naive(action, facts, exampleFloor(action, facts)));
          seen.set(outcome.kind, (seen.get(outcome.kind) ?? 0) + 1);
        }
      }),
      { numRuns: POLICIES },
    );
    expect([...seen.values()].reduce((sum, count) => sum + count, 0)).toBe(POLICIES * REQUESTS_PER_POLICY);
    expect([...seen.keys()].toSorted()).toEqual([
      "constraint-exceeded",
      "matched",
      "not-allowed",
      "prohibited",
      "unsized",
    ]);
  });

  it("the nearest request passes at the named tier, and no request with fewer changes passes", () => {
    let compared = 0;
    fc.assert(
      fc.property(policyText, requests(10), (text, asked) => {
        const { policy } = compiling(text);
        for (const { action, facts } of asked) {
          const outcome = ask(policy, action, facts);
          if (action !== "workloads.submit" || outcome.kind !== "constraint-exceeded") continue;
          const fewest = fewestChanges(policy, facts);
          expect(outcome.nearest === null ? null : Object.keys(outcome.nearest.facts).length).toBe(fewest);
          if (outcome.nearest === null) continue;
          const passed = ask(policy, action, { ...facts, ...outcome.nearest.facts });
          expect(passed).toMatchObject({ kind: "matched", tier: outcome.nearest.tier });
          compared += 1;
        }
      }),
      { numRuns: 100 },
    );
    expect(compared).toBeGreaterThan(50);
  });
});

function requests(count: number): fc.Arbitrary<readonly { readonly action: string; readonly facts: Facts }[]> {
  return fc.array(request, { minLength: count, maxLength: count });
}

/** By trying every combination of values that limits are made of: the least number of facts to change; null where none passes. */
function fewestChanges(policy: CompiledPolicy, facts: Facts): number | null {
  let fewest: number | null = null;
  const options = <T>(name: string, values: readonly T[]) => [facts[name], ...values];
  for (const gpus of options("gpus", GPUS)) {
    for (const hours of options("hours", HOURS)) {
      for (const gpu_type of options("gpu_type", GPU_TYPES)) {
        for (const job_type of options("job_type", JOB_TYPES)) {
          for (const zones of options("zones", [["a"]])) {
            const changed: Record<string, Facts[string] | undefined> = { gpus, hours, gpu_type, job_type, zones };
            const changes = Object.keys(changed).filter((name) => changed[name] !== facts[name]).length;
            if (fewest !== null && changes >= fewest) continue;
            const present = Object.entries(changed).flatMap(([name, fact]) =>
              fact === undefined ? [] : [[name, fact] as const],
            );
            if (ask(policy, "workloads.submit", Object.fromEntries(present)).kind === "matched") fewest = changes;
          }
        }
      }
    }
  }
  return fewest;
}
