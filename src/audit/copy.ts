import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import type { Result } from "../platform/result.ts";
import type { EpochMs } from "../vocabulary.ts";
import {
  appendedAt,
  beginCopy,
  confirmWritten,
  copyCursor,
  heads,
  planRun,
  type CopyName,
  type CopyRow,
} from "./copy-cursor.ts";
import { pruneJournal, type Place } from "./journal.ts";
import { RETAIN_MS } from "./projection.ts";

/**
 * Rows that a journal keeps for its copies at most. Beyond it those that D1 has confirmed go, and the copy fetches them from
 * there: 100,000 of 1.5 KB are 150 MB, and of the largest, 20 KB, 2 GB of a Durable Object's 10 GB.
 */
export const KEEP_ROWS = 100_000;

/** Time for one run. What takes longer is given up, and begun again. */
const RUN_MS = 60_000;

/** Waits after a failure, growing; and after one that only people can mend. */
const RETRY_MIN_MS = 5_000;
const RETRY_MAX_MS = 5 * 60_000;
export const BROKEN_RETRY_MS = 10 * 60_000;

/** Time for telling how a run ended. The copy goes on without. */
const TELL_MS = 5_000;

/** Why records are not in a copy, and how long to wait at least; null: as the failures before it say. */
export type NotWritten = { readonly cause: string; readonly retryMs: number | null };

/** Where the records of one log are copied to, beside D1. */
export type CopyTarget = {
  readonly name: CopyName;
  /** Records that are written at once; fewer wait until the first of them is `everyMs` old. */
  readonly rows: number;
  readonly everyMs: number;
  /** Whether there is such a copy. */
  readonly isOn: () => boolean;
  /** The records from `first` on for one run: up to `through`, or, where that is null, as many as a run takes, up to `newest`. */
  readonly read: (
    place: Place,
    first: number,
    bounds: { readonly through: number | null; readonly newest: number },
  ) => Promise<Result<readonly CopyRow[], string>>;
  /** Writes them; null when they are there. Called again with the same records until they are. May throw. */
  readonly write: (place: Place, rows: readonly CopyRow[]) => Promise<NotWritten | null>;
  /** Says elsewhere how the copy stands, after each run. `failure`: why the run wrote nothing. May throw. */
  readonly tell: (place: Place, state: { readonly failure: string | null; readonly waiting: number }) => Promise<void>;
};

/** How far a copy is behind: so many records wait, and for so long none was written. */
export type LateCopy = { readonly copy: CopyName; readonly rows: number; readonly minutes: number };

/** What a log's object keeps a copy with. */
export type LogCopy = {
  /** When there is something to do next, null for never; asked after each run and each projection. */
  readonly nextAt: (now: EpochMs) => EpochMs | null;
  /** Begins a run if one is due. Returns at once and never throws: nothing of the log waits for its copies. */
  readonly start: (now: EpochMs) => void;
  /** From which record on the journal's rows are needed. */
  readonly keepFrom: () => number;
  /** Null where there is no copy, or where no record waits for it. */
  readonly behind: (now: EpochMs) => LateCopy | null;
};

/**
 * One further copy of a log, with a cursor of its own. It takes what is chained, whether D1 has it yet or not, and what the
 * journal does not have any more from D1. What a run writes is stored before anything is sent: a run that is repeated writes
 * the same. `place`: null while the log is empty. `keepFrom`: from which record on any copy needs the journal. `ended`: called
 * after each run, to ask when the next one is due.
 */
export function createLogCopy(
  storage: DurableObjectStorage,
  target: CopyTarget,
  place: () => Place | null,
  keepFrom: () => number,
  ended: () => void,
): LogCopy {
  const { sql } = storage;
  const { name } = target;
  let isRunning = false;
  let failures = 0;
  let notBefore: EpochMs = 0;

  const waiting = (): number => heads(sql).chained - copyCursor(sql, name).confirmed;

  const dueAt = (now: EpochMs): EpochMs | null => {
    const { confirmed, planned, writtenAt } = copyCursor(sql, name);
    // A run that was begun is finished first.
    if (planned !== null) return now;
    const rows = waiting();
    if (rows <= 0) return null;
    const oldest = appendedAt(sql, confirmed + 1);
    if (rows >= target.rows || oldest === null) return now;
    // The clock may have stepped back since.
    return Math.min(Math.max(oldest, writtenAt), now) + target.everyMs;
  };

  /** One run; why not, where it comes to nothing. */
  const writeNext = async (at: Place): Promise<NotWritten | null> => {
    const { confirmed, planned } = beginCopy(sql, name, Date.now());
    const rows = await target.read(at, confirmed + 1, { through: planned, newest: heads(sql).chained });
    if (!rows.ok) return { cause: rows.error, retryMs: null };
    const last = rows.value.at(-1)?.sequence;
    if (last === undefined) return null;
    // A run that was given up may have come to something after all, meanwhile.
    const cursor = copyCursor(sql, name);
    if (cursor.confirmed !== confirmed || (cursor.planned ?? last) !== last) return null;
    if (cursor.planned === null) planRun(sql, name, last);
    const failure = await target.write(at, rows.value);
    if (failure !== null) return failure;
    const now = Date.now();
    storage.transactionSync(() => {
      confirmWritten(sql, name, last, now);
      pruneJournal(sql, now - RETAIN_MS, keepFrom());
    });
    return null;
  };

  const run = async (at: Place): Promise<void> => {
    const failure = await within(RUN_MS, writeNext(at)).catch((error: unknown): NotWritten => ({
      cause: describeError(error),
      retryMs: null,
    }));
    failures = failure === null ? 0 : failures + 1;
    if (failure !== null) {
      log("warn", "second-copy", { ...at, copy: name, cause: failure.cause });
      const wait = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures - 1, 10));
      notBefore = Date.now() + Math.max(wait, failure.retryMs ?? 0);
    }
    try {
      await within(TELL_MS, target.tell(at, { failure: failure?.cause ?? null, waiting: waiting() }));
    } catch (error) {
      log("warn", "second-copy-state", { ...at, copy: name, cause: describeError(error) });
    }
  };

  const logged = (error: unknown): void =>
    log("error", "second-copy", { ...place(), copy: name, cause: describeError(error) });

  return {
    keepFrom: () =>
      target.isOn()
        ? Math.max(copyCursor(sql, name).confirmed, heads(sql).newest - KEEP_ROWS) + 1
        : Number.MAX_SAFE_INTEGER,
    nextAt: (now) => {
      if (!target.isOn() || place() === null) return null;
      // Should this instance die with its run half done, another one comes back to it.
      if (isRunning) return now + 3 * RUN_MS;
      const due = dueAt(now);
      return due === null ? null : Math.max(due, Math.min(notBefore, now + BROKEN_RETRY_MS));
    },
    start: (now) => {
      const at = place();
      if (!target.isOn() || at === null || isRunning || notBefore > now) return;
      const due = dueAt(now);
      if (due === null || due > now) return;
      isRunning = true;
      void run(at)
        .catch(logged)
        .then(() => {
          isRunning = false;
          ended();
        })
        .catch(logged);
    },
    behind: (now) => {
      const rows = target.isOn() ? waiting() : 0;
      if (rows <= 0) return null;
      const { confirmed, writtenAt } = copyCursor(sql, name);
      const since = Math.max(writtenAt, appendedAt(sql, confirmed + 1) ?? 0);
      // What has not begun yet is not late: a copy may be switched on when its log is years old.
      const behindMs = writtenAt === 0 ? 0 : Math.max(0, now - since);
      return { copy: name, rows, minutes: Math.floor(behindMs / 60_000) };
    },
  };
}

/** Throws where `work` takes longer. It is not stopped by that. */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
