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
  /** What does not fit, where the last look for room found none: window, scope, cap, used, short. */
  short: readonly string[] = [];
  /** What happened besides answers, for the count at the end. */
  readonly marks: string[] = [];
  readonly #calendar = new ModelCalendar((mark) => this.marks.push(mark));

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
    this.open(now);
    if (micros === 0) return true;
    const over = this.#bounds(spender, now)
      .map((bound) => ({ ...bound, used: bound.used(own), short: bound.used(own) + micros - bound.cap }))
      .filter(({ short }) => short > 0);
    this.short = over.map(({ window, scope, cap, used, short }) => [window, scope, cap, used, short].join(" "));
    for (const { window, scope } of over) {
      const kind = scope === "window" ? (window.length > "2031-11".length ? "day" : "month") : scope.replace(/:.*/, "");
      this.marks.push(`no room: ${kind}`);
    }
    return over.length === 0;
  }

  /** Held, settled and submitted amounts by window, of windows that have any. */
  sums(): Readonly<Record<string, readonly [number, number, number]>> {
    const sums: Record<string, [number, number, number]> = {};
    for (const hold of this.holds) {
      for (const window of [hold.day, hold.month]) {
        const sum = (sums[window] ??= [0, 0, 0]);
        sum[0] += isHeld(hold) ? hold.ceiling : 0;
        sum[1] += hold.settled ?? 0;
        sum[2] += hold.gross;
      }
    }
    return Object.fromEntries(Object.entries(sums).filter(([, sum]) => sum.some((micros) => micros > 0)));
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
    if (isHeld(hold)) this.marks.push(`settled by ${by}`);
    else this.marks.push(`${by} ${hold.state === "released" ? "charges" : "corrects"} what was ${hold.state}`);
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

  /** Every cap that bounds this spender, and what counts in it. */
  #bounds(spender: Spender, now: number): readonly Bound[] {
    const { day, month } = this.open(now);
    const scopes = this.#scopes(spender);
    const tenant = (window: string, cap: number): Bound => ({
      window,
      scope: "window",
      cap,
      used: (own) => this.used(window, null, own),
    });
    const inner = (window: string, scope: string, cap: number | null): readonly Bound[] =>
      cap === null ? [] : [{ window, scope, cap, used: (own) => this.used(window, scope, own) }];
    return [
      tenant(day, this.cap("daily", now)),
      tenant(month, this.cap("monthly", now)),
      { window: day, scope: "gross", cap: this.grossCap(now), used: () => this.submitted(day) },
      ...this.policy.inner
        .filter(({ scope }) => scopes.includes(scope))
        .flatMap(({ scope, dailyCapMicros, monthlyCapMicros }) => [
          ...inner(day, scope, dailyCapMicros),
          ...inner(month, scope, monthlyCapMicros),
        ]),
    ];
  }

  /** Notes what this was held under: a scope without a cap is not bounded. */
  #note(spender: Spender, scopes: readonly string[], now: number): void {
    const { day, month } = this.open(now);
    const caps = new Map(this.#bounds(spender, now).map((b) => [`${b.window} ${b.scope}`, b.cap]));
    const names = [day, month].flatMap((window) => ["window", ...scopes].map((scope) => `${window} ${scope}`));
    for (const name of [`${day} gross`, ...names]) {
      const cap = caps.get(name) ?? Number.POSITIVE_INFINITY;
      this.largest.set(name, Math.max(this.largest.get(name) ?? 0, cap));
    }
  }
}

type Bound = {
  readonly window: string;
  /** As in a refusal: `window`, `gross`, or one inside the tenant's. */
  readonly scope: string;
  readonly cap: number;
  readonly used: (own: Hold | null) => number;
};
