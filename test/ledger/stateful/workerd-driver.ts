import { evictDurableObject } from "cloudflare:test";
import { vi } from "vitest";
import { testEnv } from "../../support/test-env.ts";
import { checkWholeLog, tablesOf } from "../check-invariants.ts";
import { DISPATCH_DEADLINE_MS, GRACE_MS, newTenant, runAlarm } from "../fixture.ts";
import type { LedgerDriver } from "./driver.ts";

/** The object itself: RPC, its alarm and eviction, its journal's way to D1. The clock is `vi`'s. */
export async function workerdDriver(): Promise<LedgerDriver> {
  const { tenant, ledger } = await newTenant();
  const evict = async (): Promise<void> => {
    await evictDurableObject(testEnv.LEDGER.getByName(tenant));
  };
  return {
    ledger,
    timings: { dispatchDeadlineMs: DISPATCH_DEADLINE_MS, graceMs: GRACE_MS },
    setClock: (now) => void vi.setSystemTime(now),
    alarm: async () => void (await runAlarm(tenant)),
    restart: evict,
    // A transaction of the real object cannot be stopped half-way: what is lost is its memory.
    crash: evict,
    tables: async (after) => await tablesOf(tenant, after),
    finish: async () => await checkWholeLog(tenant),
  };
}
