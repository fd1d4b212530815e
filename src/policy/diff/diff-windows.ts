import type { EpochMs } from "../../vocabulary.ts";
import type { MaintenanceWindow } from "../maintenance-windows.ts";

const DAY_MS = 86_400_000;
/** Every weekday and every day of a month comes within it. */
const LOOK_AHEAD_MS = 35 * DAY_MS;
/** Openings of one window that are looked at: hourly for a week. Each costs a look into a time zone. */
const MAX_OPENINGS = 168;

/** A time at which certain windows are open, and no others. Requests at two times with the same windows open are decided alike. */
export type Moment = {
  readonly at: EpochMs;
  /** Their names as `windowsOf` has them. */
  readonly open: ReadonlySet<string>;
  readonly text: string;
};

/** A window of either side, once per definition. */
type Named = { readonly name: string; readonly window: MaintenanceWindow };

/** Names that both sides can be asked by: a name that means the same in both is one. */
export function windowsOf(
  before: ReadonlyMap<string, MaintenanceWindow>,
  after: ReadonlyMap<string, MaintenanceWindow>,
): readonly Named[] {
  const differ = (name: string): boolean => {
    const [one, other] = [before.get(name), after.get(name)];
    return one !== undefined && other !== undefined && one.definition !== other.definition;
  };
  const named = (side: string, windows: ReadonlyMap<string, MaintenanceWindow>): readonly Named[] =>
    [...windows.values()].map((window) => ({
      name: differ(window.name) ? `${window.name} (${side})` : window.name,
      window,
    }));
  return [...new Map([...named("before", before), ...named("after", after)].map((one) => [one.name, one])).values()];
}

/** Which of them are open. */
export const openAt = (windows: readonly Named[], at: EpochMs): ReadonlySet<string> =>
  new Set(windows.filter(({ window }) => window.closesAt(at) !== null).map(({ name }) => name));

/**
 * One time for each set of windows that are open together from `now` on: at the openings and closings of each within 35 days, and at its
 * next opening whenever that is. Where no window is stated there is one moment.
 */
export function momentsOf(windows: readonly Named[], now: EpochMs): readonly Moment[] {
  const times = new Set<EpochMs>([now]);
  const known = windows.map(({ name, window }) => ({ name, isOpen: openings(window, now, times) }));
  const moments = new Map<string, Moment>();
  for (const at of [...times].toSorted((a, b) => a - b)) {
    const open = new Set(known.filter(({ isOpen }) => isOpen(at)).map(({ name }) => name));
    const names = [...open].join(", ");
    if (moments.has(names)) continue;
    moments.set(names, { at, open, text: open.size === 0 ? "while no window is open" : `while ${names} is open` });
  }
  return [...moments.values()];
}

/** Adds the times at which a window opens and closes; answers whether it is open, by those as far as they reach. */
function openings(window: MaintenanceWindow, now: EpochMs, times: Set<EpochMs>): (at: EpochMs) => boolean {
  const spans: { readonly from: EpochMs; readonly until: EpochMs }[] = [];
  const closes = window.closesAt(now);
  if (closes !== null) spans.push({ from: now, until: closes });
  let lengthMs: number | null = null;
  let at = window.opensAfter(now);
  while (at !== null && spans.length < MAX_OPENINGS && (lengthMs === null || at <= now + LOOK_AHEAD_MS)) {
    lengthMs ??= (window.closesAt(at) ?? at) - at;
    spans.push({ from: at, until: at + lengthMs });
    at = window.opensAfter(at);
  }
  for (const { from, until } of spans) times.add(from).add(until);
  const last = spans.at(-1)?.from ?? now;
  return (time) =>
    time <= last ? spans.some(({ from, until }) => from <= time && time < until) : window.closesAt(time) !== null;
}
