import { forgetLateCopy, noteLateCopy } from "../db/copy-rows.ts";
import type { Env } from "../env.ts";
import type { EpochMs } from "../vocabulary.ts";
import { BROKEN_RETRY_MS, type CopyTarget } from "./copy.ts";
import { OBJECT_BOUNDS, OBJECT_ROWS, writeObject } from "./copy-object.ts";
import { rowsForRun } from "./copy-rows.ts";

/** Between two objects of a log that has fewer than `OBJECT_ROWS` new records: 43,000 writes a month for a log that never rests. */
export const COPY_EVERY_MS = 60_000;

/** Waiting records from which on the copy is late, whatever the cause: two objects' worth. */
const LATE_ROWS = 2 * OBJECT_ROWS;

/** How often D1 is told at most that a log's copy is late. */
const TELL_EVERY_MS = 60_000;

/** The copy in R2: objects that are written once and never again. Without the binding AUDIT_BUCKET there is none. */
export function r2Copy(sql: SqlStorage, env: () => Env): CopyTarget {
  let toldAt: EpochMs | null = null;
  /** An earlier instance may have said that the copy is late. */
  let isKnownInTime = false;
  return {
    name: "r2",
    rows: OBJECT_ROWS,
    everyMs: COPY_EVERY_MS,
    isOn: () => auditBucket(env()) !== null,
    read: (place, first, bounds) => rowsForRun(sql, env().DB, place, first, { ...bounds, ...OBJECT_BOUNDS }),
    write: async (place, rows) => {
      const bucket = auditBucket(env());
      if (bucket === null) return { cause: "there is no bucket any more", retryMs: BROKEN_RETRY_MS };
      const written = await writeObject(bucket, place, rows);
      return written.kind === "written"
        ? null
        : { cause: `${written.key} is something else`, retryMs: BROKEN_RETRY_MS };
    },
    // Leaves word in D1 where `GET /_gate/ready` looks, once a minute at most; what D1 does not take is said the next time.
    tell: async (place, { failure, waiting }) => {
      const now = Date.now();
      const isLate = failure !== null || waiting >= LATE_ROWS;
      const isNews = toldAt === null || toldAt + TELL_EVERY_MS <= now;
      if (isLate && isNews) {
        toldAt = now;
        await noteLateCopy(env().DB, place, waiting, now);
      }
      if (!isLate) {
        if (!isKnownInTime) await forgetLateCopy(env().DB, place);
        toldAt = null;
      }
      isKnownInTime = !isLate;
    },
  };
}

/** The bucket of the second copy, null where the deployment has none. */
export function auditBucket(env: Env): R2Bucket | null {
  return env.AUDIT_BUCKET ?? null;
}
