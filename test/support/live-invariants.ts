import { z } from "zod";
import { GENESIS, hashRecord } from "../../src/audit/journal.ts";
import type { AuditRecord } from "../../src/audit/record.ts";
import type { AuditRow, JournalRow, LedgerRows, OperationRow, ReservationRow } from "./live-store.ts";

const HELD_LIKE: ReadonlySet<string> = new Set(["held", "dispatching", "committed", "unknown"]);

/** The reservation states that go with each state of an operation whose resource runs for a while. */
const FITTING: Readonly<Record<OperationRow["state"], readonly ReservationRow["state"][]>> = {
  dispatching: ["dispatching"],
  unknown: ["unknown"],
  succeeded: ["committed", "settled"],
  failed: ["released"],
  "not-sent": ["released"],
};

/** Everything that must hold of a ledger at every instant: what is wrong, in words; nothing is `[]`. */
export const ledgerFaults = (rows: LedgerRows): readonly string[] => [
  ...windowFaults(rows),
  ...rows.reservations.flatMap((reservation) => reservationFaults(reservation, rows)),
  ...rows.operations.flatMap((operation) => operationFaults(operation, rows)),
];

/** `settled + held ≤ cap`, and both sums are those of the reservations. */
function windowFaults({ windows, reservations, authority }: LedgerRows): readonly string[] {
  const known = new Set(windows.map(({ window }) => window));
  const missing = reservations
    .flatMap(({ daily_window, monthly_window, ceiling_micros }) =>
      ceiling_micros > 0 ? [daily_window, monthly_window] : [],
    )
    .filter((window) => !known.has(window));
  const faults = windows.flatMap(({ window, held_micros, settled_micros }) => {
    const mine = reservations.filter((one) => one.daily_window === window || one.monthly_window === window);
    const held = sum(mine.filter(({ state }) => HELD_LIKE.has(state)).map((one) => one.ceiling_micros));
    const settled = sum(mine.map((one) => one.settled_micros ?? 0));
    const cap = window.length === "2026-11".length ? authority.monthly_cap_micros : authority.daily_cap_micros;
    return [
      ...(held === held_micros ? [] : [`window ${window} holds ${held_micros}, its reservations ${held}`]),
      ...(settled === settled_micros
        ? []
        : [`window ${window} settled ${settled_micros}, its reservations ${settled}`]),
      ...(held_micros + settled_micros <= cap ? [] : [`window ${window} is above its cap of ${cap}`]),
    ];
  });
  return [...faults, ...missing.map((window) => `window ${window} is missing`)];
}

function reservationFaults(reservation: ReservationRow, { operations }: LedgerRows): readonly string[] {
  const { id, state, ceiling_micros, settled_micros, resolved_at } = reservation;
  const resolved = state === "settled" || state === "released";
  const faults: string[] = [];
  if (resolved !== (resolved_at !== null)) faults.push("its time of resolution does not fit");
  if (resolved !== (settled_micros !== null)) faults.push("its settlement does not fit");
  if ((settled_micros ?? 0) < 0 || (settled_micros ?? 0) > ceiling_micros) faults.push("settled beyond its hold");
  if (state === "released" && settled_micros !== 0) faults.push("released with a cost");
  if (state !== "held" && !operations.some(({ request_id }) => request_id === id)) faults.push("no operation");
  return faults.map((fault) => `reservation ${id} (${state}): ${fault}`);
}

function operationFaults(operation: OperationRow, { reservations, receipts }: LedgerRows): readonly string[] {
  const { request_id: id, state } = operation;
  const reservation = reservations.find((one) => one.id === id);
  const spent = receipts.filter((receipt) => receipt.consumed_by === id).length;
  const faults: string[] = [];
  if (reservation === undefined) faults.push("no reservation");
  else if (!FITTING[state].includes(reservation.state)) faults.push(`its reservation is ${reservation.state}`);
  if (spent !== 1) faults.push(`spent ${spent} receipts`);
  return faults.map((fault) => `operation ${id} (${state}): ${fault}`);
}

const LINK = z.looseObject({
  sequence: z.number().int(),
  previous_hash: z.string(),
  hash: z.string(),
  kind: z.string(),
  request_id: z.string(),
  outcome: z.string().nullable(),
  detail: z.string().nullable(),
});

/** A record of a chain, with what the checks look at. */
export type Link = z.infer<typeof LINK>;

export type Chain = { readonly links: readonly Link[]; readonly faults: readonly string[] };

/**
 * Puts a log together from what the object still has and what D1 has, and verifies it from its first record: no gap, no
 * second version of a record, each linked to the one before, every hash recomputed from the text.
 */
export function chainOf(log: string, journal: readonly JournalRow[], audit: readonly AuditRow[]): Chain {
  const faults: string[] = [];
  const stored = new Map<number, { readonly hash: string; readonly record: string }>();
  for (const { sequence, hash, record } of audit) if (!stored.has(sequence)) stored.set(sequence, { hash, record });
  for (const { sequence, hash, record } of journal) {
    if (hash === null) continue;
    const other = stored.get(sequence);
    if (other === undefined) stored.set(sequence, { hash, record });
    else if (other.hash !== hash || other.record !== record) faults.push(`${log}/${sequence}: D1 has another record`);
  }
  const links: Link[] = [];
  let previous: string = GENESIS;
  for (const [at, sequence] of [...stored.keys()].toSorted((left, right) => left - right).entries()) {
    const row = stored.get(sequence);
    if (row === undefined || sequence !== at + 1) {
      faults.push(`${log}: record ${at + 1} is missing`);
      break;
    }
    const link = LINK.parse(JSON.parse(row.record));
    if (link.sequence !== sequence) faults.push(`${log}/${sequence}: the record says ${link.sequence}`);
    if (link.previous_hash !== previous) faults.push(`${log}/${sequence}: not linked to the record before`);
    if (link.hash !== row.hash || row.hash !== recomputed(row.record)) faults.push(`${log}/${sequence}: wrong hash`);
    previous = row.hash;
    links.push(link);
  }
  return { links, faults };
}

/** Exactly one intent per operation, before everything else of it; exactly one outcome once it has ended; none for nothing. */
export function trailFaults(links: readonly Link[], operations: readonly OperationRow[]): readonly string[] {
  const kinds = new Map<string, string[]>();
  for (const { request_id, kind } of links) {
    if (kind === "intent" || kind === "unknown" || kind === "outcome") {
      kinds.set(request_id, [...(kinds.get(request_id) ?? []), kind]);
    }
  }
  const faults = operations.flatMap(({ request_id: id, state }) => {
    const found = (kinds.get(id) ?? []).join(" ");
    const ended = state === "succeeded" || state === "failed" || state === "not-sent";
    const allowed = ended
      ? ["intent outcome", "intent unknown outcome"]
      : state === "unknown"
        ? ["intent unknown"]
        : ["intent"];
    return allowed.includes(found) ? [] : [`operation ${id} (${state}) left the records: ${found}`];
  });
  const known = new Set(operations.map(({ request_id }) => request_id));
  const strays = [...kinds.keys()]
    .filter((id) => !known.has(id))
    .map((id) => `records of an operation that is not there: ${id}`);
  return [...faults, ...strays];
}

function recomputed(text: string): string {
  const { hash: _, ...unhashed }: AuditRecord = JSON.parse(text);
  return hashRecord(unhashed);
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, one) => total + one, 0);
