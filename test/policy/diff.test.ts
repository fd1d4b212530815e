import { describe, expect, it } from "vitest";
import type { PolicyChange, PolicyWorld } from "../../src/policy/diff/diff-change.ts";
import { policyDiff } from "../../src/policy/diff/diff.ts";
import { peopleOf } from "./compiling.ts";
import { actionSpec, EXAMPLE_CATALOGUE } from "./example-actions.ts";
import { worldOf, type WorldParts } from "./worlds.ts";

/** A Friday. */
const NOW = Date.UTC(2026, 10, 20, 8);

const PEOPLE = `people:
  "@alice": { subject: "person:alice", roles: [ml-lead] }
  "@bob": { subject: "person:bob" }
  "@carol": { subject: "person:carol" }
`;

const BASE = `version: "1.0"
allowed_tools:
  tier_0: [workloads.list]
  tier_2:
    - workloads.submit: { max_gpus: 4, job_type: [elastic] }
  tier_3:
    - workloads.submit: { max_gpus: 8, job_type: [elastic] }
    - reservations.create
  tier_4: [workloads.cancel]
  tier_5: [pools.delete]
budget:
  daily_limit_usd: 500
  monthly_limit_usd: 5000
  per:
    principal:
      each: { daily_limit_usd: 100 }
    action:
      workloads.submit: { monthly_limit_usd: 3000 }
teams:
  research: ["agent:one"]
aggregates:
  - { name: gpus, of: gpus, per: principal, within: day, max: 64 }
maintenance_windows:
  nights: { cron: "0 2 * * *", minutes: 60 }
reversible:
  - { is: false, inside: [nights] }
approval:
  approvers:
    tier_3: ["@alice", "@bob"]
    tier_4: ["@alice", "@bob"]
  timeout_minutes: 30
  break_glass: { role: ml-lead, max_usd: 100 }
  confirm: { tiers: [4] }
  channels: { tier_3: "#gate" }
require:
  tier_2: [evidence]
incidents: { required_for: [workloads.cancel] }
rate_limits: { tier_0: 1000, tier_2: 100 }
notify: { channel: "#gate", tiers: [1, 2] }
signals: { denials_per_10_minutes: 20 }
audit: { retain_days: 365, legal_hold: true }
`;

const base = (text: string, parts: WorldParts = {}): PolicyWorld =>
  worldOf(text, { people: peopleOf(PEOPLE), ...parts });

/** The base with one piece of its text replaced. */
function edited(from: string, to: string): readonly PolicyChange[] {
  expect(BASE.split(from)).toHaveLength(2);
  return policyDiff(base(BASE), base(BASE.replace(from, to)), NOW);
}

const brief = (changes: readonly PolicyChange[]) =>
  changes.map(({ kind, widens, text }) => `${widens ? "widens" : "narrows"} ${kind}: ${text}`);

describe("requests that are decided differently are told by their ranges", () => {
  it.each<readonly [string, string, readonly string[]]>([
    [
      "- workloads.submit: { max_gpus: 8, job_type",
      "- workloads.submit: { max_gpus: 16, job_type",
      ["widens newly-allowed: workloads.submit, 9 ≤ gpus ≤ 16, job_type elastic: refused → tier 3"],
    ],
    [
      "{ max_gpus: 4, job_type: [elastic] }",
      "{ max_gpus: 2, job_type: [elastic] }",
      ["narrows tier-raised: workloads.submit, 3 ≤ gpus ≤ 4, job_type elastic: tier 2 → tier 3"],
    ],
    [
      "job_type: [elastic] }\n  tier_3",
      "job_type: [elastic, reserved] }\n  tier_3",
      ["widens newly-allowed: workloads.submit, gpus ≤ 4, job_type reserved: refused → tier 2"],
    ],
    [
      "    - reservations.create\n",
      "",
      ["narrows newly-denied: reservations.create, while nights is open: tier 3 → refused"],
    ],
    [
      "{ max_gpus: 8, job_type: [elastic] }",
      "{ min_gpus: 6, max_gpus: 8, job_type: [elastic] }",
      ["narrows newly-denied: workloads.submit, gpus 5, job_type elastic: tier 3 → refused"],
    ],
    ["[workloads.list]", "[workloads.list, logs.get]", ["widens newly-allowed: logs.get: refused → tier 0"]],
    ["tier_5: [pools.delete]", "tier_5: []", []],
    [
      "inside: [nights]",
      'deny: "never"',
      [
        "narrows newly-denied: reservations.create, while nights is open: tier 3 → refused",
        "narrows newly-denied: workloads.cancel, while nights is open: tier 4 → refused",
        "widens guard: writes only inside of windows: 18 actions everywhere: nights → none",
      ],
    ],
    [
      'cron: "0 2 * * *", minutes: 60',
      'cron: "0 3 * * *", minutes: 60',
      [
        "narrows newly-denied: reservations.create, while nights (before) is open: tier 3 → refused",
        "widens newly-allowed: reservations.create, while nights (after) is open: refused → tier 3",
        "narrows newly-denied: workloads.cancel, while nights (before) is open: tier 4 → refused",
        "widens newly-allowed: workloads.cancel, while nights (after) is open: refused → tier 4",
        "widens window: window nights: 0 2 * * * UTC for 60 min → 0 3 * * * UTC for 60 min",
      ],
    ],
  ])("%s → %s", (from, to, expected) => {
    expect(brief(edited(from, to))).toEqual(expected);
  });

  it("a request that shows the change stands beside it", () => {
    const [change] = edited("{ max_gpus: 8, job", "{ max_gpus: 16, job");
    expect(change).toMatchObject({
      action: "workloads.submit",
      where: "9 ≤ gpus ≤ 16, job_type elastic",
      before: "refused",
      after: "tier 3",
      example: { facts: { gpus: 16, job_type: "elastic" }, at: "2026-11-20T08:00:00.000Z" },
    });
  });

  it("an action with too many different requests to look at all of them counts as widening", () => {
    const many = ["gpus", "hours"].map((fact) =>
      Array.from({ length: 150 }, (_, at) => `    - workloads.submit: { max_gpus: 4, max_${fact}: ${at + 1} }`),
    );
    const text = BASE.replace(
      "  tier_3:\n",
      `${many.flat().join("\n").replaceAll("max_gpus: 4, max_gpus", "max_gpus")}\n  tier_3:\n`,
    );
    const wide = text.replaceAll(/max_gpus: (\d+) \}/g, "max_gpus: 4, min_gpus: -$1 }");
    expect(brief(policyDiff(base(wide), base(BASE), NOW)).filter((line) => line.includes("unknown"))).toEqual([
      "widens unknown: workloads.submit: it has too many different requests, or facts of other types, to compare them all",
    ]);
  });
});

describe("what else a policy says", () => {
  it.each<readonly [string, string, string]>([
    ["version:", "mode: shadow\nversion:", "widens mode: mode: enforce → shadow"],
    [
      'tier_4: ["@alice", "@bob"]',
      'tier_4: ["@alice", "@bob", "@carol"]',
      "widens approvers: approvers of tier 4: 2 of @alice, @bob → 2 of @alice, @bob, @carol",
    ],
    [
      'tier_3: ["@alice", "@bob"]',
      'tier_3: { required: [{ role: ml-lead, n: 1 }, { people: ["@bob"], n: 1 }] }',
      "widens approvers: approvers of tier 3: 1 of @alice, @bob → 2: 1 of @alice and 1 of @bob",
    ],
    [
      "max_usd: 100",
      "max_usd: 200",
      "widens break-glass: break glass: person:alice up to 100.00 USD → person:alice up to 200.00 USD",
    ],
    ["timeout_minutes: 30", "timeout_minutes: 60", "widens approval: a proposal waits: 30 min → 60 min"],
    ["timeout_minutes: 30", "timeout_minutes: 20", "narrows approval: a proposal waits: 30 min → 20 min"],
    [
      "timeout_minutes: 30",
      "timeout_minutes: 30\n  execute: stored",
      "widens approval: who runs what is approved: resend → stored",
    ],
    [
      "timeout_minutes: 30",
      "timeout_minutes: 30\n  pending_share_percent: { tenant: 80 }",
      "widens approval: all proposals hold: 50 % → 80 %",
    ],
    [
      "timeout_minutes: 30",
      "timeout_minutes: 30\n  cool_down_seconds: { denied: 0 }",
      "widens approval: pause after a denial: 60 s → 0 s",
    ],
    [
      "  confirm: { tiers: [4] }\n",
      "",
      "widens approval: name to type, by tier and blast radius: tier 4 none, tier 4 workload, tier 4 allocation, tier 4 pool, tier 4 cluster → none",
    ],
    ['tier_3: "#gate"', 'tier_3: "#other"', "widens notify: channel of tier 3: #gate → #other"],
    ["tier_2: [evidence]", "tier_2: [reason]", "widens context: required at tier 2: reason, evidence → reason"],
    [
      "tier_2: [evidence]",
      "tier_2: [evidence, back_out]",
      "narrows context: required at tier 2: reason, evidence → reason, evidence, back_out",
    ],
    ["version:", "idempotency: required\nversion:", "narrows protocol: idempotency keys: optional → required"],
    [
      "incidents: { required_for: [workloads.cancel] }\n",
      "",
      "widens incidents: incident for workloads.cancel: required → not required",
    ],
    ["daily_limit_usd: 500\n", "daily_limit_usd: 600\n", "widens budget: daily cap: 500.00 USD → 600.00 USD"],
    ["monthly_limit_usd: 5000", "monthly_limit_usd: 4000", "narrows budget: monthly cap: 5000.00 USD → 4000.00 USD"],
    [
      "  per:\n",
      "  gross_daily_limit_usd: 800\n  per:\n",
      "narrows budget: submissions per day: twice the daily cap → 800.00 USD",
    ],
    [
      "daily_limit_usd: 100 }",
      "daily_limit_usd: 200 }",
      "widens budget: daily cap of each other principal: 100.00 USD → 200.00 USD",
    ],
    [
      "each:",
      "agent:one: { daily_limit_usd: 90 }\n      each:",
      "narrows budget: daily cap of principal agent:one: 100.00 USD → 90.00 USD",
    ],
    [
      "each:",
      "agent:one: { monthly_limit_usd: 90 }\n      each:",
      "widens budget: daily cap of principal agent:one: 100.00 USD → none",
    ],
    [
      "    action:\n      workloads.submit: { monthly_limit_usd: 3000 }\n",
      "",
      "widens budget: monthly cap of action workloads.submit: 3000.00 USD → none",
    ],
    ['["agent:one"]', '["agent:one", "agent:two"]', "widens teams: team of agent:two: none → research"],
    [
      "  per:\n",
      "  notify_at_percent: [50, 100]\n  per:\n",
      "widens notify: told at percent of a cap: 50, 80, 95, 100 → 50, 100",
    ],
    [
      "version:",
      "timezone: Europe/Berlin\nversion:",
      "widens budget: zone of budget days and months: UTC → Europe/Berlin",
    ],
    [
      "max: 64",
      "max: 128",
      "widens aggregate: aggregate gpus: 64 gpus per principal, in one day, beyond it refuse → 128 gpus per principal, in one day, beyond it refuse",
    ],
    [
      "max: 64",
      "max: 64, over: approve",
      "widens aggregate: aggregate gpus: 64 gpus per principal, in one day, beyond it refuse → 64 gpus per principal, in one day, beyond it approve",
    ],
    [
      "max: 64",
      "max: 32",
      "narrows aggregate: aggregate gpus: 64 gpus per principal, in one day, beyond it refuse → 32 gpus per principal, in one day, beyond it refuse",
    ],
    [
      "max: 64",
      "max: 64, mode: shadow",
      "widens aggregate: aggregate gpus: 64 gpus per principal, in one day, beyond it refuse → 64 gpus per principal, in one day, beyond it refuse, in shadow",
    ],
    ["tier_0: 1000", "tier_0: 2000", "widens rate-limit: reads: 1000 per minute → 2000 per minute"],
    ["tier_2: 100 }", "tier_2: 50 }", "narrows rate-limit: writes: 100 per minute → 50 per minute"],
    ["tiers: [1, 2]", "tiers: [1]", "widens notify: tiers that are told: 1, 2 → 1"],
    [
      "denials_per_10_minutes: 20",
      "denials_per_10_minutes: 0",
      "widens signals: signal denialsPer10Minutes: 20 → never",
    ],
    ["retain_days: 365", "retain_days: 90", "widens retention: audit records keep their text: 365 days → 90 days"],
    ["legal_hold: true", "legal_hold: false", "widens retention: legal hold: on → off"],
    [
      "- reservations.create",
      "- reservations.create\n    - allocations.transfer: { mode: shadow }",
      "narrows shadow: rules in shadow: none → allocations.transfer at tier 3 {}",
    ],
  ])("%s → %s", (from, to, expected) => {
    expect(brief(edited(from, to))).toContain(expected);
  });

  it("the name of an aggregate, comments, and the order of a list say nothing", () => {
    expect(edited("name: gpus", "name: other")).toEqual([]);
    expect(edited("version:", "# a word\nversion:")).toEqual([]);
    expect(edited('tier_4: ["@alice", "@bob"]', 'tier_4: ["@bob", "@alice"]')).toEqual([]);
  });
});

const people = (text: string) => policyDiff(base(BASE), base(BASE, { people: peopleOf(text) }), NOW);
const table = (rates: string) =>
  `tables:\n  - { version: "1", effective_from: "2026-01-01T00:00:00Z", rates: { gpu_hour: ${rates} } }\n`;

describe("the other documents", () => {
  it("whoever is added, removed or becomes somebody else widens", () => {
    expect(brief(people(`${PEOPLE}  "@dora": { subject: "person:dora" }\n`))).toEqual([
      "widens people: @dora: none → person:dora",
    ]);
    expect(brief(people(PEOPLE.replace("person:bob", "person:eve")))).toEqual([
      "widens people: @bob: person:bob → person:eve",
      "widens approvers: approvers of tier 3: 1 of @alice, @bob → 1 of @alice, @bob",
      "widens approvers: approvers of tier 4: 2 of @alice, @bob → 2 of @alice, @bob",
    ]);
    expect(brief(people(PEOPLE.replace("roles: [ml-lead]", "roles: [finance]")))).toEqual([
      "widens people: @alice: person:alice; roles ml-lead → person:alice; roles finance",
      "widens break-glass: break glass: person:alice up to 100.00 USD → none",
    ]);
    expect(people(`# a word\n${PEOPLE}`)).toEqual([]);
  });

  it("a price that falls, or that is new, widens", () => {
    const [was, is] = [table('{ H100: "2.50", A100: "1" }'), table('{ H100: "2.40", A100: "1.10", L40S: "1" }')];
    expect(brief(policyDiff(base(BASE, { prices: was }), base(BASE, { prices: is }), NOW))).toEqual([
      "widens prices: price of gpu_hour H100 from 2026-01-01T00:00:00.000Z: 2.50 USD → 2.40 USD",
      "narrows prices: price of gpu_hour A100 from 2026-01-01T00:00:00.000Z: 1.00 USD → 1.10 USD",
      "widens prices: price of gpu_hour L40S from 2026-01-01T00:00:00.000Z: none → 1.00 USD",
    ]);
    expect(policyDiff(base(BASE, { prices: was }), base(BASE, { prices: `# a word\n${was}` }), NOW)).toEqual([]);
  });

  it("an action of which the catalogue says something else widens, and floors count on both sides", () => {
    const list = actionSpec("workloads.list", [[5, null]], {});
    const changed = { ...list, digest: `sha256:${"0".repeat(64)}` as const };
    const { "workloads.list": _old, ...others } = Object.fromEntries(EXAMPLE_CATALOGUE.actions);
    const actions = new Map(Object.entries({ ...others, "workloads.list": changed, "logs.list": list }));
    const text = BASE.replace("  tier_0: [workloads.list]\n", "");
    const after = base(text, { catalogue: { actions, digest: changed.digest } });
    expect(brief(policyDiff(base(BASE), after, NOW))).toEqual([
      "narrows newly-denied: workloads.list: tier 0 → refused",
      "widens catalogue: workloads.list: the catalogue says something else of it (routes, facts, cost or outcome)",
      "narrows catalogue: logs.list: none → in the catalogue",
    ]);
  });
});
