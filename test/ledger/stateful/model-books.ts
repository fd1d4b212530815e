import { ModelCalendar } from "./model-calendar.ts";
import { ModelCaps, type Period } from "./model-caps.ts";
import type { Policy } from "./scene.ts";

/** One amount in its day and month: held, or what it was settled at. `gross` is what it adds to the day's submissions. */
export type Hold = {
  id: string;
  state: "held" | "dispatching" | "committed" | "unknown" | "settled" | "released";
  ceiling: number;
  settled: number | null;
  by: string | null;
  gross: number;
  readonly day: string;
  readonly month: string;
  readonly scopes: readonly string[];
  readonly since: number;
  /** What runs, while it does; for how long it may; and until when it is paid for. */
  resource: string | null;
  runsMs: number | null;
  runsUntil: number | null;
  /** What it had cost when it was last made smaller, and when that was. */
  spent: number;
  spentAt: number | null;
  /** Whether the control plane was seen to report an end. */
  ended: boolean;
};

/** Whose money it is and what for. */
export type Spender = { readonly who: string; readonly action: string };

export const isHeld = ({ state }: Hold): boolean => state !== "settled" && state !== "released";
const counts = (hold: Hold): number => (isHeld(hold) ? hold.ceiling : (hold.settled ?? 0));

/** Every amount there ever was, and what the caps are: sums are taken anew each time. */
export class ModelBooks {
  policy: Policy;
  readonly holds: Hold[] = [];
  readonly caps = new ModelCaps();
  /** The largest cap that anything was held under, by window and scope. */
  readonly largest = new Map<string, number>();
  readonly #calendar = new ModelCalendar();

  constructor(policy: Policy) {
    this.policy = policy;
  }

  /** The windows of a moment. */
  open(now: number): { readonly day: string; readonly month: string } {
    return this.#calendar.at(now, this.policy.zone);
  }

  cap(period: Period, now: number): number {
    return Math.min(this.policy[period], this.caps.allowed(period, now));
  }

  grossCap(now: number): number {
    return this.policy.gross ?? 2 * this.cap("daily", now);
  }

  /** What counts in a window, of everybody (null) or of one scope. */
  used(window: string, scope: string | null, without: Hold | null = null): number {
    return this.holds
      .filter((h) => h !== without && (h.day === window || h.month === window))
      .filter((h) => scope === null || h.scopes.includes(scope))
      .reduce((sum, h) => sum + counts(h), 0);
  }

  submitted(day: string): number {
    return this.holds.reduce((sum, h) => sum + (h.day === day ? h.gross : 0), 0);
  }

  /** Whether so much more fits every cap. `own`: what the request itself holds already. */
  hasRoom(micros: number, spender: Spender, own: Hold | null, now: number): boolean {
    const { day } = this.open(now);
    if (micros === 0) return true;
    const fits = this.#bounds(spender, now).every(
      ({ window, scope, cap }) => this.used(window, scope, own) + micros <= cap,
    );
    return fits && this.submitted(day) + micros <= this.grossCap(now);
  }

  take(state: "held" | "dispatching", micros: number, spender: Spender, now: number): Hold {
    const { day, month } = this.open(now);
    const scopes = this.#scopes(spender);
    const hold: Hold = {
      id: "",
      state,
      ceiling: micros,
      settled: null,
      by: null,
      gross: state === "held" ? 0 : micros,
      day,
      month,
      scopes,
      since: now,
      resource: null,
      runsMs: null,
      runsUntil: null,
      spent: 0,
      spentAt: null,
      ended: false,
    };
    this.holds.push(hold);
    if (micros > 0) this.#note(spender, scopes, now);
    return hold;
  }

  release(hold: Hold): void {
    Object.assign(hold, { state: "released", settled: 0, gross: 0 });
  }

  settle(hold: Hold, micros: number, by: string): void {
    if (hold.state === "released") hold.ceiling = 0;
    Object.assign(hold, { state: "settled", settled: micros, by });
  }

  /** What runs under this name and is paid for, the oldest first. */
  running(resource: string): readonly Hold[] {
    return this.holds
      .filter((h) => h.resource === resource && h.state === "committed")
      .toSorted((a, b) => a.since - b.since || (a.id < b.id ? -1 : 1));
  }

  #scopes({ who, action }: Spender): readonly string[] {
    const team = this.policy.teams[who] ?? null;
    return [`principal:agent:${who}`, `action:${action}`, ...(team === null ? [] : [`team:${team}`])];
  }

  /** Every window and scope that has a cap for this spender. */
  #bounds(spender: Spender, now: number): readonly { window: string; scope: string | null; cap: number }[] {
    const { day, month } = this.open(now);
    const scopes = this.#scopes(spender);
    return [
      { window: day, scope: null, cap: this.cap("daily", now) },
      { window: month, scope: null, cap: this.cap("monthly", now) },
      ...this.policy.inner
        .filter(({ scope }) => scopes.includes(scope))
        .flatMap(({ scope, dailyCapMicros, monthlyCapMicros }) => [
          { window: day, scope, cap: dailyCapMicros ?? Number.POSITIVE_INFINITY },
          { window: month, scope, cap: monthlyCapMicros ?? Number.POSITIVE_INFINITY },
        ]),
    ];
  }

  #note(spender: Spender, scopes: readonly string[], now: number): void {
    const { day, month } = this.open(now);
    const caps = new Map(this.#bounds(spender, now).map((b) => [nameOf(b.window, b.scope), b.cap]));
    const note = (name: string, cap: number): void => {
      this.largest.set(name, Math.max(this.largest.get(name) ?? 0, cap));
    };
    note(`gross ${day}`, this.grossCap(now));
    for (const window of [day, month])
      for (const scope of [null, ...scopes]) {
        const name = nameOf(window, scope);
        note(name, caps.get(name) ?? Number.POSITIVE_INFINITY);
      }
  }
}

const nameOf = (window: string, scope: string | null): string => (scope === null ? window : `${window} ${scope}`);
