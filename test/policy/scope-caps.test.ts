import { describe, expect, it } from "vitest";
import type { ScopeCap } from "../../src/policy/types.ts";
import { compiling } from "./compiling.ts";

const USD = 1_000_000;

const { policy } = compiling(`
version: "1.0"
allowed_tools: { tier_3: [workloads.submit, allocations.create] }
teams:
  research: ["agent:trainer", "person:dana"]
  serving: ["agent:server", "agent:dana-server"]
  labels-only: ["agent:labelled"]
budget:
  daily_limit_usd: 500
  monthly_limit_usd: 10000
  per:
    action:
      workloads.submit: { daily_limit_usd: 300.000001 }
    team:
      serving: { daily_limit_usd: 250, monthly_limit_usd: 4000 }
      research: { monthly_limit_usd: 5000 }
    principal:
      "agent:trainer": { monthly_limit_usd: 4000 }
      each: { daily_limit_usd: 100 }
`);

const cap = (scope: string, daily: number | null, monthly: number | null): ScopeCap => ({
  scope,
  dailyCapMicros: daily === null ? null : daily * USD,
  monthlyCapMicros: monthly === null ? null : monthly * USD,
});

const SUBMIT = { ...cap("action:workloads.submit", null, null), dailyCapMicros: 300_000_001 };
const RESEARCH = cap("team:research", null, 5_000);
const SERVING = cap("team:serving", 250, 4_000);
const TRAINER = cap("principal:agent:trainer", null, 4_000);
/** What the one entry for all others comes to for this one. */
const each = (subject: string): ScopeCap => cap(`principal:${subject}`, 100, null);

type Case = readonly [
  title: string,
  asking: readonly [subject: string, owner: string, action: string],
  team: string | null,
  per: readonly ScopeCap[],
];

describe("the caps that apply to a request", () => {
  it.each<Case>([
    [
      "principal, team and action, in this order",
      ["agent:trainer", "person:x", "workloads.submit"],
      "research",
      [TRAINER, RESEARCH, SUBMIT],
    ],
    [
      "an entry of one's own replaces the one for all others whole; an action without a cap adds none",
      ["agent:trainer", "person:x", "allocations.create"],
      "research",
      [TRAINER, RESEARCH],
    ],
    [
      "whoever is not named has the cap for all others, for itself",
      ["agent:new", "person:x", "workloads.submit"],
      null,
      [each("agent:new"), SUBMIT],
    ],
    [
      "a credential is in its owner's team",
      ["agent:new", "person:dana", "allocations.create"],
      "research",
      [each("agent:new"), RESEARCH],
    ],
    [
      "its own subject decides before its owner's",
      ["agent:dana-server", "person:dana", "allocations.create"],
      "serving",
      [each("agent:dana-server"), SERVING],
    ],
    [
      "a team without a cap is a label",
      ["agent:labelled", "person:dana", "allocations.create"],
      "labels-only",
      [each("agent:labelled")],
    ],
    [
      "a subject counts exactly as written",
      ["agent:Trainer", "person:Dana", "allocations.create"],
      null,
      [each("agent:Trainer")],
    ],
    [
      "names that every object has are no members and no actions",
      ["agent:x", "toString", "constructor"],
      null,
      [each("agent:x")],
    ],
    [
      "a principal called like a team or an action has none of their caps",
      ["research", "workloads.submit", "research"],
      null,
      [each("research")],
    ],
  ])("%s", (_title, [subject, owner, action], team, per) => {
    expect(policy.spending({ subject, owner }, action)).toEqual({ team, per });
  });

  it("are none where the policy states none", () => {
    const plain = compiling('version: "1.0"\nallowed_tools: {}\nbudget: { per: { principal: {} } }\n').policy;
    expect(plain.spending({ subject: "agent:a", owner: "person:b" }, "workloads.submit")).toEqual({
      team: null,
      per: [],
    });
    expect(plain.scopeCaps).toEqual([]);
  });

  it("of one principal are not mixed up with another's", () => {
    const first = policy.spending({ subject: "agent:a", owner: "person:x" }, "capacity.get");
    const second = policy.spending({ subject: "agent:b", owner: "person:x" }, "capacity.get");
    expect([first.per, second.per]).toEqual([[each("agent:a")], [each("agent:b")]]);
  });
});

it("lists every cap that names its scope, and not the one for all others", () => {
  expect(policy.scopeCaps).toEqual([TRAINER, SERVING, RESEARCH, SUBMIT]);
});
