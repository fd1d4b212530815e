import { forgetLateCopy, noteLateCopy } from "../db/copy-rows.ts";
import type { Env } from "../env.ts";
import { describeError } from "../platform/describe-error.ts";
import { log } from "../platform/log.ts";
import type { EpochMs } from "../vocabulary.ts";
import { appendedAt, confirmObject, copyCursor, heads, planObject } from "./copy-cursor.ts";
import { OBJECT_ROWS, rowsForObject, writeObject } from "./copy-object.ts";
import { pruneJournal, type Place } from "./journal.ts";
import { RETAIN_MS } from "./projection.ts";

/** Between two objects of a log that has fewer than `OBJECT_ROWS` new records: 43,000 writes a month for a log that never rests. */
export const COPY_EVERY_MS = 60_000;

/**
 * Rows that a journal keeps for the second copy at most. Beyond it those that D1 has confirmed go, and the copy fetches them from
 * there: 100,000 of 1.5 KB are 150 MB, and of the largest, 20 KB, 2 GB of a Durable Object's 10 GB.
 */
export const KEEP_ROWS = 100_000;

/** Waiting records from which on the copy is late, whatever the cause: two objects' worth. */
const LATE_ROWS = 2 * OBJECT_ROWS;

/** Time for one object. What takes longer is given up, and begun again. */
const OBJECT_MS = 60_000;

/** Waits after a failure, growing; and after one that only people can mend. */
const RETRY_MIN_MS = 5_000;
const RETRY_MAX_MS = 5 * 60_000;
const BROKEN_RETRY_MS = 10 * 60_000;

/** How often D1 is told at most that a log's copy is late. */
const TELL_EVERY_MS = 60_000;

/** Time for telling it. The copy goes on without D1, too. */
const TELL_MS = 5_000;

/** What a log's object keeps its second copy with. Without the binding AUDIT_BUCKET there is none, and nothing to do. */
export type SecondCopy = {
  /** When there is something to do next, null for never; asked after each run and each projection. */
  readonly nextAt: (now: EpochMs) => EpochMs | null;
  /** Begins to write an object if one is due. Returns at once and never throws: nothing of the log waits for its copy. */
  readonly start: (now: EpochMs) => void;
  /** From which record on the journal's rows are needed for the copy. */
  readonly keepFrom: () => number;
};

/**
 * The second copy of one log: objects in R2 that are written once and never again. It takes what is chained, whether D1 has it
 * yet or not, and what the journal does not have any more from D1. `place`: null while the log is empty. `ended`: called after each
 * object, to ask when the next one is due.
 */
export function createSecondCopy(
  storage: DurableObjectStorage,
  env: () => Env,
  place: () => Place | null,
  ended: () => void,
): SecondCopy {
  const { sql } = storage;
  let isRunning = false;
  let failures = 0;
  let notBefore: EpochMs = 0;
  let toldAt: EpochMs | null = null;
  /** An earlier instance may have said that the copy is late. */
  let isKnownInTime = false;

  const waiting = (): number => heads(sql).chained - copyCursor(sql).confirmed;

  const dueAt = (now: EpochMs): EpochMs | null => {
    const { confirmed, planned, writtenAt } = copyCursor(sql);
    // An object that was begun is finished first.
    if (planned !== null) return now;
    const rows = waiting();
    if (rows <= 0) return null;
    const oldest = appendedAt(sql, confirmed + 1);
    if (rows >= OBJECT_ROWS || oldest === null) return now;
    // The clock may have stepped back since.
    return Math.min(Math.max(oldest, writtenAt), now) + COPY_EVERY_MS;
  };

  /** One object; why not, where it does not come to be. */
  const writeNext = async (bucket: R2Bucket, at: Place): Promise<string | null> => {
    const { confirmed, planned } = copyCursor(sql);
    const first = confirmed + 1;
    const rows = await rowsForObject(sql, env().DB, at, first, { through: planned, newest: heads(sql).chained });
    if (!rows.ok) return rows.error;
    const last = rows.value.at(-1)?.sequence;
    if (last === undefined) return null;
    // A run that was given up may have come to something after all, meanwhile.
    const cursor = copyCursor(sql);
    if (cursor.confirmed !== confirmed || (cursor.planned ?? last) !== last) return null;
    if (cursor.planned === null) planObject(sql, last);
    const written = await writeObject(bucket, at, rows.value);
    const now = Date.now();
    if (written.kind === "other") {
      notBefore = now + BROKEN_RETRY_MS;
      return `${written.key} is something else`;
    }
    storage.transactionSync(() => {
      confirmObject(sql, last, now);
      pruneJournal(sql, now - RETAIN_MS, keepFrom());
    });
    return null;
  };

  /** Leaves word in D1 where `GET /_gate/ready` looks, once a minute at most; what D1 does not take is said the next time. */
  const tell = async (at: Place, failure: string | null): Promise<void> => {
    const now = Date.now();
    const rows = waiting();
    const isLate = failure !== null || rows >= LATE_ROWS;
    try {
      if (!isLate && !isKnownInTime) await forgetLateCopy(env().DB, at);
      if (isLate && (toldAt === null || toldAt + TELL_EVERY_MS <= now)) {
        toldAt = now;
        await noteLateCopy(env().DB, at, rows, now);
      }
      if (!isLate) toldAt = null;
      isKnownInTime = !isLate;
    } catch (error) {
      log("warn", "second-copy-state", { ...at, cause: describeError(error) });
    }
  };

  const run = async (bucket: R2Bucket, at: Place): Promise<void> => {
    const failure = await within(OBJECT_MS, writeNext(bucket, at)).catch(describeError);
    failures = failure === null ? 0 : failures + 1;
    if (failure !== null) {
      log("warn", "second-copy", { ...at, cause: failure });
      const wait = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** Math.min(failures - 1, 10));
      notBefore = Math.max(notBefore, Date.now() + wait);
    }
    await within(TELL_MS, tell(at, failure));
  };

  const keepFrom: SecondCopy["keepFrom"] = () => {
    if (auditBucket(env()) === null) return Number.MAX_SAFE_INTEGER;
    return Math.max(copyCursor(sql).confirmed, heads(sql).newest - KEEP_ROWS) + 1;
  };

  return {
    keepFrom,
    nextAt: (now) => {
      if (auditBucket(env()) === null || place() === null) return null;
      // Should this instance die with its object half written, another one comes back to it.
      if (isRunning) return now + 3 * OBJECT_MS;
      const due = dueAt(now);
      return due === null ? null : Math.max(due, Math.min(notBefore, now + BROKEN_RETRY_MS));
    },
    start: (now) => {
      const bucket = auditBucket(env());
      const at = place();
      if (bucket === null || at === null || isRunning || notBefore > now) return;
      const due = dueAt(now);
      if (due === null || due > now) return;
      isRunning = true;
      void run(bucket, at)
        .catch((error: unknown) => log("error", "second-copy", { ...at, cause: describeError(error) }))
        .then(() => {
          isRunning = false;
          ended();
        })
        .catch((error: unknown) => log("error", "second-copy", { ...at, cause: describeError(error) }));
    },
  };
}

/** The bucket of the second copy, null where the deployment has none. */
export function auditBucket(env: Env): R2Bucket | null {
  return env.AUDIT_BUCKET ?? null;
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
