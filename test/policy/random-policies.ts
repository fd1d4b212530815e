import * as fc from "fast-check";
import type { Facts } from "../../src/vocabulary.ts";

/** Values that limits and facts share, so that requests meet limits exactly, miss them by one, and miss them by far. */
export const GPUS = [1, 2, 4, 5, 8, 64, 65] as const;
export const HOURS = [1, 8, 24] as const;
export const GPU_TYPES = ["H100", "A100"] as const;
export const JOB_TYPES = ["elastic", "reserved"] as const;

const optional = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> => fc.option(value, { nil: undefined });

type Placed = { readonly entry: unknown; readonly least: number };

/** Constraints on `workloads.submit`; some contradict themselves or exclude everything, as people's do. */
const submitLimits = fc.record({
  max_gpus: optional(fc.constantFrom(...GPUS)),
  min_gpus: optional(fc.constantFrom(...GPUS)),
  max_hours: optional(fc.constantFrom(...HOURS)),
  gpu_type: optional(fc.constantFrom("H100", ["H100"], ["A100", "H100"])),
  job_type: optional(fc.constantFrom("elastic", ["elastic"], ["reserved"])),
  zones: optional(fc.constantFrom(["a"], ["a", "b"])),
});

/** One entry with the lowest tier at which the example catalogue lets it stand. */
const entry = fc.oneof(
  { weight: 6, arbitrary: submitLimits.map((limits) => withLimits("workloads.submit", limits, "max_gpus", 4)) },
  {
    weight: 2,
    arbitrary: fc
      .record({ max_instances: optional(fc.constantFrom(1, 8, 9)) })
      .map((limits) => withLimits("allocations.create", limits, "max_instances", 8)),
  },
  { weight: 1, arbitrary: fc.constant<Placed>({ entry: "allocations.transfer", least: 3 }) },
  { weight: 1, arbitrary: fc.constant<Placed>({ entry: "workloads.cancel", least: 4 }) },
  { weight: 1, arbitrary: fc.constant<Placed>({ entry: "workloads.list", least: 0 }) },
);

function withLimits(action: string, limits: object, bound: string, atMost: number): Placed {
  const written: Record<string, unknown> = Object.fromEntries(
    Object.entries(limits).filter(([, limit]) => limit !== undefined),
  );
  const least = typeof written[bound] === "number" && written[bound] <= atMost ? 2 : 3;
  return { entry: Object.keys(written).length === 0 ? action : { [action]: written }, least };
}

/** Texts of policies that load against the example catalogue. */
export const policyText: fc.Arbitrary<string> = fc
  .record({
    placed: fc.array(fc.record({ entry, above: fc.nat({ max: 2 }) }), { maxLength: 8 }),
    prohibited: fc.subarray(["pools.delete", "capacity.get", "allocations.release"]),
  })
  .map(({ placed, prohibited }) => {
    const tiers: Record<string, unknown[]> = { tier_5: prohibited };
    for (const { entry: chosen, above } of placed)
      (tiers[`tier_${Math.min(4, chosen.least + above)}`] ??= []).push(chosen.entry);
    return JSON.stringify({ version: "1.0", allowed_tools: tiers });
  });

/** Requests that the policies above speak of; every fact may be absent. */
export const request: fc.Arbitrary<{ readonly action: string; readonly facts: Facts }> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .record({
        gpus: present(fc.constantFrom(...GPUS)),
        hours: present(fc.constantFrom(...HOURS)),
        gpu_type: present(fc.constantFrom<string>(...GPU_TYPES, "L40S")),
        job_type: present(fc.constantFrom<string>(...JOB_TYPES)),
        zones: present(fc.subarray(["a", "b", "c"])),
      })
      .map((facts) => ({ action: "workloads.submit", facts: stated(facts) })),
  },
  {
    weight: 2,
    arbitrary: present(fc.constantFrom(1, 8, 9, 10)).map((instances) => ({
      action: "allocations.create",
      facts: stated({ instances }),
    })),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(
        "allocations.transfer",
        "workloads.cancel",
        "workloads.list",
        "pools.delete",
        "capacity.get",
        "nodes.drain",
      )
      .map((action) => ({ action, facts: {} })),
  },
);

/** Nine times in ten; a request without most of its facts teaches little. */
function present<T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(value, { nil: undefined, freq: 9 });
}

function stated(facts: Readonly<Record<string, Facts[string] | undefined>>): Facts {
  return Object.fromEntries(
    Object.entries(facts).flatMap(([name, fact]) => (fact === undefined ? [] : [[name, fact]])),
  );
}
