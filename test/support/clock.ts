import { vi } from "vitest";

/**
 * Moves the clock of the Worker and its Durable Objects ahead. From then on nothing can reach upstream, which has the
 * real clock and refuses signatures from the future. Undone by `vi.useRealTimers`.
 */
export function moveClock(ms: number): void {
  const now = Date.now() + ms;
  if (vi.isFakeTimers()) vi.setSystemTime(now);
  else vi.useFakeTimers({ toFake: ["Date"], now });
}

export const MINUTE_MS = 60_000;
