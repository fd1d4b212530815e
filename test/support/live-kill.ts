import { z } from "zod";
import { expect } from "vitest";
import { bookFaults, untilRecovered } from "./live-books.ts";
import { receiptOf, verdictOf } from "./live-client.ts";
import type { Planned } from "./live-client.ts";
import type { LiveGate } from "./live-gate.ts";
import { readLedger } from "./live-store.ts";
import type { LedgerRows, OperationRow } from "./live-store.ts";
import { until } from "./live-until.ts";

/** Longest wait for something that a gate at work does within a second. */
export const WATCH_MS = 15_000;

/** Kills the gate's process group at once, between two instructions of this process. Throws when no gate runs. */
export function killNow(gate: LiveGate): void {
  const group = gate.running.pid();
  if (group === null) throw new Error("no gate runs");
  process.kill(-group, "SIGKILL");
}

/** Kills the gate, makes the control plane well again, and starts the gate without sending it anything. */
export async function killAndRestart(gate: LiveGate): Promise<void> {
  killNow(gate);
  await gate.running.kill("SIGKILL");
  gate.wire.become("pass");
  await gate.upstreamFaults([]);
  await gate.running.restartUntouched();
}

/** After a kill: recovered by itself, with books that are right. Only then is the gate asked, and must say the same. */
export async function recover(gate: LiveGate): Promise<LedgerRows> {
  const rows = await untilRecovered(gate);
  expect(await bookFaults(gate, rows)).toEqual([]);
  await untilHealthy(gate);
  await expectSameNumbers(gate, rows);
  return rows;
}

/** Waits until the gate answers. */
export const untilHealthy = (gate: LiveGate): Promise<true> =>
  until("the gate answers", WATCH_MS, async () => (await gate.client.get("/_gate/health")).status === 200);

const BUDGET = z.object({ window: z.string(), held_micros: z.number(), settled_micros: z.number() });

async function expectSameNumbers(gate: LiveGate, rows: LedgerRows): Promise<void> {
  const { text } = await gate.client.get("/_gate/v1/budget");
  const { daily } = z.object({ daily: BUDGET }).parse(JSON.parse(text));
  const window = rows.windows.find((row) => row.window === daily.window);
  expect([daily.held_micros, daily.settled_micros]).toEqual([window?.held_micros ?? 0, window?.settled_micros ?? 0]);
}

/** A job with a receipt. Throws with the gate's answer when it gives none. */
export async function planJob(gate: Pick<LiveGate, "client">, name: string): Promise<Planned> {
  const plan = await gate.client.plan(name);
  const receipt = receiptOf(plan);
  if (receipt === null) throw new Error(`no receipt: ${verdictOf(plan)} ${plan.text}`);
  return { name, receipt };
}

/** The operation that this plan's receipt was spent on, null while it is unspent. */
export function operationOf(rows: LedgerRows, { receipt }: Planned): OperationRow | null {
  const id = rows.receipts.find((row) => row.receipt === receipt)?.consumed_by ?? null;
  return rows.operations.find(({ request_id }) => request_id === id) ?? null;
}

/** The same, from the disk as it is now. */
export const operationNow = (gate: LiveGate, planned: Planned): OperationRow | null =>
  operationOf(readLedger(gate.stateDir, "acme"), planned);

/** Sends what was not answered once more: whatever it meets, nothing is dispatched a second time. */
export async function expectNoSecondDispatch(gate: LiveGate, planned: Planned, key?: string): Promise<void> {
  const before = operationNow(gate, planned);
  const again = await gate.client.execute(planned, key);
  const after = operationNow(gate, planned);
  if (before === null) {
    expect(verdictOf(again)).toBe("201");
    expect(after?.request_id).toBe(again.requestId);
  } else {
    expect(again.header("idempotency-replayed"), verdictOf(again)).toBe("?1");
    expect(after).toEqual(before);
  }
}
