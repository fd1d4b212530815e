import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { appendEntry, hashRecord, unconfirmedRows } from "../../src/audit/journal.ts";
import { growTree, missingLeaves } from "../../src/audit/log-tree.ts";
import { canonicalJson } from "../../src/platform/canonical-json.ts";
import { rootOf } from "../support/merkle.ts";
import { testEnv } from "../support/test-env.ts";
import { chainOf, entry, journalRows, newLog, recordOf, START, storedRows } from "./fixture.ts";
import { append, fill, names, project, recordsOf, settle, sign, sizeOf, treeOf, type Log } from "./tree-fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** The tree is the one of D1's records, in order, from the first on. */
async function expectTree(log: Log, size: number): Promise<void> {
  const records = (await recordsOf(log)).slice(0, size);
  expect(await sizeOf(log)).toBe(size);
  expect((await sign(log))?.root ?? null).toBe(size === 0 ? null : rootOf(records));
}

/** A log with this many confirmed records, as it was before there were trees. */
async function older(count: number): Promise<Log> {
  const log = newLog();
  await settle(log);
  await append(log, 1, count);
  while ((await project(log)).nextInMs !== null);
  // What was confirmed long ago is in D1 only; the newest row stays.
  await log.inside(({ sql }) => void sql.exec("DELETE FROM journal WHERE sequence < ?", count));
  await log.inside(({ sql }) => void sql.exec("DELETE FROM tiles"));
  return log;
}

/** Replaces a record's text in D1. */
async function forge(log: Log, sequence: number, change: (record: string) => string): Promise<void> {
  const record = (await recordsOf(log))[sequence - 1] ?? "";
  await testEnv.DB.prepare("UPDATE audit SET record = ? WHERE tenant = ? AND sequence = ?")
    .bind(change(record), log.place.tenant, sequence)
    .run();
}

const remove = (log: Log, sequence: number): Promise<unknown> =>
  testEnv.DB.prepare("DELETE FROM audit WHERE tenant = ? AND sequence = ?").bind(log.place.tenant, sequence).run();

/** Edits a record in D1, and gives it the hash that it then has: only the next one shows it. */
async function forgeWithHash(log: Log, sequence: number): Promise<void> {
  const row = (await storedRows(log.place))[sequence - 1];
  const { hash: _, ...unhashed } = recordOf(row);
  const edited = { ...unhashed, principal: "agent:nobody" };
  const hash = hashRecord(edited);
  await restore(log, [{ sequence, hash, record: canonicalJson({ ...edited, hash }) }]);
}

/** Puts these rows into D1, over what is there. */
const restore = (log: Log, rows: Awaited<ReturnType<typeof storedRows>>): Promise<unknown> =>
  testEnv.DB.prepare(
    `INSERT OR REPLACE INTO audit (tenant, log, sequence, hash, record)
     SELECT ?, ?, value ->> 'sequence', value ->> 'hash', value ->> 'record' FROM json_each(?)`,
  )
    .bind(log.place.tenant, log.place.log, JSON.stringify(rows))
    .run();

describe("the tree of a log", () => {
  it("has exactly what D1 has confirmed, in whatever batches it came", async () => {
    const log = newLog();
    await append(log, 1, 3);
    expect(await sizeOf(log)).toBe(0);
    await project(log);
    await expectTree(log, 3);
    // More than a tile, and more than one batch.
    await append(log, 4, 460);
    await project(log);
    await expectTree(log, 203);
    await project(log);
    await project(log);
    await expectTree(log, 460);
    expect(chainOf(await storedRows(log.place))).toEqual(names(1, 460));
  });

  it("writes one row per batch, and one more where a tile is full", async () => {
    const log = newLog();
    await append(log, 1, 300);
    const written = await log.inside(({ sql }) => {
      const records = unconfirmedRows(sql, 300);
      return [records.slice(0, 200), records.slice(200, 250), records.slice(250)].map((batch) => {
        const spy = vi.spyOn(sql, "exec");
        growTree(sql, batch);
        const writes = spy.mock.calls.filter(([query]) => query.startsWith("INSERT"));
        spy.mockRestore();
        return writes.length;
      });
    });
    // The last batch fills the first tile, begins the second, and enters the full one above.
    expect(written).toEqual([1, 1, 3]);
  });

  it.each([
    ["the insert fails", { insert: "refused" }],
    ["the insert's answer is lost", { insert: "answer-lost" }],
    ["the insert reports success and stores half", { insert: "partly" }],
    ["reading back fails", { read: "refused" }],
    ["reading back finds nothing", { read: "ignored" }],
  ] as const)("takes nothing in that was not confirmed, and each record once, when %s", async (_, faults) => {
    const log = newLog();
    await append(log, 1, 4);
    await project(log);
    await append(log, 5, 8);
    await project(log, faults);
    await expectTree(log, 4);
    await project(log);
    await expectTree(log, 8);
    await log.inside(({ sql }) => void sql.exec("UPDATE projection SET confirmed = 2"));
    await project(log);
    await expectTree(log, 8);
  });

  it("is left as it was by a confirmation that is rolled back", async () => {
    const log = newLog();
    await append(log, 1, 4);
    await log.inside(
      ({ sql }) =>
        void sql.exec("CREATE TRIGGER stop BEFORE UPDATE ON projection BEGIN SELECT RAISE(ABORT, 'stopped'); END"),
    );
    await expect(project(log)).rejects.toThrow("stopped");
    expect(await sizeOf(log)).toBe(0);
    await log.inside(({ sql }) => void sql.exec("DROP TRIGGER stop"));
    await project(log);
    await expectTree(log, 4);
  });

  it("grows by itself under parallel appends, one leaf per record, whenever the object is evicted", async () => {
    const log = newLog();
    await Promise.all(
      Array.from({ length: 200 }, (_, index) =>
        log.port.append(log.place, [{ entryId: `p${index}`, entry: entry(`p${index}`), open: false }], []),
      ),
    );
    for (let round = 0; round < 4; round++) {
      vi.setSystemTime(Date.now() + 300);
      await runDurableObjectAlarm(log.stub);
      await evictDurableObject(log.stub);
    }
    const records = await recordsOf(log);
    expect(records).toHaveLength(200);
    await expectTree(log, 200);
  });
});

describe("records from before there were trees", () => {
  it("are read back from D1 in batches, while new ones are confirmed, and then the tree goes on by itself", async () => {
    const log = await older(450);
    expect(await fill(log)).toEqual({ nextInMs: 0, failure: null });
    expect(await sizeOf(log)).toBe(200);
    await append(log, 451, 455);
    await project(log);
    expect(await sizeOf(log), "a record that came before its predecessors").toBe(200);
    expect(await log.inside(({ sql }) => missingLeaves(sql))).toBe(255);
    expect(await fill(log)).toEqual({ nextInMs: 0, failure: null });
    expect(await fill(log)).toEqual({ nextInMs: null, failure: null });
    expect(await fill(log)).toEqual({ nextInMs: null, failure: null });
    await append(log, 456, 460);
    await project(log);
    await expectTree(log, 460);
  });

  it("are fetched by the alarm, whatever interrupts it, and nothing is signed before all are in", async () => {
    const log = await older(450);
    await evictDurableObject(log.stub);
    expect(await treeOf(log).checkpoint()).toEqual({
      kind: "unavailable",
      cause: expect.stringContaining("being built"),
    });
    for (let round = 0; round < 12 && (await sizeOf(log)) < 450; round++) {
      await runDurableObjectAlarm(log.stub);
      if (round % 2 === 0) await evictDurableObject(log.stub);
    }
    expect(await treeOf(log).checkpoint()).toMatchObject({ kind: "found", value: { size: 450 } });
    await expectTree(log, 450);
  });

  it("wait while D1 cannot be asked", async () => {
    const log = await older(10);
    expect(await fill(log, { read: "refused" })).toEqual({ nextInMs: 30_000, failure: expect.any(String) });
    expect(await sizeOf(log)).toBe(0);
    await fill(log);
    await expectTree(log, 10);
  });

  it.each<[string, (log: Log) => Promise<unknown>, string]>([
    [
      "was edited",
      (log) => forge(log, 230, (record) => record.replace("agent:trainer", "agent:nobody")),
      "record under 230",
    ],
    ["has another text of the same meaning", (log) => forge(log, 230, (record) => `${record} `), "under 230"],
    ["was edited and hashed anew", (log) => forgeWithHash(log, 230), "record 231 in D1 does not follow"],
    ["was deleted", (log) => remove(log, 230), "no record 230"],
    ["was cut off at the end", (log) => remove(log, 300), "no record 300"],
  ])("one of which %s are not signed, and are once D1 is restored", async (_, tamper, reason) => {
    const log = await older(300);
    const saved = await storedRows(log.place);
    await tamper(log);
    await fill(log);
    const second = await fill(log);
    // A row that is missing at the end may still come.
    const outcome = reason.endsWith("300") && second.failure === null ? await fill(log) : second;
    expect(outcome).toEqual({ nextInMs: expect.any(Number), failure: expect.stringContaining(reason) });
    expect(await treeOf(log).checkpoint()).toMatchObject({ kind: "unavailable" });
    await restore(log, saved);
    for (let round = 0; round < 5; round++) await fill(log);
    await expectTree(log, 300);
  });

  it("that were all rewritten, chain and hashes, do not pass for the log: its newest record is in the journal", async () => {
    const log = await older(30);
    const forged = newLog();
    await forged.inside(({ sql }) => {
      for (const name of names(1, 30))
        appendEntry(sql, log.place, name, entry(name, { principal: "agent:nobody" }), START);
    });
    await restore(log, await forged.inside(journalRows));
    expect(await fill(log)).toEqual({
      nextInMs: expect.any(Number),
      failure: expect.stringContaining("another record under 30 than the journal"),
    });
    expect(await sizeOf(log)).toBe(0);
  });
});
