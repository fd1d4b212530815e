import { abortAllDurableObjects, evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import type { Place } from "../../src/audit/journal.ts";
import { treeSize } from "../../src/audit/log-tree.ts";
import { auditTreeOf } from "../../src/audit/tree-port.ts";
import type { Env } from "../../src/env.ts";
import { neverSent } from "../../src/gateway/ask-ledger.ts";
import { ledgerOf } from "../../src/ledger/ledger-port.ts";
import { newTenant, verdict, write } from "../ledger/fixture.ts";
import { rootOf } from "../support/merkle.ts";
import { testEnv } from "../support/test-env.ts";
import { copiedRecords, copiedUpTo } from "./copy-fixture.ts";
import { faultyD1, type Fault } from "./faulty-d1.ts";
import { faultyBucket, type BucketFault } from "./faulty-r2.ts";
import { chainOf, entry, logOf, recordOf, START, storedRows } from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

/** D1 fails from here to there: 300 seconds. */
const FAILS_FROM_S = 20;
const FAILS_TO_S = 320;
const ENDS_S = 330;

/** Numbers from 0 to below 1, the same in every run with this seed. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

const oneOf = <const T>(random: () => number, values: readonly [T, ...T[]]): T =>
  values[Math.floor(random() * values.length)] ?? values[0];

type How = "once" | "twice" | "cut off" | "evicted";

/** What a log's object sees of the world for one alarm. `asked`: to be called whenever it asks something of D1 or of the bucket. */
type Bindings = (how: How, asked: () => void) => Partial<Env>;

type Watched = { readonly place: Place; readonly stub: () => DurableObjectStub };

/**
 * Lets an alarm that is due come: as it should, twice at once, before an eviction, or cut off when something was asked of D1 or of
 * the bucket, which does it and never answers. Returns whether it was cut off.
 */
async function alarmOf({ stub }: Watched, how: How, bindings: Bindings): Promise<boolean> {
  const seen = { asked: false, ended: false };
  const asked = (): void => {
    seen.asked = true;
  };
  const ran = runInDurableObject(stub(), async (instance, { storage }) => {
    Object.assign(instance, { env: { ...testEnv, ...bindings(how, asked) } });
    const at = await storage.getAlarm();
    if (at === null || at > Date.now()) return;
    const alarm: unknown = Reflect.get(instance, "alarm");
    if (typeof alarm !== "function") throw new Error("no alarm");
    await storage.deleteAlarm();
    const ring = async (): Promise<unknown> => Reflect.apply(alarm, instance, []);
    await Promise.all(how === "twice" ? [ring(), ring()] : [ring()]);
  })
    .then(
      () => false,
      () => true,
    )
    .finally(() => {
      seen.ended = true;
    });
  // Looked at from here: whoever destroys the object must not be called by it.
  if (how === "cut off") {
    while (!seen.asked && !seen.ended) await tick();
    await abortAllDurableObjects();
  }
  const isCutOff = await ran;
  if (how === "evicted") await evictDurableObject(stub());
  return isCutOff;
}

const tick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1));

/** The tree has what D1 has confirmed and nothing else; D1 may have more, whose confirmation was lost. */
async function expectTreeBehindD1({ place, stub }: Watched): Promise<number> {
  const [size, confirmed] = await runInDurableObject(stub(), (_, { storage }) => [
    treeSize(storage.sql),
    Number(storage.sql.exec("SELECT confirmed FROM projection").one()["confirmed"]),
  ]);
  const rows = await storedRows(place);
  chainOf(rows);
  expect(size).toBe(confirmed);
  expect(size).toBeLessThanOrEqual(rows.length);
  return size ?? 0;
}

it.each([11])(
  "five minutes of a failing D1 under load lose nothing, repeat nothing and keep the order, whatever crashes (seed %i)",
  { timeout: 300_000 },
  async (seed) => {
    const random = seeded(seed);
    const { tenant } = await newTenant();
    const { place } = logOf(tenant, 0);
    const watched: readonly Watched[] = [
      { place: { tenant, log: "ledger" }, stub: () => testEnv.LEDGER.getByName(tenant) },
      { place, stub: () => testEnv.REQUEST_LOG.getByName(`${tenant}/${place.log}`) },
    ];
    let isFailing = false;
    const bindings: Bindings = (how, asked) => {
      const next = <const T extends Fault & BucketFault>(faults: readonly [T, ...T[]]): T | "none" | "no-answer" => {
        asked();
        if (how === "cut off") return "no-answer";
        return isFailing ? oneOf(random, faults) : "none";
      };
      const faults = {
        get insert() {
          return next(["refused", "answer-lost"]);
        },
        get read() {
          return next(["refused", "answer-lost"]);
        },
      };
      const bucket = faultyBucket(testEnv.TEST_BUCKET, () => next(["none", "refused", "answer-lost"]));
      return { DB: faultyD1(testEnv.DB, faults), AUDIT_BUCKET: bucket };
    };
    const submitted: string[] = [];
    const admitted: string[] = [];
    let cutOff = 0;
    const treesAtOutage: number[] = [];
    for (let second = 2; second <= ENDS_S; second += 2) {
      vi.setSystemTime(START + second * 1_000);
      isFailing = second >= FAILS_FROM_S && second < FAILS_TO_S;
      const batch = Array.from({ length: 6 }, (_, index) => `request ${second}.${index}`);
      const entries = batch.map((name, index) => ({ entryId: name, entry: entry(name), open: index === 1 }));
      const ending = { outcome: "succeeded", upstream_status: 200, duration_ms: 3, detail: null };
      const endings = batch.slice(1, 2).map((entryId) => ({ entryId, ending }));
      // Stubs do not outlive a crash. The answer may be lost, too: then the isolate submits it again.
      for (let times = random() < 0.2 ? 2 : 1; times > 0; times--)
        expect(await logOf(tenant, 0).port.append(place, entries, endings)).toEqual({ kind: "appended" });
      submitted.push(...batch);
      if (second % 4 === 0) {
        const request = write();
        const ledger = ledgerOf(testEnv.LEDGER, tenant);
        expect(verdict(await ledger.admit(request))).toBe("admitted");
        await ledger.conclude(neverSent(request.requestId, "a test"));
        admitted.push(request.requestId);
      }
      for (const one of watched) {
        const how = oneOf(random, ["once", "once", "once", "twice", "cut off", "evicted"]);
        if (await alarmOf(one, how, bindings)) cutOff += 1;
      }
      if (second === FAILS_FROM_S || second === FAILS_TO_S - 2) {
        for (const one of watched) treesAtOutage.push(await expectTreeBehindD1(one));
      }
    }
    expect(cutOff).toBeGreaterThan(10);
    const [ledgerBefore, requestsBefore, ...after] = treesAtOutage;
    expect(requestsBefore).toBeGreaterThan(0);
    expect(after, "nothing was confirmed meanwhile").toEqual([ledgerBefore, requestsBefore]);

    // Everything answers again: within the longest wait of each all is in all places.
    for (let round = 0; round < 40; round++) {
      vi.setSystemTime(Date.now() + 30_000);
      for (const one of watched) {
        await alarmOf(one, "once", bindings);
      }
    }
    for (const one of watched) {
      const stored = await storedRows(one.place);
      const names = chainOf(stored);
      if (one.place.log === "ledger") {
        const of = (kind: string) =>
          stored.filter((row) => recordOf(row)["kind"] === kind).map((row) => recordOf(row)["request_id"]);
        expect(of("intent")).toEqual(admitted);
        expect(of("outcome")).toEqual(admitted);
      } else expect(names).toEqual(submitted);
      const newest = await runInDurableObject(one.stub(), (_, { storage }) =>
        Number(storage.sql.exec("SELECT max(sequence) AS n FROM journal").one()["n"]),
      );
      expect(stored).toHaveLength(newest);
      const records = stored.map((row) => String(row["record"]));
      await expect.poll(() => copiedUpTo(one.stub())).toBe(newest);
      expect(await copiedRecords(one.place)).toEqual(records);
      expect(await expectTreeBehindD1(one)).toBe(newest);
      const signed = await auditTreeOf(testEnv, tenant, one.place.log).checkpoint();
      expect(signed).toMatchObject({ kind: "found", value: { size: newest, root: rootOf(records) } });
    }
  },
);
