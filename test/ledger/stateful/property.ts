import * as fc from "fast-check";
import { expect } from "vitest";
import type { Command } from "./commands.ts";
import type { LedgerDriver } from "./driver.ts";
import { NOTHING } from "./money-pair.ts";
import { Pair } from "./pair.ts";
import { commandsOf } from "./random-commands.ts";

export type Size = { readonly runs: number; readonly commands: number };
/** `smaller`: how many smaller runs are tried to find one that fails as well. */
export type Ledgers = {
  readonly timings: LedgerDriver["timings"];
  readonly open: () => Promise<LedgerDriver>;
  readonly smaller: number;
};

/** What came of each command, and what came about besides. */
type Happened = { readonly happened: readonly string[]; readonly marks: readonly string[] };
/** How often. */
export type Counts = { readonly [K in keyof Happened]: ReadonlyMap<string, number> };

/**
 * Runs ledgers and models side by side: after each of `runs` × `commands` random commands they are in the same state, and the
 * ledger's invariants hold. Prints the seed. Returns how often each outcome was reached.
 */
export async function sideBySide(
  ledgers: Ledgers,
  { runs, commands }: Size,
  seed: number = crypto.getRandomValues(new Int32Array(1))[0] ?? 0,
): Promise<Counts> {
  const counts = { happened: new Map<string, number>(), marks: new Map<string, number>() };
  const arbitrary = fc.array(commandsOf(ledgers.timings), { minLength: commands, maxLength: commands });
  const property = fc.asyncProperty(arbitrary, async (steps) => {
    const { happened, marks } = await run(ledgers, steps);
    for (const one of happened) counts.happened.set(one, (counts.happened.get(one) ?? 0) + 1);
    for (const one of marks) counts.marks.set(one, (counts.marks.get(one) ?? 0) + 1);
  });
  const { failed, counterexample, numRuns, errorInstance } = await fc.check(property, {
    seed,
    numRuns: runs,
    endOnFailure: true,
  });
  if (failed) {
    const found = counterexample?.[0] ?? [];
    const { steps, fault } = await smallest(ledgers, found, errorInstance);
    const shown = steps.map((step) => JSON.stringify({ ...step })).join("\n");
    throw new Error(`seed ${seed}, run ${numRuns} fails after these ${steps.length} commands:\n${shown}`, {
      cause: fault,
    });
  }
  const all = [...counts.happened, ...counts.marks];
  const sorted = Object.fromEntries(all.toSorted(([a], [b]) => a.localeCompare(b)));
  // oxlint-disable-next-line no-console
  console.info(`seed ${seed}: ${JSON.stringify(sorted)}`);
  return counts;
}

/** Does the commands one by one, checking after each; returns what happened. */
async function run(ledgers: Ledgers, steps: readonly Command[]): Promise<Happened> {
  const pair = new Pair(await ledgers.open());
  const happened: string[] = [];
  for (const [index, step] of steps.entries()) {
    try {
      happened.push(await pair.run(step));
      await pair.check();
    } catch (error) {
      throw new Error(`command ${index}: ${JSON.stringify(step)}`, { cause: error });
    }
  }
  await pair.finish();
  return { happened, marks: pair.marks };
}

/** Leaves commands out, larger pieces first, for as long as what is left still fails; how may change on the way. */
async function smallest(
  ledgers: Ledgers,
  found: readonly Command[],
  first: unknown,
): Promise<{ readonly steps: readonly Command[]; readonly fault: unknown }> {
  let [steps, fault, tries] = [found, first, 0];
  for (let size = Math.ceil(found.length / 2); size >= 1 && tries < ledgers.smaller;) {
    let isSmaller = false;
    for (let at = steps.length - size; at >= 0 && tries < ledgers.smaller; at -= size) {
      const rest = [...steps.slice(0, at), ...steps.slice(at + size)];
      tries += 1;
      try {
        await run(ledgers, rest);
      } catch (error) {
        [steps, fault, isSmaller] = [rest, error, true];
      }
    }
    if (!isSmaller || size > 1) size = size === 1 ? 0 : Math.ceil(size / 2);
  }
  return { steps, fault };
}

/** Everything of these happened. */
export function expectReached({ happened, marks }: Counts, needed: readonly string[]): void {
  expect(needed.filter((one) => !happened.has(one) && !marks.has(one))).toEqual([]);
}

/** How many commands found something to act on. */
export const acted = ({ happened }: Counts): number =>
  [...happened].reduce((sum, [what, count]) => sum + (what.startsWith(NOTHING) ? 0 : count), 0);
