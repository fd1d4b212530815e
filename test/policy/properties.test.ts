import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compilePolicy } from "../../src/policy/compile-policy.ts";
import type { Facts } from "../../src/vocabulary.ts";
import { TIERS } from "../../src/vocabulary.ts";
import { ACME_PEOPLE, compiling, tenantFile } from "./compiling.ts";
import { EXAMPLE_CATALOGUE, exampleFloor } from "./example-actions.ts";
import { policyText, request } from "./random-policies.ts";

const ACTIONS = [...EXAMPLE_CATALOGUE.actions.keys()];

/** Facts that no catalogue would extract: any names, any values, also those that JavaScript has a meaning for. */
const wildFacts: fc.Arbitrary<Facts> = fc.dictionary(
  fc.oneof(fc.constantFrom("gpus", "job_type", "zones", "__proto__", "constructor", "toString"), fc.string()),
  fc.oneof(fc.double(), fc.string(), fc.boolean(), fc.array(fc.string())),
);

describe("deny by default", () => {
  it("an action that the policy does not name is never matched, whatever its facts and floor", () => {
    fc.assert(
      fc.property(
        policyText,
        fc.oneof(fc.constantFrom(...ACTIONS), fc.string()),
        wildFacts,
        fc.constantFrom(...TIERS),
        (text, action, facts, floor) => {
          const { policy } = compiling(text);
          fc.pre(!policy.names(action));
          expect(policy.evaluate({ action, facts, missing: [], floor, now: 0 }).kind).toBe(
            floor === 5 ? "prohibited" : "not-allowed",
          );
        },
      ),
    );
  });

  it("a policy without entries allows nothing", () => {
    const { policy } = compiling('version: "1.0"\nallowed_tools: {}\n');
    for (const action of ACTIONS) {
      expect(policy.names(action)).toBe(false);
      expect(policy.evaluate({ action, facts: { gpus: 1 }, missing: [], floor: 0, now: 0 }).kind).toBe("not-allowed");
    }
  });
});

describe("no policy reaches below the catalogue", () => {
  it("whatever a policy that loads says, a match is at the floor or above and below 5", () => {
    fc.assert(
      fc.property(policyText, request, fc.constantFrom(...TIERS), (text, { action, facts }, routeFloor) => {
        const ownFloor = exampleFloor(action, facts);
        const floor = routeFloor > ownFloor ? routeFloor : ownFloor;
        const outcome = compiling(text).policy.evaluate({ action, facts, missing: [], floor, now: 0 });
        if (outcome.kind !== "matched") return;
        expect(outcome.tier).toBeGreaterThanOrEqual(floor);
        expect(outcome.tier).toBeLessThan(5);
      }),
      { numRuns: 1_000 },
    );
  });

  it("the loaded entries alone keep to the floor, before the check at decision time", () => {
    fc.assert(
      fc.property(policyText, request, (text, { action, facts }) => {
        const outcome = compiling(text).policy.evaluate({ action, facts, missing: [], floor: 0, now: 0 });
        if (outcome.kind === "matched") expect(outcome.tier).toBeGreaterThanOrEqual(exampleFloor(action, facts));
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a decision", () => {
  it("never throws and is the same when asked again, on any facts", () => {
    const { policy } = compiling(tenantFile("acme.yaml"));
    const missing = fc.array(
      fc.record({ fact: fc.constantFrom("gpus", "job_type", "__proto__"), reason: fc.string() }),
    );
    fc.assert(
      fc.property(
        fc.constantFrom(...ACTIONS),
        wildFacts,
        missing,
        fc.constantFrom(...TIERS),
        (action, facts, absent, floor) => {
          const asked = { action, facts, missing: absent, floor, now: 0 };
          const outcome = policy.evaluate(asked);
          expect(policy.evaluate(asked)).toEqual(outcome);
          if (outcome.kind !== "matched" || action !== "workloads.submit") return;
          expect(absent.map(({ fact }) => fact)).not.toContain("gpus");
        },
      ),
      { numRuns: 2_000 },
    );
  });
});

describe("compiling", () => {
  it("a damaged document ends in a policy or in problems, never in an exception", () => {
    const lines = tenantFile("acme.yaml").split("\n");
    fc.assert(
      fc.property(fc.nat({ max: lines.length - 1 }), fc.string({ unit: "binary", maxLength: 30 }), (index, noise) => {
        const text = lines.with(index, `${lines[index] ?? ""}${noise}`).join("\n");
        const compiled = compilePolicy(text, ACME_PEOPLE, EXAMPLE_CATALOGUE);
        if (!compiled.ok) expect(compiled.error.length).toBeGreaterThan(0);
        else expect(compiled.value.policy.names("pools.delete")).toBe(false);
      }),
      { numRuns: 300 },
    );
  });
});
