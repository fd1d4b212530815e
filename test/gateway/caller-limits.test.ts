import { describe, expect, test } from "vitest";
import type { CostOutcome } from "../../src/catalogue/types.ts";
import { brokenLimits, callersRule } from "../../src/gateway/caller-limits.ts";

const HOUR_MS = 3_600_000;
const priced = (ceilingMicros: number, durationMs: number | null): CostOutcome => ({
  kind: "priced",
  ceilingMicros,
  priceVersion: "1",
  durationMs,
  currentMicros: null,
});

describe("a caller's own bounds bind exactly, and only what has a cost or a run time", () => {
  const cost = { constraint: "max_cost_usd", limit: 12.5, actual: 12.500001 };
  const hours = { constraint: "max_hours", limit: 1.5, actual: 2 };
  test.each([
    ["at the cost", { maxCostMicros: 12_500_000, maxRunMs: null }, priced(12_500_000, null), []],
    ["a micro-dollar above it", { maxCostMicros: 12_500_000, maxRunMs: null }, priced(12_500_001, null), [cost]],
    ["at the hours", { maxCostMicros: null, maxRunMs: 2 * HOUR_MS }, priced(1, 2 * HOUR_MS), []],
    ["above them", { maxCostMicros: null, maxRunMs: 1.5 * HOUR_MS }, priced(1, 2 * HOUR_MS), [hours]],
    [
      "above both",
      { maxCostMicros: 12_500_000, maxRunMs: 1.5 * HOUR_MS },
      priced(12_500_001, 2 * HOUR_MS),
      [cost, hours],
    ],
    ["what ends at once", { maxCostMicros: null, maxRunMs: 1 }, priced(1, null), []],
    ["what is free", { maxCostMicros: 0, maxRunMs: 1 }, { kind: "none" } as const, []],
    ["no bounds", { maxCostMicros: null, maxRunMs: null }, priced(1, 1), []],
  ])("%s", (_name, limits, outcome, broken) => {
    expect(brokenLimits(limits, outcome)).toEqual(broken);
  });

  test("the rule names the headers that refuse", () => {
    expect([callersRule([cost]), callersRule([hours]), callersRule([cost, hours])]).toEqual([
      "Gate-Max-Cost of the caller",
      "Gate-Max-Hours of the caller",
      "Gate-Max-Cost and Gate-Max-Hours of the caller",
    ]);
  });
});
