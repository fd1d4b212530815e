import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";

/** Longest time that a change may be dated ahead, and that a temporary cap may hold: a year with its leap day. */
export const CHANGE_AHEAD_MAX_MS = 366 * 86_400_000;

/** "Now" of a caller whose clock is behind: an `effective_at` this far back still means now. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

/** From when until when a change holds; null: from now on, for good. */
export type ChangeTimes = { readonly effectiveAt: EpochMs | null; readonly endsAt: EpochMs | null };

/** The dates of a change, or which of them cannot be meant. Nothing is dated back: what was admitted was admitted. */
export function readTimes(
  written: { readonly effective_at?: string | undefined; readonly until?: string | undefined },
  now: EpochMs,
): Result<ChangeTimes, Refusal> {
  const stated = written.effective_at === undefined ? null : Date.parse(written.effective_at);
  if (stated !== null && stated < now - CLOCK_TOLERANCE_MS)
    return wrong("effective_at", "lies in the past; leave it out for a change that holds from now on");
  if (stated !== null && stated > now + CHANGE_AHEAD_MAX_MS) return wrong("effective_at", "is more than a year ahead");
  const effectiveAt = stated !== null && stated > now ? stated : null;
  const endsAt = written.until === undefined ? null : Date.parse(written.until);
  const from = effectiveAt ?? now;
  if (endsAt !== null && endsAt <= from)
    return wrong("until", "is not after the time from which the change would hold");
  if (endsAt !== null && endsAt > from + CHANGE_AHEAD_MAX_MS)
    return wrong("until", "is more than a year later; leave it out for a cap that lasts");
  return ok({ effectiveAt, endsAt });
}

const wrong = (member: string, reason: string): Result<never, Refusal> =>
  err({ kind: "malformed-request", reason: `body /${member}: ${reason}` });
