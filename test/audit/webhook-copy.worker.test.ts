import { evictDurableObject, runDurableObjectAlarm } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { createLogCopy, type CopyTarget, type NotWritten } from "../../src/audit/copy.ts";
import { POST_EVERY_MS } from "../../src/audit/webhook-copy.ts";
import { COPY_EVERY_MS } from "../../src/audit/r2-copy.ts";
import { ok } from "../../src/platform/result.ts";
import { testEnv } from "../support/test-env.ts";
import { receiver, SECRET, switchOff, switchOn, type Message, type PostFault } from "./audit-webhook-fixture.ts";
import { copiedRecords, rebind } from "./copy-fixture.ts";
import { entry, journalRows, newLog, START, storedRows } from "./fixture.ts";
import { append, names, recordsOf, settle, sizeOf, type Log } from "./tree-fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A log that is sent to its tenant's audit webhook. */
async function newSentLog(): Promise<Log> {
  const log = newLog();
  await settle(log);
  await switchOn(log);
  return log;
}

/** One alarm, this much later; what it began has ended. */
async function alarm(log: Log, laterMs: number): Promise<void> {
  vi.setSystemTime(Date.now() + laterMs);
  await log.inside((storage) => storage.setAlarm(Date.now()));
  await runDurableObjectAlarm(log.stub);
  await expect.poll(() => isIdle(log)).toBe(true);
}

const planned = (log: Log): Promise<number> =>
  log.inside(({ sql }) => sql.exec("SELECT 1 FROM sinks WHERE planned IS NOT NULL").toArray().length);

/** What is on its way waits for minutes where it hangs: then the next alarm is that far away. */
const isIdle = async (log: Log): Promise<boolean> => {
  const at = await log.inside((storage) => storage.getAlarm());
  return at === null || at !== Date.now() + 3 * 60_000;
};

const cursorOf = (log: Log): Promise<number> =>
  log.inside(({ sql }) =>
    Number(sql.exec("SELECT confirmed FROM sinks WHERE name = 'webhook'").toArray()[0]?.["confirmed"] ?? -1),
  );

/** Alarms until the webhook has got everything up to this record. */
async function sent(log: Log, upTo: number, stepMs = POST_EVERY_MS): Promise<void> {
  for (let round = 0; (await cursorOf(log)) < upTo; round++) {
    expect(round, "alarms until all is sent").toBeLessThan(40);
    const before = await cursorOf(log);
    await alarm(log, stepMs);
    // Nothing says that a run has ended; waited for in vain where it came to nothing.
    await expect
      .poll(async () => (await cursorOf(log)) > before, { timeout: 10_000 })
      .toBe(true)
      .catch(() => undefined);
  }
}

/** What a receiver has who drops what it has seen: by source and id, in the order in which it came first. */
function distinct(messages: readonly Message[]): readonly string[] {
  const known = new Map<string, string>();
  for (const { body, events } of messages) {
    for (const { source, id, data } of events) {
      const text = JSON.stringify(data);
      expect(body, "the record's own text").toContain(`"data":${text}`);
      const before = known.get(`${source} ${id}`);
      expect(before ?? text, "the same record again").toBe(text);
      known.set(`${source} ${id}`, text);
    }
  }
  return [...known.values()];
}

describe("the copy by webhook", () => {
  it("is each record from the next one on, byte for byte, in order, signed, in batches of CloudEvents", async () => {
    const { messages } = receiver();
    const log = newLog();
    await settle(log);
    await append(log, 1, 3);
    await alarm(log, POST_EVERY_MS);
    await switchOn(log);
    await append(log, 4, 6);
    await sent(log, 6);
    await append(log, 7, 7);
    await sent(log, 7);
    const { tenant } = log.place;
    expect(messages.map(({ id, type }) => [id, type])).toEqual([
      [`audit-records/${tenant}/requests-0/4-6`, "application/cloudevents-batch+json"],
      [`audit-records/${tenant}/requests-0/7-7`, "application/cloudevents-batch+json"],
    ]);
    expect(distinct(messages)).toEqual((await recordsOf(log)).slice(3));
    expect(messages[0]?.events[0]).toMatchObject({
      id: "4",
      source: `/portcullis/${tenant}/requests-0`,
      sequence: "0000000000000004",
    });
    expect(JSON.stringify(messages)).not.toContain(SECRET);
  });

  it("comes ten seconds after the first record that waits, and at once where a hundred do", async () => {
    const { messages } = receiver();
    const log = await newSentLog();
    await append(log, 1, 3);
    await alarm(log, POST_EVERY_MS - 1);
    expect(messages).toEqual([]);
    await alarm(log, 1);
    await expect.poll(() => messages.length).toBe(1);
    await append(log, 4, 253);
    await sent(log, 203, 0);
    expect(messages.map(({ events }) => events.length)).toEqual([3, 100, 100]);
    await sent(log, 253);
    expect(distinct(messages)).toHaveLength(253);
  });

  it("is no larger than a message may be, however large the records are", async () => {
    const { messages } = receiver();
    const log = await newSentLog();
    const large = { evidence: "e".repeat(15_000) };
    const entries = names(1, 60).map((name) => ({ entryId: name, entry: entry(name, large), open: false }));
    expect(await log.port.append(log.place, entries, [])).toEqual({ kind: "appended" });
    // They are chained by the alarm itself.
    await alarm(log, 300);
    await sent(log, 60);
    expect(Math.max(...messages.map(({ body }) => body.length))).toBeLessThan(300_000);
    expect(messages.length).toBeGreaterThan(3);
    expect(distinct(messages)).toEqual(await recordsOf(log));
  });

  it.each<[string, readonly PostFault[]]>([
    ["cannot be reached", ["refused", "refused"]],
    ["fails", [500, 503, 404]],
    ["has it, and the answer is lost", ["answer-lost", "answer-lost"]],
    ["wants no more", [410]],
    ["is somewhere else now", [302]],
  ])(
    "loses nothing and keeps the order where the receiver %s, more comes, and the object is evicted",
    async (_, faults) => {
      const ahead = [...faults];
      const { messages } = receiver(() => ahead.shift() ?? 204);
      const log = await newSentLog();
      await append(log, 1, 4);
      for (let next = 5; ahead.length > 0; next++) {
        const rest = ahead.length;
        await alarm(log, 11 * 60_000);
        await expect.poll(() => ahead.length).toBeLessThan(rest);
        await append(log, next, next);
        await evictDurableObject(log.stub);
      }
      const last = (await log.inside(journalRows)).length;
      await sent(log, last, 11 * 60_000);
      expect(distinct(messages)).toEqual(await recordsOf(log));
      // Said again under the same id, with the same records and no more.
      const bodies = new Map(messages.map(({ id, body }) => [id, body]));
      for (const { id, body } of messages) expect(bodies.get(id)).toBe(body);
      expect(messages[0]?.events.map((event) => event.id)).toEqual(["1", "2", "3", "4"]);
    },
  );

  it("waits longer after each failure, as long as the receiver asks, and never more than ten minutes", async () => {
    const log = newLog();
    await append(log, 1, 1);
    await log.inside(async (storage) => {
      let failure: NotWritten | null = null;
      let ended: (() => void) | null = null;
      const target: CopyTarget = {
        name: "webhook",
        rows: 1,
        everyMs: 0,
        isOn: () => true,
        read: async () => ok([{ sequence: 1, record: "{}" }]),
        write: async () => failure,
        tell: async () => undefined,
      };
      const copy = createLogCopy(
        storage,
        target,
        () => log.place,
        () => 1,
        () => ended?.(),
      );
      for (const [retryMs, waitMs] of [
        [null, 5_000],
        [null, 10_000],
        [120_000, 120_000],
        [0, 40_000],
        [9_999_000, 600_000],
        [null, 160_000],
        [null, 300_000],
        [null, 300_000],
      ] as const) {
        failure = { cause: "no", retryMs };
        await new Promise<void>((resolve) => {
          ended = resolve;
          copy.start(Date.now());
        });
        expect(copy.nextAt(Date.now()), `after ${retryMs}`).toBe(Date.now() + waitMs);
        // Nothing before its time.
        copy.start(Date.now() + waitMs - 1);
        vi.setSystemTime(Date.now() + Math.max(waitMs, retryMs ?? 0));
      }
      failure = null;
      await new Promise<void>((resolve) => {
        ended = resolve;
        copy.start(Date.now());
      });
      expect(copy.nextAt(Date.now())).toBeNull();
    });
  });

  it("that hangs delays neither D1, nor the tree, nor a write, nor the copy in R2", async () => {
    receiver(() => "hangs");
    const log = await newSentLog();
    await rebind(log.stub, { AUDIT_BUCKET: testEnv.TEST_BUCKET });
    for (let round = 1; round <= 4; round++) {
      await append(log, 2 * round - 1, 2 * round);
      vi.setSystemTime(Date.now() + COPY_EVERY_MS);
      await log.inside((storage) => storage.setAlarm(Date.now()));
      await runDurableObjectAlarm(log.stub);
      expect(await storedRows(log.place)).toHaveLength(2 * round);
      expect(await sizeOf(log)).toBe(2 * round);
      await expect.poll(async () => (await copiedRecords(log.place)).length).toBe(2 * round);
    }
    const more = { entryId: "more", entry: entry("more"), open: true };
    expect(await log.port.append(log.place, [more], [])).toEqual({ kind: "appended" });
    expect(await cursorOf(log)).toBe(0);
    expect((await log.inside(journalRows)).length, "kept for it").toBe(9);
  });

  it("fetches what the journal has not any more from D1", async () => {
    let fault: PostFault = 500;
    const { messages } = receiver(() => fault);
    const log = await newSentLog();
    await append(log, 1, 130);
    while ((await storedRows(log.place)).length < 130) await alarm(log, 1_000);
    await log.inside(({ sql }) => void sql.exec("DELETE FROM journal WHERE sequence <= 120"));
    fault = 204;
    messages.length = 0;
    await sent(log, 130, 60_000);
    expect(distinct(messages)).toEqual(await recordsOf(log));
  });

  it("ends when it is switched off, and begins anew with the next record", async () => {
    const { messages } = receiver();
    const log = await newSentLog();
    await append(log, 1, 2);
    await sent(log, 2);
    await switchOff(log);
    await append(log, 3, 4);
    await alarm(log, COPY_EVERY_MS);
    await switchOn(log);
    await append(log, 5, 5);
    await sent(log, 5);
    // Said again, it changes nothing.
    await switchOn(log);
    await append(log, 6, 6);
    await sent(log, 6);
    expect(messages.flatMap(({ events }) => events.map(({ id }) => id))).toEqual(["1", "2", "5", "6"]);
  });

  it("goes to no address that the deployment does not allow any more", async () => {
    const { messages } = receiver();
    const log = await newSentLog();
    await rebind(log.stub, { WEBHOOK_ORIGINS: "https://elsewhere.example" });
    await append(log, 1, 2);
    await alarm(log, POST_EVERY_MS);
    await expect.poll(() => planned(log)).toBe(1);
    expect(messages).toEqual([]);
    expect(globalThis.fetch).not.toHaveBeenCalled();
    await rebind(log.stub, {});
    await sent(log, 2, 60_000);
    expect(distinct(messages)).toEqual(await recordsOf(log));
  });
});
