import type { EpochMs } from "../vocabulary.ts";
import { dropOldest } from "../platform/drop-oldest.ts";

/** Buckets remembered per isolate. At ≈ 150 bytes each this is 600 KB of an isolate's 128 MB. */
const MEMO_ENTRIES_MAX = 4_096;

/** Remembers, in this isolate, until when a bucket is known to be empty. */
export type RefusalMemo = {
  /** Milliseconds until a request could pass (at least 1), or null when nothing is known: then the store decides. */
  readonly recall: (key: string, now: EpochMs) => number | null;
  readonly note: (key: string, now: EpochMs, retryAfterMs: number) => void;
};

/**
 * A flood of refused requests must cost neither a hop nor a Redis command each: the bucket has said when the next token
 * comes, so until then the answer is known. It only ever refuses. A clock that steps back past the note forgets it,
 * otherwise one step of an hour would lock the tenant out for an hour. When full, the oldest note is dropped.
 */
export function refusalMemo(): RefusalMemo {
  const notes = new Map<string, { readonly fromMs: EpochMs; readonly untilMs: EpochMs }>();
  return {
    recall: (key, now) => {
      const note = notes.get(key);
      if (note === undefined) return null;
      if (now >= note.fromMs && now < note.untilMs) return note.untilMs - now;
      notes.delete(key);
      return null;
    },
    note: (key, now, retryAfterMs) => {
      notes.delete(key);
      notes.set(key, { fromMs: now, untilMs: now + retryAfterMs });
      dropOldest(notes, MEMO_ENTRIES_MAX);
    },
  };
}
