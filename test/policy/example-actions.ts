import type { ActionSpec, FloorRow } from "../../src/catalogue/types.ts";
import type { Constraints } from "../../src/catalogue/constraints.ts";
import { floorOf } from "../../src/catalogue/floors.ts";
import { digestOf } from "../../src/platform/digest.ts";
import type { Facts, Tier } from "../../src/vocabulary.ts";

type FactTypes = Readonly<Record<string, "number" | "string" | "boolean" | "strings">>;

/** A hand-made catalogue entry, so that these tests depend on no catalogue document. */
export function actionSpec(
  action: string,
  floors: readonly (readonly [Tier, Constraints | null])[],
  facts: FactTypes,
): ActionSpec {
  const rows: readonly FloorRow[] = floors.map(([tier, when]) => ({ tier, when }));
  return {
    action,
    floors: rows,
    minimumTier: rows[0]?.tier ?? 5,
    factNames: new Map(Object.entries(facts)),
    blastRadius: null,
    elevated: false,
    reversible: null,
    free: false,
    digest: digestOf("test", action),
  };
}

const observed = (action: string): ActionSpec => actionSpec(action, [[0, null]], {});

const SUBMIT_FACTS: FactTypes = {
  gpus: "number",
  gpu_type: "string",
  job_type: "string",
  hours: "number",
  preemptible: "boolean",
  zones: "strings",
};

const SPECS: readonly ActionSpec[] = [
  ...["workloads.list", "workloads.get", "metrics.get", "failure_analysis.diagnose", "gpus.status", "logs.get"].map(
    observed,
  ),
  ...[
    "capacity.get",
    "allocations.list",
    "reservations.list",
    "operations.list",
    "workloads.explain",
    "insights.analyze",
    "capacity.plan",
  ].map(observed),
  actionSpec(
    "workloads.submit",
    [
      [2, { max_gpus: 4 }],
      [3, null],
    ],
    SUBMIT_FACTS,
  ),
  actionSpec(
    "workloads.scale",
    [
      [2, { max_gpus: 4 }],
      [3, null],
    ],
    { resource: "string", gpus: "number", gpu_type: "string", hours: "number" },
  ),
  actionSpec(
    "allocations.create",
    [
      [2, { max_instances: 8 }],
      [3, null],
    ],
    { instances: "number", instance_type: "string" },
  ),
  actionSpec("allocations.transfer", [[3, null]], {}),
  actionSpec("reservations.create", [[3, null]], { gpus: "number", gpu_type: "string" }),
  actionSpec("workloads.cancel", [[4, null]], {}),
  actionSpec("allocations.release", [[4, null]], {}),
  actionSpec("pools.delete", [[5, null]], {}),
  actionSpec("infrastructure.destroy", [[5, null]], {}),
];

/** How far a mistake reaches and whether anything undoes it, where that is said at all. */
const REACH: Readonly<Record<string, Pick<ActionSpec, "blastRadius" | "reversible">>> = {
  "workloads.submit": { blastRadius: "workload", reversible: true },
  "workloads.scale": { blastRadius: "workload", reversible: true },
  "workloads.cancel": { blastRadius: "workload", reversible: false },
  "allocations.create": { blastRadius: "allocation", reversible: true },
  "allocations.transfer": { blastRadius: "allocation", reversible: true },
  "allocations.release": { blastRadius: "allocation", reversible: false },
  "pools.delete": { blastRadius: "pool", reversible: false },
  "infrastructure.destroy": { blastRadius: "cluster", reversible: false },
};

/** The example control plane's actions with the floors that the wire contract states. */
export const EXAMPLE_CATALOGUE = {
  actions: new Map(SPECS.map((spec) => [spec.action, { ...spec, ...REACH[spec.action] }])),
  digest: digestOf("test", "example"),
  blastRadii: ["workload", "allocation", "pool", "cluster"],
} as const;

/** The floor that a catalogue reports for these facts; prohibited for an action that it does not have. */
export function exampleFloor(action: string, facts: Facts): Tier {
  return floorOf(EXAMPLE_CATALOGUE.actions.get(action)?.floors ?? [], facts);
}
