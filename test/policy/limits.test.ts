import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { formatUsd } from "../../src/platform/money.ts";
import { compiling, refusing } from "./compiling.ts";

const policy = (...text: readonly string[]): string => ['version: "1.0"', "allowed_tools: {}", ...text, ""].join("\n");
const gross = (line: string): number | null =>
  compiling(policy("budget:", `  ${line}`)).policy.budget.grossDailyCapMicros;
const daily = (amount: string): string => policy("budget:", `  daily_limit_usd: ${amount}`);

describe("caps are exact", () => {
  it.each([
    ["0", 0],
    ["500", 500_000_000],
    ["0.1", 100_000],
    ["0.3", 300_000],
    ["0.000001", 1],
    ["1.000001", 1_000_001],
    ["999999999.999999", 999_999_999_999_999],
    ["10.50 # a comment", 10_500_000],
  ])("%s USD", (written, micros) => {
    expect(compiling(daily(written)).policy.budget.dailyCapMicros).toBe(micros);
  });

  it("also in a map on one line", () => {
    const { budget } = compiling(policy("budget: {daily_limit_usd: 0.29,monthly_limit_usd: 2.01}")).policy;
    expect(budget).toMatchObject({ dailyCapMicros: 290_000, monthlyCapMicros: 2_010_000 });
  });

  it("for every amount of whole micro-USD", () => {
    fc.assert(
      fc.property(fc.nat({ max: 999_999_999_999_999 }), (micros) => {
        expect(compiling(daily(formatUsd(micros))).policy.budget.dailyCapMicros).toBe(micros);
      }),
    );
  });

  it.each(["-1", "0.0000001", "500.1000000000000000001", "1000000000", "1e3", '"500"', "null", "yes", ".5"])(
    "%s is refused at its place",
    (written) => {
      expect(refusing(daily(written))).toMatchObject([{ line: 4, column: 20, path: "/budget/daily_limit_usd" }]);
    },
  );

  it.each([
    ["no budget", policy()],
    ["an empty budget", policy("budget: {}")],
  ])("%s means 0: nothing that costs money is allowed", (_title, text) => {
    expect(compiling(text).policy.budget).toMatchObject({ dailyCapMicros: 0, monthlyCapMicros: 0 });
  });

  it("one cap that is left out is 0 too", () => {
    expect(compiling(daily("5")).policy.budget).toMatchObject({ dailyCapMicros: 5_000_000, monthlyCapMicros: 0 });
  });

  it("the bound of submissions is read as exactly, is 0 where 0 is stated, and follows the daily cap where nothing is", () => {
    expect(gross("gross_daily_limit_usd: 999999999.999999")).toBe(999_999_999_999_999);
    expect(gross("gross_daily_limit_usd: 0")).toBe(0);
    expect(gross("daily_limit_usd: 5")).toBeNull();
  });
});

describe("thresholds", () => {
  it.each<[string, readonly string[], readonly number[]]>([
    ["no budget", [], [50, 80, 95, 100]],
    ["none stated", ["budget: { daily_limit_usd: 5 }"], [50, 80, 95, 100]],
    ["switched off", ["budget: { notify_at_percent: [] }"], []],
    ["one", ["budget: { notify_at_percent: [1] }"], [1]],
    ["eight", ["budget: { notify_at_percent: [1, 2, 3, 4, 5, 6, 99, 100] }"], [1, 2, 3, 4, 5, 6, 99, 100]],
  ])("%s", (_title, text, percents) => {
    expect(compiling(policy(...text)).policy.budget.thresholdsPercent).toEqual(percents);
  });
});

describe("rate limits", () => {
  it.each<[string, readonly string[], number, number]>([
    ["none", [], 6_000, 600],
    ["reads by tier 0", ["rate_limits:", "  tier_0: 10"], 10, 600],
    ["reads by tier 1", ["rate_limits:", "  tier_1: 10"], 10, 600],
    ["writes by tier 2", ["rate_limits:", "  tier_2: 7"], 6_000, 7],
    ["writes by tier 4", ["rate_limits:", "  tier_4: 7"], 6_000, 7],
    ["all, agreeing", ["rate_limits: { tier_0: 10, tier_1: 10, tier_2: 7, tier_3: 7, tier_4: 7 }"], 10, 7],
  ])("%s", (_title, text, readsPerMinute, writesPerMinute) => {
    expect(compiling(policy(...text)).policy.rateLimits).toEqual({ readsPerMinute, writesPerMinute });
  });
});

describe("switches", () => {
  it.each<[string, readonly string[], string, string]>([
    ["neither", [], "receipt", "optional"],
    ["inline", ["dry_run: inline"], "inline", "derived"],
    ["inline, stricter", ["dry_run: inline", "idempotency: required"], "inline", "required"],
    ["inline, explicit", ["dry_run: inline", "idempotency: optional"], "inline", "optional"],
    ["required", ["idempotency: required"], "receipt", "required"],
  ])("dry run and idempotency: %s", (_title, text, dryRun, idempotency) => {
    expect(compiling(policy(...text)).policy).toMatchObject({ dryRun, idempotency });
  });

  it.each(["UTC", "Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+3"])("time zone %s", (zone) => {
    expect(compiling(policy(`timezone: ${zone}`)).policy.timezone).toBe(zone);
  });
});
