import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { QuotaRule } from "../../src/quota/port.ts";
import { bucketKey, rateKey } from "../../src/quota/quota-key.ts";
import { quotaRule } from "../../src/quota/quota-rule.ts";

const rules = fc.record<QuotaRule>({
  class: fc.constantFrom("read", "write"),
  limit: fc.integer({ min: 1, max: 12 }),
  windowMs: fc.integer({ min: 1, max: 12 }),
});
/** Ids built from what keys are built from, so that a collision would be found if there were one. */
const hostileIds = fc
  .array(fc.constantFrom("a", "1", "2", "3", ":", "/", "read", "write", ":read", ":write"), { maxLength: 6 })
  .map((parts) => parts.join(""));

describe("TEN-03: keys", () => {
  it("differ whenever tenant or class differ", () => {
    fc.assert(
      fc.property(hostileIds, rules, hostileIds, rules, (tenant, rule, otherTenant, otherRule) => {
        const same = tenant === otherTenant && rule.class === otherRule.class;
        expect(bucketKey(tenant, rule) === bucketKey(otherTenant, otherRule)).toBe(same);
      }),
    );
  });

  it("of what an isolate remembers differ also whenever the rate differs", () => {
    fc.assert(
      fc.property(hostileIds, rules, hostileIds, rules, (tenant, rule, otherTenant, otherRule) => {
        const same =
          tenant === otherTenant &&
          rule.class === otherRule.class &&
          rule.limit === otherRule.limit &&
          rule.windowMs === otherRule.windowMs;
        expect(rateKey(tenant, rule) === rateKey(otherTenant, otherRule)).toBe(same);
      }),
    );
  });
});

describe("quotaRule", () => {
  it.each([
    [0, "read", 6_000],
    [1, "read", 6_000],
    [2, "write", 600],
    [3, "write", 600],
    [4, "write", 600],
    [5, "write", 600],
  ] as const)("puts tier %d under %s", (tier, quotaClass, limit) => {
    const rule = quotaRule(tier, { readsPerMinute: 6_000, writesPerMinute: 600 });
    expect(rule).toEqual({ class: quotaClass, limit, windowMs: 60_000 });
  });
});
