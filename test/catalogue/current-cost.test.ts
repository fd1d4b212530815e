import { describe, expect, it } from "vitest";
import { compileCatalogue } from "../../src/catalogue/compile.ts";
import type { CostOutcome } from "../../src/catalogue/types.ts";
import type { JsonObject, JsonValue } from "../../src/platform/json.ts";
import { examplePrices, matched, slurmCatalogue, slurmPrices, valueOf } from "./shipped.ts";
import { smallCatalogue } from "./small-catalogue.ts";

const NOW = Date.UTC(2026, 10, 20);
const QUANTITY = "{ look_up: job, at: /gpus }";

/** A resize whose present cost is read from its look-up; the argument replaces the quantity. */
const document = (quantity = QUANTITY): string =>
  smallCatalogue({
    actions: "  jobs.resize: { title: Resize a job, floor: 2, facts: { gpus: number } }",
    routes: `  - id: resize
    action: jobs.resize
    method: POST
    path: "/jobs/{id}"
    query: { n: { type: integer, min: 1, max: 9 } }
    body: { type: object, keys: { gpus: { type: integer, min: 1, max: 64 } } }
    look_ups: { job: { method: GET, path: "/jobs/{id}" } }
    facts: { gpus: { body: /gpus } }
    cost:
      charges: [{ rate: gpu_hour, key: H100, quantity: { fact: gpus } }]
      current: { charges: [{ rate: gpu_hour, key: H100, quantity: ${quantity} }] }
    outcome: { success: [200], definite_failures: [400], look_up: none }`,
  });

function costOf(gpus: number, job: JsonValue): CostOutcome {
  const operation = matched(valueOf(compileCatalogue(document())), "POST", "/jobs/j", { body: { gpus } });
  const lookedUp = new Map([["job", job]]);
  return operation.cost(operation.facts(lookedUp).facts, lookedUp, examplePrices(), NOW);
}

describe("what a thing costs as it is", () => {
  it("stands beside what it will cost, priced by the same table", () => {
    expect(costOf(8, { gpus: 2 })).toMatchObject({ ceilingMicros: 20_000_000, currentMicros: 5_000_000 });
    expect(costOf(1, { gpus: 2 })).toMatchObject({ ceilingMicros: 2_500_000, currentMicros: 5_000_000 });
    expect(costOf(1, { gpus: 0 })).toMatchObject({ ceilingMicros: 2_500_000, currentMicros: 0 });
  });

  it.each<[string, JsonValue]>([
    ["absent", {}],
    ["not a number", { gpus: "2" }],
    ["half a GPU", { gpus: 0.5 }],
    ["negative", { gpus: -2 }],
    ["too large to be exact", { gpus: Number.MAX_SAFE_INTEGER }],
  ])("refuses the change as unpriced where it cannot be told: %s", (_name, job) => {
    expect(costOf(8, job).kind).toBe("unpriced");
  });

  it.each(["{ fact: gpus }", "{ body: /gpus }", "{ query: n }", "{ first: [{ body: /gpus }, 1] }"])(
    "has nothing of the caller's in it: %s does not compile",
    (quantity) => {
      const compiled = compileCatalogue(document(quantity));
      expect(compiled).toMatchObject({ ok: false, error: [{ message: "`current` can read look-ups alone" }] });
    },
  );
});

describe("what a Slurm job costs as it is", () => {
  const PLAIN: JsonObject = {
    node_count: 1,
    max_nodes: 0,
    tasks: 1,
    time_limit: 60,
    tres_per_job: "",
    tres_per_node: "",
    tres_per_task: "",
    tres_per_socket: "",
    partition: "gpu",
    qos: "",
    submit_time: 1_795_274_171,
  };
  const currentOf = (job: JsonObject): number | string | null => {
    const operation = matched(slurmCatalogue(), "POST", "/slurm/v0.0.38/job/17", { body: { time_limit: 600 } });
    const lookedUp = new Map<string, JsonValue>([["job", { errors: [], jobs: [{ ...PLAIN, ...job }] }]]);
    const cost = operation.cost(operation.facts(lookedUp).facts, lookedUp, slurmPrices(), NOW);
    return cost.kind === "priced" ? cost.currentMicros : cost.kind;
  };

  it.each<[string, JsonObject, number | string]>([
    ["GPUs of the job", { tres_per_job: "gres:gpu:4" }, 10_000_000],
    ["GPUs of each node", { tres_per_node: "gres:gpu:h100:8", node_count: 2 }, 40_000_000],
    // It may come to have four nodes, and then costs more: no more is taken off than it costs for certain.
    ["GPUs of each node of a range", { tres_per_node: "gres:gpu:8", node_count: 2, max_nodes: 4 }, 40_000_000],
    ["GPUs of each task", { tres_per_task: "gres:gpu:1", tasks: 3 }, 7_500_000],
    ["no GPUs", {}, 0],
    ["half an hour", { tres_per_job: "gres:gpu:4", time_limit: 30 }, 5_000_000],
    ["a partition without a price", { partition: "cpu", tres_per_job: "gres:gpu:4" }, "unpriced"],
  ])("%s", (_name, job, micros) => {
    expect(currentOf(job)).toBe(micros);
  });
});
