import { expect, it } from "vitest";
import { BARE_TIMINGS, bareDriver } from "./stateful/bare-driver.ts";
import { acted, sideBySide } from "./stateful/property.ts";

const SIZE = { runs: Number(process.env["RUNS"] ?? 640), commands: 160 };

it(
  `the ledger's pages do what their model says after each of ${SIZE.runs * SIZE.commands} random commands, and their books hold`,
  { timeout: 900_000 },
  async () => {
    const seed = process.env["SEED"];
    const counts = await sideBySide(
      { timings: BARE_TIMINGS, open: async () => bareDriver(), smaller: 2_000 },
      SIZE,
      seed === undefined ? undefined : Number(seed),
    );
    expect(acted(counts)).toBeGreaterThanOrEqual(1);
  },
);
