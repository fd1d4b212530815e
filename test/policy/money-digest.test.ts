import { describe, expect, it } from "vitest";
import { compiling } from "./compiling.ts";

const POLICY = `
version: "1.0"
timezone: UTC
allowed_tools:
  tier_2:
    - workloads.submit: { max_gpus: 4 }
  tier_4: [workloads.cancel]
teams:
  research: ["agent:trainer", "person:dana"]
  serving: ["agent:server"]
budget:
  daily_limit_usd: 500
  monthly_limit_usd: 10000
  gross_daily_limit_usd: 900
  notify_at_percent: [50, 100]
  per:
    principal:
      each: { daily_limit_usd: 100 }
      "agent:trainer": { daily_limit_usd: 200 }
    team:
      research: { monthly_limit_usd: 5000 }
    action:
      workloads.submit: { daily_limit_usd: 300 }
`;

const digestOf = (text: string): string => compiling(text).policy.moneyDigest;

/** POLICY with one place written otherwise. */
function changed(from: string, to: string): string {
  const text = POLICY.replace(from, to);
  expect(text).not.toBe(POLICY);
  return text;
}

describe("the digest of what a policy says of money", () => {
  it.each([
    ["the bound of submissions", "gross_daily_limit_usd: 900", "gross_daily_limit_usd: 901"],
    ["no bound of submissions", "  gross_daily_limit_usd: 900\n", ""],
    ["a threshold", "[50, 100]", "[50, 95]"],
    ["no thresholds", "[50, 100]", "[]"],
    ["the cap of every other principal", "each: { daily_limit_usd: 100 }", "each: { daily_limit_usd: 99 }"],
    ["no cap of every other principal", "      each: { daily_limit_usd: 100 }\n", ""],
    ["the cap of a principal", "{ daily_limit_usd: 200 }", "{ daily_limit_usd: 200.000001 }"],
    ["its period", "{ daily_limit_usd: 200 }", "{ monthly_limit_usd: 200 }"],
    ["another principal", '"agent:trainer": {', '"agent:tuner": {'],
    ["the cap of a team", "5000", "5001"],
    ["the cap of an action", "{ daily_limit_usd: 300 }", "{ daily_limit_usd: 300, monthly_limit_usd: 300 }"],
    ["one more in a team", '["agent:server"]', '["agent:server", "agent:other"]'],
    ["one less in a team", '["agent:trainer", "person:dana"]', '["agent:trainer"]'],
    [
      "a member of the other team",
      '["agent:trainer", "person:dana"]\n  serving: ["agent:server"]',
      '["agent:trainer"]\n  serving: ["agent:server", "person:dana"]',
    ],
    ["one more team", "budget:", '  more: ["agent:more"]\nbudget:'],
  ])("is another one with %s", (_title, from, to) => {
    expect(digestOf(changed(from, to))).not.toBe(digestOf(POLICY));
  });

  it.each([
    ["the tenant's daily cap, which is compared as a number", "daily_limit_usd: 500", "daily_limit_usd: 400"],
    ["the tenant's monthly cap, which is too", "monthly_limit_usd: 10000", "monthly_limit_usd: 9000"],
    ["a comment", "budget:", "# all of it\nbudget:"],
    ["the spelling of an amount", "gross_daily_limit_usd: 900", "gross_daily_limit_usd: 900.00"],
    ["the order of members", '["agent:trainer", "person:dana"]', '["person:dana", "agent:trainer"]'],
    [
      "the order of caps",
      '      each: { daily_limit_usd: 100 }\n      "agent:trainer": { daily_limit_usd: 200 }\n',
      '      "agent:trainer": { daily_limit_usd: 200 }\n      each: { daily_limit_usd: 100 }\n',
    ],
    ["what is allowed", "max_gpus: 4", "max_gpus: 2"],
  ])("is the same one whatever %s", (_title, from, to) => {
    expect(digestOf(changed(from, to))).toBe(digestOf(POLICY));
  });

  it("writes out the defaults: stating them changes nothing", () => {
    const bare = 'version: "1.0"\nallowed_tools: {}\n';
    expect(digestOf(`${bare}budget: { notify_at_percent: [50, 80, 95, 100], per: {} }\n`)).toBe(digestOf(bare));
  });
});
