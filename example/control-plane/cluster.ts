import type { AllocationBody, ReservationBody, SubmitBody } from "./bodies.ts";
import type { Usage } from "./meter.ts";
import { CAPACITY_GPUS, instanceGpus, instanceGpuType, isLive } from "./objects.ts";
import type { Allocation, EndedState, Operation, Reservation, Workload, WorkloadState } from "./objects.ts";
import { RunTimes } from "./run-times.ts";

/** Hands out `<prefix>-<n>`, n from 1001, never the same number twice in one server: ids of tenants do not coincide. */
export type NextId = (prefix: string) => string;

/** Ids in the order of one server's life. */
export function idCounter(): NextId {
  let last = 1_000;
  return (prefix) => `${prefix}-${++last}`;
}

/**
 * One tenant's cluster. Deterministic: no randomness, and time passes only when it is told to; the same calls at the same
 * times give the same objects.
 */
export class Cluster {
  readonly tenant: string;
  readonly workloads = new Map<string, Workload>();
  readonly allocations = new Map<string, Allocation>();
  readonly reservations = new Map<string, Reservation>();
  readonly pools = new Set(["pool-h100", "pool-a100", "pool-l40s"]);
  readonly clusters = new Set(["cluster-1"]);
  readonly operations: Operation[] = [];
  readonly #nextId: NextId;
  /** GPUs by workload state, kept beside the workloads so that a submit costs the same after a million of them. */
  readonly #gpusIn: Record<WorkloadState, number> = { queued: 0, running: 0, succeeded: 0, failed: 0, cancelled: 0 };
  readonly #times = new RunTimes();
  #now = 0;

  constructor(tenant: string, nextId: NextId) {
    this.tenant = tenant;
    this.#nextId = nextId;
  }

  /**
   * Lets time pass, up to `now` in milliseconds since the epoch. What has run its hours ends, in that order, and what waits
   * begins when there is room.
   */
  passTo(now: number): void {
    for (let next = this.#times.due(now); next !== null; next = this.#times.due(now)) {
      this.#now = Math.max(this.#now, next.at);
      this.#endOfTime(next.id);
      this.#runQueue();
    }
    this.#now = Math.max(this.#now, now);
  }

  /** What a workload or an allocation has used so far. */
  usage(used: Workload | Allocation): Usage {
    return this.#times.usage(used, this.#now);
  }

  /** GPUs of running workloads; at most `CAPACITY_GPUS`. */
  usedGpus(): number {
    return this.#gpusIn.running;
  }

  freeGpus(): number {
    return CAPACITY_GPUS - this.usedGpus();
  }

  queuedGpus(): number {
    return this.#gpusIn.queued;
  }

  /** The state that a job of this size would begin in. Whoever waits goes first, so nobody overtakes the queue. */
  stateFor(gpus: number): "running" | "queued" {
    return gpus <= this.freeGpus() && this.queuedGpus() === 0 ? "running" : "queued";
  }

  /** Stores a workload. The reference is kept, not enforced: a second submit with it makes a second workload. */
  submit(body: SubmitBody, reference: string | null): Workload {
    const state = this.stateFor(body.gpus);
    const { env = {}, ...rest } = body;
    const workload: Workload = {
      id: this.#nextId("wl"),
      ...rest,
      env_names: Object.keys(env).toSorted(),
      allocation: state === "running" ? this.#allocationWithRoom(body.gpus, body.gpu_type) : null,
      state,
      reference,
      version: 1,
    };
    this.#put(workload);
    if (state === "running") this.#times.start(workload.id, workload.max_hours, this.#now);
    this.#record(reference, "submit", workload.id);
    return workload;
  }

  /** Ends a workload as cancelled and lets the head of the queue run. */
  cancel(workload: Workload, reference: string | null): Workload {
    const cancelled = this.#endOne(workload, "cancelled");
    this.#record(reference, "cancel", workload.id);
    this.#runQueue();
    return cancelled;
  }

  /** Whether a live workload could have this size now. Nobody grows past those who wait. */
  canScale({ state, gpus: before }: Workload, gpus: number): boolean {
    return state === "queued" || gpus <= before || (this.queuedGpus() === 0 && gpus - before <= this.freeGpus());
  }

  /** Changes the size and hours of a live workload; hours count from its start. */
  scale(workload: Workload, size: Pick<Workload, "gpus" | "max_hours">, reference: string | null): Workload {
    const { id } = workload;
    const stays = workload.allocation !== null && this.#roomIn(workload.allocation) + workload.gpus >= size.gpus;
    const scaled: Workload = {
      ...workload,
      ...size,
      allocation: stays ? workload.allocation : null,
      version: workload.version + 1,
    };
    this.#times.change(workload, size.max_hours, this.#now);
    this.#put(scaled);
    this.#record(reference, "scale", id);
    this.#runQueue();
    return this.workloads.get(id) ?? scaled;
  }

  /** For checks: ends a live workload now, as if it had run for `ranSeconds`. */
  endAfter(workload: Workload, state: EndedState, ranSeconds: number): Workload {
    this.#times.start(workload.id, 0, this.#now - ranSeconds * 1_000);
    const over = this.#endOne(workload, state);
    this.#runQueue();
    return over;
  }

  allocate(body: AllocationBody, reference: string | null): Allocation {
    const allocation: Allocation = {
      id: this.#nextId("al"),
      ...body,
      gpus: body.instances * instanceGpus(body.instance_type),
      gpu_type: instanceGpuType(body.instance_type),
      owner: this.tenant,
      state: "active",
      reference,
      version: 1,
    };
    this.allocations.set(allocation.id, allocation);
    this.#times.start(allocation.id, allocation.hours, this.#now);
    this.#record(reference, "allocate", allocation.id);
    return allocation;
  }

  transfer(allocation: Allocation, to: string, reference: string | null): Allocation {
    const moved: Allocation = { ...allocation, owner: to, version: allocation.version + 1 };
    this.allocations.set(moved.id, moved);
    this.#record(reference, "transfer", moved.id);
    return moved;
  }

  /** Ends an allocation and cancels what runs in it; answers the ids of those workloads. */
  release(allocation: Allocation, reference: string | null): readonly string[] {
    const cancelled = this.#releaseOne(allocation);
    this.#record(reference, "release", allocation.id);
    this.#runQueue();
    return cancelled;
  }

  reserve(body: ReservationBody, reference: string | null): Reservation {
    const reservation: Reservation = { id: this.#nextId("rs"), ...body, state: "scheduled", reference };
    this.reservations.set(reservation.id, reservation);
    this.#record(reference, "reserve", reservation.id);
    return reservation;
  }

  deletePool(id: string, reference: string | null): void {
    this.pools.delete(id);
    this.#record(reference, "delete-pool", id);
  }

  /** Destroys a cluster and everything that runs or waits in it. */
  destroy(id: string, reference: string | null): void {
    this.clusters.delete(id);
    for (const workload of this.workloads.values()) if (isLive(workload)) this.#endOne(workload, "cancelled");
    this.#record(reference, "destroy-cluster", id);
  }

  /** Workloads that run in an allocation, oldest first. */
  runningIn(allocation: string): readonly Workload[] {
    return this.#inState("running").filter((workload) => workload.allocation === allocation);
  }

  #put(workload: Workload): void {
    const before = this.workloads.get(workload.id);
    if (before !== undefined) this.#gpusIn[before.state] -= before.gpus;
    this.#gpusIn[workload.state] += workload.gpus;
    this.workloads.set(workload.id, workload);
  }

  #inState(state: WorkloadState): readonly Workload[] {
    return [...this.workloads.values()].filter((workload) => workload.state === state);
  }

  #allocationWithRoom(gpus: number, gpuType: string): string | null {
    for (const { id, state, gpu_type } of this.allocations.values()) {
      if (state === "active" && gpu_type === gpuType && gpus <= this.#roomIn(id)) return id;
    }
    return null;
  }

  #roomIn(allocation: string): number {
    return (this.allocations.get(allocation)?.gpus ?? 0) - sumGpus(this.runningIn(allocation));
  }

  #endOfTime(id: string): void {
    const workload = this.workloads.get(id);
    const allocation = this.allocations.get(id);
    if (workload !== undefined) this.#endOne(workload, "succeeded");
    if (allocation !== undefined) this.#releaseOne(allocation);
  }

  #endOne(workload: Workload, state: EndedState): Workload {
    const over: Workload = { ...workload, state, version: workload.version + 1 };
    this.#times.stop(workload, this.#now);
    this.#put(over);
    return over;
  }

  #releaseOne(allocation: Allocation): readonly string[] {
    const running = this.runningIn(allocation.id);
    for (const workload of running) this.#endOne(workload, "cancelled");
    this.#times.stop(allocation, this.#now);
    this.allocations.set(allocation.id, { ...allocation, state: "released", version: allocation.version + 1 });
    return running.map(({ id }) => id);
  }

  #runQueue(): void {
    for (const next of this.#inState("queued")) {
      if (next.gpus > this.freeGpus()) return;
      const allocation = this.#allocationWithRoom(next.gpus, next.gpu_type);
      this.#put({ ...next, state: "running", allocation, version: next.version + 1 });
      this.#times.start(next.id, next.max_hours, this.#now);
    }
  }

  #record(reference: string | null, kind: string, resource: string): void {
    if (reference !== null) this.operations.push({ reference, kind, resource });
  }
}

const sumGpus = (workloads: readonly Workload[]): number =>
  workloads.reduce((total, workload) => total + workload.gpus, 0);
