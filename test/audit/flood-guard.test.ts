import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { createFloodGuard, FLOOD_RECORDS, FLOOD_WINDOW_MS } from "../../src/audit/flood-guard.ts";

const START = Date.UTC(2026, 10, 20);

/** Plays refusals at these times for one key. Summaries close when their time has come, as their callers' timers do. */
function play(times: readonly number[]): { readonly recorded: number; readonly summaries: readonly number[] } {
  const guard = createFloodGuard();
  const summaries: number[] = [];
  let open: { readonly closesAt: number; readonly close: () => number }[] = [];
  const closeUntil = (now: number): void => {
    for (const summary of open) if (summary.closesAt <= now) summaries.push(summary.close());
    open = open.filter((summary) => summary.closesAt > now);
  };
  let recorded = 0;
  for (const now of times) {
    closeUntil(now);
    const verdict = guard.admit("key", now);
    if (verdict.kind === "record") recorded += 1;
    if (verdict.kind === "open-summary") open.push({ closesAt: now + verdict.closesInMs, close: verdict.close });
  }
  closeUntil(Number.POSITIVE_INFINITY);
  return { recorded, summaries };
}

const at = (count: number, ms: number): readonly number[] => Array.from({ length: count }, () => START + ms);

describe("the flood guard", () => {
  it.each([
    ["few", at(10, 0), 10, []],
    ["as many as are recorded one by one", at(FLOOD_RECORDS, 0), FLOOD_RECORDS, []],
    ["one more", at(FLOOD_RECORDS + 1, 0), FLOOD_RECORDS, [1]],
    ["a flood", at(5_000, 0), FLOOD_RECORDS, [5_000 - FLOOD_RECORDS]],
    ["a flood to the last millisecond", [...at(400, 0), ...at(400, FLOOD_WINDOW_MS - 1)], FLOOD_RECORDS, [500]],
    ["two windows", [...at(400, 0), ...at(400, FLOOD_WINDOW_MS)], 2 * FLOOD_RECORDS, [100, 100]],
    ["a clock that steps back", [...at(400, 0), ...at(400, -1)], 2 * FLOOD_RECORDS, [100, 100]],
  ])("records or counts each one exactly once: %s", (_, times, recorded, summaries) => {
    expect(play(times)).toEqual({ recorded, summaries });
  });

  it("loses and repeats nothing, whenever refusals come", () => {
    const gaps = fc.array(
      fc.tuple(fc.nat(200), fc.constantFrom(0, 0, 1, 100, FLOOD_WINDOW_MS - 1, FLOOD_WINDOW_MS, -50)),
    );
    fc.assert(
      fc.property(gaps, (steps) => {
        let now = START;
        const times = steps.flatMap(([count, ms]) => {
          now += ms;
          return Array.from({ length: count }, () => now);
        });
        const { recorded, summaries } = play(times);
        expect(recorded + summaries.reduce((sum, count) => sum + count, 0)).toBe(times.length);
      }),
      { numRuns: 300 },
    );
  });

  it("counts what comes late, after a summary was closed, in the next one", () => {
    const guard = createFloodGuard();
    for (let count = 0; count < FLOOD_RECORDS; count++) guard.admit("key", START);
    const first = guard.admit("key", START);
    if (first.kind !== "open-summary") throw new Error("no summary was opened");
    expect(first.close()).toBe(1);
    // Its clock still shows the time before: Workers stand still between one wait and the next.
    expect(guard.admit("key", START).kind).toBe("record");
  });

  it("tells keys apart", () => {
    const guard = createFloodGuard();
    for (let count = 0; count < FLOOD_RECORDS + 5; count++) guard.admit("loud", START);
    expect(guard.admit("quiet", START).kind).toBe("record");
  });
});
