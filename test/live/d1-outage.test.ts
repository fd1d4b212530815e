import { DatabaseSync } from "node:sqlite";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { bookFaults, requestLogFaults, untilRecovered, untilRequestLogsRest } from "../support/live-books.ts";
import { liveClient, verdictOf } from "../support/live-client.ts";
import { openLiveGate } from "../support/live-gate.ts";
import type { LiveGate } from "../support/live-gate.ts";
import { killAndRestart, untilHealthy } from "../support/live-kill.ts";
import { startLoad } from "../support/live-load.ts";
import type { Seen } from "../support/live-load.ts";
import { d1File, readAudit, readLedger } from "../support/live-store.ts";
import type { LedgerRows } from "../support/live-store.ts";

/** Longer than the oldest context that a request may be judged by (30 s): the gate must load one while D1 is down. */
const OUTAGE_MS = 35_000;
/** What a write takes upstream: 3 callers × 35 s ÷ 0.25 s are at most 420 writes of 0.80 USD, of 500 USD a day. */
const PACE = { method: "POST", path: "/v1/workloads", times: 100_000, kind: "delay:250" };
const WRITES_EACH = 150;

let gate: LiveGate;
beforeAll(async () => {
  gate = await openLiveGate();
});
afterAll(() => gate.close());

/** Makes every D1 call of the gate fail while `during` runs: another connection holds the database's write lock. */
async function withoutD1<T>(during: () => Promise<T>): Promise<T> {
  const db = new DatabaseSync(d1File(gate.stateDir), { timeout: 5_000 });
  db.exec("BEGIN IMMEDIATE");
  try {
    return await during();
  } finally {
    db.exec("ROLLBACK");
    db.close();
  }
}

const ready = async (): Promise<string> => {
  const { status, text } = await gate.client.get("/_gate/ready");
  return `${status} ${z.object({ dependencies: z.object({ d1: z.string() }) }).parse(JSON.parse(text)).dependencies.d1}`;
};

const headOf = ({ journal }: LedgerRows): number => journal.at(-1)?.sequence ?? 0;

/** D1 has the whole log, each record once and in order, and every row that waited with the hash and text that it waited with. */
function expectInD1(waited: LedgerRows, after: LedgerRows): void {
  const stored = readAudit(gate.stateDir, "acme").filter(({ log }) => log === "ledger");
  expect(stored.map(({ sequence }) => sequence)).toEqual(Array.from({ length: headOf(after) }, (_, at) => at + 1));
  const changed = waited.journal.filter(({ sequence, hash, record }) => {
    const row = stored[sequence - 1];
    return row?.hash !== hash || row.record !== record;
  });
  expect(changed.map(({ sequence }) => sequence)).toEqual([]);
}

test(`${OUTAGE_MS / 1_000} s without D1 under load: writes go on, and every record arrives once, in order, unchanged`, async () => {
  await gate.client.get("/v1/workloads");
  await gate.upstreamFaults([PACE]);
  const before = await untilRecovered(gate);
  const { seen, during } = await withoutD1(async () => {
    expect(await ready()).toBe("503 unavailable");
    const load = startLoad(gate.client, WRITES_EACH);
    await sleep(OUTAGE_MS);
    expect(await ready()).toBe("503 unavailable");
    return { seen: await load.stop(), during: readLedger(gate.stateDir, "acme") };
  });
  const ended = Date.now();
  expectAllServed(seen);
  // Nothing went to D1 meanwhile: the outage was one.
  expect(during.projection.confirmed).toBe(before.projection.confirmed);
  // Intent and outcome of each write.
  expect(headOf(during)).toBeGreaterThanOrEqual(headOf(before) + 2 * seen.writes.length);

  const after = await untilRecovered(gate);
  process.stdout.write(
    `D1 outage: ${seen.writes.length} writes and ${seen.reads.length} reads served, ` +
      `${headOf(during) - headOf(before)} records caught up ${Date.now() - ended} ms after it\n`,
  );
  expectInD1(during, after);
  expect(await bookFaults(gate, after)).toEqual([]);
  await untilRequestLogsRest(gate);
  expect(requestLogFaults(gate, idsOf(seen.reads))).toEqual([]);
  expect(await ready()).toBe("200 ok");
});

function expectAllServed({ writes, plans, reads }: Seen): void {
  expect(writes.length).toBeGreaterThan(50);
  expect([...new Set(writes.map(({ answer }) => verdictOf(answer)))]).toEqual(["201"]);
  expect([...new Set(plans.map(verdictOf))]).toEqual(["200"]);
  expect([...new Set(reads.map(verdictOf))]).toEqual(["200"]);
}

const idsOf = (answers: Seen["reads"]): readonly string[] =>
  answers.flatMap(({ requestId }) => (requestId === null ? [] : [requestId]));

test("a gate that starts without D1 refuses everything, dispatches nothing, and loses no record that waits", async () => {
  await gate.upstreamFaults([]);
  const { waited, answered, arrived } = await withoutD1(async () => {
    const load = startLoad(gate.client, 2);
    await load.ended;
    const { writes } = await load.stop();
    const arrivals = await gate.arrivals();
    await killAndRestart(gate);
    await untilHealthy(gate);
    expect(await ready()).toBe("503 unavailable");
    const { acme, globex } = gate.running.demo.tenants;
    for (const key of [acme.agent, globex.agent]) {
      const client = liveClient(gate.running.gate, key);
      expect(verdictOf(await client.plan("cold"))).toBe("503 unavailable");
      expect(verdictOf(await client.get("/v1/workloads"))).toBe("503 unavailable");
    }
    const rows = readLedger(gate.stateDir, "acme");
    return { waited: rows, answered: idsOf(writes.map(({ answer }) => answer)), arrived: arrivals };
  });
  expect(answered).toHaveLength(6);
  expect(headOf(waited) - waited.projection.confirmed).toBeGreaterThanOrEqual(2 * answered.length);
  const after = await untilRecovered(gate);
  expect(await gate.arrivals()).toEqual(arrived);
  expectInD1(waited, after);
  expect(await bookFaults(gate, after)).toEqual([]);
  expect(verdictOf(await gate.client.plan("warm"))).toBe("200");
});
