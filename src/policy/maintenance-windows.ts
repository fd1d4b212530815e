import { Cron } from "croner";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import type { EpochMs } from "../vocabulary.ts";
import { isTimezone, type Report } from "./limits.ts";
import type { PolicyDocument } from "./policy-schema.ts";

/** A time in which changes are made, again and again. Pure: the same `now` always gives the same answer. */
export type MaintenanceWindow = {
  readonly name: string;
  /** When it opens and for how long, in one text: two windows with the same are open at the same times. */
  readonly definition: string;
  /** When the window that is open at `now` closes (exclusive); null while none is open. */
  readonly closesAt: (now: EpochMs) => EpochMs | null;
  /** When the next one opens after `now`; null where none ever does. */
  readonly opensAfter: (now: EpochMs) => EpochMs | null;
};

const MS_PER_MINUTE = 60_000;
/** Minute, hour, day, month, day of the week. */
const CRON_PARTS = 5;
/** Openings compared to find those that overlap, within a year: a week of days. */
const OPENINGS_COMPARED = 8;
const YEAR_MS = 366 * 24 * 60 * MS_PER_MINUTE;

/**
 * Reads `maintenance_windows`: five-part cron patterns in an IANA zone (the policy's own where none is stated) and a length
 * in minutes of elapsed time. On the day on which a clock skips the opening, it opens when that clock goes on; where an
 * hour comes twice, it opens once.
 */
export function readMaintenanceWindows(
  document: ParsedDocument<PolicyDocument>,
  timezone: string,
  report: Report,
): ReadonlyMap<string, MaintenanceWindow> {
  const windows = new Map<string, MaintenanceWindow>();
  for (const [name, { cron, zone, minutes }] of Object.entries(document.value.maintenance_windows ?? {})) {
    const path: JsonPath = ["maintenance_windows", name];
    if (zone !== undefined && !isTimezone(zone)) {
      report(document.problem([...path, "zone"], `${JSON.stringify(zone)} is not an IANA time zone`));
      continue;
    }
    const schedule = readCron(cron, zone ?? timezone);
    if (typeof schedule === "string") {
      report(document.problem([...path, "cron"], schedule));
      continue;
    }
    const tooLong = overlapOf(schedule, minutes * MS_PER_MINUTE);
    if (tooLong !== null) {
      report(document.problem([...path, "minutes"], `it opens again before ${minutes} minutes are over${tooLong}`));
      continue;
    }
    const opens = windowOf(schedule, minutes * MS_PER_MINUTE);
    windows.set(name, { name, definition: `${cron} ${zone ?? timezone} for ${minutes} min`, ...opens });
  }
  return windows;
}

/** The pattern, or why it is none. */
function readCron(pattern: string, zone: string): Cron | string {
  // The library takes dates and words such as @daily as well, and neither comes in the parts that a reader of policies knows.
  if (pattern.trim().split(/\s+/).length !== CRON_PARTS) return notCron(pattern, `it has to have ${CRON_PARTS}`);
  try {
    const schedule = new Cron(pattern, { timezone: zone, mode: "5-part", paused: true });
    return schedule.nextRun(new Date(0)) === null ? `${JSON.stringify(pattern)} never comes` : schedule;
  } catch (error) {
    return notCron(pattern, error instanceof Error ? error.message.replace(/^CronPattern: /, "") : String(error));
  }
}

const notCron = (pattern: string, why: string): string =>
  `${JSON.stringify(pattern)} is not a cron pattern of five parts: ${why}`;

/** What is wrong with openings that come while the window is still open; null where none does, and it closes at all. */
function overlapOf(schedule: Cron, lengthMs: number): string | null {
  const first = schedule.nextRun(new Date(0));
  const until = (first?.getTime() ?? 0) + YEAR_MS;
  let [before, overlaps, closes] = [first, false, false];
  for (let looked = 0; looked < OPENINGS_COMPARED && before !== null && before.getTime() < until; looked++) {
    const next = schedule.nextRun(before);
    if (next === null) return null;
    const gapMs = next.getTime() - before.getTime();
    if (gapMs < lengthMs) overlaps = true;
    if (gapMs > lengthMs) closes = true;
    before = next;
  }
  if (!closes) return ": it never closes";
  return overlaps ? "" : null;
}

function windowOf(schedule: Cron, lengthMs: number): Pick<MaintenanceWindow, "closesAt" | "opensAfter"> {
  const next = (after: EpochMs): EpochMs | null => schedule.nextRun(new Date(after))?.getTime() ?? null;
  let known: State | null = null;
  // Requests come in order of time, so what was found for the last one holds for the next until the window opens again.
  const at = (now: EpochMs): State => {
    if (known === null || now < known.from || now >= known.opensAfter) known = stateAt(next, lengthMs, now);
    return known;
  };
  return {
    closesAt: (now) => {
      const { closesAt } = at(now);
      return closesAt !== null && now < closesAt ? closesAt : null;
    },
    opensAfter: (now) => {
      const { opensAfter } = at(now);
      return opensAfter === Infinity ? null : opensAfter;
    },
  };
}

/**
 * What holds of a window from `from` until it opens again at `opensAfter` (exclusive; Infinity: never): when the newest opening
 * closes, null where that was over at `from`.
 */
type State = { readonly from: EpochMs; readonly closesAt: EpochMs | null; readonly opensAfter: EpochMs };

function stateAt(next: (after: EpochMs) => EpochMs | null, lengthMs: number, now: EpochMs): State {
  // The newest opening that is not after `now`, among those that would still be open.
  let opened: EpochMs | null = null;
  let opensAfter = next(now - lengthMs) ?? Infinity;
  while (opensAfter <= now) {
    opened = opensAfter;
    opensAfter = next(opensAfter) ?? Infinity;
  }
  return { from: now, closesAt: opened === null ? null : opened + lengthMs, opensAfter };
}
