import { receiptOf } from "./live-client.ts";
import type { Answer, LiveClient, Planned } from "./live-client.ts";

/** One execution that was tried: with what, and what came of it. */
export type Tried = { readonly planned: Planned; readonly key: string | undefined; readonly answer: Answer };

/** What a load has done so far. */
export type Seen = { readonly writes: Tried[]; readonly plans: Answer[]; readonly reads: Answer[] };

export type Load = {
  readonly seen: Seen;
  /** Resolves once a caller has ended by itself: at its share of writes, or when no answer came. */
  readonly ended: Promise<void>;
  /** Lets the calls under way come to their end and sends no more. */
  readonly stop: () => Promise<Seen>;
};

/** Callers that write at the same time. */
const WRITERS = 3;

let loads = 0;

/**
 * Writes and reads at once: three callers that plan a job, execute it and begin again, every second one with an
 * idempotency key, and one that reads. Each ends at the first call without an answer.
 */
export function startLoad(client: LiveClient, writesEach: number): Load {
  const load = ++loads;
  const seen: Seen = { writes: [], plans: [], reads: [] };
  const stopping = new AbortController();

  const write = async (name: string): Promise<boolean> => {
    const plan = await client.plan(name);
    seen.plans.push(plan);
    const receipt = receiptOf(plan);
    if (receipt === null || stopping.signal.aborted) return plan.status !== null;
    const key = seen.writes.length % 2 === 0 ? undefined : `key-${name}`;
    const planned = { name, receipt };
    const answer = await client.execute(planned, key);
    seen.writes.push({ planned, key, answer });
    return answer.status !== null;
  };
  const writer = async (index: number): Promise<void> => {
    for (let nth = 1; nth <= writesEach && !stopping.signal.aborted; nth++)
      if (!(await write(`l${load}-${index}-${nth}`))) return;
  };
  const reader = async (): Promise<void> => {
    while (!stopping.signal.aborted) {
      const answer = await client.get("/v1/workloads?limit=5");
      seen.reads.push(answer);
      if (answer.status === null) return;
    }
  };
  const writers = Promise.all(Array.from({ length: WRITERS }, (_, index) => writer(index))).then(() => undefined);
  const reading = reader();
  return {
    seen,
    ended: writers,
    stop: async () => {
      stopping.abort();
      await Promise.all([writers, reading]);
      return seen;
    },
  };
}
