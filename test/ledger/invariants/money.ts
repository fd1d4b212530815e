import type { Book, Lines } from "./book.ts";
import { holds, number, text, type Row, type Tables } from "./tables.ts";

const HELD: ReadonlySet<string> = new Set(["held", "dispatching", "committed", "unknown"]);

/** The largest cap that money was held under, by window and what it bounds there (`2031-11-20 window`, `2031-11-20 gross`, `2031-11-20 team:research`). */
export type Caps = (window: string) => number;

/**
 * Windows, reservations and the book say the same, amount by amount; no window holds more than it was ever allowed but what
 * was charged without having been held, which is counted exactly; every reservation is in one state and its amounts fit it.
 */
export function checkMoney(tables: Tables, book: Book, caps: Caps): void {
  const sums = new Map<string, { held: number; settled: number }>();
  for (const row of tables.reservations) {
    const [held, settled] = checkReservation(row, book.reservations.get(text(row, "id")));
    for (const window of [text(row, "daily_window"), text(row, "monthly_window")]) {
      const sum = sums.get(window) ?? { held: 0, settled: 0 };
      sums.set(window, { held: sum.held + held, settled: sum.settled + settled });
    }
  }
  const ids = new Set(tables.reservations.map((row) => row["id"]));
  for (const id of book.reservations.keys()) holds(ids.has(id), () => `the lines of ${id} are about a reservation`);
  const known = new Set<string>();
  for (const row of tables.windows) {
    const window = text(row, "window");
    known.add(window);
    checkWindow(row, window, book, caps);
  }
  for (const [window, { held, settled }] of sums) {
    const lines = book.sum(window);
    holds(lines.held === held && lines.settled === settled, () => {
      return `book of ${window}: ${lines.held} + ${lines.settled} are its reservations: ${held} + ${settled}`;
    });
    holds(known.has(window) || held + settled === 0, () => `${window} is kept`);
  }
}

function checkWindow(row: Row, window: string, book: Book, caps: Caps): void {
  const lines = book.sum(window);
  const [held, settled, gross] = [
    number(row, "held_micros"),
    number(row, "settled_micros"),
    number(row, "gross_micros"),
  ];
  holds(held === lines.held && settled === lines.settled && gross === lines.gross, () => {
    const summed = [lines.held, lines.settled, lines.gross].join(" + ");
    return `window ${window}: ${held} + ${settled} + ${gross} is the sum of its lines: ${summed}`;
  });
  const isTenants = !window.includes(" ");
  const cap = caps(isTenants ? `${window} window` : window);
  holds(
    held + settled - lines.late <= cap,
    () => `window ${window}: ${held} + ${settled}, of which ${lines.late} were never held, is within ${cap}`,
  );
  if (isTenants && window.length === "2031-11-20".length)
    holds(gross <= caps(`${window} gross`), () => `window ${window}: ${gross} were submitted`);
}

/** What counts of one reservation: held, settled. */
function checkReservation(row: Row, lines: Lines | undefined): readonly [number, number] {
  const [id, state, by] = [text(row, "id"), text(row, "state"), row["settled_by"]];
  const [ceiling, settled] = [number(row, "ceiling_micros"), number(row, "settled_micros")];
  const name = `reservation ${id} (${state}, ${String(by)})`;
  const isHeld = HELD.has(state);
  holds((row["settled_micros"] === null) === isHeld, () => `${name}: settled at once`);
  holds((row["resolved_at"] === null) === isHeld, () => `${name}: resolved at once`);
  holds((by === null) === (state !== "settled"), () => `${name}: settled by somebody`);
  if (state === "released") holds(settled === 0, () => `${name}: costs nothing`);
  if (by === "ceiling" || by === "price")
    holds(settled === ceiling, () => `${name}: ${settled} is the ceiling ${ceiling}`);
  const counted = [isHeld ? ceiling : 0, settled] as const;
  const booked = [lines?.held ?? 0, lines?.settled ?? 0] as const;
  holds(
    counted[0] === booked[0] && counted[1] === booked[1],
    () => `${name}: ${counted.join(" + ")} is what its lines say: ${booked.join(" + ")}`,
  );
  if (lines === undefined) return counted;
  const placed = lines.daily === row["daily_window"] && lines.monthly === row["monthly_window"];
  holds(placed, () => `${name}: booked in its own windows`);
  // What was held without having been dispatched, or was given back whole, was not submitted.
  if (state === "held" || state === "released") holds(lines.gross === 0, () => `${name}: not submitted`);
  // What was made smaller until nothing was left ends without a line of its own.
  const resolved = isHeld ? [0] : ceiling === 0 ? [0, 1] : [1];
  holds(resolved.includes(lines.resolved), () => `${name}: resolved ${lines.resolved} times`);
  if (lines.adjusted > 0) holds(by === "usage", () => `${name}: corrected by usage`);
  return counted;
}

/**
 * A usage report that waits has settled nothing; of one operation's at most one was applied, and what it says is what was
 * settled. Whoever confirmed one is not who reported it.
 */
export function checkUsage(tables: Tables): void {
  const reservations = new Map(tables.reservations.map((row) => [row["id"], row]));
  const applied = new Set<string>();
  for (const report of tables.usage_reports) {
    const [id, evidence] = [text(report, "request_id"), text(report, "evidence")];
    const hold = reservations.get(id);
    const name = `report ${evidence} of ${id} (${text(report, "state")})`;
    const isBasis = hold?.["settled_by"] === "usage" && hold["basis"] === `usage ${evidence}`;
    holds(isBasis === (report["state"] === "applied"), () => `${name}: settled it if it was applied`);
    holds(report["confirmed_by"] !== report["reported_by"], () => `${name}: confirmed by somebody else`);
    if (report["state"] !== "applied") continue;
    holds(!applied.has(id), () => `${name}: the only one that was applied`);
    applied.add(id);
    holds(hold?.["settled_micros"] === report["actual_micros"], () => `${name}: settled at what it says`);
  }
  for (const [id, { settled_by: by }] of reservations)
    if (by === "usage") holds(applied.has(String(id)), () => `${String(id)} was settled by a report`);
}

/** A higher cap has as many distinct people of finance behind it as it needs, its asker not among those who confirm it. */
export function checkChanges(tables: Tables): void {
  for (const change of tables.budget_changes) {
    const [id, kind, state] = [text(change, "id"), text(change, "kind"), text(change, "state")];
    const words = tables.budget_decisions.filter((word) => word["change_id"] === id);
    const approving = words.filter((word) => word["decision"] === "approve");
    const name = `change ${id} (${kind}, ${state})`;
    holds(!words.some((word) => word["subject"] === change["asked_by"]), () => `${name}: not decided by its asker`);
    const needed = { lower: 0, raise: 1, request: 2 }[kind] ?? Number.NaN;
    holds(number(change, "needed") === needed, () => `${name}: needs ${needed}`);
    if (state === "approved") holds(approving.length >= needed, () => `${name}: ${approving.length} approvals`);
    if (state === "pending") holds(approving.length < needed, () => `${name}: ${approving.length} approvals and waits`);
    if (state === "denied") holds(approving.length < words.length, () => `${name}: somebody denied it`);
  }
}
