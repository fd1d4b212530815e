import { answer, isAnswer, notFound, refusal } from "./answer.ts";
import type { Answer } from "./answer.ts";
import { BODIES, exceedsCluster, readBody, readOptionalBody } from "./bodies.ts";
import { staleVersion } from "./calls.ts";
import type { Call, Handler } from "./calls.ts";
import { instanceGpus, isLive } from "./objects.ts";
import type { Allocation, Workload } from "./objects.ts";

/** `POST /v1/workloads`: 201; 422 for a job larger than the cluster; queued when it does not fit now. */
export const submit: Handler = (call) => {
  const body = readBody(BODIES.submit, call.contentType, call.body);
  if (isAnswer(body)) return body;
  const tooLarge = exceedsCluster(body.gpus);
  if (tooLarge !== null) return tooLarge;
  if (call.dryRun) {
    const { name, gpus, gpu_type, max_hours } = body;
    return would({ state: call.cluster.stateFor(gpus), name, gpus, gpu_type, max_hours });
  }
  return answer(call.cluster.submit(body, call.reference), 201);
};

/** `PATCH /v1/workloads/{id}` `{gpus?, max_hours?}`: 200; 409 when it has ended, or has no room to grow now. */
export const scale: Handler = (call) => {
  const body = readBody(BODIES.scale, call.contentType, call.body);
  if (isAnswer(body)) return body;
  return withLiveWorkload(call, (workload) => {
    const { gpus = workload.gpus, max_hours = workload.max_hours } = body;
    const tooLarge = exceedsCluster(gpus);
    if (tooLarge !== null) return tooLarge;
    if (!call.cluster.canScale(workload, gpus)) return refusal(409, "no_room", `${gpus} GPUs do not fit now`);
    if (call.dryRun) return would({ id: call.id, state: workload.state, gpus, max_hours });
    return answer(call.cluster.scale(workload, { gpus, max_hours }, call.reference));
  });
};

/** `POST /v1/workloads/{id}/cancel`: 200; 409 when it has ended already. */
export const cancel: Handler = (call) => {
  const body = readOptionalBody(BODIES.cancel, call.contentType, call.body);
  if (isAnswer(body)) return body;
  return withLiveWorkload(call, (workload) =>
    call.dryRun ? would({ id: call.id, state: "cancelled" }) : answer(call.cluster.cancel(workload, call.reference)),
  );
};

/** `POST /v1/allocations`: 201; 422 when its GPUs exceed the cluster. */
export const allocate: Handler = (call) => {
  const body = readBody(BODIES.allocation, call.contentType, call.body);
  if (isAnswer(body)) return body;
  const tooLarge = exceedsCluster(body.instances * instanceGpus(body.instance_type));
  if (tooLarge !== null) return tooLarge;
  if (call.dryRun) return would({ state: "active", ...body });
  return answer(call.cluster.allocate(body, call.reference), 201);
};

/** `POST /v1/allocations/{id}/transfer` `{to}`: 200. */
export const transfer: Handler = (call) => {
  const body = readBody(BODIES.transfer, call.contentType, call.body);
  if (isAnswer(body)) return body;
  return withAllocation(call, (allocation) =>
    call.dryRun
      ? would({ id: call.id, owner: body.to })
      : answer(call.cluster.transfer(allocation, body.to, call.reference)),
  );
};

/** `DELETE /v1/allocations/{id}`: 200; ends every workload that runs in it. */
export const release: Handler = (call) =>
  withAllocation(call, (allocation) => {
    const cancelled = call.dryRun
      ? call.cluster.runningIn(call.id).map(({ id }) => id)
      : call.cluster.release(allocation, call.reference);
    const released = { id: call.id, state: "released", cancelled_workloads: cancelled };
    return call.dryRun ? would(released) : answer({ ...released, reference: call.reference });
  });

/** `POST /v1/reservations`: 201; 422 when it exceeds the cluster. */
export const reserve: Handler = (call) => {
  const body = readBody(BODIES.reservation, call.contentType, call.body);
  if (isAnswer(body)) return body;
  const tooLarge = exceedsCluster(body.gpus);
  if (tooLarge !== null) return tooLarge;
  if (call.dryRun) return would({ state: "scheduled", ...body });
  return answer(call.cluster.reserve(body, call.reference), 201);
};

/** `DELETE /v1/pools/{id}`: works, at once and without asking. What stands in front must not let it through. */
export const deletePool: Handler = (call) => {
  if (!call.cluster.pools.has(call.id)) return notFound(call.id);
  if (call.dryRun) return would({ id: call.id, state: "deleted" });
  call.cluster.deletePool(call.id, call.reference);
  return answer({ id: call.id, state: "deleted", reference: call.reference });
};

/** `DELETE /v1/clusters/{id}`: works, and ends every workload of the tenant. */
export const destroyCluster: Handler = (call) => {
  if (!call.cluster.clusters.has(call.id)) return notFound(call.id);
  if (call.dryRun) return would({ id: call.id, state: "destroyed" });
  call.cluster.destroy(call.id, call.reference);
  return answer({ id: call.id, state: "destroyed", reference: call.reference });
};

const would = (outcome: object): Answer => answer({ dry_run: true, would: outcome });

function withLiveWorkload(call: Call, use: (workload: Workload) => Answer): Answer {
  const workload = call.cluster.workloads.get(call.id);
  if (workload === undefined) return notFound(call.id);
  const stale = staleVersion(call, workload.version);
  if (stale !== null) return stale;
  return isLive(workload) ? use(workload) : refusal(409, "conflict", `${call.id} has ended: ${workload.state}`);
}

function withAllocation(call: Call, use: (allocation: Allocation) => Answer): Answer {
  const allocation = call.cluster.allocations.get(call.id);
  if (allocation === undefined) return notFound(call.id);
  if (allocation.state === "released") return refusal(409, "conflict", `${call.id} is released already`);
  return staleVersion(call, allocation.version) ?? use(allocation);
}
