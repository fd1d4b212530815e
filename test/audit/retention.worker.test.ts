import { runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { appendEntry, GENESIS } from "../../src/audit/journal.ts";
import { leafHash } from "../../src/audit/merkle.ts";
import { rowsForRun } from "../../src/audit/copy-rows.ts";
import { deletableLeaves } from "../../src/audit/deletable-leaves.ts";
import { NOTICE_MS } from "../../src/audit/retention.ts";
import { auditTreeOf } from "../../src/audit/tree-port.ts";
import { nameEvidence, readEvidence, storeEvidence } from "../../src/db/evidence.ts";
import { ledgerOf } from "../../src/ledger/ledger-port.ts";
import { newId } from "../../src/platform/ids.ts";
import { toBase64 } from "../../src/platform/base64.ts";
import { digestOf } from "../../src/platform/digest.ts";
import type { AuditRetention } from "../../src/policy/audit-retention.ts";
import { newTenant, OPERATOR, rowsOf, type Row } from "../ledger/fixture.ts";
import { testEnv } from "../support/test-env.ts";
import { rebind } from "./copy-fixture.ts";
import { faultyD1 } from "./faulty-d1.ts";
import { entry, logOf, newLog, START } from "./fixture.ts";
import { append, fill, project, recordsOf, settle, sign as signTree, type Log } from "./tree-fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const DAY_MS = 86_400_000;
const MONTH: AuditRetention = { retainDays: 30, legalHold: false };
const AFTER_A_MONTH = START + 31 * DAY_MS;

const ledgerStub = (tenant: string): DurableObjectStub => testEnv.LEDGER.getByName(tenant);

/** Puts a version in force that says this, or one from before it could say anything. */
const putInForce = (tenant: string, retention: AuditRetention | null): Promise<void> =>
  runInDurableObject(ledgerStub(tenant), (_, { storage }) => {
    storage.sql.exec("UPDATE authority SET retention = ?", JSON.stringify(retention));
  });

/** A tenant under this retention, with `count` records in its ledger's log, all of them in D1 and signed. */
async function tenantWith(retention: AuditRetention | null, count: number): Promise<string> {
  const { tenant } = await newTenant();
  await putInForce(tenant, retention);
  await addRecords(tenant, count);
  await sign(tenant);
  return tenant;
}

/** Appends records to the ledger's log until it has `count`, and has D1 get them. */
async function addRecords(tenant: string, count: number): Promise<void> {
  await runInDurableObject(ledgerStub(tenant), (_, { storage }) => {
    const had = Number(storage.sql.exec("SELECT max(sequence) AS last FROM journal").one()["last"]);
    for (let at = had + 1; at < count; at++)
      appendEntry(
        storage.sql,
        { tenant, log: "ledger" },
        `more/${at}`,
        entry(`more ${at}`, { time: new Date().toISOString() }),
        Date.now(),
      );
  });
  // The last one wakes the projection.
  await ledgerOf(testEnv.LEDGER, tenant).recordAct(OPERATOR, newId("req"), "last", "the newest");
  while ((await stored(tenant)).length < count) {
    vi.setSystemTime(Date.now() + 1_000);
    await runDurableObjectAlarm(ledgerStub(tenant));
  }
}

async function oneAlarm(tenant: string): Promise<void> {
  vi.setSystemTime(Date.now() + 1_000);
  await runDurableObjectAlarm(ledgerStub(tenant));
}

async function sign(tenant: string, log = "ledger"): Promise<void> {
  expect(await auditTreeOf(testEnv, tenant, log).checkpoint()).toMatchObject({ kind: "found" });
}

/** The rows of one log in D1. */
async function stored(tenant: string, log = "ledger"): Promise<readonly Row[]> {
  const { results } = await testEnv.DB.prepare("SELECT * FROM audit WHERE tenant = ? AND log = ? ORDER BY sequence")
    .bind(tenant, log)
    .all<Row>();
  return results;
}
const deletedOf = async (tenant: string, log = "ledger"): Promise<number> =>
  (await stored(tenant, log)).filter((row) => row["deleted_at"] !== null).length;

/** Lets the ledger's alarm come until retention is done for a day, or `times` times. Returns how many texts went each time. */
async function runRetention(tenant: string, times = 60): Promise<readonly number[]> {
  const steps: number[] = [];
  for (let run = 0; run < times; run++) {
    const before = await deletedOf(tenant);
    const [next] = await rowsOf(tenant, "SELECT at FROM due WHERE job = 'audit-retention'");
    if (run > 0 && Number(next?.["at"]) > Date.now() + 2 * NOTICE_MS) break;
    vi.setSystemTime(Math.max(Date.now() + 1_000, Number(next?.["at"])));
    await runDurableObjectAlarm(ledgerStub(tenant));
    steps.push((await deletedOf(tenant)) - before);
  }
  return steps;
}

/** The records of deletions, as D1 has them. */
const statements = async (
  tenant: string,
  code = "audit-retention",
): Promise<readonly { readonly facts: Record<string, unknown> }[]> =>
  (await stored(tenant)).filter((row) => row["reason_code"] === code).map((row) => JSON.parse(String(row["record"])));

const leafOf = (text: unknown): string => toBase64(leafHash(new TextEncoder().encode(String(text))));

describe("records that are older than the policy keeps them", () => {
  it("lose their text and keep place, hash and leaf, and what went is on record, the newest as soon as it is the newest no more", async () => {
    const tenant = await tenantWith(MONTH, 10);
    const before = await stored(tenant);
    vi.setSystemTime(AFTER_A_MONTH);
    await runRetention(tenant);
    const after = await stored(tenant);
    expect(after.slice(0, 10)).toEqual(
      before.map((row) =>
        expect.objectContaining({
          sequence: row["sequence"],
          hash: row["hash"],
          record: "{}",
          leaf_hash: leafOf(row["record"]),
          deleted_at: expect.any(String),
          time: null,
          principal: null,
          request_id: null,
          has_text: 0,
        }),
      ),
    );
    expect(after.slice(10).map((row) => [row["reason_code"], row["deleted_at"]])).toEqual([
      ["audit-retention", null],
      ["audit-retention", null],
    ]);
    let digest: string = GENESIS;
    const digests = after.slice(0, 10).map(({ sequence, hash, leaf_hash: leaf }) => {
      digest = digestOf("portcullis/audit-deleted/v1", `${digest}\n${sequence} ${hash} ${leaf}`);
      return digest;
    });
    const common = { kind: "admin", principal_class: "gate", decision: "allow" };
    expect(await statements(tenant)).toMatchObject([
      { ...common, facts: { retain_days: 30, records: 9, logs: [`ledger 9 ${digests[8]}`] } },
      { ...common, facts: { retain_days: 30, records: 1, logs: [`ledger 10 ${digests[9]}`] } },
    ]);
  });

  it("are not touched while they are younger, and then are", async () => {
    const tenant = await tenantWith(MONTH, 10);
    vi.setSystemTime(START + 29 * DAY_MS);
    await runRetention(tenant);
    expect(await deletedOf(tenant)).toBe(0);
    vi.setSystemTime(AFTER_A_MONTH);
    await runRetention(tenant);
    expect(await deletedOf(tenant)).toBe(10);
    const told = (await statements(tenant)).length;
    // For its own records alone retention makes no new one: a log at rest stays at rest.
    vi.setSystemTime(AFTER_A_MONTH + 40 * DAY_MS);
    await runRetention(tenant);
    expect([await deletedOf(tenant), (await statements(tenant)).length]).toEqual([10, told]);
    // With others they go too: only the newest is needed to say what went.
    await addRecords(tenant, 14);
    await sign(tenant);
    vi.setSystemTime(AFTER_A_MONTH + 80 * DAY_MS);
    await runRetention(tenant);
    expect(await deletedOf(tenant)).toBe(14);
    expect((await statements(tenant)).at(-1)?.facts).toMatchObject({
      logs: [expect.stringMatching(/^ledger 14 sha256:/)],
    });
  });

  it.each([
    ["states no retention", { retainDays: null, legalHold: false }],
    ["is from before there was one", null],
    ["has a legal hold", { retainDays: 30, legalHold: true }],
  ] as const)("stay where the policy %s", async (_, retention) => {
    const tenant = await tenantWith(retention, 10);
    vi.setSystemTime(AFTER_A_MONTH + 4_000 * DAY_MS);
    await runRetention(tenant);
    expect(await deletedOf(tenant)).toBe(0);
    expect(await statements(tenant)).toEqual([]);
  });

  it("stay from the moment on at which a legal hold is in force, and go on going when it is lifted", async () => {
    const tenant = await tenantWith(MONTH, 1_300);
    vi.setSystemTime(AFTER_A_MONTH);
    while ((await deletedOf(tenant)) === 0) await runRetention(tenant, 1);
    await putInForce(tenant, { retainDays: 30, legalHold: true });
    const gone = await deletedOf(tenant);
    expect(gone).toBeLessThan(1_999);
    for (const later of [1, 2, 3]) {
      vi.setSystemTime(AFTER_A_MONTH + later * DAY_MS);
      await runRetention(tenant);
    }
    expect(await deletedOf(tenant)).toBe(gone);
    await putInForce(tenant, MONTH);
    vi.setSystemTime(AFTER_A_MONTH + 5 * DAY_MS);
    await runRetention(tenant);
    expect(await deletedOf(tenant)).toBe(1_300);
  });

  it("stay for an hour after the record that says they go: a hold that comes meanwhile saves them all", async () => {
    const tenant = await tenantWith(MONTH, 10);
    vi.setSystemTime(AFTER_A_MONTH);
    while ((await statements(tenant)).length === 0) await oneAlarm(tenant);
    const statedAt = Date.parse(String((await stored(tenant)).at(-1)?.["time"]));
    vi.setSystemTime(statedAt + NOTICE_MS - 5_000);
    await oneAlarm(tenant);
    expect(await deletedOf(tenant)).toBe(0);
    await putInForce(tenant, { retainDays: 30, legalHold: true });
    vi.setSystemTime(statedAt + 10 * NOTICE_MS);
    await runRetention(tenant);
    expect(await deletedOf(tenant)).toBe(0);
  });

  it("stay while the record that says they go is not in D1", async () => {
    const tenant = await tenantWith(MONTH, 10);
    vi.setSystemTime(AFTER_A_MONTH);
    await rebind(ledgerStub(tenant), { DB: faultyD1(testEnv.DB, { insert: "refused" }) });
    for (const hours of [0, 2, 4, 6]) {
      vi.setSystemTime(AFTER_A_MONTH + hours * NOTICE_MS);
      await oneAlarm(tenant);
    }
    expect(await rowsOf(tenant, "SELECT deleted, stated FROM retention")).toEqual([{ deleted: 0, stated: 9 }]);
    expect(await deletedOf(tenant)).toBe(0);
  });

  it("stay where the retention was lengthened after they were put on record, until they are old enough; then it is put on record anew", async () => {
    const tenant = await tenantWith(MONTH, 1_300);
    vi.setSystemTime(AFTER_A_MONTH);
    while ((await deletedOf(tenant)) === 0) await runRetention(tenant, 1);
    const gone = await deletedOf(tenant);
    await putInForce(tenant, { retainDays: 60, legalHold: false });
    await runRetention(tenant);
    expect(await deletedOf(tenant)).toBe(gone);
    vi.setSystemTime(START + 61 * DAY_MS);
    await runRetention(tenant);
    expect(await deletedOf(tenant)).toBe(1_300);
    expect((await statements(tenant)).map(({ facts }) => facts["retain_days"])).toEqual([30, 60, 60]);
  });

  it("go a bounded number at a time", async () => {
    const tenant = await tenantWith(MONTH, 2_500);
    vi.setSystemTime(AFTER_A_MONTH);
    const steps = await runRetention(tenant);
    expect(Math.max(...steps)).toBe(1_200);
    // 2,499 in three, and then what was the newest.
    expect(steps.filter((step) => step > 0)).toEqual([1_200, 1_200, 99, 1]);
    expect(await statements(tenant)).toHaveLength(2);
  });
});

describe("what is not signed, not copied or not the log's own stays:", () => {
  it("records beyond the newest checkpoint, the newest record, and what the second copy does not have", async () => {
    const log = newLog();
    const leaves = (after: number, hasCopy = false, limit = 100): Promise<readonly string[]> =>
      log.inside(({ sql }) => deletableLeaves(sql, hasCopy, after, limit));
    await settle(log);
    await append(log, 1, 6);
    expect(await leaves(0)).toEqual([]);
    await project(log);
    expect(await leaves(0)).toEqual([]);
    await signTree(log);
    const all = (await recordsOf(log)).map(leafOf);
    expect(await leaves(0)).toEqual(all.slice(0, 5));
    await append(log, 7, 12);
    expect(await leaves(0)).toEqual(all.slice(0, 5));
    await project(log);
    expect(await leaves(0)).toEqual(all);
    expect(await leaves(2, false, 3)).toEqual(all.slice(2, 5));
    expect(await leaves(6)).toEqual([]);
    expect(await leaves(0, true)).toEqual([]);
    await log.inside(({ sql }) => sql.exec("INSERT INTO sinks (name, confirmed, written_at) VALUES ('r2', 4, 0)"));
    expect(await leaves(0, true)).toEqual(all.slice(0, 4));
  });

  it("a record that D1 has otherwise than the tree, and all after it", async () => {
    const tenant = await tenantWith(MONTH, 10);
    await testEnv.DB.prepare(
      "UPDATE audit SET record = replace(record, 'more 6', 'else 6') WHERE tenant = ? AND sequence = 6",
    )
      .bind(tenant)
      .run();
    vi.setSystemTime(AFTER_A_MONTH);
    await runRetention(tenant);
    expect(await deletedOf(tenant)).toBe(5);
    expect((await stored(tenant))[5]?.["record"]).toContain("else 6");
  });

  it("a record that has lost its text, and not by retention: that is never put on record as its doing", async () => {
    const tenant = await tenantWith(MONTH, 10);
    await testEnv.DB.prepare(
      "UPDATE audit SET record = '{}', leaf_hash = ?, deleted_at = '2031' WHERE tenant = ? AND sequence = 6",
    )
      .bind(leafOf((await stored(tenant))[5]?.["record"]), tenant)
      .run();
    vi.setSystemTime(AFTER_A_MONTH);
    await runRetention(tenant, 8);
    expect((await statements(tenant)).map(({ facts }) => facts["logs"])).toEqual([
      [expect.stringMatching(/^ledger 5 sha256:/)],
    ]);
  });

  it("what the second copy does not have yet", async () => {
    const tenant = await tenantWith(MONTH, 10);
    await rebind(ledgerStub(tenant), { AUDIT_BUCKET: testEnv.TEST_BUCKET });
    await runInDurableObject(ledgerStub(tenant), (_, { storage }) => {
      storage.sql.exec(
        "INSERT OR REPLACE INTO sinks (name, confirmed, planned, written_at) VALUES ('r2', 4, NULL, ?)",
        AFTER_A_MONTH,
      );
    });
    vi.setSystemTime(AFTER_A_MONTH);
    await runRetention(tenant, 3);
    expect(await deletedOf(tenant)).toBe(4);
  });

  it("records of another tenant, under the same log and older still", async () => {
    const [tenant, other] = [await tenantWith(MONTH, 10), await tenantWith(null, 10)];
    const before = await stored(other);
    vi.setSystemTime(AFTER_A_MONTH);
    await runRetention(tenant);
    await runRetention(other);
    expect(await deletedOf(tenant)).toBe(10);
    expect(await stored(other)).toEqual(before);
  });
});

describe("a crash", () => {
  const FAULTS = [
    ["before D1 does it", "refused"],
    ["after D1 did it", "answer-lost"],
    ["where D1 says that it did and did not", "ignored"],
  ] as const;
  it.each(FAULTS)("%s loses nothing, and nothing is done twice", async (_, update) => {
    const tenant = await tenantWith(MONTH, 10);
    const before = await stored(tenant);
    vi.setSystemTime(AFTER_A_MONTH);
    await rebind(ledgerStub(tenant), { DB: faultyD1(testEnv.DB, { update }) });
    await runRetention(tenant, 4);
    expect(await rowsOf(tenant, "SELECT deleted, stated FROM retention")).toEqual([{ deleted: 0, stated: 9 }]);
    const times = (await stored(tenant)).map((row) => row["deleted_at"]);
    expect(times.filter((at) => at !== null)).toHaveLength(update === "answer-lost" ? 9 : 0);
    await rebind(ledgerStub(tenant), {});
    vi.setSystemTime(Date.now() + DAY_MS);
    await runRetention(tenant);
    const after = await stored(tenant);
    expect(await rowsOf(tenant, "SELECT deleted, stated FROM retention")).toEqual([{ deleted: 10, stated: 10 }]);
    expect(after.slice(0, 9).map((row) => [row["hash"], row["leaf_hash"]])).toEqual(
      before.slice(0, 9).map((row) => [row["hash"], leafOf(row["record"])]),
    );
    // What was done before the crash was not done again.
    if (update === "answer-lost") expect(after.slice(0, 9).map((row) => row["deleted_at"])).toEqual(times.slice(0, 9));
    expect((await statements(tenant)).map(({ facts }) => facts["records"])).toEqual([9, 1]);
  });
});

describe("logs of requests", () => {
  it("go with the ledger's, each as far as it is old, named in one record", async () => {
    const tenant = await tenantWith(MONTH, 5);
    const { port, place } = logOf(tenant, 0);
    const stub = testEnv.REQUEST_LOG.getByName(`${tenant}/${place.log}`);
    await port.append(
      place,
      [1, 2, 3, 4].map((n) => ({
        entryId: `read ${n}`,
        entry: entry(`read ${n}`, { time: new Date().toISOString() }),
        open: false,
      })),
      [],
    );
    vi.setSystemTime(Date.now() + 1_000);
    await runDurableObjectAlarm(stub);
    await sign(tenant, place.log);
    vi.setSystemTime(AFTER_A_MONTH);
    await runRetention(tenant);
    expect([await deletedOf(tenant), await deletedOf(tenant, place.log)]).toEqual([5, 3]);
    const [statement] = await statements(tenant);
    expect(statement?.facts).toMatchObject({
      records: 7,
      logs: [expect.stringMatching(/^ledger 4 sha256:/), expect.stringMatching(/^requests-0 3 sha256:/)],
    });
    // Its proofs are those of before.
    const proof = await auditTreeOf(testEnv, tenant, place.log).inclusion(2, null);
    const row = (await stored(tenant, place.log))[1];
    expect(proof).toMatchObject({ kind: "found", value: { leafHash: row?.["leaf_hash"] } });
  });
});

describe("uploaded evidence", () => {
  it("goes when nothing has named it within the retention, and stays while something has", async () => {
    const tenant = await tenantWith(MONTH, 2);
    const texts = ["never named", "named later"];
    const digests = [];
    for (const text of texts) digests.push(await storeEvidence(testEnv.DB, tenant, text, "agent:trainer", START));
    const [never = "", later = ""] = digests;
    expect(await nameEvidence(testEnv.DB, tenant, later, START + 20 * DAY_MS)).toEqual({ ok: true, value: true });
    vi.setSystemTime(START + 34 * DAY_MS);
    await runRetention(tenant);
    const read = async (digest: string) => readEvidence(testEnv.DB, tenant, digest);
    expect(await read(never)).toEqual({ ok: true, value: null });
    expect(await read(later)).toEqual({ ok: true, value: "named later" });
    vi.setSystemTime(Date.now() + 1_000);
    await runDurableObjectAlarm(ledgerStub(tenant));
    expect(await statements(tenant, "evidence-retention")).toMatchObject([{ facts: { uploads: 1 } }]);
  });

  it("stays under a legal hold, and another tenant's stays", async () => {
    const [held, other] = [await tenantWith({ retainDays: 30, legalHold: true }, 2), await tenantWith(MONTH, 2)];
    const digest = await storeEvidence(testEnv.DB, held, "held", "agent:trainer", START);
    vi.setSystemTime(START + 100 * DAY_MS);
    await runRetention(held);
    await runRetention(other);
    expect(await readEvidence(testEnv.DB, held, digest)).toEqual({ ok: true, value: "held" });
  });
});

/** A log of six, all signed, of which D1 has three without text, and the journal the newest only. */
async function cutLog(): Promise<{ readonly log: Log; readonly texts: readonly string[]; readonly root: string }> {
  const log = newLog();
  await settle(log);
  await append(log, 1, 6);
  await project(log);
  const signed = await signTree(log);
  const texts = await recordsOf(log);
  for (const [index, one] of texts.slice(0, 3).entries())
    await testEnv.DB.prepare(
      "UPDATE audit SET record = '{}', leaf_hash = ?, deleted_at = '2031' WHERE tenant = ? AND sequence = ?",
    )
      .bind(leafOf(one), log.place.tenant, index + 1)
      .run();
  await log.inside(({ sql }) => sql.exec("DELETE FROM journal WHERE sequence < 6"));
  return { log, texts, root: signed?.root ?? "" };
}

describe("what reads records back takes what retention has left for what it is:", () => {
  it("a tree that is built anew is the one that was signed", async () => {
    const { log, root } = await cutLog();
    await log.inside(({ sql }) => void [sql.exec("DELETE FROM tiles"), sql.exec("DELETE FROM checkpoints")]);
    expect(await fill(log)).toEqual({ nextInMs: null, failure: null });
    expect((await signTree(log))?.root).toBe(root);
  });

  it("a hash that was changed breaks the chain there, too", async () => {
    const { log } = await cutLog();
    await log.inside(({ sql }) => void [sql.exec("DELETE FROM tiles"), sql.exec("DELETE FROM checkpoints")]);
    await testEnv.DB.prepare("UPDATE audit SET hash = ? WHERE tenant = ? AND sequence = 3")
      .bind(GENESIS, log.place.tenant)
      .run();
    expect((await fill(log)).failure).toBe("record 4 in D1 does not follow the one before");
  });

  it("a copy that begins later gets it, a line each; what only says so is none", async () => {
    const { log, texts } = await cutLog();
    const bounds = { through: null, newest: 6, maxRows: 10, maxChars: 100_000 };
    const rows = () => log.inside(({ sql }) => rowsForRun(sql, testEnv.DB, log.place, 1, bounds));
    const read = await rows();
    const { log: name } = log.place;
    const left = texts.slice(0, 3).map((one, index) => ({
      deleted: true,
      hash: JSON.parse(one).hash,
      leaf_hash: leafOf(one),
      log: name,
      sequence: index + 1,
    }));
    expect(read.ok ? read.value.map(({ record }) => record) : read).toEqual([
      ...left.map((one) => JSON.stringify(one)),
      ...texts.slice(3),
    ]);
    await testEnv.DB.prepare("UPDATE audit SET leaf_hash = ? WHERE tenant = ? AND sequence = 2")
      .bind(leafOf("else"), log.place.tenant)
      .run();
    expect(await rows()).toMatchObject({ ok: false, error: "record 2 in D1 is not the one in the log's tree" });
  });
});
