import { setTimeout as sleep } from "node:timers/promises";
import type { Load, LoadOutcome } from "./load.ts";
import { cpuMsOf } from "./processes.ts";
import type { Scenario } from "./scenarios.ts";
import { DISPATCH_DEADLINE_MS, queryD1 } from "./stand.ts";
import type { Server, Stand } from "./stand.ts";
import { quantile, spreadOf } from "./statistics.ts";
import type { Spread } from "./statistics.ts";

/** One variant in one round. CPU in milliseconds per request at 32 connections; latencies in milliseconds. */
type Shot = { readonly cpuMs: number; readonly p50Ms: number; readonly p99Ms: number; readonly perSecond: number };

/** A path against pass, over all rounds. Ratios are made within a round, then summarised. */
export type PathOutcome = {
  readonly name: string;
  readonly title: string;
  readonly rounds: number;
  readonly ratio: { readonly cpu: Spread; readonly p50: Spread; readonly p99: Spread };
  readonly gate: Record<keyof Shot, Spread>;
  readonly pass: Record<keyof Shot, Spread>;
  readonly targets: Scenario["targets"];
};

const SHOT_LIMIT_MS = 60_000;
/** Longer than an ending waits for its batch and a row for its projection (100 + 250 ms). */
const QUIET_MS = 700;
const DRAIN_LIMIT_MS = 30_000;

/**
 * Measures one path: pass, gate, pass, gate … after one round that only warms both up. Whatever a request sets off later
 * (settlement, sealing, projection, deadlines) is charged to it: the gate's CPU is read when nothing is left to do.
 */
export async function measurePath(
  scenario: Scenario,
  rounds: number,
  stand: Stand,
  load: Load,
  progress: (text: string) => void,
): Promise<PathOutcome> {
  const shots: { readonly pass: Shot; readonly gate: Shot }[] = [];
  for (let round = 0; round <= rounds; round++) {
    progress(`${scenario.title}: ${round === 0 ? "warming up" : `round ${round} of ${rounds}`}`);
    const { c32, c1, c8 } = scenario.counts;
    const requests = await scenario.prepare(c32 + c1 + c8);
    await drained(stand, false);
    const pass = await shoot(scenario, requests, stand.pass, null, load, null);
    const gate = await shoot(scenario, requests, stand.gate, scenario.status, load, () =>
      drained(stand, scenario.leavesDeadline),
    );
    if (round > 0) shots.push({ pass, gate });
  }
  const ratio = (of: keyof Shot): Spread => spreadOf(shots.map(({ gate, pass }) => gate[of] / pass[of]));
  const summary = (variant: "gate" | "pass"): Record<keyof Shot, Spread> => {
    const spread = (of: keyof Shot): Spread => spreadOf(shots.map((shot) => shot[variant][of]));
    return { cpuMs: spread("cpuMs"), p50Ms: spread("p50Ms"), p99Ms: spread("p99Ms"), perSecond: spread("perSecond") };
  };
  return {
    name: scenario.name,
    title: scenario.title,
    rounds,
    ratio: { cpu: ratio("cpuMs"), p50: ratio("p50Ms"), p99: ratio("p99Ms") },
    gate: summary("gate"),
    pass: summary("pass"),
    targets: scenario.targets,
  };
}

async function shoot(
  scenario: Scenario,
  requests: readonly string[],
  server: Server,
  status: number | null,
  load: Load,
  settle: (() => Promise<void>) | null,
): Promise<Shot> {
  const { c32, c1, c8 } = scenario.counts;
  const run = async (connections: number, from: number, count: number): Promise<LoadOutcome> => {
    const job = { port: server.port, connections, limitMs: SHOT_LIMIT_MS, keepBodies: status !== null };
    const outcome = await load.run({ ...job, requests: requests.slice(from, from + count), count });
    if (status !== null && outcome.statuses[status] !== count) {
      const odd = outcome.bodies.find((body) => body.includes('"slug"')) ?? "";
      throw new Error(
        `${scenario.name}: expected ${status} only, got ${JSON.stringify(outcome.statuses)} ${odd.slice(0, 500)}`,
      );
    }
    return outcome;
  };
  const before = cpuMsOf(server.pid);
  const busy = await run(32, 0, c32);
  await settle?.();
  const cpuMs = (cpuMsOf(server.pid) - before) / c32;
  const single = await run(1, c32, c1);
  const few = await run(8, c32 + c1, c8);
  return {
    cpuMs,
    p50Ms: quantile(single.latenciesMs, 0.5),
    p99Ms: quantile(few.latenciesMs, 0.99),
    perSecond: c32 / (busy.elapsedMs / 1_000),
  };
}

/** Waits until D1 gets no more rows, and until the deadlines of what was just dispatched have passed. */
async function drained(stand: Stand, deadline: boolean): Promise<void> {
  const limit = Date.now() + DRAIN_LIMIT_MS;
  if (deadline) await sleep(DISPATCH_DEADLINE_MS + QUIET_MS);
  let rows = await auditRows(stand);
  let since = Date.now();
  while (Date.now() - since < QUIET_MS) {
    if (Date.now() > limit) throw new Error(`audit rows still arrive after ${DRAIN_LIMIT_MS / 1_000} s`);
    await sleep(QUIET_MS / 7);
    const now = await auditRows(stand);
    if (now !== rows) [rows, since] = [now, Date.now()];
  }
}

/** Audit rows in D1. */
export async function auditRows(stand: Stand): Promise<number> {
  const [row] = await queryD1(
    stand.d1.port,
    "SELECT coalesce(sum(n), 0) AS n FROM (SELECT max(sequence) AS n FROM audit GROUP BY tenant, log)",
  );
  return row !== undefined && "n" in row ? Number(row.n) : 0;
}
