import { dropOldest } from "../platform/drop-oldest.ts";
import type { EpochMs } from "../vocabulary.ts";

/** Equal refusals of one principal recorded one by one per window; the rest of the window is one counted summary. */
export const FLOOD_RECORDS = 300;
export const FLOOD_WINDOW_MS = 10_000;

/** Keys watched per isolate; the oldest window goes first. */
const KEYS_MAX = 4_096;

type Window = { readonly since: EpochMs; recorded: number; suppressed: number };

export type FloodVerdict =
  | { readonly kind: "record" }
  /** The first one over the rate: its caller writes the summary when the window closes. */
  | { readonly kind: "open-summary"; readonly closesInMs: number; readonly close: () => number }
  | { readonly kind: "counted" };

/** Turns floods into counts: a flood of denied requests must not fill the log that honest ones depend on. */
export function createFloodGuard(): { readonly admit: (key: string, now: EpochMs) => FloodVerdict } {
  const windows = new Map<string, Window>();
  return {
    admit: (key, now) => {
      let window = windows.get(key);
      if (window === undefined || now >= window.since + FLOOD_WINDOW_MS || now < window.since) {
        window = { since: now, recorded: 0, suppressed: 0 };
        windows.delete(key);
        windows.set(key, window);
        dropOldest(windows, KEYS_MAX);
      }
      if (window.recorded < FLOOD_RECORDS) {
        window.recorded += 1;
        return { kind: "record" };
      }
      window.suppressed += 1;
      if (window.suppressed > 1) return { kind: "counted" };
      const counted = window;
      return {
        kind: "open-summary",
        closesInMs: Math.max(1, window.since + FLOOD_WINDOW_MS - now),
        close: () => {
          // A refusal that comes after this belongs to the next window, or nobody would count it.
          if (windows.get(key) === counted) windows.delete(key);
          return counted.suppressed;
        },
      };
    },
  };
}
