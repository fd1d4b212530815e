import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { SubmittedEntry } from "../../src/audit/request-log-port.ts";
import { testEnv } from "../support/test-env.ts";
import { chainOf, entry, journalRows, logOf, newLog, recordOf, START, storedRows } from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const submitted = (entryId: string, open = false): SubmittedEntry => ({ entryId, entry: entry(entryId), open });
const ending = (entryId: string) => ({
  entryId,
  ending: { outcome: "succeeded", upstream_status: 200, duration_ms: 3, detail: null },
});

/** A value that crosses RPC and that JSON has no text for. */
function notJson(): number {
  const value: unknown = 10n;
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return value as number;
}

/** Runs the alarm whenever it is set, `times` at most, each a little later. */
async function settle(stub: DurableObjectStub, times: number): Promise<void> {
  for (let round = 0; round < times; round++) {
    vi.setSystemTime(Date.now() + 300);
    if (!(await runDurableObjectAlarm(stub))) return;
  }
}

describe("the request log", () => {
  it("is durable before it answers, and is chained and projected by its alarm", async () => {
    const { port, place, stub, inside } = newLog();
    expect(await port.append(place, [submitted("a"), submitted("b", true)], [])).toEqual({ kind: "appended" });
    expect(await inside(journalRows)).toHaveLength(2);
    await port.append(place, [submitted("c")], [ending("b")]);
    await settle(stub, 5);
    const stored = await storedRows(place);
    expect(chainOf(stored)).toEqual(["a", "b", "c"]);
    expect(stored.map((row) => recordOf(row)["outcome"])).toEqual([null, "succeeded", null]);
    expect(recordOf(stored[0])).toMatchObject({ tenant: place.tenant, log: place.log });
  });

  it("takes a batch that was submitted again once, endings included", async () => {
    const { port, place, stub } = newLog();
    const batch = [submitted("a", true), submitted("b")];
    for (let times = 0; times < 3; times++) await port.append(place, batch, [ending("a")]);
    await settle(stub, 5);
    await port.append(place, batch, [ending("a")]);
    await settle(stub, 5);
    expect(chainOf(await storedRows(place))).toEqual(["a", "b"]);
  });

  it("stores a batch wholly or not at all", async () => {
    const { port, place, inside } = newLog();
    // No number that JSON knows: the row cannot be written.
    const broken = { ...submitted("b"), entry: { ...entry("b"), facts: { gpus: notJson() } } };
    expect(
      await port.append(place, [submitted("a"), broken], []).then(
        () => "stored",
        () => "threw",
      ),
    ).toBe("threw");
    expect(await inside(journalRows)).toEqual([]);
    expect(await port.append(place, [submitted("c")], [])).toEqual({ kind: "appended" });
    expect((await inside(journalRows)).map((row) => row["sequence"])).toEqual([1]);
  });

  it("waits for an ending in order, and gives it up after five seconds without needing another request", async () => {
    const { port, place, stub } = newLog();
    await port.append(place, [submitted("a", true), submitted("b")], []);
    await settle(stub, 3);
    expect(await storedRows(place)).toEqual([]);
    await settle(stub, 30);
    const stored = await storedRows(place);
    expect(chainOf(stored)).toEqual(["a", "b"]);
    expect(recordOf(stored[0])["outcome"]).toBe("not-seen");
  });

  it("goes on by itself after it was evicted at any moment", async () => {
    const { port, place, stub } = newLog();
    await port.append(place, [submitted("a"), submitted("b", true)], []);
    await evictDurableObject(stub);
    await settle(stub, 2);
    await evictDurableObject(stub);
    await settle(stub, 30);
    expect(chainOf(await storedRows(place))).toEqual(["a", "b"]);
  });

  it("works off more than one alarm chains or projects", async () => {
    const { port, place, stub } = newLog();
    const all = Array.from({ length: 1_200 }, (_, index) => `request ${index}`);
    for (let from = 0; from < all.length; from += 200) {
      await port.append(
        place,
        all.slice(from, from + 200).map((name) => submitted(name)),
        [],
      );
    }
    await settle(stub, 20);
    expect(chainOf(await storedRows(place))).toEqual(all);
  });

  it("is one of four per tenant, each with a chain of its own, and never another tenant's", async () => {
    const { place } = newLog();
    const shards = [0, 1, 2, 3].map((index) => logOf(place.tenant, index));
    expect(new Set(shards.map((shard) => shard.place.log)).size).toBe(4);
    expect(logOf(place.tenant, 255).place).toEqual(shards[3]?.place);
    for (const shard of shards) {
      await shard.port.append(shard.place, [submitted("a")], []);
      await settle(testEnv.REQUEST_LOG.getByName(`${place.tenant}/${shard.place.log}`), 4);
      expect(chainOf(await storedRows(shard.place))).toEqual(["a"]);
    }
  });
});
