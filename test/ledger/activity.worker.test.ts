import { evictDurableObject, runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { ActivityBatch, ActivityLine } from "../../src/ledger/activity.ts";
import { LINES_PER_MESSAGE } from "../../src/ledger/activity.ts";
import { takeNotices, type HandOver } from "../../src/ledger/notices.ts";
import type { LogReport } from "../../src/ledger/signals.ts";
import type { ActivityAlert } from "../../src/notify/activity.ts";
import { testEnv } from "../support/test-env.ts";
import {
  agent,
  again,
  digest,
  ended,
  MINUTE,
  needing,
  newTenant,
  rowsOf,
  runAlarm,
  START,
  verdict,
  write,
} from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const EVERY_MS = 5 * MINUTE;
const told = { tellAfterMs: EVERY_MS };

const line = (over: Partial<ActivityLine> = {}): ActivityLine => ({
  action: "insights.analyze",
  principal: "agent:trainer",
  tier: 1,
  count: 1,
  firstRequestId: "req_a",
  firstAt: START,
  lastRequestId: "req_a",
  lastAt: START,
  reason: null,
  tellAfterMs: EVERY_MS,
  ...over,
});

const from = (log: string): LogReport => ({
  log,
  denials: [],
  waitingRows: 0,
  halted: null,
  unsigned: null,
  behind: [],
});
const batch = (id: string, ...lines: readonly ActivityLine[]): ActivityBatch => ({ id, lines });

/** What people are told by now and have not been told before, as it is handed over. */
async function messages(tenant: string): Promise<readonly (ActivityAlert & { readonly id: string })[]> {
  const waiting = await runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage }) =>
    storage.transactionSync((): readonly HandOver[] => {
      const taken = takeNotices(storage.sql, Date.now());
      storage.sql.exec("DELETE FROM notices");
      return taken;
    }),
  );
  return waiting.flatMap((one) =>
    one.kind === "alert" && one.alert.kind === "activity" ? [{ id: one.id, ...one.alert }] : [],
  );
}

/** Lets so many minutes pass and the ledger do what is due by then. */
const passed = async (minutes: number, tenant: string): Promise<void> => {
  vi.setSystemTime(Date.now() + minutes * MINUTE);
  await runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage }) => {
    // Notices stay for the test to look at: the outbox is not asked.
    storage.sql.exec("DELETE FROM due WHERE job = 'notices'");
  });
  await runAlarm(tenant);
};

describe("what is admitted and the policy names", () => {
  it("is told once, at the end of its period, by action and principal", async () => {
    const { tenant, ledger } = await newTenant();
    const first = write({ ...told, requestDigest: digest("a") });
    const last = write({ ...told, requestDigest: digest("b") });
    const other = write({ ...told, requestDigest: digest("c"), requester: agent("tuner"), cost: { kind: "none" } });
    for (const request of [first, last, other, write({ requestDigest: digest("silent") })]) {
      expect(verdict(await ledger.admit(request))).toBe("admitted");
      vi.setSystemTime(Date.now() + 1_000);
    }
    await passed(4, tenant);
    expect(await messages(tenant)).toEqual([]);
    await passed(1, tenant);
    const at = { action: "workloads.submit", tier: 2, reason: "disk is full" };
    expect(await messages(tenant)).toEqual([
      {
        id: `activity/${first.requestId}`,
        kind: "activity",
        requests: 3,
        since: START,
        until: START + 2_000,
        lines: [
          {
            ...at,
            principal: "agent:trainer",
            count: 2,
            firstRequestId: first.requestId,
            firstAt: START,
            lastRequestId: last.requestId,
            lastAt: START + 1_000,
          },
          {
            ...at,
            principal: "agent:tuner",
            count: 1,
            firstRequestId: other.requestId,
            firstAt: START + 2_000,
            lastRequestId: other.requestId,
            lastAt: START + 2_000,
          },
        ],
        more: { lines: 0, requests: 0 },
      },
    ]);
    await passed(60, tenant);
    expect(await messages(tenant)).toEqual([]);
  });

  it("is told again in the next period, under another id, and the period begins with the next request", async () => {
    const { tenant, ledger } = await newTenant();
    const ids: string[] = [];
    for (const name of ["a", "b"]) {
      const request = write({ ...told, requestDigest: digest(name) });
      await ledger.admit(request);
      ids.push(`activity/${request.requestId}`);
      await passed(5, tenant);
      vi.setSystemTime(Date.now() + 12 * MINUTE);
    }
    expect((await messages(tenant)).map(({ id, requests }) => [id, requests])).toEqual(ids.map((id) => [id, 1]));
  });

  it("does not count replays, refusals and proposals", async () => {
    const { tenant, ledger } = await newTenant();
    const request = write({ ...told, handles: { idempotencyKey: digest("key") } });
    await ledger.admit(request);
    await ledger.conclude(ended(request.requestId, "succeeded"));
    expect(verdict(await ledger.admit(again(request)))).toBe("replay");
    expect(
      verdict(await ledger.admit(write({ ...told, requestDigest: digest("x"), refusal: { kind: "not-found" } }))),
    ).toBe("not-found");
    const proposed = write({ ...told, requestDigest: digest("y"), requirement: needing(1) });
    expect(verdict(await ledger.admit(proposed))).toBe("approval-required");
    await passed(5, tenant);
    expect(await messages(tenant)).toMatchObject([{ requests: 1 }]);
  });

  it("costs an admission one row and the first of a period one job, and one that nobody is told of nothing", async () => {
    const { tenant, ledger } = await newTenant();
    const state = async () => [
      (await rowsOf(tenant, "SELECT 1 FROM activity")).length,
      (await rowsOf(tenant, "SELECT 1 FROM due WHERE job = 'activity'")).length,
    ];
    await ledger.admit(write({ requestDigest: digest("silent") }));
    expect(await state()).toEqual([0, 0]);
    for (let index = 0; index < 30; index++) {
      vi.setSystemTime(Date.now() + 1);
      await ledger.admit(write({ ...told, cost: { kind: "none" }, requestDigest: digest(`${index}`) }));
    }
    expect(await state()).toEqual([1, 1]);
  });

  it("survives the death of the object in the middle of a period", async () => {
    const { tenant, ledger } = await newTenant();
    await ledger.admit(write(told));
    await evictDurableObject(testEnv.LEDGER.getByName(tenant));
    await passed(5, tenant);
    expect(await messages(tenant)).toMatchObject([{ requests: 1 }]);
  });
});

describe("what logs of requests hand over", () => {
  it("is one message with what the ledger admitted, whichever log had it", async () => {
    const { tenant, ledger } = await newTenant();
    await ledger.noteLog(from("requests-0"), batch("act_1", line({ count: 3, reason: "old", lastAt: START + 5 })));
    await ledger.noteLog(
      from("requests-1"),
      batch(
        "act_2",
        line({ count: 4, firstAt: START - 9, firstRequestId: "req_0", lastAt: START + 1, reason: "older" }),
      ),
    );
    await ledger.noteLog(
      from("requests-2"),
      batch("act_3", line({ lastAt: START + 9, lastRequestId: "req_z" }), line({ tier: 0, action: "workloads.list" })),
    );
    await passed(5, tenant);
    expect(await messages(tenant)).toMatchObject([
      {
        id: "activity/req_0",
        requests: 9,
        since: START - 9,
        until: START + 9,
        lines: [
          { tier: 1, count: 8, firstRequestId: "req_0", lastRequestId: "req_z", reason: "old" },
          { tier: 0, action: "workloads.list", count: 1 },
        ],
      },
    ]);
  });

  it("counts once however often it comes, and the next batch of the same log counts", async () => {
    const { tenant, ledger } = await newTenant();
    for (let times = 0; times < 3; times++)
      await ledger.noteLog(from("requests-0"), batch("act_1", line({ count: 5 })));
    await passed(5, tenant);
    // The answer to the last one was lost as well: what people were told already comes once more.
    await ledger.noteLog(from("requests-0"), batch("act_1", line({ count: 5 })));
    await ledger.noteLog(from("requests-0"), batch("act_2", line({ count: 2, firstRequestId: "req_b" })));
    await passed(5, tenant);
    expect((await messages(tenant)).map(({ requests }) => requests)).toEqual([5, 2]);
  });

  it("is bounded in one message: the gravest and most frequent, how much is left out, and short reasons", async () => {
    const { tenant, ledger } = await newTenant();
    const lines = Array.from({ length: 50 }, (_, index) =>
      line({
        principal: `agent:a${index}`,
        count: index + 1,
        firstRequestId: `req_${index}`,
        reason: "r".repeat(1_000),
      }),
    );
    await ledger.noteLog(from("requests-0"), batch("act_1", ...lines, line({ tier: 4, action: "workloads.cancel" })));
    await passed(5, tenant);
    const [message] = await messages(tenant);
    expect(message?.lines).toHaveLength(LINES_PER_MESSAGE);
    expect(message?.lines.slice(0, 2)).toMatchObject([{ tier: 4 }, { principal: "agent:a49", count: 50 }]);
    expect(message?.lines.at(1)?.reason).toHaveLength(200);
    const shown = message?.lines.reduce((sum, { count }) => sum + count, 0) ?? 0;
    expect(message?.more).toEqual({ lines: 51 - LINES_PER_MESSAGE, requests: 1_276 - shown });
    expect(JSON.stringify(message).length).toBeLessThan(12_000);
  });
});
