import { holds, number, text, type Cursor, type Row } from "./tables.ts";

/** What lines add up to. `late`: what was booked without having been held first, overruns and corrections, counted upwards only. */
export type Sum = { held: number; settled: number; gross: number; late: number };

/** What the lines of one reservation say. */
export type Lines = Sum & {
  readonly daily: string;
  readonly monthly: string;
  readonly who: string;
  resolved: number;
  adjusted: number;
};

/**
 * The ledger's book as its lines alone tell it, read line by line. Each month's are numbered from 1 without gaps; a reservation
 * is held first, resolved once, and corrected at most once, by billing.
 */
export class Book {
  readonly windows = new Map<string, Sum>();
  readonly reservations = new Map<string, Lines>();
  readonly #numbers: Record<string, number> = {};

  /** How far it has been read. */
  get cursor(): Cursor["entries"] {
    return this.#numbers;
  }

  read(lines: readonly Row[]): void {
    for (const line of lines) this.#line(line);
  }

  /** What counts in one window: `2031-11-20`, or with a scope inside it `2031-11-20 team:research`. */
  sum(window: string): Sum {
    return this.windows.get(window) ?? nothing();
  }

  #line(line: Row): void {
    const [month, day, id, kind] = ["monthly_window", "daily_window", "reservation", "kind"].map((name) =>
      text(line, name),
    );
    if (month === undefined || day === undefined || id === undefined || kind === undefined)
      throw new Error("unreachable");
    const last = this.#numbers[month] ?? 0;
    holds(number(line, "number") === last + 1, () => `line ${number(line, "number")} of ${month} follows ${last}`);
    this.#numbers[month] = last + 1;
    const change = {
      held: number(line, "held_micros"),
      settled: number(line, "settled_micros"),
      gross: number(line, "gross_micros"),
      late: 0,
    };
    if (kind === "adjust") change.late = Math.max(0, change.settled);
    if (kind === "settle") change.late = Math.max(0, change.settled + change.held);
    const own = this.#reservation(line, id, day, month);
    const name = `line ${kind} of ${id} (${text(line, "basis")})`;
    const isShrunk = kind === "release" && text(line, "basis") === "made smaller";
    if (kind === "hold") {
      holds(own.held === 0 && own.resolved === 0 && own.adjusted === 0, () => `${name} comes first`);
      holds(change.held > 0 && change.settled === 0, () => `${name} only holds`);
      holds(change.gross === 0 || change.gross === change.held, () => `${name} submits what it holds`);
    } else if (kind === "adjust") {
      own.adjusted += 1;
      holds(own.adjusted === 1 && change.held === 0, () => `${name} is the only one`);
      holds(text(line, "basis").startsWith("usage "), () => `${name} is billing's`);
    } else if (isShrunk) {
      holds(
        own.resolved === 0 && change.held < 0 && own.held + change.held >= 0,
        () => `${name} gives back what is held`,
      );
    } else {
      own.resolved += 1;
      holds(own.resolved === 1 && own.adjusted === 0, () => `${name} resolves it once`);
      holds(own.held + change.held === 0, () => `${name} ends the whole hold`);
    }
    add(own, change);
    for (const window of [day, month])
      for (const scope of scopesOf(line)) add(this.#window(scope === "" ? window : `${window} ${scope}`), change);
  }

  #reservation(line: Row, id: string, daily: string, monthly: string): Lines {
    const who = scopesOf(line).join(" ");
    const known = this.reservations.get(id);
    if (known !== undefined) {
      const same = known.daily === daily && known.monthly === monthly && known.who === who;
      holds(same, () => `${id} stays in ${known.daily} and ${known.monthly}, for ${known.who}`);
      return known;
    }
    const made = { ...nothing(), daily, monthly, who, resolved: 0, adjusted: 0 };
    this.reservations.set(id, made);
    return made;
  }

  #window(name: string): Sum {
    const known = this.windows.get(name) ?? nothing();
    this.windows.set(name, known);
    return known;
  }
}

const nothing = (): Sum => ({ held: 0, settled: 0, gross: 0, late: 0 });

function add(to: Sum, change: Sum): void {
  to.held += change.held;
  to.settled += change.settled;
  to.gross += change.gross;
  to.late += change.late;
}

/** Every sum that a line is part of: the tenant's (no name), its principal's, its action's and its team's. */
const scopesOf = (line: Row): readonly string[] => [
  "",
  `principal:${text(line, "principal")}`,
  `action:${text(line, "action")}`,
  ...(line["team"] === null ? [] : [`team:${text(line, "team")}`]),
];
