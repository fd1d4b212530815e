import { describe, expect, test } from "vitest";
import { completeDays, forecastDay, forecastMonth, type WindowState } from "../../src/admin/forecast.ts";

const at = (time: string): number => Date.parse(time);
const HOUR_MS = 3_600_000;

const day = (over: Partial<WindowState> = {}): WindowState => ({
  window: "2026-11-20",
  capMicros: 500_000_000,
  usedMicros: 120_000_000,
  endsAt: at("2026-11-21T00:00:00Z"),
  ...over,
});
const month = (over: Partial<WindowState> = {}): WindowState => ({
  window: "2026-11",
  capMicros: 10_000_000_000,
  usedMicros: 3_000_000_000,
  endsAt: at("2026-12-01T00:00:00Z"),
  ...over,
});

describe("the day's burn-down is today's use, spread over the time since the day began", () => {
  test("at a quarter of the day a fifth of the cap: the rest comes at the same rate, and the cap is not reached", () => {
    expect(forecastDay(day({ usedMicros: 100_000_000 }), "UTC", at("2026-11-20T06:00:00Z"))).toEqual({
      rateMicrosPerDay: 400_000_000,
      projectedMicros: 400_000_000,
      capReachedAt: null,
      basis: "Today's use so far, 100.00 USD in 6 hours, going on evenly.",
    });
  });

  test("a rate that passes the cap names the moment, before the window ends", () => {
    const forecast = forecastDay(day({ usedMicros: 250_000_000 }), "UTC", at("2026-11-20T06:00:00Z"));
    expect(forecast).toMatchObject({ projectedMicros: 1_000_000_000, capReachedAt: at("2026-11-20T12:00:00Z") });
  });

  test("a cap that would be reached in the very moment of the reset is not reached", () => {
    const forecast = forecastDay(day({ usedMicros: 125_000_000 }), "UTC", at("2026-11-20T06:00:00Z"));
    expect(forecast).toMatchObject({ projectedMicros: 500_000_000, capReachedAt: null });
  });

  test.each([
    ["used up", 500_000_000],
    ["passed, because it was lowered", 700_000_000],
  ])("a cap that is %s is reached now", (_, usedMicros) => {
    const now = at("2026-11-20T06:00:00Z");
    expect(forecastDay(day({ usedMicros }), "UTC", now).capReachedAt).toBe(now);
  });

  test("a day without use goes nowhere", () => {
    expect(forecastDay(day({ usedMicros: 0 }), "UTC", at("2026-11-20T23:00:00Z"))).toMatchObject({
      rateMicrosPerDay: 0,
      projectedMicros: 0,
      capReachedAt: null,
    });
  });

  test("in its first hour nothing is said but why", () => {
    expect(forecastDay(day(), "UTC", at("2026-11-20T00:59:59.999Z"))).toEqual({
      rateMicrosPerDay: null,
      projectedMicros: null,
      capReachedAt: null,
      basis: "Too little history: the day began less than an hour ago.",
    });
    expect(forecastDay(day(), "UTC", at("2026-11-20T01:00:00Z")).rateMicrosPerDay).not.toBeNull();
  });

  test("a clock behind the window's beginning says nothing either", () => {
    expect(forecastDay(day(), "UTC", at("2026-11-19T20:00:00Z")).rateMicrosPerDay).toBeNull();
  });

  // Ten hours after local midnight in each case: as much used, the same rate, another length of the day that is left.
  test.each([
    ["24 hours", "America/New_York", "2026-11-20T05:00:00Z", "2026-11-21T05:00:00Z", 240],
    ["25 hours (clocks go back)", "America/New_York", "2026-11-01T04:00:00Z", "2026-11-02T05:00:00Z", 250],
    ["23 hours (clocks go forward)", "America/New_York", "2026-03-08T05:00:00Z", "2026-03-09T04:00:00Z", 230],
    ["24 hours at a quarter past", "Asia/Kathmandu", "2026-11-19T18:15:00Z", "2026-11-20T18:15:00Z", 240],
    ["24 hours at the date line", "Pacific/Apia", "2026-11-19T11:00:00Z", "2026-11-20T11:00:00Z", 240],
    ["the leap day", "UTC", "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z", 240],
  ])("a day of %s in %s", (_, timezone, began, ends, projectedUsd) => {
    const state = day({ usedMicros: 100_000_000, endsAt: at(ends) });
    const forecast = forecastDay(state, timezone, at(began) + 10 * HOUR_MS);
    expect(forecast.rateMicrosPerDay).toBe(240_000_000);
    expect(forecast.projectedMicros).toBe(projectedUsd * 1_000_000);
    expect(forecast.basis).toContain("in 10 hours");
  });
});

/** The same use on each of these days. */
const evenly = (days: readonly string[], micros: number): ReadonlyMap<string, number> =>
  new Map(days.map((one) => [one, micros]));

describe("the month's burn-down is the mean of the last seven complete days", () => {
  const now = at("2026-11-21T00:00:00Z");
  const week = ["14", "15", "16", "17", "18", "19", "20"].map((date) => `2026-11-${date}`);
  test("ten days at 100 USD come on top of what is used", () => {
    expect(forecastMonth(month(), evenly(week, 100_000_000), "UTC", now)).toEqual({
      rateMicrosPerDay: 100_000_000,
      projectedMicros: 4_000_000_000,
      capReachedAt: null,
      basis: "The mean of the last 7 complete days, 700.00 USD in all.",
    });
  });

  test("the date of the cap, half way through a day", () => {
    const forecast = forecastMonth(month({ capMicros: 3_250_000_000 }), evenly(week, 100_000_000), "UTC", now);
    expect(forecast.capReachedAt).toBe(at("2026-11-23T12:00:00Z"));
  });

  test("days without use count as zero, and the basis says so", () => {
    const forecast = forecastMonth(month(), evenly(week.slice(0, 1), 700_000_000), "UTC", now);
    expect(forecast).toMatchObject({
      rateMicrosPerDay: 100_000_000,
      basis: "The mean of the last 7 complete days, 700.00 USD in all; 6 of them had no use and count as zero.",
    });
  });

  test("neither today nor what is older than a week counts", () => {
    const use = new Map([...evenly(week, 100_000_000), ["2026-11-21", 9_000_000_000], ["2026-11-13", 9_000_000_000]]);
    expect(forecastMonth(month(), use, "UTC", now).rateMicrosPerDay).toBe(100_000_000);
  });

  test("without a single day of use nothing is said but why", () => {
    expect(forecastMonth(month(), new Map([["2026-11-21", 5]]), "UTC", now)).toEqual({
      rateMicrosPerDay: null,
      projectedMicros: null,
      capReachedAt: null,
      basis: "Too little history: nothing was used in the last 7 complete days.",
    });
  });

  test("a cap that is used up is reached now, whatever the history", () => {
    expect(forecastMonth(month({ capMicros: 1 }), new Map(), "UTC", now).capReachedAt).toBe(now);
  });

  test("complete days are the zone's, across the ends of months and years", () => {
    expect(completeDays(at("2027-01-02T03:00:00Z"), "America/New_York")).toEqual([
      "2026-12-31",
      "2026-12-30",
      "2026-12-29",
      "2026-12-28",
      "2026-12-27",
      "2026-12-26",
      "2026-12-25",
    ]);
  });
});
