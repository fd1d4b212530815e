import { setTimeout as sleep } from "node:timers/promises";

const POLL_MS = 25;

/**
 * Asks again and again until `condition` answers something other than null or false, and returns that. Rejects with
 * `what` was awaited, and with the last error of the condition, when `deadlineMs` have passed.
 */
export async function until<T>(
  what: string,
  deadlineMs: number,
  condition: () => T | null | false | Promise<T | null | false>,
): Promise<T> {
  const deadline = Date.now() + deadlineMs;
  let lastError: unknown;
  for (;;) {
    try {
      const found = await condition();
      if (found !== null && found !== false) return found;
      lastError = undefined;
    } catch (error) {
      lastError = error;
    }
    if (Date.now() > deadline) throw new Error(`not within ${deadlineMs} ms: ${what}`, { cause: lastError });
    await sleep(POLL_MS);
  }
}
