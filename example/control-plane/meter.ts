import { formatUsd } from "../../src/platform/money.ts";

const HOUR_MS = 3_600_000;
const SECOND_MS = 1_000;

/** What this control plane charges for an hour of one GPU, in micro-USD. */
const GPU_HOUR_MICROS: ReadonlyMap<string, bigint> = new Map([
  ["H100", 2_500_000n],
  ["A100", 1_500_000n],
  ["L40S", 800_000n],
]);

/** What one thing has used. Times are milliseconds since the epoch. */
export type Meter = {
  readonly startedAt: number | null;
  readonly endedAt: number | null;
  /** GPU-milliseconds up to `since`. */
  readonly gpuMs: number;
  readonly since: number;
};

/** As callers see it. */
export type Usage = {
  readonly started_at: string | null;
  readonly ended_at: string | null;
  /** Whole seconds, begun ones included; so far where it still runs. */
  readonly ran_seconds: number;
  /** Decimal text, rounded up to a micro-dollar; null for a GPU type that has no price. */
  readonly cost_usd: string | null;
};

/** The meter of what waits. */
export const waiting = (now: number): Meter => ({ startedAt: null, endedAt: null, gpuMs: 0, since: now });

export const started = (now: number): Meter => ({ ...waiting(now), startedAt: now });

/** The meter read at `now`: the GPUs that it had until then may be others from now on. */
export const readAt = (meter: Meter, gpus: number, now: number): Meter =>
  meter.startedAt === null || meter.endedAt !== null
    ? meter
    : { ...meter, gpuMs: meter.gpuMs + gpus * (now - meter.since), since: now };

export const ended = (meter: Meter, gpus: number, now: number): Meter => ({
  ...readAt(meter, gpus, now),
  endedAt: now,
});

/** What it comes to at `now`. */
export function usageOf(meter: Meter, gpus: number, gpuType: string | null, now: number): Usage {
  const { startedAt, endedAt, gpuMs } = readAt(meter, gpus, now);
  const price = gpuType === null ? undefined : GPU_HOUR_MICROS.get(gpuType);
  const hour = BigInt(HOUR_MS);
  return {
    started_at: textOf(startedAt),
    ended_at: textOf(endedAt),
    ran_seconds: startedAt === null ? 0 : Math.ceil(((endedAt ?? now) - startedAt) / SECOND_MS),
    cost_usd: price === undefined ? null : formatUsd(Number((BigInt(gpuMs) * price + hour - 1n) / hour)),
  };
}

const textOf = (at: number | null): string | null => (at === null ? null : new Date(at).toISOString());
