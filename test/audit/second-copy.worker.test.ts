import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { appendEntry } from "../../src/audit/journal.ts";
import { KEEP_ROWS } from "../../src/audit/copy.ts";
import { COPY_EVERY_MS } from "../../src/audit/r2-copy.ts";
import { createSecondCopy } from "../../src/audit/second-copy.ts";
import type { Env } from "../../src/env.ts";
import { decideAs, newTenant, person, rowsOf, runAlarm, verdict, write } from "../ledger/fixture.ts";
import { testEnv } from "../support/test-env.ts";
import { copiedRecords, copiedUpTo, copyOf, rebind } from "./copy-fixture.ts";
import { faultyD1 } from "./faulty-d1.ts";
import { faultyBucket, type BucketFault } from "./faulty-r2.ts";
import { chainOf, entry, journalRows, newLog, START, storedRows } from "./fixture.ts";
import { append, names, recordsOf, settle, sizeOf, type Log } from "./tree-fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const BUCKET = { AUDIT_BUCKET: testEnv.TEST_BUCKET };

/** A log with a bucket for its second copy. */
async function newCopiedLog(bindings: Partial<Env> = BUCKET): Promise<Log> {
  const log = newLog();
  await settle(log);
  await rebind(log.stub, bindings);
  return log;
}

/** One alarm, this much later. */
async function alarm({ stub }: Log, laterMs: number): Promise<void> {
  vi.setSystemTime(Date.now() + laterMs);
  await runDurableObjectAlarm(stub);
}

/** Appends, and lets the alarm that a request would have set come. */
async function put(log: Log, from: number, to: number): Promise<void> {
  await append(log, from, to);
  await wake(log);
}

const wake = (log: Log): Promise<void> => log.inside((storage) => storage.setAlarm(Date.now()));

/** Alarms until the copy is this far, each later than any pause after a failure. */
async function copied(log: Log, upTo: number): Promise<void> {
  for (let round = 0; (await copiedUpTo(log.stub)) < upTo; round++) {
    expect(round, "alarms until the copy is complete").toBeLessThan(40);
    const before = await copiedUpTo(log.stub);
    await wake(log);
    await alarm(log, 11 * 60_000);
    await progress(async () => (await copiedUpTo(log.stub)) > before);
  }
}

/** Waits for what the alarm began, which nothing says the end of; in vain where it came to nothing. */
const progress = (isMade: () => Promise<boolean>): Promise<void> =>
  expect
    .poll(isMade, { timeout: 10_000 })
    .toBe(true)
    .catch(() => undefined);

const lateRows = async (log: Log) =>
  (await testEnv.DB.prepare("SELECT records, since FROM late_copies WHERE tenant = ?").bind(log.place.tenant).all())
    .results;

/** The copy has each record of D1 once, in order, byte for byte. */
async function expectCopy(log: Log, upTo: number): Promise<void> {
  expect(chainOf(await storedRows(log.place))).toEqual(names(1, upTo));
  expect(await copiedRecords(log.place)).toEqual(await recordsOf(log));
}

describe("the second copy of a log", () => {
  it("has each record as it is, in order, once, under the numbers of the first and the last", async () => {
    const log = await newCopiedLog();
    await put(log, 1, 7);
    await copied(log, 7);
    await put(log, 8, 9);
    await copied(log, 9);
    await expectCopy(log, 9);
    const { tenant } = log.place;
    expect((await copyOf(log.place)).map(({ key }) => key)).toEqual([
      `${tenant}/requests-0/000000000001-000000000007.ndjson`,
      `${tenant}/requests-0/000000000008-000000000009.ndjson`,
    ]);
  });

  it("comes a minute after the first record that it lacks, and at once where a thousand wait", async () => {
    const log = await newCopiedLog();
    await put(log, 1, 3);
    await alarm(log, 1_000);
    await alarm(log, COPY_EVERY_MS - 1_001);
    expect(await copyOf(log.place)).toEqual([]);
    await alarm(log, 1);
    await expect.poll(() => copiedUpTo(log.stub)).toBe(3);
    await put(log, 4, 1_003);
    await alarm(log, 1);
    await expect.poll(() => copiedUpTo(log.stub)).toBe(1_003);
    expect(await copyOf(log.place)).toHaveLength(2);
    await put(log, 1_004, 1_004);
    await alarm(log, 1_000);
    expect(await log.inside((storage) => storage.getAlarm())).toBeLessThanOrEqual(Date.now() + COPY_EVERY_MS);
    expect(await copiedUpTo(log.stub)).toBe(1_003);
  });

  it.each<[string, readonly BucketFault[]]>([
    ["the object is not stored", ["refused", "refused"]],
    ["the object is stored and the answer is lost", ["answer-lost"]],
    ["the answer is lost, and then that of the look at what is there", ["answer-lost", "none", "answer-lost"]],
  ])("loses and repeats nothing when %s, more comes meanwhile, and the object is evicted", async (_, faults) => {
    const log = await newCopiedLog();
    const ahead = [...faults];
    const bindings = { AUDIT_BUCKET: faultyBucket(testEnv.TEST_BUCKET, () => ahead.shift() ?? "none") };
    await rebind(log.stub, bindings);
    await put(log, 1, 4);
    for (let rest = ahead.length; rest > 0; rest = ahead.length) {
      await wake(log);
      await alarm(log, 10 * COPY_EVERY_MS);
      await expect.poll(() => ahead.length).toBeLessThan(rest);
      await expect.poll(() => lateRows(log)).toHaveLength(1);
      await append(log, 5 + faults.length - rest, 5 + faults.length - rest);
      await evictDurableObject(log.stub);
      await rebind(log.stub, bindings);
    }
    const last = (await log.inside(journalRows)).length;
    await copied(log, last);
    await expect.poll(() => lateRows(log)).toEqual([]);
    await expectCopy(log, last);
    expect((await copyOf(log.place))[0]?.key).toMatch(/-000000000004\.ndjson$/);
  });

  it("overwrites nothing: where something else has its name it stops, says so, and the log goes on", async () => {
    const log = await newCopiedLog();
    const key = `${log.place.tenant}/requests-0/000000000001-000000000002.ndjson`;
    await testEnv.TEST_BUCKET.put(key, "something else\n");
    await put(log, 1, 2);
    await alarm(log, COPY_EVERY_MS);
    await expect.poll(() => lateRows(log)).toEqual([{ records: 2, since: Date.now() }]);
    await put(log, 3, 4);
    await alarm(log, 20 * COPY_EVERY_MS);
    await alarm(log, 1_000);
    expect(chainOf(await storedRows(log.place))).toEqual(names(1, 4));
    expect(await copyOf(log.place)).toEqual([{ key, text: "something else\n" }]);
    expect(await copiedUpTo(log.stub)).toBe(0);
  });

  it("that never answers delays neither D1, nor the tree, nor a write", async () => {
    const log = await newCopiedLog({ AUDIT_BUCKET: faultyBucket(testEnv.TEST_BUCKET, () => "hangs") });
    await put(log, 1, 2);
    for (let round = 1; round <= 5; round++) {
      await put(log, 2 * round + 1, 2 * round + 2);
      await alarm(log, COPY_EVERY_MS);
      expect(await storedRows(log.place)).toHaveLength(2 * round + 2);
      expect(await sizeOf(log)).toBe(2 * round + 2);
      const more = { entryId: `more ${round}`, entry: entry("more"), open: true };
      if (round === 5) expect(await log.port.append(log.place, [more], [])).toEqual({ kind: "appended" });
    }
    expect(await copyOf(log.place)).toEqual([]);
  });

  it("goes on while D1 fails, and the tree waits for D1", async () => {
    const log = await newCopiedLog({ ...BUCKET, DB: faultyD1(testEnv.DB, { insert: "refused", read: "refused" }) });
    await put(log, 1, 5);
    await copied(log, 5);
    expect((await copiedRecords(log.place)).map((text) => JSON.parse(text).request_id)).toEqual(names(1, 5));
    expect(await storedRows(log.place)).toEqual([]);
    expect(await sizeOf(log)).toBe(0);
    await rebind(log.stub, BUCKET);
    await wake(log);
    await alarm(log, COPY_EVERY_MS);
    await expectCopy(log, 5);
    expect(await sizeOf(log)).toBe(5);
  });

  it("keeps rows in the journal until both have them", async () => {
    let fault: BucketFault = "refused";
    const log = await newCopiedLog({ AUDIT_BUCKET: faultyBucket(testEnv.TEST_BUCKET, () => fault) });
    const kept = async (): Promise<readonly unknown[]> => (await log.inside(journalRows)).map((row) => row["sequence"]);
    await put(log, 1, 3);
    await alarm(log, 2 * COPY_EVERY_MS);
    await expect.poll(() => lateRows(log)).toHaveLength(1);
    await put(log, 4, 4);
    await alarm(log, 2 * COPY_EVERY_MS);
    expect(await storedRows(log.place)).toHaveLength(4);
    expect(await kept()).toEqual([1, 2, 3, 4]);
    fault = "none";
    await copied(log, 4);
    await expect.poll(kept).toEqual([4]);
  });

  it("gives way in the journal after a stated number of rows", async () => {
    const log = newLog();
    await log.inside((storage) => {
      const { keepFrom } = createSecondCopy(
        storage,
        () => ({ ...testEnv, ...BUCKET }),
        () => log.place,
        () => undefined,
      );
      expect(keepFrom()).toBe(1);
      appendEntry(storage.sql, log.place, "a", entry("a"), START);
      storage.sql.exec("UPDATE journal SET sequence = ?", KEEP_ROWS);
      expect(keepFrom()).toBe(1);
      storage.sql.exec("UPDATE journal SET sequence = ?", KEEP_ROWS + 500);
      expect(keepFrom()).toBe(501);
      storage.sql.exec("INSERT INTO sinks (name, confirmed, written_at) VALUES ('r2', 600, 0)");
      expect(keepFrom()).toBe(601);
    });
  });
});

/** A log whose first records are in D1 only. */
async function withoutJournal(count: number, kept: number): Promise<Log> {
  const log = await newCopiedLog({});
  await put(log, 1, count);
  while ((await storedRows(log.place)).length < count) await alarm(log, 1_000);
  await log.inside(({ sql }) => void sql.exec("DELETE FROM journal WHERE sequence <= ?", count - kept));
  await rebind(log.stub, BUCKET);
  return log;
}

describe("a copy that begins late", () => {
  it("fetches what the journal has not any more from D1, and the rest from the journal", async () => {
    const log = await withoutJournal(1_450, 130);
    await copied(log, 1_450);
    await expectCopy(log, 1_450);
    expect((await copyOf(log.place)).map(({ key }) => key.slice(-32))).toEqual([
      "000000000001-000000001000.ndjson",
      "000000001001-000000001450.ndjson",
    ]);
  });

  it("takes nothing from D1 that the log's tree has not", async () => {
    const log = await withoutJournal(50, 10);
    const edited = (text: string) =>
      testEnv.DB.prepare("UPDATE audit SET record = ? WHERE tenant = ? AND sequence = 20").bind(text, log.place.tenant);
    const original = (await recordsOf(log))[19] ?? "";
    await edited(original.replace("trainer", "traitor")).run();
    await wake(log);
    await alarm(log, COPY_EVERY_MS);
    await expect.poll(() => lateRows(log)).toHaveLength(1);
    expect(await copyOf(log.place)).toEqual([]);
    await edited(original).run();
    await copied(log, 50);
    await expectCopy(log, 50);
  });
});

describe("the ledger's second copy", () => {
  it("has what D1 has, approvals and evictions included", async () => {
    const { tenant, ledger } = await newTenant();
    const stub = testEnv.LEDGER.getByName(tenant);
    await rebind(stub, BUCKET);
    for (let round = 0; round < 3; round++) {
      expect(verdict(await ledger.admit(write()))).toBe("admitted");
      await decideAs(ledger, "apr_unknown", person("alice"), "approve");
      vi.setSystemTime(Date.now() + COPY_EVERY_MS);
      await runAlarm(tenant);
      await evictDurableObject(stub);
      await rebind(stub, BUCKET);
    }
    const [newest] = await rowsOf(tenant, "SELECT max(sequence) AS n FROM journal");
    for (let round = 0; (await copiedUpTo(stub)) < Number(newest?.["n"]) && round < 10; round++) {
      await decideAs(ledger, "apr_unknown", person("bob"), "approve");
      vi.setSystemTime(Date.now() + COPY_EVERY_MS);
      await runAlarm(tenant);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const place = { tenant, log: "ledger" };
    const copy = await copiedRecords(place);
    expect(copy.length).toBeGreaterThanOrEqual(Number(newest?.["n"]));
    expect((await storedRows(place)).map((row) => row["record"]).slice(0, copy.length)).toEqual(copy);
  });
});
