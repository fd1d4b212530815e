import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { countServed } from "../../src/audit/activity-reports.ts";
import { createLogReporter, REPORT_EVERY_MS } from "../../src/audit/log-reports.ts";
import type { AuditEntry } from "../../src/audit/record.ts";
import type { SubmittedEntry } from "../../src/audit/request-log-port.ts";
import type { Env } from "../../src/env.ts";
import { ledgerOf, type LedgerPort } from "../../src/ledger/ledger-port.ts";
import { newTenant, rowsOf } from "../ledger/fixture.ts";
import { testEnv } from "../support/test-env.ts";
import { entry, logOf, START } from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const served = (name: string, over: Partial<AuditEntry> = {}): SubmittedEntry => ({
  entryId: name,
  entry: entry(name, { decision: "allow", action: "insights.analyze", tier: 1, ...over }),
  open: false,
  tellAfterMs: 300_000,
});

const silent = (name: string): SubmittedEntry => {
  const { tellAfterMs: _, ...rest } = served(name);
  return rest;
};

/** A bootstrapped tenant's log, with its alarm in the test's hand. */
async function shard() {
  const { tenant } = await newTenant();
  const { port, place } = logOf(tenant, 0);
  const stub = testEnv.REQUEST_LOG.getByName(`${place.tenant}/${place.log}`);
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 6; round++) {
      vi.setSystemTime(Date.now() + 300);
      await runDurableObjectAlarm(stub);
    }
  };
  const counted = async (): Promise<readonly unknown[]> =>
    (await rowsOf(tenant, "SELECT * FROM activity ORDER BY action, principal, tier")).map((row) =>
      [row["action"], row["principal"], row["tier"], row["count"]].join(" "),
    );
  const inLog = (query: string) => runInDurableObject(stub, (_, { storage }) => storage.sql.exec(query).toArray());
  return {
    tenant,
    stub,
    settle,
    counted,
    inLog,
    submit: (...entries: SubmittedEntry[]) => port.append(place, entries, []),
  };
}

/** A gate whose ledgers take everything in and whose answers are lost. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of it is used
const ANSWERLESS = {
  LEDGER: {
    getByName: (name: string) => ({
      noteLog: async (...report: Parameters<LedgerPort["noteLog"]>) => {
        await ledgerOf(testEnv.LEDGER, name).noteLog(...report);
        throw new Error("the answer is lost");
      },
    }),
  },
} as unknown as Env;

describe("a log of requests hands over what people are to be told of", () => {
  it("by action, principal and tier, and nothing that the policy does not name", async () => {
    const { submit, settle, counted } = await shard();
    await submit(
      served("a"),
      served("b"),
      served("c", { principal: "agent:tuner" }),
      served("d", { action: "workloads.list", tier: 0 }),
      silent("e"),
      served("f", { principal: null }),
      served("g", { action: null }),
    );
    await settle();
    expect(await counted()).toEqual([
      "insights.analyze agent:trainer 1 2",
      "insights.analyze agent:tuner 1 1",
      "workloads.list agent:trainer 0 1",
    ]);
  });

  it("once, whatever is submitted again and whenever the object is evicted", async () => {
    const { stub, submit, settle, counted, inLog } = await shard();
    for (let times = 0; times < 3; times++) {
      await submit(served("a"), served("b"));
      await settle();
      await evictDurableObject(stub);
      vi.setSystemTime(Date.now() + REPORT_EVERY_MS);
    }
    await submit(served("c"));
    await settle();
    expect(await counted()).toEqual(["insights.analyze agent:trainer 1 3"]);
    expect(await inLog("SELECT 1 FROM activity UNION ALL SELECT 1 FROM activity_report")).toEqual([]);
  });

  it("once also where the answer of the ledger is lost, with what came meanwhile", async () => {
    const { tenant, stub, submit, settle, counted } = await shard();
    await submit(served("a"));
    await runInDurableObject(stub, async (_, { storage }) => {
      // Chained, and not yet reported by the object itself.
      storage.sql.exec("UPDATE journal SET hash = 'sha256:x', ended = 1");
      countServed(storage.sql, 0);
      await createLogReporter(storage, ANSWERLESS, () => ({ tenant, log: "requests-0" })).run(Date.now());
    });
    expect(await counted()).toEqual(["insights.analyze agent:trainer 1 1"]);
    await submit(served("b"));
    vi.setSystemTime(Date.now() + REPORT_EVERY_MS);
    await settle();
    vi.setSystemTime(Date.now() + REPORT_EVERY_MS);
    await settle();
    expect(await counted()).toEqual(["insights.analyze agent:trainer 1 2"]);
  });

  it("and takes so many lines at a time that a report stays small", async () => {
    const { stub, submit, settle, counted } = await shard();
    await submit(...Array.from({ length: 200 }, (_, index) => served(`n${index}`, { principal: `agent:a${index}` })));
    await settle();
    expect(await counted()).toHaveLength(150);
    vi.setSystemTime(Date.now() + REPORT_EVERY_MS);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await counted()).toHaveLength(200);
  });
});
