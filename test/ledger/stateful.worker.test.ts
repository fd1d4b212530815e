import * as fc from "fast-check";
import { afterEach, expect, it, vi } from "vitest";
import { START } from "./fixture.ts";
import { NOTHING, Pair } from "./ledger-and-model.ts";
import { command } from "./random-commands.ts";

const RUNS = 20;
const COMMANDS = 160;

afterEach(() => void vi.useRealTimers());

it(
  `the ledger does what its model says after each of ${RUNS * COMMANDS} random commands, and its books hold`,
  { timeout: 300_000 },
  async () => {
    const seed = crypto.getRandomValues(new Int32Array(1))[0] ?? 0;
    const counts = new Map<string, number>();
    const property = fc.asyncProperty(
      fc.array(command, { minLength: COMMANDS, maxLength: COMMANDS }),
      async (steps) => {
        vi.useFakeTimers({ toFake: ["Date"], now: START });
        const pair = await Pair.open();
        for (const [index, step] of steps.entries()) {
          try {
            const happened = await pair.run(step);
            counts.set(happened, (counts.get(happened) ?? 0) + 1);
            await pair.check();
          } catch (error) {
            throw new Error(`command ${index}: ${JSON.stringify(step)}`, { cause: error });
          }
        }
        await pair.finish();
      },
    );
    await fc.assert(property, { seed, numRuns: RUNS, endOnFailure: true });
    // oxlint-disable-next-line no-console
    console.info(
      `seed ${seed}: ${JSON.stringify(Object.fromEntries([...counts].toSorted(([a], [b]) => a.localeCompare(b))))}`,
    );
    const reached = [...counts.keys()];
    for (const needed of [
      "submit (1): admitted",
      "submit (receipt): admitted",
      "submit (nothing): replay",
      "submit (2): approval-required",
    ]) {
      expect(reached).toContain(needed);
    }
    counts.delete(NOTHING);
    expect([...counts.values()].reduce((sum, count) => sum + count, 0)).toBeGreaterThanOrEqual(2_000);
  },
);
