import type { Env } from "../env.ts";
import type { EpochMs } from "../vocabulary.ts";
import { createLogCopy, type LateCopy } from "./copy.ts";
import type { Place } from "./journal.ts";
import { r2Copy } from "./r2-copy.ts";
import { webhookCopy } from "./webhook-copy.ts";

/** What a log's object keeps its copies beside D1 with. Where there are none, there is nothing to do. */
export type SecondCopy = {
  /** When there is something to do next, null for never; asked after each run and each projection. */
  readonly nextAt: (now: EpochMs) => EpochMs | null;
  /** Begins what is due. Returns at once and never throws: nothing of the log waits for its copies. */
  readonly start: (now: EpochMs) => void;
  /** From which record on the journal's rows are needed for a copy. */
  readonly keepFrom: () => number;
  /** The copies for which records wait. */
  readonly behind: (now: EpochMs) => readonly LateCopy[];
};

/**
 * The further copies of one log, each with a cursor of its own: none waits for another, nor for D1. `place`: null while the log
 * is empty. `ended`: called after each run, to ask when the next one is due.
 */
export function createSecondCopy(
  storage: DurableObjectStorage,
  env: () => Env,
  place: () => Place | null,
  ended: () => void,
): SecondCopy {
  const keepFrom = (): number => Math.min(...copies.map((copy) => copy.keepFrom()));
  const targets = [r2Copy(storage.sql, env), webhookCopy(storage.sql, env)];
  const copies = targets.map((target) => createLogCopy(storage, target, place, keepFrom, ended));
  return {
    keepFrom,
    nextAt: (now) => {
      const times = copies.map((copy) => copy.nextAt(now)).filter((at) => at !== null);
      return times.length === 0 ? null : Math.min(...times);
    },
    start: (now) => {
      for (const copy of copies) copy.start(now);
    },
    behind: (now) => copies.map((copy) => copy.behind(now)).filter((one) => one !== null),
  };
}
