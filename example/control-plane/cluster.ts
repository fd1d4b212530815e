import type { AllocationBody, ReservationBody, SubmitBody } from "./bodies.ts";

/** GPUs of one tenant's cluster: 32 nodes × 8. */
export const CAPACITY_GPUS = 256;
/** GPUs of an instance whose type name states no number. */
const DEFAULT_INSTANCE_GPUS = 8;
const GPU_TYPES = ["H100", "A100", "L40S"] as const;

export type WorkloadState = "queued" | "running" | "cancelled";

export type Workload = {
  readonly id: string;
  readonly name: string;
  readonly image: string;
  readonly job_type: "elastic" | "reserved";
  readonly gpus: number;
  readonly gpu_type: string;
  readonly max_hours: number;
  /** Names only: values may be secrets. */
  readonly env_names: readonly string[];
  /** The allocation it runs in, null while queued or when it runs on the open cluster. */
  readonly allocation: string | null;
  readonly state: WorkloadState;
  readonly reference: string | null;
  /** Counts changes of this object, from 1. */
  readonly version: number;
};

export type Allocation = {
  readonly id: string;
  readonly name: string;
  readonly instances: number;
  readonly instance_type: string;
  readonly gpus: number;
  readonly gpu_type: string | null;
  readonly hours: number;
  readonly owner: string;
  readonly state: "active";
  readonly reference: string | null;
  readonly version: number;
};

export type Reservation = {
  readonly id: string;
  readonly name: string;
  readonly gpus: number;
  readonly gpu_type: string;
  readonly hours: number;
  readonly state: "scheduled";
  readonly reference: string | null;
};

/** One executed write, kept under the reference that came with it. */
export type Operation = { readonly reference: string; readonly kind: string; readonly resource: string };

/** Hands out `<prefix>-<n>`, n from 1001, never the same number twice in one server: ids of tenants do not coincide. */
export type NextId = (prefix: string) => string;

/** Ids in the order of one server's life. */
export function idCounter(): NextId {
  let last = 1_000;
  return (prefix) => `${prefix}-${++last}`;
}

/** One tenant's cluster. Deterministic: no clock, no randomness; the same calls give the same objects. */
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
  readonly #gpusIn: Record<WorkloadState, number> = { queued: 0, running: 0, cancelled: 0 };

  constructor(tenant: string, nextId: NextId) {
    this.tenant = tenant;
    this.#nextId = nextId;
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
    this.#record(reference, "submit", workload.id);
    return workload;
  }

  /** Cancels a workload and lets the head of the queue run. */
  cancel(workload: Workload, reference: string | null): Workload {
    const cancelled = this.#cancelOne(workload);
    this.#record(reference, "cancel", workload.id);
    this.#runQueue();
    return cancelled;
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
    this.#record(reference, "allocate", allocation.id);
    return allocation;
  }

  transfer(allocation: Allocation, to: string, reference: string | null): Allocation {
    const moved: Allocation = { ...allocation, owner: to, version: allocation.version + 1 };
    this.allocations.set(moved.id, moved);
    this.#record(reference, "transfer", moved.id);
    return moved;
  }

  /** Removes an allocation and cancels what runs in it; answers the ids of those workloads. */
  release(allocation: Allocation, reference: string | null): readonly string[] {
    const running = this.runningIn(allocation.id);
    this.allocations.delete(allocation.id);
    for (const workload of running) this.#cancelOne(workload);
    this.#record(reference, "release", allocation.id);
    this.#runQueue();
    return running.map(({ id }) => id);
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
    for (const workload of this.workloads.values()) if (workload.state !== "cancelled") this.#cancelOne(workload);
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
    for (const allocation of this.allocations.values()) {
      const free = allocation.gpus - sumGpus(this.runningIn(allocation.id));
      if (allocation.gpu_type === gpuType && gpus <= free) return allocation.id;
    }
    return null;
  }

  #cancelOne(workload: Workload): Workload {
    const cancelled: Workload = { ...workload, state: "cancelled", version: workload.version + 1 };
    this.#put(cancelled);
    return cancelled;
  }

  #runQueue(): void {
    for (const waiting of this.#inState("queued")) {
      if (waiting.gpus > this.freeGpus()) return;
      const allocation = this.#allocationWithRoom(waiting.gpus, waiting.gpu_type);
      this.#put({ ...waiting, state: "running", allocation, version: waiting.version + 1 });
    }
  }

  #record(reference: string | null, kind: string, resource: string): void {
    if (reference !== null) this.operations.push({ reference, kind, resource });
  }
}

/** GPUs of one instance of this type, read from its name (`8xH100`, `h100-8`); 8 where the name states none. */
export function instanceGpus(instanceType: string): number {
  const withoutModel = instanceType.replaceAll(/H100|A100|L40S/gi, " ");
  const stated = /[1-9][0-9]{0,2}/.exec(withoutModel);
  return stated === null ? DEFAULT_INSTANCE_GPUS : Number(stated[0]);
}

const instanceGpuType = (instanceType: string): string | null =>
  GPU_TYPES.find((model) => instanceType.toUpperCase().includes(model)) ?? null;

const sumGpus = (workloads: readonly Workload[]): number =>
  workloads.reduce((total, workload) => total + workload.gpus, 0);
