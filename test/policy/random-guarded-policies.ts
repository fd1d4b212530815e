import * as fc from "fast-check";
import { policyText } from "./random-policies.ts";

/** Patterns that a reader can check minute by minute. */
const CRONS = ["0 2 * * *", "30 22 * * 1,3,5", "15 * * * *", "0 9 * * 0,6"] as const;
const ZONES = ["UTC", "Europe/Berlin", "Asia/Kolkata"] as const;

const window = fc.record({
  cron: fc.constantFrom(...CRONS),
  zone: fc.constantFrom(...ZONES),
  minutes: fc.constantFrom(1, 45, 59),
});

const environment = fc.oneof(
  fc.constantFrom<object>(
    { gpu_type: ["H100"] },
    { gpu_type: "A100" },
    { max_gpus: 4 },
    { min_gpus: 8, job_type: ["elastic"] },
    { preemptible: true },
    { zones: ["a", "b"] },
    { max_instances: 8 },
  ),
  fc.constant([{ gpu_type: ["H100", "A100"] }, { min_hours: 24 }]),
);

const names = ["red", "green", "blue"] as const;
const mode = fc.constantFrom({}, {}, { mode: "shadow" }, { mode: "enforce" });
const scope = fc.oneof(
  fc.constant({}),
  fc.subarray([...names], { minLength: 1, maxLength: 2 }).map((environments) => ({ environments })),
);
const effect = fc.oneof(
  fc.constant({ deny: "closed" }),
  fc.constant({ runbook: "by-hand" }),
  fc.subarray(["early", "late"], { minLength: 1 }).map((inside) => ({ inside })),
);
const guard = (kind: fc.Arbitrary<object>): fc.Arbitrary<object> =>
  fc.tuple(kind, scope, effect, mode).map((parts) => Object.assign({}, ...parts));

const parts = fc.record({
  windows: fc.record({ early: window, late: window }),
  environments: fc.record({ red: environment, green: environment, blue: environment }),
  radius: fc.array(
    guard(fc.constantFrom("workload", "allocation", "pool", "cluster").map((least) => ({ at_least: least }))),
    {
      maxLength: 2,
    },
  ),
  reversible: fc.array(guard(fc.constant({ is: false })), { maxLength: 2 }),
  mode: fc.constantFrom({}, {}, {}, { mode: "shadow" }),
  /** Which entries are in shadow, by their place. */
  shadowed: fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
});

/** Texts of policies with guards over their entries, some of both in shadow; the text is JSON, which is YAML. */
export const guardedPolicyText: fc.Arbitrary<string> = fc.tuple(policyText, parts).map(([text, more]) => {
  const document = JSON.parse(text);
  let place = 0;
  for (const tier of [0, 1, 2, 3, 4]) {
    const entries: readonly (string | Record<string, object>)[] = document.allowed_tools[`tier_${tier}`] ?? [];
    if (entries.length === 0) continue;
    document.allowed_tools[`tier_${tier}`] = entries.map((entry) => {
      if (more.shadowed[place++ % 8] !== true || place % 3 !== 0) return entry;
      const [[action, limits] = ["", {}]] = typeof entry === "string" ? [[entry, {}] as const] : Object.entries(entry);
      return { [action]: { ...limits, mode: "shadow" } };
    });
  }
  return JSON.stringify({
    ...document,
    ...more.mode,
    environments: more.environments,
    maintenance_windows: more.windows,
    ...(more.radius.length === 0 ? {} : { blast_radius: more.radius }),
    ...(more.reversible.length === 0 ? {} : { reversible: more.reversible }),
  });
});
