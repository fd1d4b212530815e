import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { CompiledPolicy } from "../../src/policy/types.ts";
import type { Facts, Tier } from "../../src/vocabulary.ts";
import { compiling } from "./compiling.ts";
import { EXAMPLE_CATALOGUE, exampleFloor } from "./example-actions.ts";
import { naivePolicy, type Asked, type Verdict } from "./naive-evaluator.ts";
import { guardedPolicyText } from "./random-guarded-policies.ts";
import { GPU_TYPES, GPUS, HOURS, JOB_TYPES, policyText, request } from "./random-policies.ts";

const POLICIES = 2_000;
const REQUESTS_PER_POLICY = 500;
const KINDS = [
  "constraint-exceeded",
  "constraint-exceeded beside a shadow",
  "matched",
  "matched beside a shadow",
  "not-allowed",
  "not-allowed beside a shadow",
  "outside-window",
  "prohibited",
  "unsized",
];

/** What a reader of the catalogue notes down. */
const NOTED = new Map(
  [...EXAMPLE_CATALOGUE.actions.values()].map(({ action, factNames, blastRadius, reversible }) => [
    action,
    { facts: [...factNames.keys()], blastRadius, reversible },
  ]),
);

const ask = (policy: CompiledPolicy, action: string, facts: Facts) =>
  policy.evaluate({ action, facts, missing: [], floor: exampleFloor(action, facts), now: 0 });

describe("the compiled policy and a naive reading of the same text", () => {
  it(`agree on ${POLICIES * REQUESTS_PER_POLICY} random decisions, and every kind of outcome occurs`, () => {
    const seen = new Map<string, number>();
    fc.assert(
      fc.property(guardedPolicyText, fc.integer({ min: 1 }), (text, seed) => {
        const { policy } = compiling(text);
        const naive = naivePolicy(text, NOTED, EXAMPLE_CATALOGUE.blastRadii);
        const pick = picker(seed);
        const from = START + (seed % 7) * 86_400_000 + (seed % 3) - 1;
        for (let count = 0; count < REQUESTS_PER_POLICY; count++) {
          const asked = {
            ...randomRequest(pick),
            now: from + Math.floor((count * INSTANTS) / REQUESTS_PER_POLICY) * 2_820_000,
          };
          const compiled = verdictOf(policy, asked);
          const read = JSON.stringify(withoutRefusedRule(naive(asked)));
          // Compared as text: a million deep comparisons take longer than all the deciding.
          if (JSON.stringify(compiled) !== read)
            expect({ text, asked, ...compiled }).toEqual({ text, asked, ...JSON.parse(read) });
          const key = compiled.shadow.length > 0 ? `${compiled.kind} beside a shadow` : compiled.kind;
          seen.set(key, (seen.get(key) ?? 0) + 1);
        }
      }),
      { numRuns: POLICIES },
    );
    expect([...seen.values()].reduce((sum, count) => sum + count, 0)).toBe(POLICIES * REQUESTS_PER_POLICY);
    for (const kind of KINDS) expect([kind, (seen.get(kind) ?? 0) >= 1_000]).toEqual([kind, true]);
  }, 300_000);

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

type Pick = <T>(values: readonly T[]) => T;

/** Draws from lists, the same for the same seed (mulberry32): fast-check draws the policies, a million requests need less. */
function picker(seed: number): Pick {
  let state = seed;
  return (values) => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    const [first] = values;
    const drawn = values[((mixed ^ (mixed >>> 14)) >>> 0) % values.length] ?? first;
    if (drawn === undefined) throw new Error("nothing to draw from");
    return drawn;
  };
}

/** Around the openings and closings of the random windows, away from days on which clocks change. */
const START = Date.parse("2031-11-17T00:00:00Z");
/** Instants per policy, 47 minutes apart: a day and a half. */
const INSTANTS = 50;

/** Nine times in ten a fact is stated; a request without most of its facts teaches little. */
function randomRequest(pick: Pick): Omit<Asked, "now"> & { readonly facts: Facts; readonly floor: Tier } {
  const stated = (facts: Readonly<Record<string, readonly Facts[string][]>>): Facts =>
    Object.fromEntries(
      Object.entries(facts).flatMap(([name, values]) => (pick(TENTHS) === 0 ? [] : [[name, pick(values)]])),
    );
  const action = pick(ACTIONS);
  const facts =
    action === "workloads.submit"
      ? stated({
          gpus: GPUS,
          hours: HOURS,
          gpu_type: [...GPU_TYPES, "L40S"],
          job_type: JOB_TYPES,
          preemptible: [true, false],
          zones: [[], ["a"], ["b"], ["a", "b"], ["c"], ["a", "c"]],
        })
      : action === "allocations.create"
        ? stated({ instances: [1, 8, 9, 10] })
        : {};
  return { action, facts, floor: exampleFloor(action, facts) };
}

const TENTHS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9] as const;
const ACTIONS = [
  ...Array.from({ length: 8 }, () => "workloads.submit"),
  "allocations.create",
  "allocations.create",
  "allocations.transfer",
  "workloads.cancel",
  "workloads.list",
  "pools.delete",
  "capacity.get",
  "nodes.drain",
];

/** The compiled policy's answer in the naive reader's words. */
function verdictOf(
  policy: CompiledPolicy,
  asked: ReturnType<typeof randomRequest> & { readonly now: number },
): Verdict {
  const outcome = policy.evaluate({ ...asked, missing: [] });
  return withoutRefusedRule({
    kind: outcome.kind,
    tier: outcome.kind === "matched" ? outcome.tier : null,
    closesAt: outcome.kind === "matched" ? (outcome.open?.closesAt ?? null) : null,
    opensAt: outcome.kind === "outside-window" ? outcome.opens_at : null,
    shadow: outcome.shadow ?? [],
  });
}

/** Which of several broken entries a refusal names is a question of distance, which the other test asks. */
function withoutRefusedRule({ kind, tier, closesAt, opensAt, shadow }: Verdict): Verdict {
  const told = shadow.map(({ rule, verdict }) => ({
    rule: verdict.startsWith("tier") || /^\w+\[\d\]$/.test(rule) ? rule : "-",
    verdict,
  }));
  return { kind, tier, closesAt, opensAt, shadow: told };
}

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
