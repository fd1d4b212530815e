import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { latestCheckpoint, unanchored } from "../../src/audit/checkpoints.ts";
import { CHECKPOINT_EVERY_MS } from "../../src/audit/tree-keeper.ts";
import { consistencyOf, leafOf, openNote, rootByProof, rootOf } from "../support/merkle.ts";
import { testEnv } from "../support/test-env.ts";
import { testSecrets } from "../support/test-secrets.ts";
import { entry, newLog, recordOf, START } from "./fixture.ts";
import { append, keyOf, project, recordsOf, settle, sign, treeOf, type Log } from "./tree-fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const waits = (log: Log): Promise<readonly number[]> =>
  log.inside(({ sql }) => unanchored(sql, 100).map(({ size }) => size));
const alarmAt = (log: Log): Promise<number | null> => log.inside((storage) => storage.getAlarm());
const signedSizes = (log: Log): Promise<readonly number[]> =>
  log.inside(({ sql }) =>
    sql
      .exec("SELECT size FROM checkpoints ORDER BY size")
      .toArray()
      .map((row) => Number(row["size"])),
  );

/** Lets time pass as the object sees it: its alarm runs when it is set, and not before. */
async function pass(log: Log, ms: number): Promise<void> {
  const end = Date.now() + ms;
  for (let at = await alarmAt(log); at !== null && at <= end; at = await alarmAt(log)) {
    vi.setSystemTime(Math.max(at, Date.now()));
    await runDurableObjectAlarm(log.stub);
  }
  vi.setSystemTime(end);
}

const put = (log: Log, name: string) =>
  log.port.append(log.place, [{ entryId: name, entry: entry(name), open: false }], []);

describe("a checkpoint", () => {
  it("is a note about the tree, and with its proofs shows each record in it, by the documents alone", async () => {
    const log = newLog();
    await settle(log);
    await append(log, 1, 21);
    await project(log);
    const first = await sign(log);
    await append(log, 22, 300);
    while ((await project(log)).nextInMs !== null);
    const second = await treeOf(log).checkpoint();
    if (first === null || second.kind !== "found") throw new Error("not signed");
    const records = await recordsOf(log);
    for (const { size, root, note, verifierKey } of [first, second.value]) {
      expect(verifierKey).toMatch(new RegExp(`^portcullis/${log.place.tenant}/requests-0\\+[0-9a-f]{8}\\+`));
      const said = { origin: `portcullis/${log.place.tenant}/requests-0`, size, root };
      expect(await openNote(note, verifierKey)).toEqual(said);
      expect(rootOf(records.slice(0, size))).toBe(root);
    }
    for (const [sequence, size] of [
      [1, 21],
      [21, 21],
      [17, 300],
      [256, 300],
      [257, 300],
      [300, 300],
    ] as const) {
      const proof = await treeOf(log).inclusion(sequence, size);
      if (proof.kind !== "found") throw new Error(proof.kind);
      const { leafHash, hashes, checkpoint } = proof.value;
      expect(leafHash).toBe(leafOf(records[sequence - 1] ?? ""));
      expect(rootByProof(leafHash, sequence - 1, size, hashes)).toBe(checkpoint?.root);
      expect(rootByProof(leafOf(records[sequence] ?? "another"), sequence - 1, size, hashes)).not.toBe(
        checkpoint?.root,
      );
    }
    const consistency = await treeOf(log).consistency(21, 300);
    expect(consistency).toEqual({ kind: "found", value: { from: 21, to: 300, hashes: consistencyOf(records, 21) } });
  });

  it("is signed once for one tree, and again for the same tree by another key", async () => {
    const log = newLog();
    await append(log, 1, 5);
    await project(log);
    const [first, again, third] = await Promise.all([sign(log), sign(log), sign(log)]);
    expect([again, third]).toEqual([first, first]);
    const rotated = await keyOf((await testSecrets())["CHECKPOINT_KEY"]);
    const signed = await sign(log, rotated);
    expect(signed?.root).toBe(first?.root);
    expect(signed?.verifierKey).not.toBe(first?.verifierKey);
    expect(await openNote(signed?.note ?? "", signed?.verifierKey ?? "")).not.toBeNull();
    expect(await log.inside(({ sql }) => sql.exec("SELECT size FROM checkpoints").toArray())).toHaveLength(1);
  });

  it.each<[string, (sql: SqlStorage) => unknown]>([
    ["was rewritten", (sql) => sql.exec("UPDATE tiles SET hashes = randomblob(length(hashes))")],
    ["is shorter", (sql) => sql.exec("UPDATE tiles SET hashes = substr(hashes, 1, 64)")],
    ["is gone", (sql) => sql.exec("DELETE FROM tiles")],
  ])("is never signed where it would contradict an earlier one: the tree %s", async (_, tamper) => {
    const log = newLog();
    await settle(log);
    await append(log, 1, 7);
    await project(log);
    const first = await sign(log);
    await append(log, 8, 9);
    await project(log);
    await log.inside(({ sql }) => void tamper(sql));
    await expect(
      sign(log).then((signed) => (signed === null ? Promise.reject(new Error("empty")) : signed)),
    ).rejects.toThrow();
    expect(await log.inside(({ sql }) => latestCheckpoint(sql))).toEqual(first);
  });

  it("asks for records that are not there, or not yet, without making any up", async () => {
    const log = newLog();
    expect(await treeOf(log).checkpoint()).toEqual({ kind: "absent", size: 0 });
    expect(await treeOf(log).latestCheckpoint()).toBeNull();
    expect(await treeOf(log).inclusion(1, null)).toEqual({ kind: "absent", size: 0 });
    await settle(log);
    await append(log, 1, 5);
    await project(log);
    expect(await treeOf(log).inclusion(6, null)).toEqual({ kind: "absent", size: 5 });
    expect(await treeOf(log).inclusion(3, 6)).toEqual({ kind: "absent", size: 5 });
    expect(await treeOf(log).consistency(3, 6)).toEqual({ kind: "absent", size: 5 });
    expect(await treeOf(log).consistency(6, null)).toEqual({ kind: "absent", size: 5 });
    expect(await treeOf(log).inclusion(2, 3), "of a size that nobody signed").toMatchObject({
      kind: "found",
      value: { size: 3, checkpoint: null },
    });
  });

  it("is found for records that end anywhere: the newest that speaks of no more than these", async () => {
    const log = newLog();
    await settle(log);
    for (const size of [3, 7, 9]) {
      await append(log, size === 3 ? 1 : size === 7 ? 4 : 8, size);
      await project(log);
      await sign(log);
    }
    const sizeFor = async (size: number) => (await treeOf(log).checkpointUpTo(size))?.size ?? null;
    expect(await Promise.all([2, 3, 6, 7, 8, 9, 100].map(sizeFor))).toEqual([null, 3, 3, 7, 7, 9, 9]);
  });

  it("is not kept for ever, and the newest always", async () => {
    const log = newLog();
    for (let size = 1; size <= 5; size++) {
      await append(log, size, size);
      await project(log);
      await sign(log);
      await log.inside(({ sql }) => void sql.exec("UPDATE anchored SET size = ?", size));
    }
    vi.setSystemTime(START + 91 * 24 * 3_600_000);
    for (const size of [6, 7, 8]) {
      await append(log, size, size);
      await project(log);
      await sign(log);
    }
    const kept = await log.inside(({ sql }) => sql.exec("SELECT size FROM checkpoints ORDER BY size").toArray());
    expect(kept.map((row) => row["size"])).toEqual([6, 7, 8]);
  });
});

describe("checkpoints by themselves", () => {
  it("come a minute after the first record that none covers, one a minute while the log grows, none while it rests", async () => {
    const log = newLog();
    await put(log, "a");
    await pass(log, CHECKPOINT_EVERY_MS - 1_000);
    expect(await signedSizes(log)).toEqual([]);
    await put(log, "b");
    await pass(log, 2_000);
    expect(await signedSizes(log)).toEqual([2]);
    await pass(log, 10 * CHECKPOINT_EVERY_MS);
    expect(await signedSizes(log)).toEqual([2]);
    expect(await alarmAt(log)).toBeNull();
    for (let second = 0; second < 600; second += 10) {
      await put(log, `busy ${second}`);
      await pass(log, 10_000);
    }
    const sizes = await signedSizes(log);
    expect(sizes.length - 1).toBeGreaterThanOrEqual(8);
    expect(sizes.length - 1).toBeLessThanOrEqual(10);
  });

  it("go on while D1 is away, about what it had confirmed; what waited meanwhile is in the next", async () => {
    const log = newLog();
    await put(log, "a");
    await pass(log, 1_000);
    await testEnv.DB.exec("ALTER TABLE audit RENAME TO away");
    try {
      for (const name of ["b", "c", "d"]) {
        await put(log, name);
        await pass(log, CHECKPOINT_EVERY_MS);
      }
      expect(await signedSizes(log)).toEqual([1]);
      await evictDurableObject(log.stub);
    } finally {
      await testEnv.DB.exec("ALTER TABLE away RENAME TO audit");
    }
    await pass(log, 2 * CHECKPOINT_EVERY_MS);
    expect(await signedSizes(log)).toEqual([1, 4]);
    const [records, newest] = [await recordsOf(log), await treeOf(log).latestCheckpoint()];
    expect(records.map((record) => recordOf({ record })["request_id"])).toEqual(["a", "b", "c", "d"]);
    expect(newest?.root).toBe(rootOf(records));
  });

  it("are not put off by an object that is evicted again and again", async () => {
    const log = newLog();
    await put(log, "a");
    await pass(log, 1_000);
    for (let round = 0; round < 6; round++) {
      await evictDurableObject(log.stub);
      await pass(log, 20_000);
    }
    expect(await signedSizes(log)).toEqual([1]);
  });

  it("are handed to the outbox, once it can be reached, and not again", async () => {
    const log = newLog();
    const outbox = testEnv.OUTBOX.getByName(log.place.tenant);
    const accepted = (): Promise<readonly unknown[]> =>
      runInDurableObject(outbox, (_, { storage }) =>
        storage.sql
          .exec("SELECT id FROM accepted ORDER BY id")
          .toArray()
          .map((row) => row["id"]),
      );
    await runInDurableObject(outbox, (_, { storage }) => void storage.sql.exec("ALTER TABLE accepted RENAME TO gone"));
    await put(log, "a");
    await pass(log, CHECKPOINT_EVERY_MS + 1_000);
    expect(await signedSizes(log)).toEqual([1]);
    expect(await waits(log)).toEqual([1]);
    await evictDurableObject(log.stub);
    await runInDurableObject(outbox, (_, { storage }) => void storage.sql.exec("ALTER TABLE gone RENAME TO accepted"));
    await pass(log, CHECKPOINT_EVERY_MS);
    expect(await waits(log)).toEqual([]);
    expect(await accepted()).toEqual(["audit-checkpoint/requests-0/1"]);
    expect(await alarmAt(log)).toBeNull();
  });
});
