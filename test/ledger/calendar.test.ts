import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { budgetCalendar } from "../../src/ledger/money/calendar.ts";
import { LEDGER_SCHEMA } from "../../src/ledger/schema.ts";
import { migrate } from "../../src/platform/sqlite-migrations.ts";
import { sqliteStorage } from "./stateful/sqlite-storage.ts";

const HOUR = 3_600_000;

type Look = (moment: string | number, zone: string | null) => readonly [string, string, string, string];

/** Looks at the calendar of a ledger: day, month and when each ends; and a restart of its object. */
function calendarOf(): { readonly at: Look; readonly restart: () => void } {
  const { sql } = storageOf();
  let calendar = budgetCalendar();
  const at: Look = (moment, zone) => {
    const { daily, monthly } = calendar.at(sql, typeof moment === "string" ? Date.parse(moment) : moment, zone);
    return [daily.id, monthly.id, new Date(daily.endsAt).toISOString(), new Date(monthly.endsAt).toISOString()];
  };
  return { at, restart: () => void (calendar = budgetCalendar()) };
}

function storageOf(): DurableObjectStorage {
  const storage = sqliteStorage();
  migrate(storage, LEDGER_SCHEMA);
  return storage;
}

/** Day and month at each of these moments. */
const walk = (steps: readonly (readonly [string, string | null])[]): readonly string[] => {
  const { at, restart } = calendarOf();
  return steps.map(([moment, zone]) => {
    const [day, month, dayEnds] = at(moment, zone);
    expect(Date.parse(dayEnds)).toBeGreaterThan(Date.parse(moment));
    // A restart in between changes nothing.
    restart();
    expect(at(moment, zone).slice(0, 3)).toEqual([day, month, dayEnds]);
    return `${day} ${month}`;
  });
};

describe("without a change of zone", () => {
  it.each([
    ["UTC", "2026-11-20", "2026-11-20T00:00:00Z", 24],
    ["UTC, a leap day", "2028-02-29", "2028-02-29T00:00:00Z", 24],
    ["UTC, the year's end", "2026-12-31", "2026-12-31T00:00:00Z", 24],
    ["America/New_York, 23 hours", "2026-03-08", "2026-03-08T05:00:00Z", 23],
    ["America/New_York, 25 hours", "2026-11-01", "2026-11-01T04:00:00Z", 25],
    ["Asia/Kathmandu", "2026-11-21", "2026-11-20T18:15:00Z", 24],
    ["Pacific/Apia, the day before the one that never was", "2011-12-29", "2011-12-29T10:00:00Z", 24],
    ["Pacific/Apia, the day after it", "2011-12-31", "2011-12-30T10:00:00Z", 24],
  ])("a day is one window from its first to its last millisecond: %s", (name, day, begins, hours) => {
    const zone = name.split(",")[0] ?? "";
    const { at } = calendarOf();
    const first = Date.parse(begins);
    expect(at(first - 1, zone)[0] < day).toBe(true);
    for (const moment of [first, first + HOUR, first + hours * HOUR - 1]) expect(at(moment, zone)[0]).toBe(day);
    expect(at(first + hours * HOUR, zone)[0] > day).toBe(true);
  });

  it.each([
    ["the year", "UTC", "2026-12-31T23:59:59.999Z", ["2026-12-31", "2026-12"], ["2027-01-01", "2027-01"]],
    ["a leap February", "UTC", "2028-02-29T23:59:59.999Z", ["2028-02-29", "2028-02"], ["2028-03-01", "2028-03"]],
    [
      "November in New York",
      "America/New_York",
      "2026-12-01T04:59:59.999Z",
      ["2026-11-30", "2026-11"],
      ["2026-12-01", "2026-12"],
    ],
  ] as const)("day and month turn together at the end of %s", (_, zone, last, before, after) => {
    const { at } = calendarOf();
    expect(at(last, zone).slice(0, 2)).toEqual(before);
    expect(at(Date.parse(last) + 1, zone).slice(0, 2)).toEqual(after);
  });
});

describe("a clock that steps back", () => {
  it.each([
    ["by seconds", "2026-11-21T00:00:05Z", "2026-11-20T23:59:58Z", "2026-11-21 2026-11"],
    ["by an hour", "2026-11-20T12:00:00Z", "2026-11-20T11:00:00Z", "2026-11-20 2026-11"],
    ["by an hour over midnight", "2026-11-21T00:30:00Z", "2026-11-20T23:30:00Z", "2026-11-21 2026-11"],
    ["over the month's end", "2026-12-01T00:00:00Z", "2026-11-30T23:59:59Z", "2026-12-01 2026-12"],
    ["over the year's end", "2027-01-01T00:00:00Z", "2026-12-31T23:59:59Z", "2027-01-01 2027-01"],
    ["by weeks", "2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z", "2026-12-01 2026-12"],
  ])("moves no window back: %s", (_, ahead, back, window) => {
    expect(
      walk([
        [ahead, "UTC"],
        [back, "UTC"],
        [back, "America/New_York"],
        [ahead, "UTC"],
      ]),
    ).toEqual(Array(4).fill(window));
  });

  it("lets the days go on when it has caught up", () => {
    expect(
      walk([
        ["2026-11-21T00:00:05Z", "UTC"],
        ["2026-11-20T22:00:00Z", "UTC"],
        ["2026-11-21T23:59:59Z", "UTC"],
        ["2026-11-22T00:00:00Z", "UTC"],
      ]),
    ).toEqual(["2026-11-21 2026-11", "2026-11-21 2026-11", "2026-11-21 2026-11", "2026-11-22 2026-11"]);
  });
});

describe("a change of zone", () => {
  it("takes effect with the next window, not in the midst of one", () => {
    const { at } = calendarOf();
    expect(at("2026-11-20T12:00:00Z", "UTC")).toEqual([
      "2026-11-20",
      "2026-11",
      "2026-11-21T00:00:00.000Z",
      "2026-12-01T00:00:00.000Z",
    ]);
    expect(at("2026-11-20T18:30:00Z", "Asia/Kathmandu")[0]).toBe("2026-11-20");
    expect(at("2026-11-21T00:00:00Z", "Asia/Kathmandu")).toEqual([
      "2026-11-21",
      "2026-11",
      "2026-11-21T18:15:00.000Z",
      "2026-12-01T00:00:00.000Z",
    ]);
  });

  it("to the west goes on with the day there was, under its name, until it ends there", () => {
    const { at } = calendarOf();
    at("2026-11-20T12:00:00Z", "UTC");
    expect(at("2026-11-21T00:00:00Z", "America/New_York").slice(0, 3)).toEqual([
      "2026-11-20",
      "2026-11",
      "2026-11-21T05:00:00.000Z",
    ]);
    expect(at("2026-11-21T04:59:59.999Z", "America/New_York")[0]).toBe("2026-11-20");
    expect(at("2026-11-21T05:00:00Z", "America/New_York")[0]).toBe("2026-11-21");
  });

  it("to the east may leave a day out, and has none twice", () => {
    expect(
      walk([
        ["2026-11-21T10:59:59.999Z", "Pacific/Niue"],
        ["2026-11-21T11:00:00Z", "Pacific/Kiritimati"],
        ["2026-11-22T09:59:59.999Z", "Pacific/Kiritimati"],
        ["2026-11-22T10:00:00Z", "Pacific/Niue"],
        ["2026-11-23T10:59:59.999Z", "Pacific/Niue"],
        ["2026-11-23T11:00:00Z", "Pacific/Niue"],
      ]).map((names) => names.slice(0, 10)),
    ).toEqual(["2026-11-20", "2026-11-22", "2026-11-22", "2026-11-22", "2026-11-22", "2026-11-23"]);
  });

  it("at the month's end gives no month twice, east or west", () => {
    expect(
      walk([
        ["2026-11-30T23:59:59.999Z", "UTC"],
        ["2026-12-01T00:00:00Z", "America/New_York"],
        ["2026-12-01T04:59:59.999Z", "America/New_York"],
        ["2026-12-01T05:00:00Z", "Asia/Kathmandu"],
        ["2026-12-31T18:15:00Z", "Asia/Kathmandu"],
        ["2027-01-01T00:00:00Z", "UTC"],
      ]),
    ).toEqual([
      "2026-11-30 2026-11",
      "2026-11-30 2026-11",
      "2026-11-30 2026-11",
      "2026-12-01 2026-12",
      "2027-01-01 2027-01",
      "2027-01-01 2027-01",
    ]);
  });

  it("changes the month's zone with the month, though the days change before", () => {
    const { at } = calendarOf();
    at("2026-11-10T12:00:00Z", "UTC");
    at("2026-11-11T12:00:00Z", "Asia/Kathmandu");
    expect(at("2026-11-30T18:15:00Z", "Asia/Kathmandu")).toEqual([
      "2026-12-01",
      "2026-11",
      "2026-12-01T18:15:00.000Z",
      "2026-12-01T00:00:00.000Z",
    ]);
    expect(at("2026-12-01T00:00:00Z", "Asia/Kathmandu").slice(0, 3)).toEqual([
      "2026-12-01",
      "2026-12",
      "2026-12-01T18:15:00.000Z",
    ]);
    expect(at("2026-12-31T18:15:00Z", "Asia/Kathmandu")[1]).toBe("2027-01");
  });
});

it("whoever has no policy at hand keeps the zone there is, and without one begins in UTC", () => {
  const { at } = calendarOf();
  expect(at("2026-11-20T23:00:00Z", null)[2]).toBe("2026-11-21T00:00:00.000Z");
  at("2026-11-21T00:00:00Z", "Asia/Kathmandu");
  expect(at("2026-11-21T18:15:00Z", null).slice(0, 3)).toEqual(["2026-11-22", "2026-11", "2026-11-22T18:15:00.000Z"]);
});

it("what a transaction opened that was rolled back is not remembered", () => {
  const storage = storageOf();
  const calendar = budgetCalendar();
  const rolledBack = (): void =>
    storage.transactionSync(() => {
      calendar.at(storage.sql, Date.parse("2026-11-21T00:00:00Z"), "UTC");
      throw new Error("rolled back");
    });
  expect(rolledBack).toThrow("rolled back");
  calendar.forget();
  expect(calendar.at(storage.sql, Date.parse("2026-11-20T12:00:00Z"), "UTC").daily.id).toBe("2026-11-20");
});

it("no window moves back or comes twice, none ends in the past, whatever clock and zone do", () => {
  const zones = [
    "UTC",
    "America/New_York",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Pacific/Niue",
    "Pacific/Kiritimati",
    null,
  ];
  const step = fc.record({ zone: fc.constantFrom(...zones), minutes: fc.integer({ min: -1_500, max: 6_000 }) });
  fc.assert(
    fc.property(
      fc.constantFrom("2026-03-07", "2026-10-30", "2028-02-27", "2026-12-29", "2011-12-27"),
      fc.array(step, { maxLength: 60 }),
      (from, steps) => {
        const { at, restart } = calendarOf();
        let now = Date.parse(`${from}T12:00:00Z`);
        const seen: string[][] = [[], []];
        for (const [index, { zone, minutes }] of steps.entries()) {
          now += minutes * 60_000;
          if (index % 3 === 2) restart();
          const [day, month, dayEnds, monthEnds] = at(now, zone);
          expect(Math.min(Date.parse(dayEnds), Date.parse(monthEnds))).toBeGreaterThan(now);
          for (const [which, id] of [day, month].entries()) {
            const before = seen[which]?.at(-1);
            if (before !== undefined) expect(id >= before, `${id} after ${before}`).toBe(true);
            if (before !== id) seen[which]?.push(id);
          }
        }
        for (const ids of seen) expect(new Set(ids).size).toBe(ids.length);
      },
    ),
    { numRuns: 300 },
  );
});
