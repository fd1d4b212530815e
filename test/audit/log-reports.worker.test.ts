import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createLogReporter, REPORT_EVERY_MS } from "../../src/audit/log-reports.ts";
import type { AuditEntry } from "../../src/audit/record.ts";
import type { SubmittedEntry } from "../../src/audit/request-log-port.ts";
import type { Env } from "../../src/env.ts";
import { CHECKPOINT_EVERY_MS } from "../../src/audit/tree-keeper.ts";
import { newTenant, rowsOf } from "../ledger/fixture.ts";
import { testEnv } from "../support/test-env.ts";
import { rebind } from "./copy-fixture.ts";
import { faultyBucket } from "./faulty-r2.ts";
import { entry, logOf, START } from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const refused = (name: string, over: Partial<AuditEntry> = {}): SubmittedEntry => ({
  entryId: name,
  entry: entry(name, { decision: "refuse", reason_code: "not-allowed", ...over }),
  open: false,
});

const many = (count: number, prefix: string, over: Partial<AuditEntry> = {}): readonly SubmittedEntry[] =>
  Array.from({ length: count }, (_, index) => refused(`${prefix}${index}`, over));

/** One of a bootstrapped tenant's logs, with its alarm in the test's hand. */
async function shard(index = 0) {
  const { tenant } = await newTenant();
  const at = (of: number) => {
    const { port, place } = logOf(tenant, of);
    const stub = testEnv.REQUEST_LOG.getByName(`${place.tenant}/${place.log}`);
    const settle = async (): Promise<void> => {
      for (let round = 0; round < 6; round++) {
        vi.setSystemTime(Date.now() + 300);
        await runDurableObjectAlarm(stub);
      }
    };
    return { stub, settle, submit: (entries: readonly SubmittedEntry[]) => port.append(place, entries, []) };
  };
  const counted = async (): Promise<Readonly<Record<string, number>>> =>
    Object.fromEntries(
      (
        await rowsOf(
          tenant,
          "SELECT subject || ' ' || source AS of, sum(count) AS n FROM signal_counts GROUP BY 1 ORDER BY 1",
        )
      ).map((row) => [String(row["of"]), Number(row["n"])]),
    );
  return { tenant, at, counted, ...at(index) };
}

/** A gate whose ledgers do not answer. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion -- nothing else of it is used
const UNREACHABLE = {
  LEDGER: { getByName: () => ({ noteLog: () => Promise.reject(new Error("unreachable")) }) },
} as unknown as Env;

const told = (tenant: string) => rowsOf(tenant, "SELECT id FROM alerts WHERE id LIKE 'audit-signal/%' ORDER BY id");

describe("a log of requests reports refusals to its tenant's ledger", () => {
  it("per principal, with what summaries stand for, and without those for want of rate, what was allowed and nobody's", async () => {
    const { submit, settle, counted } = await shard();
    await submit([
      ...many(3, "a"),
      refused("summary", { count: 40 }),
      refused("other", { principal: "agent:tuner" }),
      refused("rate", { reason_code: "rate-limited", count: 500 }),
      refused("allowed", { decision: "allow", reason_code: null, count: 500 }),
      refused("nobody", { principal: null, count: 500 }),
      refused("no code", { reason_code: null }),
    ]);
    await settle();
    expect(await counted()).toEqual({ "agent:trainer requests-0": 44, "agent:tuner requests-0": 1 });
  });

  it("so that a spike over several logs is seen as one", async () => {
    const { tenant, at } = await shard();
    for (const index of [0, 1, 2]) {
      const { submit, settle } = at(index);
      await submit(many(20, `log ${index} `));
      await settle();
      expect(await told(tenant)).toHaveLength(index === 2 ? 1 : 0);
    }
  });

  it("once, whatever is submitted again and whenever the object is evicted", async () => {
    const { stub, submit, settle, counted } = await shard();
    for (let times = 0; times < 3; times++) {
      await submit(many(10, "a"));
      await settle();
      await evictDurableObject(stub);
      vi.setSystemTime(Date.now() + REPORT_EVERY_MS);
    }
    await submit(many(5, "b"));
    await settle();
    expect(await counted()).toEqual({ "agent:trainer requests-0": 15 });
  });

  it("again after a report that failed, with what came meanwhile", async () => {
    const { stub, submit, settle, counted } = await shard();
    await submit(many(10, "a"));
    await settle();
    // As if nothing of it had been reported.
    await runInDurableObject(stub, async (_, { storage }) => {
      storage.sql.exec("UPDATE denials SET reported = 0");
      const reporter = createLogReporter(storage, UNREACHABLE, () => ({ tenant: "acme", log: "requests-0" }));
      await reporter.run(Date.now());
      expect(reporter.nextAt(Date.now())).toBe(Date.now() + REPORT_EVERY_MS);
    });
    await submit(many(2, "b"));
    vi.setSystemTime(Date.now() + REPORT_EVERY_MS);
    await settle();
    expect(await counted()).toEqual({ "agent:trainer requests-0": 12 });
  });

  it("at most every ten seconds, and by itself where nothing else wakes it", async () => {
    const { stub, submit, settle, counted } = await shard();
    await submit(many(1, "a"));
    await settle();
    await submit(many(1, "b"));
    await settle();
    expect(await counted()).toEqual({ "agent:trainer requests-0": 1 });
    vi.setSystemTime(Date.now() + REPORT_EVERY_MS);
    expect(await runDurableObjectAlarm(stub)).toBe(true);
    expect(await counted()).toEqual({ "agent:trainer requests-0": 2 });
  });
});

describe("a log of requests reports itself", () => {
  it("when its tree is not what was signed, once, whatever comes after it", async () => {
    const { tenant, stub, submit, settle } = await shard(1);
    await submit(many(3, "a"));
    await settle();
    await runInDurableObject(stub, (_, { storage }) =>
      storage.sql.exec("INSERT INTO checkpoints VALUES (2, 'AA==', 'note', 'key', 0)"),
    );
    for (let times = 0; times < 4; times++) {
      await submit(many(1, `b${times}`));
      vi.setSystemTime(Date.now() + 2 * CHECKPOINT_EVERY_MS);
      await settle();
    }
    expect((await told(tenant)).map((row) => String(row["id"]).replace(/\d+$/, ""))).toEqual([
      "audit-signal/audit-unsigned/requests-1/",
    ]);
  });

  it("when nothing was written to its copy for an hour, once, though it is evicted", async () => {
    const { tenant, stub, submit, settle } = await shard(3);
    const bindings = { AUDIT_BUCKET: faultyBucket(testEnv.TEST_BUCKET, () => "refused") };
    await rebind(stub, bindings);
    const toldCopies = async () => (await told(tenant)).map((row) => String(row["id"]).replace(/\d+$/, ""));
    // It begins a minute after the first record.
    for (const minute of [0, 2, 30, 61, 63, 75, 120]) {
      vi.setSystemTime(START + minute * 60_000);
      await submit(many(1, `minute ${minute} `));
      await settle();
      expect(await toldCopies(), `minute ${minute}`).toEqual(
        minute < 63 ? [] : ["audit-signal/audit-copy-late/requests-3/r2/"],
      );
      await evictDurableObject(stub);
      await rebind(stub, bindings);
    }
  });

  it("when it has halted, once", async () => {
    const { tenant, stub, submit, settle } = await shard(2);
    await submit(many(1, "a"));
    await settle();
    await runInDurableObject(stub, (_, { storage }) =>
      storage.sql.exec("UPDATE projection SET halted = 'D1 holds another record under requests-2/2'"),
    );
    await evictDurableObject(stub);
    await submit(many(1, "b"));
    for (let times = 0; times < 3; times++) {
      vi.setSystemTime(Date.now() + REPORT_EVERY_MS);
      await runInDurableObject(stub, (_, { storage }) => storage.setAlarm(Date.now()));
      await settle();
    }
    expect((await told(tenant)).map((row) => String(row["id"]).replace(/\d+$/, ""))).toEqual([
      "audit-signal/audit-halted/requests-2/",
    ]);
  });
});
