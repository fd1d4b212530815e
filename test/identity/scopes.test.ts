import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TIERS } from "../../src/vocabulary.ts";
import { covers, narrowed, parseScope, reaches, requiredScope } from "../../src/identity/scopes.ts";

const scoped = (...actions: readonly string[]) => ({ actions });

describe("TOK-13 a scope covers exactly what it says", () => {
  test.each([
    [["*"], "workloads.submit", true],
    [["workloads.submit"], "workloads.submit", true],
    [["workloads.*"], "workloads.submit", true],
    [["a.*"], "a.b.c", true],
    [["gpus.status", "workloads.*"], "workloads.cancel", true],
    [[], "workloads.submit", false],
    [["workloads.*"], "workloads", false],
    [["workloads.*"], "workloads_v2.submit", false],
    [["workloads.*"], "Workloads.submit", false],
    [["workloads.submit"], "workloads.submit_all", false],
    [["workloads.submit"], "workloads.submit.force", false],
    [["work*"], "workloads.submit", false],
    [["*.submit"], "workloads.submit", false],
    [["workloads.* "], "workloads.submit", false],
    [[".*"], "workloads.submit", false],
    [[""], "workloads.submit", false],
  ])("%j on %s: %s", (actions, action, expected) => {
    expect(covers(scoped(...actions), action)).toBe(expected);
  });

  test.each(["*", "workloads.*", "a.b.*", "workloads.submit", "failure_analysis.diagnose"])("%s is a scope", (text) => {
    expect(parseScope(text)).toEqual({ ok: true, value: text });
  });

  test.each([
    "",
    " *",
    "* ",
    "**",
    "work*",
    "*.submit",
    "a.*.b",
    "workloads.",
    "workloads",
    ".*",
    "Workloads.*",
    "workloads.*\n",
    "workloads .submit",
    "w\u043Erkloads.submit",
    `${"a".repeat(130)}.b`,
  ])("%j is not a scope", (text) => {
    expect(parseScope(text).ok).toBe(false);
  });
});

test("a credential reaches its highest tier and nothing above", () => {
  expect(TIERS.map((tier) => reaches({ maxTier: 2 }, tier))).toEqual([true, true, true, false, false, false]);
});

test("a refusal names the scope that is missing", () => {
  expect(requiredScope("workloads.submit")).toBe("workloads.submit");
  expect(requiredScope("workloads.submit", 3)).toBe("workloads.submit up to tier 3");
});

describe("a token's scopes narrow what its issuer may reach and never widen it", () => {
  test.each([
    [["workloads.*"], ["workloads.submit"], ["workloads.submit"]],
    [["workloads.*", "gpus.status"], ["*"], ["workloads.*", "gpus.status"]],
    [["workloads.submit"], ["workloads.*"], ["workloads.submit"]],
    [["workloads.*"], ["gpus.status"], []],
    [["*"], ["openid", "profile", "gpus.status"], ["gpus.status"]],
    [["workloads.*"], ["Workloads.*", "WORKLOADS.SUBMIT"], []],
    [["workloads.*"], [], []],
    [[], ["*"], []],
  ])("%j ∩ %j = %j", (allowed, requested, expected) => {
    expect(narrowed(allowed, requested)).toEqual(expected);
  });

  test("for any two lists, an action is covered by the result exactly when both lists cover it", () => {
    const segment = fc.constantFrom("a", "b", "c");
    const action = fc
      .tuple(segment, segment, fc.option(segment, { nil: null }))
      .map((parts) => parts.filter((part) => part !== null).join("."));
    const pattern = fc.oneof(
      action,
      segment.map((name) => `${name}.*`),
      action.map((name) => `${name}.*`),
      fc.constant("*"),
    );
    fc.assert(
      fc.property(fc.array(pattern), fc.array(pattern), action, (allowed, requested, name) => {
        const both = covers(scoped(...allowed), name) && covers(scoped(...requested), name);
        expect(covers(scoped(...narrowed(allowed, requested)), name)).toBe(both);
      }),
      { numRuns: 2_000 },
    );
  });
});
