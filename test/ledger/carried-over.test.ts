import { describe, expect, it } from "vitest";
import { capsInForce } from "../../src/ledger/money/budget.ts";
import type { BudgetWindows } from "../../src/ledger/money/budget-windows.ts";
import { booksOf } from "../../src/ledger/money/finance-views.ts";
import { readEntries } from "../../src/ledger/money/entries.ts";
import { release, reserve, settle } from "../../src/ledger/money/reservations.ts";
import { LEDGER_SCHEMA } from "../../src/ledger/schema.ts";
import { scopeSums, sumsOf } from "../../src/ledger/money/windows.ts";
import { migrate } from "../../src/platform/sqlite-migrations.ts";
import { sqliteStorage } from "./stateful/sqlite-storage.ts";

/** Steps of the schema before money had a book. */
const BEFORE_THE_BOOK = 2;

/** id, state, day, ceiling, settled: what a ledger without a book has when it is brought up to date. */
const RESERVATIONS = [
  ["apr_1", "held", "2026-11-20", 5, null],
  ["req_1", "dispatching", "2026-11-20", 10, null],
  ["req_2", "committed", "2026-11-19", 20, null],
  ["req_3", "unknown", "2026-11-20", 40, null],
  ["req_4", "settled", "2026-11-19", 80, 70],
  ["req_5", "released", "2026-11-20", 160, 0],
  ["req_6", "settled", "2026-10-31", 320, 320],
  ["req_7", "settled", "2026-11-20", 0, 0],
] as const;

/** A ledger of the build before, with these reservations, brought up to date. */
function broughtUpToDate(): SqlStorage {
  const storage = sqliteStorage();
  const { sql } = storage;
  migrate(storage, LEDGER_SCHEMA.slice(0, BEFORE_THE_BOOK));
  for (const [index, [id, state, day, ceiling, settled]] of RESERVATIONS.entries()) {
    const month = day.slice(0, 7);
    sql.exec(
      `INSERT INTO reservations (id, state, principal, action, daily_window, monthly_window, ceiling_micros, settled_micros, created_at)
       VALUES (?, ?, 'agent:trainer', 'workloads.submit', ?, ?, ?, ?, ?)`,
      id,
      state,
      day,
      month,
      ceiling,
      settled,
      1_000 - index,
    );
    for (const window of [day, month]) {
      sql.exec("INSERT OR IGNORE INTO windows (window, held_micros, settled_micros) VALUES (?, 0, 0)", window);
      sql.exec(
        "UPDATE windows SET held_micros = held_micros + ?, settled_micros = settled_micros + ? WHERE window = ?",
        settled === null ? ceiling : 0,
        settled ?? 0,
        window,
      );
    }
  }
  migrate(storage, LEDGER_SCHEMA);
  return sql;
}

describe("a ledger from before there was a book", () => {
  it("has its reservations carried over: one line for each that counts, numbered by age", () => {
    const sql = broughtUpToDate();
    const lines = readEntries(sql, "2026-11", 0, 100);
    expect(
      lines.map((line) => [line.number, line.reservation, line.dailyWindow, line.heldMicros, line.settledMicros]),
    ).toEqual([
      [1, "req_4", "2026-11-19", 0, 70],
      [2, "req_3", "2026-11-20", 40, 0],
      [3, "req_2", "2026-11-19", 20, 0],
      [4, "req_1", "2026-11-20", 10, 0],
      [5, "apr_1", "2026-11-20", 5, 0],
    ]);
    expect(new Set(lines.map(({ kind, basis }) => `${kind} ${basis}`))).toEqual(new Set(["hold carried over"]));
    expect(readEntries(sql, "2026-10", 0, 100)).toMatchObject([
      { number: 1, reservation: "req_6", settledMicros: 320 },
    ]);
  });

  it("has books without drift, and counts as submitted whatever was dispatched and not refused", () => {
    const sql = broughtUpToDate();
    for (const month of ["2026-10", "2026-11"]) {
      const { windows, reservations, entries } = booksOf(sql, month);
      expect([reservations, entries]).toEqual([windows, windows]);
    }
    const gross = (window: string): number => sumsOf(sql, [window]).get(window)?.grossMicros ?? Number.NaN;
    expect(["2026-11-19", "2026-11-20", "2026-11", "2026-10"].map(gross)).toEqual([100, 50, 150, 320]);
  });

  it("goes on: what was held is given back and settled in its window, and the next line follows", () => {
    const sql = broughtUpToDate();
    release(sql, "req_1", "refused by the control plane", 2_000);
    release(sql, "apr_1", "proposal expired", 2_000);
    settle(sql, "req_2", 15, "status", "stated by the control plane", 2_000);
    const windows = { daily: { id: "2026-11-20", endsAt: 9_000 }, monthly: { id: "2026-11", endsAt: 9_000 } };
    const spender = { principal: "agent:trainer", team: null, action: "workloads.submit", priceVersion: null, per: [] };
    reserve(sql, { id: "req_8", state: "dispatching", ...spender }, windows, 1, 2_000);
    expect(
      readEntries(sql, "2026-11", 5, 100).map(({ number, kind, reservation }) => [number, kind, reservation]),
    ).toEqual([
      [6, "release", "req_1"],
      [7, "release", "apr_1"],
      [8, "settle", "req_2"],
      [9, "hold", "req_8"],
    ]);
    expect(sumsOf(sql, ["2026-11"]).get("2026-11")).toEqual({ heldMicros: 41, settledMicros: 85, grossMicros: 141 });
    const { windows: sums, reservations, entries } = booksOf(sql, "2026-11");
    expect([reservations, entries]).toEqual([sums, sums]);
  });

  it("counts what it carried over in caps that are new, and has no cap of finance's", () => {
    const sql = broughtUpToDate();
    const windows = { daily: { id: "2026-11-20", endsAt: 9_000 }, monthly: { id: "2026-11", endsAt: 9_000 } };
    const cap = { scope: "principal:agent:trainer", dailyCapMicros: 1, monthlyCapMicros: 1 };
    expect([...scopeSums(sql, windows, [cap])]).toEqual([
      ["2026-11-20 principal:agent:trainer", { heldMicros: 55, settledMicros: 0, grossMicros: 50 }],
      ["2026-11 principal:agent:trainer", { heldMicros: 75, settledMicros: 70, grossMicros: 150 }],
    ]);
    const terms = {
      timezone: "UTC",
      dailyCapMicros: 7,
      monthlyCapMicros: 9,
      grossDailyCapMicros: null,
      thresholdsPercent: [],
    };
    expect(capsInForce(sql, terms, 2_000)).toEqual({ daily: 7, monthly: 9, gross: 14 });
  });
});

/** To the west of the month's zone the last day of the year is not over when its month is. */
const lastDayIn = (month: string): BudgetWindows => ({
  daily: { id: "2026-12-31", endsAt: 9_000 },
  monthly: { id: month, endsAt: 9_000 },
});

it("a day that began in the month before counts in a cap that is new, at the turn of the year too", () => {
  const storage = sqliteStorage();
  migrate(storage, LEDGER_SCHEMA);
  const { sql } = storage;
  const spender = { principal: "agent:trainer", team: null, action: "workloads.submit", priceVersion: null, per: [] };
  reserve(sql, { id: "req_1", state: "dispatching", ...spender }, lastDayIn("2026-12"), 3, 1_000);
  reserve(sql, { id: "req_2", state: "dispatching", ...spender }, lastDayIn("2027-01"), 4, 2_000);
  const cap = { scope: "action:workloads.submit", dailyCapMicros: 1, monthlyCapMicros: 1 };
  expect([...scopeSums(sql, lastDayIn("2027-01"), [cap])]).toMatchObject([
    ["2026-12-31 action:workloads.submit", { heldMicros: 7 }],
    ["2027-01 action:workloads.submit", { heldMicros: 4 }],
  ]);
});
