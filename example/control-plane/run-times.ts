import { ended, readAt, started, usageOf, waiting } from "./meter.ts";
import type { Meter, Usage } from "./meter.ts";

const HOUR_MS = 3_600_000;

/** Whatever uses GPUs: a workload or an allocation. */
type Used = { readonly id: string; readonly gpus: number; readonly gpu_type: string | null };

/** What everything has used, and when what runs has run its hours. Times are milliseconds since the epoch. */
export class RunTimes {
  readonly #meters = new Map<string, Meter>();
  readonly #ends = new Map<string, number>();
  /** No end is earlier: asking costs the same however much runs. */
  #earliestEnd = Number.POSITIVE_INFINITY;

  start(id: string, hours: number, now: number): void {
    this.#meters.set(id, started(now));
    this.#planEnd(id, now + hours * HOUR_MS);
  }

  /** From `now` on it has another size, or other hours from its start; no effect on what waits. */
  change({ id, gpus }: Used, hours: number, now: number): void {
    const meter = this.#meters.get(id);
    if (meter === undefined || meter.startedAt === null) return;
    this.#meters.set(id, readAt(meter, gpus, now));
    this.#planEnd(id, meter.startedAt + hours * HOUR_MS);
  }

  stop({ id, gpus }: Used, now: number): void {
    this.#meters.set(id, ended(this.#meters.get(id) ?? waiting(now), gpus, now));
    this.#ends.delete(id);
  }

  usage({ id, gpus, gpu_type: gpuType }: Used, now: number): Usage {
    return usageOf(this.#meters.get(id) ?? waiting(now), gpus, gpuType, now);
  }

  /** The earliest end that is not after `now`, of several at once that of what began first; null where there is none. */
  due(now: number): { readonly id: string; readonly at: number } | null {
    if (now < this.#earliestEnd) return null;
    let first: { readonly id: string; readonly at: number } | null = null;
    for (const [id, at] of this.#ends) if (first === null || at < first.at) first = { id, at };
    this.#earliestEnd = first?.at ?? Number.POSITIVE_INFINITY;
    return first !== null && first.at <= now ? first : null;
  }

  #planEnd(id: string, at: number): void {
    this.#ends.set(id, at);
    this.#earliestEnd = Math.min(this.#earliestEnd, at);
  }
}
