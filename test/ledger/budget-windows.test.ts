import { describe, expect, it } from "vitest";
import { windowsAt } from "../../src/ledger/money/budget-windows.ts";

const at = (iso: string): number => Date.parse(iso);

describe("the window of a moment", () => {
  /** zone, moment, day, end of the day, month, end of the month; hours that the day has */
  it.each([
    ["UTC", "2026-11-20T00:00:00.000Z", "2026-11-20", "2026-11-21T00:00:00Z", "2026-11", "2026-12-01T00:00:00Z"],
    ["UTC", "2026-11-20T23:59:59.999Z", "2026-11-20", "2026-11-21T00:00:00Z", "2026-11", "2026-12-01T00:00:00Z"],
    ["UTC", "2026-12-31T23:59:59.999Z", "2026-12-31", "2027-01-01T00:00:00Z", "2026-12", "2027-01-01T00:00:00Z"],
    ["UTC", "2027-01-01T00:00:00.000Z", "2027-01-01", "2027-01-02T00:00:00Z", "2027-01", "2027-02-01T00:00:00Z"],
    ["UTC", "2028-02-28T12:00:00Z", "2028-02-28", "2028-02-29T00:00:00Z", "2028-02", "2028-03-01T00:00:00Z"],
    ["UTC", "2028-02-29T12:00:00Z", "2028-02-29", "2028-03-01T00:00:00Z", "2028-02", "2028-03-01T00:00:00Z"],
    ["UTC", "2027-02-28T23:59:59.999Z", "2027-02-28", "2027-03-01T00:00:00Z", "2027-02", "2027-03-01T00:00:00Z"],
    // A day of 23 hours, and one of 25: both end at the next local midnight.
    [
      "America/New_York",
      "2026-03-08T05:00:00Z",
      "2026-03-08",
      "2026-03-09T04:00:00Z",
      "2026-03",
      "2026-04-01T04:00:00Z",
    ],
    [
      "America/New_York",
      "2026-03-08T04:59:59.999Z",
      "2026-03-07",
      "2026-03-08T05:00:00Z",
      "2026-03",
      "2026-04-01T04:00:00Z",
    ],
    [
      "America/New_York",
      "2026-11-01T04:00:00Z",
      "2026-11-01",
      "2026-11-02T05:00:00Z",
      "2026-11",
      "2026-12-01T05:00:00Z",
    ],
    // 01:30 comes twice on that day; both belong to it.
    [
      "America/New_York",
      "2026-11-01T05:30:00Z",
      "2026-11-01",
      "2026-11-02T05:00:00Z",
      "2026-11",
      "2026-12-01T05:00:00Z",
    ],
    [
      "America/New_York",
      "2026-11-01T06:30:00Z",
      "2026-11-01",
      "2026-11-02T05:00:00Z",
      "2026-11",
      "2026-12-01T05:00:00Z",
    ],
    [
      "America/New_York",
      "2026-11-02T04:59:59.999Z",
      "2026-11-01",
      "2026-11-02T05:00:00Z",
      "2026-11",
      "2026-12-01T05:00:00Z",
    ],
    [
      "Asia/Kathmandu",
      "2026-11-20T18:14:59.999Z",
      "2026-11-20",
      "2026-11-20T18:15:00Z",
      "2026-11",
      "2026-11-30T18:15:00Z",
    ],
    ["Asia/Kathmandu", "2026-11-20T18:15:00Z", "2026-11-21", "2026-11-21T18:15:00Z", "2026-11", "2026-11-30T18:15:00Z"],
    // Samoa skipped 30 December 2011 altogether: the 29th ends where the 31st begins.
    [
      "Pacific/Apia",
      "2011-12-30T09:59:59.999Z",
      "2011-12-29",
      "2011-12-30T10:00:00Z",
      "2011-12",
      "2011-12-31T10:00:00Z",
    ],
    ["Pacific/Apia", "2011-12-30T10:00:00Z", "2011-12-31", "2011-12-31T10:00:00Z", "2011-12", "2011-12-31T10:00:00Z"],
    ["Pacific/Apia", "2026-11-20T11:00:00Z", "2026-11-21", "2026-11-21T11:00:00Z", "2026-11", "2026-11-30T11:00:00Z"],
    // Clocks went from 23:59:59 to 01:00: that day has no midnight, it begins at one.
    [
      "America/Sao_Paulo",
      "2018-11-03T12:00:00Z",
      "2018-11-03",
      "2018-11-04T03:00:00Z",
      "2018-11",
      "2018-12-01T02:00:00Z",
    ],
    [
      "Pacific/Kiritimati",
      "2026-12-31T10:00:00Z",
      "2027-01-01",
      "2027-01-01T10:00:00Z",
      "2027-01",
      "2027-01-31T10:00:00Z",
    ],
  ])("%s at %s is %s until %s, and %s until %s", (zone, moment, day, dayEnd, month, monthEnd) => {
    expect(windowsAt(at(moment), zone)).toEqual({
      daily: { id: day, endsAt: at(dayEnd) },
      monthly: { id: month, endsAt: at(monthEnd) },
    });
  });

  it.each(["UTC", "America/New_York", "Asia/Kathmandu", "Pacific/Apia", "Australia/Lord_Howe"])(
    "of %s holds until its own end and not a millisecond longer, all year round",
    (zone) => {
      let now = at("2028-01-01T00:00:00Z");
      for (let day = 0; day < 366; day++) {
        const { daily, monthly } = windowsAt(now, zone);
        expect(windowsAt(daily.endsAt - 1, zone).daily.id).toBe(daily.id);
        expect(windowsAt(daily.endsAt, zone).daily.id > daily.id).toBe(true);
        expect(windowsAt(monthly.endsAt - 1, zone).monthly.id).toBe(monthly.id);
        expect(windowsAt(monthly.endsAt, zone).monthly.id).not.toBe(monthly.id);
        expect(daily.id.startsWith(monthly.id)).toBe(true);
        now = daily.endsAt;
      }
    },
  );
});
