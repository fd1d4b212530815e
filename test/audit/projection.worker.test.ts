import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { appendEntry, backlog } from "../../src/audit/journal.ts";
import { BACKLOG_LIMIT_ROWS, projectJournal, type ProjectionOutcome } from "../../src/audit/projection.ts";
import { decideAs, newTenant, OPERATOR, person, rowsOf, runAlarm, verdict, write } from "../ledger/fixture.ts";
import { newId } from "../../src/platform/ids.ts";
import { testEnv } from "../support/test-env.ts";
import { D1_VALUE_BYTES, faultyD1 } from "./faulty-d1.ts";
import { appendOpen, chainOf, entry, journalRows, newLog, recordOf, START, storedRows } from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

type Log = ReturnType<typeof newLog>;

const append = (log: Log, names: readonly string[]): Promise<void> =>
  log.inside(({ sql }) => {
    for (const name of names) appendEntry(sql, log.place, name, entry(name), Date.now());
  });

const project = (log: Log, faults: Parameters<typeof faultyD1>[1] = {}, failures = 0): Promise<ProjectionOutcome> =>
  log.inside((storage) => projectJournal(storage, faultyD1(testEnv.DB, faults), log.place, failures, Date.now()));

const waiting = (log: Log): Promise<number> => log.inside(({ sql }) => backlog(sql).rows);

const names = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `request ${from + index}`);

describe("the projection to D1", () => {
  it("copies records as they are, in order, once", async () => {
    const log = newLog();
    await append(log, names(1, 7));
    expect(await project(log)).toEqual({ nextInMs: 250, failure: null });
    expect(await project(log)).toEqual({ nextInMs: null, failure: null });
    const stored = await storedRows(log.place);
    expect(chainOf(stored)).toEqual(names(1, 7));
    const kept = await log.inside(journalRows);
    expect(stored.map((row) => row["record"])).toEqual(kept.map((row) => row["record"]));
  });

  /** What of the four rows is in D1 after the fault, and what the journal still counts as waiting. */
  it.each([
    ["the insert fails and stores nothing", { insert: "refused" }, 0, 4],
    ["the insert stores and its answer is lost", { insert: "answer-lost" }, 4, 4],
    ["the insert reports success and stores nothing", { insert: "ignored" }, 0, 4],
    ["the insert reports success and stores half", { insert: "partly" }, 2, 4],
    ["reading back fails", { read: "refused" }, 4, 4],
    ["reading back finds nothing", { read: "ignored" }, 4, 4],
  ] as const)("loses and repeats nothing when %s", async (_, faults, inD1, waits) => {
    const log = newLog();
    await append(log, names(1, 4));
    const outcome = await project(log, faults);
    expect(outcome.failure).not.toBeNull();
    expect(outcome.nextInMs).toBeGreaterThan(0);
    expect(await storedRows(log.place)).toHaveLength(inD1);
    expect(await waiting(log)).toBe(waits);
    await append(log, names(5, 6));
    expect(await project(log)).toEqual({ nextInMs: 250, failure: null });
    expect(chainOf(await storedRows(log.place))).toEqual(names(1, 6));
    expect(await waiting(log)).toBe(0);
  });

  it("survives any sequence of faults", async () => {
    const log = newLog();
    const faults = ["refused", "answer-lost", "ignored", "partly", "none"] as const;
    let count = 0;
    for (const insert of faults) {
      for (const read of ["refused", "answer-lost", "none"] as const) {
        await append(log, names(count + 1, count + 3));
        count += 3;
        await project(log, { insert, read });
      }
    }
    await project(log);
    expect(chainOf(await storedRows(log.place))).toEqual(names(1, count));
    expect(await waiting(log)).toBe(0);
  });

  it("backs off while D1 fails, up to half a minute", async () => {
    const log = newLog();
    await append(log, ["a"]);
    const waits: unknown[] = [];
    for (const failures of [0, 1, 2, 3, 4, 5, 60])
      waits.push((await project(log, { insert: "refused" }, failures)).nextInMs);
    expect(waits).toEqual([1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  });

  it("goes on at once while more waits than one batch takes", async () => {
    const log = newLog();
    await append(log, names(1, 450));
    const outcomes = [await project(log), await project(log), await project(log), await project(log)];
    expect(outcomes.map((outcome) => outcome.nextInMs)).toEqual([0, 0, 250, null]);
    expect(chainOf(await storedRows(log.place))).toEqual(names(1, 450));
  });

  it("never offers D1 a value beyond its bound, however large the records are", async () => {
    const log = newLog();
    const evidence = `${"\u2028".repeat(8_000)}"\\`;
    await log.inside(({ sql }) => {
      for (const name of names(1, 200))
        appendEntry(sql, log.place, name, entry(name, { evidence, back_out: evidence }), START);
      const [size] = sql.exec("SELECT sum(length(record)) AS n FROM journal").toArray();
      expect(Number(size?.["n"])).toBeGreaterThan(D1_VALUE_BYTES);
    });
    let rounds = 0;
    for (let outcome = await project(log); outcome.nextInMs !== null; outcome = await project(log)) {
      expect(outcome.failure).toBeNull();
      expect((rounds += 1)).toBeLessThan(50);
    }
    expect(chainOf(await storedRows(log.place))).toEqual(names(1, 200));
  });

  it("stops before an open entry, and goes on once it is chained", async () => {
    const log = newLog();
    await append(log, ["a"]);
    await log.inside(({ sql }) => appendOpen(sql, ["b"], true));
    await project(log);
    expect(await project(log)).toEqual({ nextInMs: null, failure: null });
    expect(chainOf(await storedRows(log.place))).toEqual(["a"]);
    expect(await waiting(log)).toBe(1);
  });

  it("halts for good on another record under the same sequence, and leaves both for the operator to see", async () => {
    const log = newLog();
    await append(log, names(1, 3));
    const forged = JSON.stringify({ request_id: "forged" });
    await testEnv.DB.prepare("INSERT INTO audit (tenant, log, sequence, hash, record) VALUES (?, ?, 2, 'sha256:0', ?)")
      .bind(log.place.tenant, log.place.log, forged)
      .run();
    expect(await project(log)).toEqual({ nextInMs: null, failure: "halted" });
    expect(await project(log)).toEqual({ nextInMs: null, failure: "halted" });
    expect((await storedRows(log.place)).map((row) => recordOf(row)["request_id"])).toEqual([
      "request 1",
      "forged",
      "request 3",
    ]);
    expect(await waiting(log)).toBe(3);
    expect(await log.port.append(log.place, [{ entryId: "x", entry: entry("x"), open: false }], [])).toMatchObject({
      kind: "refused",
    });
  });
});

const place = (tenant: string): { tenant: string; log: string } => ({ tenant, log: "ledger" });

describe("the ledger's own projection", () => {
  it("is complete after the object was evicted between insert and confirmation, and after an alarm that came twice", async () => {
    const { tenant, ledger } = await newTenant();
    await ledger.admit(write());
    const stub = testEnv.LEDGER.getByName(tenant);
    await runInDurableObject(stub, (_, { storage }) =>
      projectJournal(storage, faultyD1(testEnv.DB, { insert: "answer-lost" }), place(tenant), 0, Date.now()),
    );
    await evictDurableObject(stub);
    vi.setSystemTime(START + 1_000);
    await runInDurableObject(stub, async (instance) => {
      if (!("alarm" in instance) || typeof instance.alarm !== "function") throw new Error("no alarm");
      await Promise.all([instance.alarm(), instance.alarm()]);
    });
    await ledger.admit(write());
    vi.setSystemTime(START + 3_000);
    await runAlarm(tenant);
    const journal = await rowsOf(tenant, "SELECT record FROM journal ORDER BY sequence");
    const stored = await storedRows(place(tenant));
    chainOf(stored);
    expect(stored.map((row) => row["record"])).toEqual(journal.map((row) => row["record"]));
  });

  it("waits through an outage of D1 and catches up after it, losing nothing, while writes go on", async () => {
    const { tenant, ledger } = await newTenant();
    const stub = testEnv.LEDGER.getByName(tenant);
    const withD1 = (d1: D1Database): Promise<void> =>
      runInDurableObject(stub, (instance) => void Object.assign(instance, { env: { ...testEnv, DB: d1 } }));
    await withD1(faultyD1(testEnv.DB, { insert: "refused" }));
    for (let round = 0; round < 7; round++) {
      expect(verdict(await ledger.admit(write()))).toBe("admitted");
      const at = await runInDurableObject(stub, (_, { storage }) => storage.getAlarm());
      expect(Number(at)).toBeGreaterThan(Date.now());
      vi.setSystemTime(Number(at));
      await runAlarm(tenant);
    }
    expect(await storedRows(place(tenant))).toEqual([]);
    await withD1(testEnv.DB);
    vi.setSystemTime(Date.now() + 30_000);
    await runAlarm(tenant);
    const stored = await storedRows(place(tenant));
    const intents = chainOf(stored).filter((_, index) => recordOf(stored[index])["kind"] === "intent");
    expect(intents).toHaveLength(7);
    const [waits] = await rowsOf(tenant, "SELECT (SELECT max(sequence) FROM journal) - confirmed AS n FROM projection");
    expect(waits).toEqual({ n: 0 });
  });

  it("that was halted refuses every later write and plan, and says so", async () => {
    const { tenant, ledger } = await newTenant();
    await testEnv.DB.prepare(
      "INSERT INTO audit (tenant, log, sequence, hash, record) VALUES (?, 'ledger', 1, 'x', '{}')",
    )
      .bind(tenant)
      .run();
    vi.setSystemTime(START + 1_000);
    await runDurableObjectAlarm(testEnv.LEDGER.getByName(tenant));
    expect(await ledger.admit(write())).toMatchObject({ refusal: { kind: "unavailable", dependency: "audit" } });
    expect(await ledger.plan(write(), true)).toMatchObject({ refusal: { kind: "unavailable", dependency: "audit" } });
    await evictDurableObject(testEnv.LEDGER.getByName(tenant));
    expect(verdict(await ledger.admit(write()))).toBe("unavailable");
  });

  it.each([
    [BACKLOG_LIMIT_ROWS - 1, "admitted"],
    [BACKLOG_LIMIT_ROWS, "unavailable"],
  ])("with %i rows waiting leaves the next write %s", async (rows, answer) => {
    const { tenant, ledger } = await newTenant();
    await rowsOf(tenant, "UPDATE projection SET confirmed = (SELECT max(sequence) FROM journal) - ?", rows);
    expect(verdict(await ledger.admit(write()))).toBe(answer);
  });
});

describe("refused acts on the ledger", () => {
  it("each leave a record of their own, also under one request id", async () => {
    const { tenant, ledger } = await newTenant();
    const requestId = newId("req");
    const finance = { ...OPERATOR, roles: ["finance"] };
    await ledger.unfreeze(finance, requestId, "tenant");
    await ledger.activate(finance, requestId, 99);
    expect(await decideAs(ledger, "apr_unknown", person("alice"), "approve")).toBe("not-found");
    const records = await rowsOf(
      tenant,
      `SELECT json_extract(record, '$.reason_code') AS code, json_extract(record, '$.decision') AS decision FROM journal
       WHERE json_extract(record, '$.request_id') = ? ORDER BY sequence`,
      requestId,
    );
    expect(records).toEqual([
      { code: "unfrozen", decision: "refuse" },
      { code: "policy-activation", decision: "refuse" },
    ]);
  });
});
