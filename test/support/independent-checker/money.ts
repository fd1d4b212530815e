import { isStandingAsk, isStandingUse, type CheckedRecord, type Complain } from "./records.ts";

export type WindowSums = { readonly held: number; readonly settled: number };

/** What the records say is held and settled, by window: by writes, by open proposals and by unused grants. */
export type Money = ReadonlyMap<string, WindowSums>;

type Reservation = NonNullable<CheckedRecord["reservation"]>;

const HELD = new Set(["held", "dispatching", "committed", "unknown"]);
const ENDED = new Set(["expired", "withdrawn", "denied", "invalidated"]);

/** Sums the records of the ledger's log: each write counts as its last record says, each proposal until it ends or is used. */
export function sumMoney(records: readonly CheckedRecord[], complain: Complain): Money {
  const known = new Map<string, Reservation>();
  for (const record of records) {
    const { kind, reservation } = record;
    if (kind === "intent") takeFromGrant(record, known, complain);
    if (reservation === null) {
      const before = kind === "proposal" ? known.get(record.approval_id ?? "") : undefined;
      if (kind === "intent" || kind === "outcome" || isOpening(record)) complain(record, "says nothing of its money");
      if (before !== undefined) complain(record, "says nothing of what its proposal holds");
      continue;
    }
    checkReservation(record, reservation, known.get(reservation.id), complain);
    known.set(reservation.id, reservation);
  }
  const windows = new Map<string, WindowSums>();
  for (const { daily, monthly, held_micros: held, settled_micros: settled } of known.values()) {
    for (const window of [daily, monthly]) {
      const sums = windows.get(window) ?? { held: 0, settled: 0 };
      windows.set(window, { held: sums.held + held, settled: sums.settled + (settled ?? 0) });
    }
  }
  return windows;
}

/** From here on a proposal holds money: a draft holds none, a standing approval never does. */
const isOpening = (record: CheckedRecord): boolean =>
  record.kind === "proposal" && record.reason_code === "opened" && !isStandingAsk(record);

/** The hold of a grant ends in the transaction in which what it is for begins to hold: it has no record of its own. */
function takeFromGrant(intent: CheckedRecord, known: Map<string, Reservation>, complain: Complain): void {
  const { approval_id: approval } = intent;
  if (approval === null || isStandingUse(intent)) return;
  const hold = known.get(approval);
  if (hold?.state !== "held") complain(intent, `ran on ${approval}, which holds no money`);
  else known.set(approval, { ...hold, state: "released", held_micros: 0, settled_micros: 0 });
}

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
  if (record.kind === "proposal") checkProposal(record, now, complain);
  else if (now.state === "held") complain(record, "is no proposal and holds money as one");
  if (before === undefined) {
    if (record.kind !== "intent" && !isOpening(record)) complain(record, "has money that no intent reserved");
    else if (now.held_micros !== record.cost_micros)
      complain(record, `holds ${now.held_micros} for ${record.cost_micros}`);
    return;
  }
  if (now.daily !== before.daily || now.monthly !== before.monthly) complain(record, "moved to other windows");
  if (now.held_micros > before.held_micros) complain(record, "holds more than before");
  if (!HELD.has(before.state) && HELD.has(now.state)) complain(record, "holds again what was resolved");
}

/** Approving is allocating: the whole amount is held from the opening on, and given back at the end. */
function checkProposal(record: CheckedRecord, now: Reservation, complain: Complain): void {
  const { reason_code: code, approval_id: approval } = record;
  if (now.id !== approval) complain(record, `is about ${approval} and has the money of ${now.id}`);
  const due = ENDED.has(code ?? "") ? "released" : "held";
  if (now.state !== due) complain(record, `is ${code}, and its money is ${now.state}`);
}
