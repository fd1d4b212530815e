import { describe, expect, it } from "vitest";
import type { Constraints } from "../../src/catalogue/constraints.ts";
import { PINS_MAX, pinMistake } from "../../src/policy/pins.ts";
import { ACME_PEOPLE, compiling, tenantFile } from "./compiling.ts";
import { EXAMPLE_CATALOGUE } from "./example-actions.ts";

const ACME = tenantFile("acme.yaml");

const mistake = (action: string, pins: Constraints): string | null => {
  const spec = EXAMPLE_CATALOGUE.actions.get(action);
  if (spec === undefined) throw new Error(`no action ${action}`);
  return pinMistake(pins, spec);
};

const tierOf = (text: string, action: string) =>
  compiling(text, ACME_PEOPLE, EXAMPLE_CATALOGUE).policy.approvalTier(action);

describe("pins of a standing approval", () => {
  it.each<[string, Constraints]>([
    ["workloads.submit", { max_gpus: 8, job_type: ["elastic"] }],
    ["workloads.submit", { gpus: 8, gpu_type: "H100", min_hours: 1 }],
    ["workloads.submit", { preemptible: true, zones: ["eu-1", "eu-2"] }],
  ])("are constraints over the facts of the action: %s %j", (action, pins) => {
    expect(mistake(action, pins)).toBeNull();
  });

  it.each<[string, Constraints, string]>([
    ["a fact that the catalogue does not extract", { max_cost: 5 }, 'max_cost: the catalogue extracts no fact "cost"'],
    ["a misspelt fact", { max_gpu: 8 }, 'did you mean "gpus"?'],
    ["text for a number", { gpus: "8" }, '"gpus" is a number'],
    ["a bound on text", { max_gpu_type: 4 }, "needs a number"],
    ["a bound that is no number", { max_gpus: "8" }, "takes a number"],
    ["a list for a number", { gpus: ["8"] }, "a list cannot hold it"],
    ["nothing pinned", {}, "pin at least one of"],
    [
      "more than people read",
      Object.fromEntries(Array.from({ length: PINS_MAX + 1 }, (_, index) => [`max_gpus_${index}`, index])),
      `more than ${PINS_MAX} pins`,
    ],
  ])("are refused with %s", (_, pins, reason) => {
    expect(mistake("workloads.submit", pins)).toContain(reason);
  });

  it("may be none where the action has no fact to pin", () => {
    expect(mistake("gpus.status", {})).toBeNull();
  });
});

describe("the tier at which people approve an action", () => {
  it.each([
    ["workloads.submit", 3],
    ["workloads.cancel", 4],
    ["allocations.transfer", 3],
    ["allocations.create", null],
    ["workloads.list", null],
    ["no.such", null],
  ] as const)("is for %s in the published example %s", (action, tier) => {
    expect(tierOf(ACME, action)).toBe(tier);
  });

  it("is the highest that names it, in whatever order", () => {
    const both = `version: "1.0"\nallowed_tools:\n  tier_4: [workloads.submit]\n  tier_3: [{ workloads.submit: { max_gpus: 8 } }]\n`;
    expect(tierOf(both, "workloads.submit")).toBe(4);
  });
});
