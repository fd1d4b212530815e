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
/** Openings looked at within one window's length: loading refuses patterns that plainly overlap, so one is the rule. */
const MOST_OVERLAPS = 16;

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
    const [first, second] = schedule.nextRuns(2, new Date(0));
    if (first !== undefined && second !== undefined && second.getTime() - first.getTime() < minutes * MS_PER_MINUTE) {
      report(
        document.problem([...path, "minutes"], `it opens again before ${minutes} minutes are over: it never closes`),
      );
      continue;
    }
    const opens = windowOf(schedule, minutes * MS_PER_MINUTE);
    windows.set(name, { name, definition: `${cron} ${zone ?? timezone} for ${minutes} min`, ...opens });
  }
  return windows;
}

/** The pattern, or why it is none. */
function readCron(pattern: string, zone: string): Cron | string {
  try {
    const schedule = new Cron(pattern, { timezone: zone, mode: "5-part", paused: true });
    return schedule.nextRun(new Date(0)) === null ? `${JSON.stringify(pattern)} never comes` : schedule;
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^CronPattern: /, "") : String(error);
    return `${JSON.stringify(pattern)} is not a cron pattern of five parts: ${why}`;
  }
}

function windowOf(schedule: Cron, lengthMs: number): Pick<MaintenanceWindow, "closesAt" | "opensAfter"> {
  const next = (after: EpochMs): EpochMs | null => schedule.nextRun(new Date(after))?.getTime() ?? null;
  let known = stateAt(next, lengthMs, 0);
  // Requests come in order of time, so what held for the last one holds for the next until something opens or closes.
  const at = (now: EpochMs): State => {
    if (now < known.from || now >= known.until) known = stateAt(next, lengthMs, now);
    return known;
  };
  return { closesAt: (now) => at(now).closesAt, opensAfter: (now) => at(now).opensAfter };
}

/** What holds of a window from `from` until `until` (exclusive). */
type State = {
  readonly from: EpochMs;
  readonly until: EpochMs;
  readonly closesAt: EpochMs | null;
  readonly opensAfter: EpochMs | null;
};

function stateAt(next: (after: EpochMs) => EpochMs | null, lengthMs: number, now: EpochMs): State {
  // The newest opening that is not after `now`, among those that would still be open.
  let opened: EpochMs | null = null;
  let opensAfter = next(now - lengthMs);
  for (let looked = 0; opensAfter !== null && opensAfter <= now && looked < MOST_OVERLAPS; looked++) {
    opened = opensAfter;
    opensAfter = next(opensAfter);
  }
  const closesAt = opened === null ? null : opened + lengthMs;
  return { from: now, until: Math.min(opensAfter ?? Infinity, closesAt ?? Infinity), closesAt, opensAfter };
}
