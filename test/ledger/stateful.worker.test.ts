import { afterEach, it, vi } from "vitest";
import { DISPATCH_DEADLINE_MS, GRACE_MS } from "./fixture.ts";
import type { LedgerDriver } from "./stateful/driver.ts";
import { expectReached, sideBySide } from "./stateful/property.ts";
import { START } from "./stateful/scene.ts";
import { workerdDriver } from "./stateful/workerd-driver.ts";

const SIZE = { runs: 10, commands: 160 };

const open = async (): Promise<LedgerDriver> => {
  vi.useFakeTimers({ toFake: ["Date"], now: START });
  return await workerdDriver();
};

afterEach(() => void vi.useRealTimers());

it(
  `the ledger object does what its model says after each of ${SIZE.runs * SIZE.commands} random commands, and its books hold`,
  { timeout: 300_000 },
  async () => {
    const timings = { dispatchDeadlineMs: DISPATCH_DEADLINE_MS, graceMs: GRACE_MS };
    const counts = await sideBySide({ timings, open, smaller: 0 }, SIZE);
    expectReached(counts, ["submit (1): approval-required", "submit (nothing): admitted", "usage: settled"]);
  },
);
