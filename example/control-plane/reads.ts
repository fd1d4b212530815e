import { answer, isAnswer, notFound, refusal } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { BODIES, exceedsCluster, readBody, readOptionalBody } from "./bodies.ts";
import { hasReference } from "./calls.ts";
import type { Call, Handler } from "./calls.ts";
import type { Cluster } from "./cluster.ts";
import { CAPACITY_GPUS, ENDED_STATES, LIVE_STATES } from "./objects.ts";
import type { Allocation, Workload, WorkloadState } from "./objects.ts";

const DEFAULT_LIMIT = 50;
/** Largest page. */
const MAX_LIMIT = 1_000;
/** Longest log tail, in lines. */
const MAX_TAIL = 10_000;
const LOG_LINES = 5;
const WORKLOAD_STATES: readonly string[] = [...LIVE_STATES, ...ENDED_STATES];
const ALLOCATION_STATES = ["active", "released"];

/** `GET /v1/workloads?limit&cursor&state&reference`: oldest first; `cursor` is the last id of the page before. */
export const listWorkloads: Handler = (call) => {
  const state = call.query.get("state");
  if (state !== undefined && !WORKLOAD_STATES.includes(state))
    return refusal(400, "invalid_query", "state is not known");
  const workloads = [...call.cluster.workloads.values()].filter(
    (workload) => (state === undefined || workload.state === state) && matchesReference(call, workload.reference),
  );
  return page(call, "workloads", workloads, idOf);
};

/**
 * `GET /v1/allocations?limit&cursor&state&reference`, each with the workloads that run in it. Released ones are found by
 * their state or reference only.
 */
export const listAllocations: Handler = (call) => {
  const state = call.query.get("state");
  if (state !== undefined && !ALLOCATION_STATES.includes(state))
    return refusal(400, "invalid_query", "state is not known");
  const wanted = state ?? (call.query.has("reference") ? undefined : "active");
  const found = [...call.cluster.allocations.values()].filter(
    (allocation) =>
      (wanted === undefined || allocation.state === wanted) && matchesReference(call, allocation.reference),
  );
  return page(
    call,
    "allocations",
    found.map((allocation) => withWorkloads(call.cluster, allocation)),
    idOf,
  );
};

/** `GET /v1/reservations?limit&cursor&reference`. */
export const listReservations: Handler = (call) =>
  page(
    call,
    "reservations",
    [...call.cluster.reservations.values()].filter(({ reference }) => matchesReference(call, reference)),
    idOf,
  );

/** `GET /v1/operations?reference=&limit&cursor`: the writes that were executed with a reference, oldest first. */
export const listOperations: Handler = (call) => {
  const asked = call.query.get("reference");
  if (asked === undefined) return refusal(400, "invalid_query", "reference is required");
  const found = call.cluster.operations.filter(({ reference }) => hasReference(reference, asked));
  return page(call, "operations", found, (_, index) => String(index + 1));
};

/** `GET /v1/workloads/{id}` with what it has used, its version as the entity tag. */
export const getWorkload: Handler = (call) =>
  withWorkload(call, (workload) =>
    answer({ ...workload, ...call.cluster.usage(workload) }, 200, { etag: `"${workload.version}"` }),
  );

/** `GET /v1/allocations/{id}` with the workloads that run in it and what it has used. */
export const getAllocation: Handler = (call) => {
  const allocation = call.cluster.allocations.get(call.id);
  if (allocation === undefined) return notFound(call.id);
  const { cluster } = call;
  const body = { ...withWorkloads(cluster, allocation), ...cluster.usage(allocation) };
  return answer(body, 200, { etag: `"${allocation.version}"` });
};

/** `GET /v1/workloads/{id}/logs?tail`: plain text, one chunk per line. */
export const getLogs: Handler = (call) =>
  withWorkload(call, (workload) => {
    const tail = countOf(call, "tail", LOG_LINES, MAX_TAIL);
    if (tail === null) return refusal(400, "invalid_query", `tail must be 1 to ${MAX_TAIL}`);
    const lines = Array.from(
      { length: LOG_LINES },
      (_, index) => `${workload.id} step=${index + 1} loss=${(2 / (index + 1)).toFixed(3)}`,
    );
    return { status: 200, body: null, lines: lines.slice(-tail) };
  });

/** `GET /v1/workloads/{id}/metrics`: figures that follow from the workload alone. */
export const getMetrics: Handler = (call) =>
  withWorkload(call, ({ id, state, gpus }) =>
    answer({ id, metrics: { gpus: state === "running" ? gpus : 0, gpu_utilization: state === "running" ? 0.87 : 0 } }),
  );

/** `GET /v1/workloads/{id}/diagnosis`. */
export const getDiagnosis: Handler = (call) =>
  withWorkload(call, ({ id, state }) => answer({ id, diagnosis: { state, cause: causeOf(state) } }));

/** `POST /v1/workloads/{id}/explain`: changes nothing. */
export const explain: Handler = (call) =>
  withWorkload(call, (workload) => {
    const body = readOptionalBody(BODIES.explain, call.contentType, call.body);
    if (isAnswer(body)) return body;
    return answer({
      id: workload.id,
      explanation: `${workload.name} is ${workload.state}: ${causeOf(workload.state)}`,
    });
  });

/** `POST /v1/insights`: changes nothing. */
export const insights: Handler = (call) => {
  const body = readBody(BODIES.insight, call.contentType, call.body);
  if (isAnswer(body)) return body;
  const unknown = body.workload_ids?.find((id) => !call.cluster.workloads.has(id));
  if (unknown !== undefined) return notFound(unknown);
  const asked = body.workload_ids ?? [...call.cluster.workloads.keys()];
  return answer({ question: body.question, insight: `${asked.length} workloads examined`, workload_ids: asked });
};

/** `POST /v1/capacity/plan`: whether a job would run now, without keeping a place for it. */
export const planCapacity: Handler = (call) => {
  const body = readBody(BODIES.plan, call.contentType, call.body);
  if (isAnswer(body)) return body;
  const tooLarge = exceedsCluster(body.gpus);
  if (tooLarge !== null) return tooLarge;
  return answer({ plan: { ...body, state: call.cluster.stateFor(body.gpus), free_gpus: call.cluster.freeGpus() } });
};

/** `GET /v1/gpus`. */
export const gpuStatus: Handler = ({ cluster }) =>
  answer({ gpus: { total: CAPACITY_GPUS, used: cluster.usedGpus(), free: cluster.freeGpus() } });

/** `GET /v1/capacity`. */
export const getCapacity: Handler = ({ cluster }) =>
  answer({
    capacity: {
      total_gpus: CAPACITY_GPUS,
      used_gpus: cluster.usedGpus(),
      free_gpus: cluster.freeGpus(),
      queued_gpus: cluster.queuedGpus(),
    },
  });

/** An allocation as callers see it: with the workloads that a release would end. */
export const withWorkloads = (
  cluster: Cluster,
  allocation: Allocation,
): Allocation & { readonly workloads: readonly object[] } => ({
  ...allocation,
  workloads: cluster.runningIn(allocation.id).map(({ id, name, gpus, state }) => ({ id, name, gpus, state })),
});

function withWorkload(call: Call, use: (workload: Workload) => Answer): Answer {
  const workload = call.cluster.workloads.get(call.id);
  return workload === undefined ? notFound(call.id) : use(workload);
}

/** One page of `all`; `keyOf` names an entry as a cursor. */
function page<T>(call: Call, name: string, all: readonly T[], keyOf: (entry: T, index: number) => string): Answer {
  const limit = countOf(call, "limit", DEFAULT_LIMIT, MAX_LIMIT);
  if (limit === null) return refusal(400, "invalid_query", `limit must be 1 to ${MAX_LIMIT}`);
  const keys = all.map(keyOf);
  const cursor = call.query.get("cursor");
  const from = cursor === undefined ? 0 : keys.indexOf(cursor) + 1;
  if (cursor !== undefined && from === 0) return refusal(400, "invalid_query", "cursor is not known");
  const to = Math.min(from + limit, all.length);
  return answer({ [name]: all.slice(from, to), next_cursor: to < all.length ? keys[to - 1] : null });
}

const idOf = ({ id }: { readonly id: string }): string => id;

function countOf(call: Call, key: string, otherwise: number, max: number): number | null {
  const text = call.query.get(key);
  if (text === undefined) return otherwise;
  return /^[1-9][0-9]{0,4}$/.test(text) && Number(text) <= max ? Number(text) : null;
}

const matchesReference = (call: Call, stored: string | null): boolean => {
  const asked = call.query.get("reference");
  return asked === undefined || hasReference(stored, asked);
};

const CAUSES: Readonly<Record<WorkloadState, string>> = {
  queued: "the cluster has too few free GPUs",
  running: "nothing is wrong",
  succeeded: "it has run to its end",
  failed: "it ended with an error",
  cancelled: "it was cancelled",
};
const causeOf = (state: WorkloadState): string => CAUSES[state];
