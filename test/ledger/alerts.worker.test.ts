import { runInDurableObject } from "cloudflare:test";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import type { MoneyAlert } from "../../src/ledger/money/finance-port.ts";
import { ALERT_RETENTION_MS, confirmHandOver, noteAlert, takeNotices } from "../../src/ledger/notices.ts";
import { prune } from "../../src/ledger/prune.ts";
import { testEnv } from "../support/test-env.ts";
import { CHANGE, OVERRUN, REFUSED, SHORT_DAY, SHORT_MONTH, THRESHOLD } from "../slack/money-alerts.ts";
import { needing, newTenant, propose, START, write } from "./fixture.ts";

beforeEach(() => void vi.useFakeTimers({ toFake: ["Date"], now: START }));
afterEach(() => void vi.useRealTimers());

const inLedger = <T>(tenant: string, work: (sql: SqlStorage) => T): Promise<T> =>
  runInDurableObject(testEnv.LEDGER.getByName(tenant), (_, { storage }) =>
    storage.transactionSync(() => work(storage.sql)),
  );

const rowsIn = (sql: SqlStorage): readonly number[] =>
  ["notices", "alerts", "due"].map((table) => Number(sql.exec(`SELECT count(*) AS n FROM ${table}`).one()["n"]));

const changed = (event: Extract<MoneyAlert, { kind: "budget-change" }>["event"]): MoneyAlert => ({
  kind: "budget-change",
  id: CHANGE.id,
  event,
});

/** What of these alerts is new when they are noted in this order, a millisecond apart. */
const newOf = (tenant: string, alerts: readonly MoneyAlert[]): Promise<readonly boolean[]> =>
  inLedger(tenant, (sql) => alerts.map((alert, index) => noteAlert(sql, alert, START + index)));

describe("an alert about money", () => {
  it("is told once per event, and equal events have equal ids", async () => {
    const { tenant } = await newTenant();
    const all: readonly (readonly [MoneyAlert, string | null])[] = [
      [THRESHOLD, "budget-threshold/2026-11-20/80"],
      [{ ...THRESHOLD, usedMicros: 450_000_000 }, null],
      [{ ...THRESHOLD, percent: 95 }, "budget-threshold/2026-11-20/95"],
      [{ ...THRESHOLD, window: "2026-11-21" }, "budget-threshold/2026-11-21/80"],
      [REFUSED, "budget-refused/2026-11-20/agent:trainer"],
      [{ ...REFUSED, action: "allocations.create" }, null],
      [{ ...REFUSED, principal: "agent:tuner" }, "budget-refused/2026-11-20/agent:tuner"],
      [{ ...REFUSED, windows: [SHORT_DAY, SHORT_MONTH] }, "budget-refused/2026-11/agent:trainer/team:research"],
      [OVERRUN, "budget-overrun/req_40f939kdt7585newgytnb2684h"],
      [{ ...OVERRUN, actualMicros: 200_000_000 }, null],
      [changed("asked"), `${CHANGE.id}/asked`],
      [changed("approved"), `${CHANGE.id}/approved`],
      [changed("asked"), null],
    ];
    expect(
      await newOf(
        tenant,
        all.map(([alert]) => alert),
      ),
    ).toEqual(all.map(([, id]) => id !== null));
    const handedOver = await inLedger(tenant, (sql) => takeNotices(sql, START + 1_000));
    const expected = all.flatMap(([alert, id], index) =>
      id === null ? [] : [{ id, kind: "alert", alert, at: START + index }],
    );
    expect(handedOver).toEqual(expected);
  });

  it("that was handed over and forgotten by everybody else is not told again in its window", async () => {
    const { tenant } = await newTenant();
    await newOf(tenant, [REFUSED]);
    await inLedger(tenant, (sql) => confirmHandOver(sql, takeNotices(sql, START), START));
    expect(await newOf(tenant, [REFUSED])).toEqual([false]);
    expect(await inLedger(tenant, (sql) => takeNotices(sql, START))).toEqual([]);
  });

  it("of a flood of refusals writes one row of each table, however many there are", async () => {
    const { tenant } = await newTenant();
    const [before, after] = await inLedger(tenant, (sql) => {
      const rows = rowsIn(sql);
      for (let index = 0; index < 500; index++) noteAlert(sql, REFUSED, START + index);
      return [rows, rowsIn(sql)];
    });
    expect(after).toEqual(before.map((count) => count + 1));
  });

  it("leaves nothing behind where the transaction of its event is rolled back", async () => {
    const { tenant } = await newTenant();
    const noted = inLedger(tenant, (sql) => {
      noteAlert(sql, OVERRUN, START);
      throw new Error("rolled back");
    });
    await expect(noted).rejects.toThrow("rolled back");
    expect(await newOf(tenant, [OVERRUN])).toEqual([true]);
  });

  it("is known for longer than its window lasts, and not for ever", async () => {
    const { tenant } = await newTenant();
    await newOf(tenant, [THRESHOLD]);
    const later = (at: number): Promise<boolean> =>
      inLedger(tenant, (sql) => {
        prune(sql, at);
        return noteAlert(sql, THRESHOLD, at);
      });
    expect(ALERT_RETENTION_MS).toBe(62 * 86_400_000);
    expect(await later(START + ALERT_RETENTION_MS)).toBe(false);
    await inLedger(tenant, (sql) => sql.exec("DELETE FROM notices"));
    expect(await later(START + ALERT_RETENTION_MS + 1)).toBe(true);
  });

  it("stands in nobody's way: notices of proposals are handed over beside it, each in its own form", async () => {
    const { tenant, ledger } = await newTenant();
    await newOf(tenant, [THRESHOLD]);
    const approvalId = await propose(ledger, write({ requirement: needing(1) }));
    expect(await inLedger(tenant, (sql) => takeNotices(sql, START))).toEqual([
      { id: `${approvalId}/opened`, kind: "opened", approvalId, requestId: null, at: START },
      { id: "budget-threshold/2026-11-20/80", kind: "alert", alert: THRESHOLD, at: START },
    ]);
  });
});
