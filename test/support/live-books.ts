import type { LiveGate } from "./live-gate.ts";
import { chainOf, ledgerFaults, trailFaults } from "./live-invariants.ts";
import type { Link } from "./live-invariants.ts";
import type { Tried } from "./live-load.ts";
import { readAudit, readLedger, readRequestLogs } from "./live-store.ts";
import type { LedgerRows } from "./live-store.ts";
import { until } from "./live-until.ts";

/** Restart (4 s on a busy machine), dispatch deadline, two look-ups, projection with its retries. */
const RECOVERY_DEADLINE_MS = 45_000;

/** Why a hold may have been released without an answer from the control plane. */
const PROVEN_ABSENT = "absent in two look-ups a grace period apart";

/** The pause between those two, of every gate of these suites that releases anything. Milliseconds. */
export const GRACE_MS = 1_000;

/** Waits, reading the disk only, until no operation is open and D1 has every record. Nothing is sent to the gate. */
export const untilRecovered = (live: LiveGate): Promise<LedgerRows> =>
  until("every operation has its outcome and every record is in D1", RECOVERY_DEADLINE_MS, () => {
    const rows = readLedger(live.stateDir, "acme");
    const open = rows.operations.filter(({ state }) => state === "dispatching" || state === "unknown");
    return open.length === 0 && isProjected(rows) ? rows : null;
  });

/** Waits until the log of reads and refusals is chained to its end and in D1, too. */
export const untilRequestLogsRest = (live: LiveGate): Promise<true> =>
  until("every read's record is in D1", RECOVERY_DEADLINE_MS, () =>
    readRequestLogs(live.stateDir, "acme").every(
      (log) => isProjected(log) && log.journal.every(({ hash }) => hash !== null),
    ),
  );

const isProjected = ({ journal, projection }: Pick<LedgerRows, "journal" | "projection">): boolean =>
  projection.halted === null && projection.confirmed >= (journal.at(-1)?.sequence ?? 0);

/**
 * The books of a gate at rest, against themselves and against the control plane: invariants of the ledger, its chain of
 * records, and for every operation the truth upstream. Nothing wrong is `[]`.
 */
export async function bookFaults(live: LiveGate, rows: LedgerRows): Promise<readonly string[]> {
  const audit = readAudit(live.stateDir, "acme").filter(({ log }) => log === "ledger");
  const chain = chainOf("ledger", rows.journal, audit);
  return [
    ...ledgerFaults(rows),
    ...chain.faults,
    ...trailFaults(chain.links, rows.operations),
    ...(await upstreamFaults(live, rows, chain.links)),
  ];
}

/** Jobs upstream = dispatches that the ledger counts as succeeded; a hold was released only where there is no job. */
async function upstreamFaults(
  { jobs, arrivals }: LiveGate,
  { operations, reservations }: LedgerRows,
  links: readonly Link[],
): Promise<readonly string[]> {
  const made = counted(await jobs());
  const arrived = counted(await arrivals());
  const faults: string[] = [];
  for (const { request_id: id, state, absent_since: absentSince, completed_at: completedAt } of operations) {
    const found = made.get(id) ?? 0;
    if (found !== (state === "succeeded" ? 1 : 0)) faults.push(`operation ${id} (${state}) made ${found} jobs`);
    if ((arrived.get(id) ?? 0) > 1) faults.push(`operation ${id} was sent ${arrived.get(id)} times`);
    const outcome = links.find(({ request_id, kind }) => request_id === id && kind === "outcome");
    const released = reservations.find((reservation) => reservation.id === id)?.state === "released";
    if (!released) continue;
    if (outcome?.detail !== PROVEN_ABSENT) faults.push(`operation ${id} was released: ${outcome?.detail}`);
    const apartMs = (completedAt ?? 0) - (absentSince ?? completedAt ?? 0);
    if (apartMs < GRACE_MS) faults.push(`operation ${id} was released ${apartMs} ms after it was first absent`);
  }
  const known = new Set(operations.map(({ request_id }) => request_id));
  for (const id of new Set([...made.keys(), ...arrived.keys()])) {
    if (!known.has(id)) faults.push(`upstream has heard of ${id}, the ledger has not`);
  }
  return faults;
}

/** What callers were told must be what the ledger says. A call without an answer may have ended in any way. */
export function answerFaults(tried: readonly Tried[], { operations, receipts }: LedgerRows): readonly string[] {
  const stateOf = (id: string): string | undefined => operations.find(({ request_id }) => request_id === id)?.state;
  return tried.flatMap(({ planned, answer }) => {
    const spentOn = receipts.find(({ receipt }) => receipt === planned.receipt)?.consumed_by ?? null;
    const said = `${answer.status} for ${answer.requestId ?? planned.receipt}`;
    if (answer.status === 201 && stateOf(answer.requestId ?? "") !== "succeeded") return [`${said}: did not succeed`];
    if (answer.status === 201 && spentOn !== answer.requestId) return [`${said}: its receipt was spent on ${spentOn}`];
    if (answer.status === 504 && spentOn !== answer.requestId) return [`${said}: unknown, but nothing was admitted`];
    if (answer.status === 503 && spentOn !== null) return [`${said}: refused, but its receipt was spent`];
    return [];
  });
}

/** The chains of reads and refusals, and that every read which was answered left a record. */
export function requestLogFaults(live: LiveGate, answeredReads: readonly string[]): readonly string[] {
  const audit = readAudit(live.stateDir, "acme");
  const faults: string[] = [];
  const recorded = new Set<string>();
  for (const { log, journal } of readRequestLogs(live.stateDir, "acme")) {
    const chain = chainOf(
      log,
      journal,
      audit.filter((row) => row.log === log),
    );
    faults.push(...chain.faults);
    for (const { request_id } of chain.links) recorded.add(request_id);
  }
  const lost = answeredReads.filter((id) => !recorded.has(id));
  return [...faults, ...lost.map((id) => `read ${id} was answered and left no record`)];
}

function counted(ids: readonly string[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}
