import { evictDurableObject, runDurableObjectAlarm, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { newId } from "../../src/platform/ids.ts";
import type { StatusCheck } from "../../src/ledger/money/finance-port.ts";
import { outboxOf, type LookUpJob } from "../../src/outbox/port.ts";
import { checkInvariants } from "../ledger/check-invariants.ts";
import {
  BUDGET,
  SEALED,
  digest,
  ended,
  GRACE_MS,
  hold,
  needing,
  newTenant,
  priced,
  propose,
  rowsOf,
  type Row,
  runAlarm,
  START,
  USD,
  verdict,
  write,
} from "../ledger/fixture.ts";
import { testEnv } from "../support/test-env.ts";

const HOUR_MS = 3_600_000;
const CAPS = { daily: BUDGET.dailyCapMicros, monthly: BUDGET.monthlyCapMicros };

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const stubOf = (tenant: string): DurableObjectStub => testEnv.OUTBOX.getByName(tenant);

const jobOf = (tenant: string, requestId: string): LookUpJob => ({
  tenant,
  requestId,
  catalogue: digest("catalogue"),
  sent: SEALED,
});

const queued = async (tenant: string): Promise<readonly LookUpJob[]> =>
  runInDurableObject(stubOf(tenant), (_instance, { storage }) =>
    storage.sql
      .exec<Row>("SELECT job FROM jobs WHERE lane = 'look-up' ORDER BY due_at, id")
      .toArray()
      .map((row): LookUpJob => {
        const { kind: _, ...job } = JSON.parse(String(row["job"]));
        return job;
      }),
  );

const alarmOf = (tenant: string): Promise<number | null> =>
  runInDurableObject(stubOf(tenant), (_, { storage }) => storage.getAlarm());

/** A D1 that never answers. */
const hangingD1 = (): D1Database => {
  const statement: object = new Proxy(
    {},
    { get: (_, name) => (name === "bind" ? () => statement : () => new Promise(() => undefined)) },
  );
  // Whatever is asked of it, nothing comes back.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion
  return { prepare: () => statement } as unknown as D1Database;
};

/** A tenant with one operation whose outcome is unknown. */
async function withUnknown() {
  const { tenant, ledger } = await newTenant();
  const request = write({ sent: SEALED, resource: "job-1" });
  await ledger.admit(request);
  await ledger.conclude(ended(request.requestId, "unknown"));
  return { tenant, ledger, id: request.requestId };
}

describe("the outbox", () => {
  it("keeps a job and its alarm through an eviction, and one job per operation", async () => {
    const tenant = newId("t");
    const outbox = outboxOf(testEnv.OUTBOX, tenant);
    await outbox.lookUp(jobOf(tenant, "req_1"));
    await outbox.lookUp(jobOf(tenant, "req_1"));
    await outbox.lookUp(jobOf(tenant, "req_2"));
    await evictDurableObject(stubOf(tenant));
    expect(await queued(tenant)).toEqual([jobOf(tenant, "req_1"), jobOf(tenant, "req_2")]);
    expect(await alarmOf(tenant)).not.toBeNull();
  });

  it("gets the request as it was sent from the ledger's alarm, a grace period after the outcome was lost", async () => {
    const { tenant, id } = await withUnknown();
    vi.setSystemTime(START + GRACE_MS - 1);
    await runAlarm(tenant);
    expect(await queued(tenant)).toEqual([]);
    vi.setSystemTime(START + GRACE_MS);
    await runAlarm(tenant);
    expect(await queued(tenant)).toEqual([jobOf(tenant, id)]);
  });

  it("strikes off what it cannot look up, and the ledger asks again: nothing is released for want of an answer", async () => {
    const { tenant, id } = await withUnknown();
    for (let round = 1; round <= 3; round++) {
      const [due] = await rowsOf(tenant, "SELECT at FROM due WHERE job = 'reconcile'");
      vi.setSystemTime(Number(due?.["at"]));
      await runAlarm(tenant);
      expect(await queued(tenant)).toHaveLength(1);
      // The tenant's documents are not in D1: its catalogue cannot be had.
      await runDurableObjectAlarm(stubOf(tenant));
      expect(await queued(tenant)).toEqual([]);
    }
    expect(await hold(tenant, id)).toBe("unknown 1000000");
    await checkInvariants(tenant, CAPS);
  });

  it("lets every alarm that waits for a lane go when the lane ends, and not only the last one", async () => {
    const tenant = newId("t");
    await runInDurableObject(stubOf(tenant), async (instance) => {
      if (!("alarm" in instance) || typeof instance.alarm !== "function") throw new Error("no alarm");
      if (!("lookUp" in instance) || typeof instance.lookUp !== "function") throw new Error("no outbox");
      await instance.lookUp(jobOf(tenant, "req_1"));
      await Promise.all([instance.alarm(), instance.alarm()]);
    });
    expect(await queued(tenant)).toEqual([]);
  });

  it("goes on after a job that cannot even be read, and after more jobs than one alarm takes", async () => {
    const tenant = newId("t");
    const outbox = outboxOf(testEnv.OUTBOX, tenant);
    for (let index = 0; index < 45; index++) await outbox.lookUp(jobOf(tenant, `req_${index}`));
    await runInDurableObject(stubOf(tenant), (_, { storage }) => {
      storage.sql.exec("INSERT INTO jobs (id, lane, due_at, job) VALUES ('broken', 'look-up', 0, 'not json')");
    });
    for (const left of [26, 6, 0]) {
      expect(await runDurableObjectAlarm(stubOf(tenant))).toBe(true);
      expect(await queued(tenant)).toHaveLength(left);
    }
  });

  it("that hangs delays nothing of the ledger: admissions, expiry, projection and further hand-overs go on", async () => {
    const { tenant, ledger, id } = await withUnknown();
    await outboxOf(testEnv.OUTBOX, tenant).lookUp(jobOf(tenant, id));
    await runInDurableObject(stubOf(tenant), (instance) => {
      Object.assign(instance, { env: { ...testEnv, DB: hangingD1() } });
      if (!("alarm" in instance) || typeof instance.alarm !== "function") throw new Error("no alarm");
      void Promise.resolve(instance.alarm());
    });
    const proposal = await propose(ledger, write({ requirement: needing(1), requestDigest: digest("p") }));
    expect(verdict(await ledger.admit(write({ requestDigest: digest("second") })))).toBe("admitted");
    vi.setSystemTime(START + 3_600_000);
    await runAlarm(tenant);
    expect((await ledger.approval(proposal))?.approval.state).toBe("expired");
    expect((await queued(tenant)).map((job) => job.requestId)).toContain(id);
    const [waits] = await rowsOf(tenant, "SELECT confirmed FROM projection");
    expect(Number(waits?.["confirmed"])).toBeGreaterThan(0);
    // Neither struck off nor begun again: it still hangs.
    const tries = await runInDurableObject(stubOf(tenant), (_, { storage }) =>
      storage.sql.exec<Row>("SELECT attempts FROM jobs WHERE id = ?", `look-up/${id}`).toArray(),
    );
    expect(tries).toEqual([{ attempts: 1 }]);
    await checkInvariants(tenant, CAPS);
  });

  it("that cannot be reached costs one look-up: the ledger's other jobs are done and the next one is planned", async () => {
    const { tenant, ledger, id } = await withUnknown();
    const proposal = await propose(ledger, write({ requirement: needing(1), requestDigest: digest("p") }));
    const unreachable = { getByName: () => ({ lookUp: () => Promise.reject(new Error("Network connection lost.")) }) };
    await runInDurableObject(testEnv.LEDGER.getByName(tenant), (instance) => {
      Object.assign(instance, { env: { ...testEnv, OUTBOX: unreachable } });
    });
    vi.setSystemTime(START + 3_600_000);
    await runAlarm(tenant);
    expect((await ledger.approval(proposal))?.approval.state).toBe("expired");
    expect(await hold(tenant, id)).toBe("unknown 1000000");
    await checkInvariants(tenant, CAPS);
    await evictDurableObject(testEnv.LEDGER.getByName(tenant));
    vi.setSystemTime(START + 7_200_000);
    await runAlarm(tenant);
    expect(await queued(tenant)).toEqual([jobOf(tenant, id)]);
  });
});

const statuses = (tenant: string): Promise<readonly unknown[]> =>
  runInDurableObject(stubOf(tenant), (_, { storage }) =>
    storage.sql
      .exec<Row>("SELECT id, job FROM jobs WHERE lane = 'status'")
      .toArray()
      .map((row) => [row["id"], JSON.parse(String(row["job"]))]),
  );

describe("a status read", () => {
  const check: StatusCheck = {
    requestId: "req_1",
    catalogue: digest("catalogue"),
    route: "workloads.submit",
    resource: "wl-1",
  };
  it("is kept through an eviction, once per request, in a lane of its own", async () => {
    const tenant = newId("t");
    const outbox = outboxOf(testEnv.OUTBOX, tenant);
    await outbox.lookUp(jobOf(tenant, "req_1"));
    await outbox.checkStatus(tenant, check);
    await outbox.checkStatus(tenant, check);
    await evictDurableObject(stubOf(tenant));
    expect(await statuses(tenant)).toEqual([["status/req_1", { kind: "status", tenant, ...check }]]);
    expect(await queued(tenant)).toHaveLength(1);
    expect(await alarmOf(tenant)).not.toBeNull();
  });

  it("that cannot be made is told to the ledger as unknown, settles nothing, and is not repeated", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ cost: priced(USD, HOUR_MS) });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "succeeded", { resource: "wl-1" }));
    const heard: unknown[] = [];
    const listening = { getByName: () => ({ settleByStatus: async (finding: unknown) => void heard.push(finding) }) };
    const { requestId } = request;
    await outboxOf(testEnv.OUTBOX, tenant).checkStatus(tenant, { ...check, requestId });
    await runDurableObjectAlarm(stubOf(tenant));
    expect(await statuses(tenant)).toEqual([]);
    expect(await hold(tenant, requestId)).toBe("committed 1000000");
    await outboxOf(testEnv.OUTBOX, tenant).checkStatus(tenant, { ...check, requestId });
    await runInDurableObject(stubOf(tenant), (instance) => {
      Object.assign(instance, { env: { ...testEnv, LEDGER: listening } });
    });
    await runDurableObjectAlarm(stubOf(tenant));
    expect(heard).toEqual([{ requestId, verdict: "unknown", actualMicros: null, ranMs: null }]);
    expect(await statuses(tenant)).toEqual([]);
    await checkInvariants(tenant, CAPS);
  });
});

const lanesOf = (tenant: string): Promise<readonly unknown[]> =>
  runInDurableObject(stubOf(tenant), (_, { storage }) =>
    storage.sql
      .exec<Row>("SELECT lane FROM jobs ORDER BY lane")
      .toArray()
      .map((row) => row["lane"]),
  );

describe("notices that are handed over", () => {
  const notice = { id: "n", kind: "opened", approvalId: "a", requestId: null, at: START } as const;

  it("are queued for the channels that the tenant has set up, and for no other", async () => {
    const { tenant } = await newTenant();
    await outboxOf(testEnv.OUTBOX, tenant).accept(tenant, [{ ...notice, id: "before" }]);
    expect(await lanesOf(tenant)).toEqual([]);
    await testEnv.DB.prepare(
      "INSERT INTO channels (tenant, name, address, sealed, created_at, mac) VALUES (?, 'webhook', '', '', '', '')",
    )
      .bind(tenant)
      .run();
    await outboxOf(testEnv.OUTBOX, tenant).accept(tenant, [notice]);
    expect(await lanesOf(tenant)).toEqual(["webhook"]);
  });

  it("are queued for every channel while D1 does not say: none is lost, and the ledger waits a second at most", async () => {
    const { tenant } = await newTenant();
    await runInDurableObject(stubOf(tenant), (instance) => {
      Object.assign(instance, { env: { ...testEnv, DB: hangingD1() } });
    });
    await outboxOf(testEnv.OUTBOX, tenant).accept(tenant, [notice]);
    expect(await lanesOf(tenant)).toEqual(["slack", "webhook"]);
  });
});
