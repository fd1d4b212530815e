import { expect, it } from "vitest";
import { BARE_TIMINGS, bareDriver } from "./stateful/bare-driver.ts";
import { acted, expectReached, sideBySide } from "./stateful/property.ts";
import { REACHED } from "./stateful/reached.ts";

const SIZE = { runs: 720, commands: 160 };

/** About a tenth of the commands find nothing to act on. */
const STEPS = 100_000;

/** `SEED=… npx vitest run --project node test/ledger/stateful.test.ts` repeats the runs of a seed that was printed. */
const SEED = process.env["SEED"];

it(
  `the ledger's pages do what their model says after each of ${STEPS} random commands, and their books hold`,
  { timeout: 600_000 },
  async () => {
    const ledgers = { timings: BARE_TIMINGS, open: async () => bareDriver(), smaller: 2_000 };
    const counts = await sideBySide(ledgers, SIZE, SEED === undefined ? undefined : Number(SEED));
    expectReached(counts, REACHED);
    expect(acted(counts)).toBeGreaterThanOrEqual(STEPS);
  },
);
