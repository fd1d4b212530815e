/** Queued and running workloads can still be changed; the others have ended for good. */
export const LIVE_STATES = ["queued", "running"] as const;
export const ENDED_STATES = ["succeeded", "failed", "cancelled"] as const;
export type EndedState = (typeof ENDED_STATES)[number];
export type WorkloadState = (typeof LIVE_STATES)[number] | EndedState;

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
  readonly state: "active" | "released";
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

/** Whether a workload waits or runs. */
export const isLive = ({ state }: Workload): boolean => state === "queued" || state === "running";

/** GPUs of one tenant's cluster: 32 nodes × 8. */
export const CAPACITY_GPUS = 256;
/** GPUs of an instance whose type name states no number. */
const DEFAULT_INSTANCE_GPUS = 8;
const GPU_TYPES = ["H100", "A100", "L40S"] as const;

/** GPUs of one instance of this type, read from its name (`8xH100`, `h100-8`); 8 where the name states none. */
export function instanceGpus(instanceType: string): number {
  const withoutModel = instanceType.replaceAll(/H100|A100|L40S/gi, " ");
  const stated = /[1-9][0-9]{0,2}/.exec(withoutModel);
  return stated === null ? DEFAULT_INSTANCE_GPUS : Number(stated[0]);
}

/** The GPU model that the type's name states, null where it states none. */
export const instanceGpuType = (instanceType: string): string | null =>
  GPU_TYPES.find((model) => instanceType.toUpperCase().includes(model)) ?? null;
