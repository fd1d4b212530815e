import { isStandingAsk, isStandingUse, type CheckedRecord, type Complain } from "./records.ts";

export type WindowSums = { readonly held: number; readonly settled: number };

/** What the records say is held and settled, and where. */
export type Money = {
  /** By window: what writes hold and have cost. */
  readonly windows: ReadonlyMap<string, WindowSums>;
  /** What open proposals and unused grants hold. Their records do not say in which windows: it counts once by day, once by month. */
  readonly proposals: number;
};

const HELD = new Set(["held", "dispatching", "committed", "unknown"]);
const ENDED = new Set(["expired", "withdrawn", "denied", "invalidated"]);

/** Sums the records of the ledger's log: each write counts as its last record says, each proposal until it ends or is used. */
export function sumMoney(records: readonly CheckedRecord[], complain: Complain): Money {
  const writes = new Map<string, NonNullable<CheckedRecord["reservation"]>>();
  const proposals = new Map<string, number>();
  for (const record of records) {
    const { kind, reason_code: code, approval_id: approval, reservation } = record;
    if (kind === "proposal" && approval !== null) {
      if (code === "opened" && !isStandingAsk(record)) proposals.set(approval, record.cost_micros ?? 0);
      if (ENDED.has(code ?? "")) proposals.delete(approval);
    }
    if (kind === "intent" && approval !== null && !isStandingUse(record)) proposals.delete(approval);
    if (reservation === null) {
      if (kind === "intent" || kind === "outcome") complain(record, "says nothing of its money");
      continue;
    }
    checkReservation(record, reservation, writes.get(reservation.id), complain);
    writes.set(reservation.id, reservation);
  }
  const windows = new Map<string, WindowSums>();
  for (const { daily, monthly, held_micros: held, settled_micros: settled } of writes.values()) {
    for (const window of [daily, monthly]) {
      const sums = windows.get(window) ?? { held: 0, settled: 0 };
      windows.set(window, { held: sums.held + held, settled: sums.settled + (settled ?? 0) });
    }
  }
  return { windows, proposals: [...proposals.values()].reduce((sum, micros) => sum + micros, 0) };
}

type Reservation = NonNullable<CheckedRecord["reservation"]>;

function checkReservation(
  record: CheckedRecord,
  now: Reservation,
  before: Reservation | undefined,
  complain: Complain,
): void {
  const settled = now.settled_micros ?? null;
  if (HELD.has(now.state) ? settled !== null : settled === null)
    complain(record, `is ${now.state} and settled at ${settled}`);
  if (!HELD.has(now.state) && now.held_micros !== 0) complain(record, `is ${now.state} and still holds money`);
  if (now.state === "released" && settled !== 0) complain(record, "gave its money back and cost something");
  if (now.daily.slice(0, 7) !== now.monthly && !now.daily.startsWith(now.monthly.slice(0, 4)))
    complain(record, `counts in ${now.daily} and in ${now.monthly}`);
  if (before === undefined) {
    if (record.kind !== "intent") complain(record, "has money that no intent reserved");
    else if (now.held_micros !== record.cost_micros)
      complain(record, `holds ${now.held_micros} for ${record.cost_micros}`);
    return;
  }
  if (now.daily !== before.daily || now.monthly !== before.monthly) complain(record, "moved to other windows");
  if (now.held_micros > before.held_micros) complain(record, "holds more than before");
  if (!HELD.has(before.state) && HELD.has(now.state)) complain(record, "holds again what was resolved");
}
