import { describe, expect, it } from "vitest";
import { requiredContext, shadowContext } from "../../src/policy/incidents.ts";
import { compiling, refusing } from "./compiling.ts";

const policy = (...lines: readonly string[]): string =>
  ['version: "1.0"', "allowed_tools: { tier_4: [workloads.cancel] }", ...lines, ""].join("\n");
const compiled = (...lines: readonly string[]) => compiling(policy(...lines)).policy;

describe("which incident a write has to name", () => {
  it("none, and a claim lasts an hour, where the policy says nothing", () => {
    const { incidents } = compiled();
    expect(incidents.requires("workloads.cancel")).toBe(false);
    expect(incidents.claimMs).toBe(3_600_000);
  });

  it("is asked for by tier with other context, and by action at every tier of writes", () => {
    const byTier = compiled("require: { tier_2: [incident] }");
    expect(requiredContext(byTier, 2, "workloads.submit")).toEqual(["reason", "incident"]);
    expect(requiredContext(byTier, 3, "workloads.submit")).toEqual(["reason", "evidence", "back_out"]);
    const byAction = compiled("incidents: { required_for: [workloads.cancel], claim_minutes: 5 }");
    expect(byAction.incidents.claimMs).toBe(300_000);
    expect(requiredContext(byAction, 2, "workloads.cancel")).toEqual(["reason", "incident"]);
    expect(requiredContext(byAction, 4, "workloads.cancel")).toEqual(["reason", "evidence", "back_out", "incident"]);
    expect(requiredContext(byAction, 4, "workloads.submit")).not.toContain("incident");
    expect(requiredContext(byAction, 1, "workloads.cancel")).toEqual([]);
  });

  it("is recorded and not asked for while the policy is in shadow", () => {
    const shadow = compiled("mode: shadow", "incidents: { required_for: [workloads.cancel] }");
    expect(requiredContext(shadow, 4, "workloads.cancel")).toEqual(["reason", "evidence", "back_out"]);
    expect(shadowContext(shadow, 4, "workloads.cancel")).toEqual(["incident"]);
    expect(shadowContext(compiled("incidents: { required_for: [workloads.cancel] }"), 4, "workloads.cancel")).toEqual(
      [],
    );
  });

  it("is named once where both ask for it", () => {
    const both = compiled("require: { tier_3: [incident] }", "incidents: { required_for: [workloads.cancel] }");
    expect(requiredContext(both, 3, "workloads.cancel")).toEqual(["reason", "evidence", "back_out", "incident"]);
  });

  it("binds an approval: another rule of it is another digest, for that action alone", () => {
    const before = compiled();
    const after = compiled("incidents: { required_for: [workloads.cancel] }");
    expect(after.ruleDigest("workloads.cancel", 4)).not.toBe(before.ruleDigest("workloads.cancel", 4));
    expect(after.ruleDigest("workloads.submit", 3)).toBe(before.ruleDigest("workloads.submit", 3));
    expect(compiled("incidents: { claim_minutes: 5 }").ruleDigest("workloads.cancel", 4)).toBe(
      before.ruleDigest("workloads.cancel", 4),
    );
  });
});

describe("a policy is refused, at its place, for", () => {
  it.each([
    [
      "an action that the catalogue does not have",
      "{ required_for: [workloads.cancl] }",
      "/required_for/0",
      /workloads\.cancel/,
    ],
    ["an action twice", "{ required_for: [workloads.cancel, workloads.cancel] }", "/required_for/1", /twice/],
    ["an empty list", "{ required_for: [] }", "/required_for", /./],
    ["a claim without time", "{ claim_minutes: 0 }", "/claim_minutes", /./],
    ["a claim of more than a day", "{ claim_minutes: 1441 }", "/claim_minutes", /./],
    ["another word", "{ owner: alice }", "/owner", /unknown key/],
  ])("%s", (_, written, path, message) => {
    expect(refusing(policy(`incidents: ${written}`))).toEqual([
      {
        line: 3,
        column: expect.any(Number),
        path: `/incidents${path}`,
        message: expect.stringMatching(message),
        severity: "error",
      },
    ]);
  });
});
