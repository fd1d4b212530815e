import { describe, expect, it } from "vitest";
import { filledPlaces } from "../../src/policy/approver-groups.ts";
import { compiling, peopleOf, refusing } from "./compiling.ts";

const policy = (...text: readonly string[]): string =>
  [
    'version: "1.0"',
    "allowed_tools:",
    "  tier_3: [allocations.transfer]",
    "  tier_4: [workloads.cancel]",
    ...text,
    "",
  ].join("\n");
const alice = { handle: "@alice", subject: "person:alice" };
const bob = { handle: "@bob", subject: "person:bob" };
const carol = { handle: "@carol", subject: "person:carol" };

describe("approvers", () => {
  it("tier 3 has its own where the policy names them", () => {
    const text = policy("approval:", "  approvers:", '    tier_3: ["@carol"]', '    tier_4: ["@alice", "@bob"]');
    const { policy: compiled, warnings } = compiling(text);
    expect(compiled.approvers(3)).toMatchObject({ needed: 1, people: [carol], unresolved: [] });
    expect(compiled.approvers(4)).toMatchObject({ needed: 2, people: [alice, bob], unresolved: [] });
    expect(warnings).toEqual([]);
  });

  it("an empty list for tier 3 is a list: nobody decides, tier 4's do not step in", () => {
    const text = policy("approval:", "  approvers:", "    tier_3: []", '    tier_4: ["@alice", "@bob"]');
    const { policy: compiled, warnings } = compiling(text);
    expect(compiled.approvers(3)).toMatchObject({ needed: 1, people: [], unresolved: [] });
    expect(warnings).toMatchObject([
      { line: 7, column: 13, message: expect.stringContaining("needs 1 approver and 0 can decide") },
    ]);
  });

  it("a handle that people does not resolve never counts, and is named at its place", () => {
    const { policy: compiled, warnings } = compiling(policy("approval:", '  tier_4_approvers: ["@alice", "@mallory"]'));
    expect(compiled.approvers(4)).toMatchObject({ needed: 2, people: [alice], unresolved: ["@mallory"] });
    expect(compiled.approvers(3)).toMatchObject({ needed: 1, people: [alice], unresolved: ["@mallory"] });
    expect(warnings).toEqual([
      {
        line: 6,
        column: 21,
        path: "/approval/tier_4_approvers",
        message: "tier 4 needs 2 approvers and 1 can decide: nothing at this tier can be approved",
        severity: "warning",
      },
      {
        line: 6,
        column: 32,
        path: "/approval/tier_4_approvers/1",
        message: "the people document has no @mallory: nobody can decide under this handle",
        severity: "warning",
      },
    ]);
  });

  it("nobody at all is warned of where the entries stand", () => {
    const { policy: compiled, warnings } = compiling(policy());
    expect(compiled.approvers(4)).toMatchObject({ needed: 2, people: [], unresolved: [] });
    expect(warnings.map(({ line, path, severity }) => [line, path, severity])).toEqual([
      [3, "/allowed_tools/tier_3", "warning"],
      [4, "/allowed_tools/tier_4", "warning"],
    ]);
  });

  it("no list needs anybody where nothing needs an approval", () => {
    expect(compiling('version: "1.0"\nallowed_tools:\n  tier_0: [workloads.list]\n').warnings).toEqual([]);
  });

  it("tiers 0 to 2 need none, and tier 5 can have none", () => {
    const { approvers } = compiling(policy("approval:", '  tier_4_approvers: ["@alice", "@bob"]')).policy;
    for (const tier of [0, 1, 2] as const)
      expect(approvers(tier)).toMatchObject({ needed: 0, people: [], unresolved: [] });
    expect(approvers(5).people.length).toBeLessThan(approvers(5).needed);
  });
});

describe("required context", () => {
  it.each<[string, readonly string[], readonly string[]]>([
    ["nothing", [], ["reason"]],
    ["evidence", ["require:", "  tier_2: [evidence]"], ["reason", "evidence"]],
    [
      "all, in another order",
      ["require:", "  tier_2: [back_out, evidence, reason]"],
      ["reason", "evidence", "back_out"],
    ],
    ["an empty list, which takes nothing away", ["require:", "  tier_2: []"], ["reason"]],
  ])("tier 2 adding %s", (_title, text, required) => {
    expect(compiling(policy(...text)).policy.requires(2)).toEqual(required);
  });

  it("tiers 3 and 4 keep all three, whatever the policy lists", () => {
    const { requires } = compiling(policy("require:", "  tier_3: [reason]", "  tier_4: []")).policy;
    expect([requires(3), requires(4)]).toEqual([
      ["reason", "evidence", "back_out"],
      ["reason", "evidence", "back_out"],
    ]);
  });
});

describe("channels and timeout", () => {
  it("either spelling names a channel", () => {
    const text = policy("approval:", '  channels: { tier_3: "#a" }', '  tier_4_channel: "#b"', "  timeout_minutes: 5");
    const { policy: compiled } = compiling(text);
    expect(compiled.channels).toEqual({ tier3: "#a", tier4: "#b", escalation: null });
    expect(compiled.approvalTimeoutMs).toBe(300_000);
  });

  it("a proposal stays open for 30 minutes where the policy does not say", () => {
    expect(compiling(policy()).policy.approvalTimeoutMs).toBe(1_800_000);
  });
});

const required = (...groups: readonly string[]): string =>
  policy("approval:", "  approvers:", "    tier_4:", "      required:", ...groups.map((group) => `        - ${group}`));

describe("approval by role", () => {
  const roles = [
    "people:",
    '  "@alice": { subject: person:alice, roles: [ml-lead] }',
    '  "@bob": { subject: person:bob, roles: [ml-lead, finance] }',
    '  "@carol": { subject: person:carol, roles: [finance] }',
    "",
  ].join("\n");
  const staff = peopleOf(roles);
  const both = required("{ role: ml-lead, n: 1 }", "{ role: finance, n: 1 }");

  it.each<[string, readonly string[], number]>([
    ["nobody", [], 0],
    ["one of each", ["person:alice", "person:carol"], 2],
    ["one human with both roles is one human", ["person:bob"], 1],
    ["the same human twice is one human", ["person:bob", "person:bob"], 1],
    ["whoever holds both roles takes the place that is left", ["person:bob", "person:alice"], 2],
    ["in any order", ["person:alice", "person:bob"], 2],
    ["two of one role leave the other role's place empty", ["person:alice", "person:mallory"], 1],
  ])("AND across roles: %s", (_case, subjects, filled) => {
    const rule = compiling(both, staff).policy.approvers(4);
    expect(rule.needed).toBe(2);
    expect(filledPlaces(rule.groups, subjects)).toBe(filled);
  });

  it("a policy cannot ask for fewer than two distinct people at tier 4", () => {
    const text = required("{ role: ml-lead, n: 1 }");
    expect(refusing(text, staff).map((problem) => problem.message)).toEqual([
      expect.stringMatching(/at least 2 distinct people, the groups ask for 1/),
    ]);
  });

  it("a role that too few people hold is named where it stands", () => {
    const { warnings } = compiling(required("{ role: ml-lead, n: 1 }", "{ role: sre, n: 1 }"), staff);
    expect(warnings.map((w) => [w.path, w.message])).toContainEqual([
      "/approval/approvers/tier_4/required/1/role",
      "0 people hold the role sre and 1 are needed: nothing at this tier can be approved",
    ]);
  });

  it("changing who holds a role changes the rule digest", () => {
    const digests = [roles, roles.replace("[finance]", "[sre]")].map((people) =>
      compiling(both, peopleOf(people)).policy.ruleDigest("workloads.cancel", 4),
    );
    expect(new Set(digests).size).toBe(2);
  });
});

describe("what bounds proposals", () => {
  it("has the documented defaults, and no break-glass, stored execution or confirmation unless stated", () => {
    const { policy: compiled } = compiling(policy());
    expect(compiled.proposalBounds).toEqual({
      principalPercent: 25,
      tenantPercent: 50,
      deniedCoolDownMs: 60_000,
      withdrawnCoolDownMs: 600_000,
    });
    expect([compiled.execute, compiled.breakGlass, compiled.breakGlassMaxMicros]).toEqual(["resend", [], 0]);
    expect([compiled.confirms(4, "cluster"), compiled.confirms(3, null)]).toEqual([false, false]);
  });

  it("is what the policy says, member by member", () => {
    const text = policy(
      "approval:",
      "  execute: stored",
      "  pending_share_percent: { principal: 10 }",
      "  cool_down_seconds: { withdrawn: 0 }",
      "  confirm: { tiers: [4], blast_radius: [cluster] }",
    );
    const { policy: compiled } = compiling(text);
    expect(compiled.proposalBounds).toEqual({
      principalPercent: 10,
      tenantPercent: 50,
      deniedCoolDownMs: 60_000,
      withdrawnCoolDownMs: 0,
    });
    expect(compiled.execute).toBe("stored");
    expect([compiled.confirms(4, null), compiled.confirms(3, "cluster"), compiled.confirms(3, "workload")]).toEqual([
      true,
      true,
      false,
    ]);
  });

  it.each([
    ["a share of nothing", "pending_share_percent: { principal: 0 }", "/approval/pending_share_percent/principal"],
    ["more than all", "pending_share_percent: { tenant: 101 }", "/approval/pending_share_percent/tenant"],
    ["a cool-down of two days", "cool_down_seconds: { denied: 172800 }", "/approval/cool_down_seconds/denied"],
    ["a tier that nobody approves", "confirm: { tiers: [2] }", "/approval/confirm/tiers/0"],
    ["an unknown way to execute", "execute: later", "/approval/execute"],
    ["a glass without its cap", "break_glass: { role: on-call }", "/approval/break_glass/max_usd"],
    [
      "a glass of fractions of micro-dollars",
      "break_glass: { role: on-call, max_usd: 0.0000001 }",
      "/approval/break_glass/max_usd",
    ],
  ])("refuses %s", (_, line, path) => {
    expect(refusing(policy("approval:", `  ${line}`)).map((problem) => problem.path)).toContain(path);
  });
});

describe("breaking the glass", () => {
  const glass = policy("approval:", "  break_glass: { role: on-call, max_usd: 12.5 }");

  it("is for holders of the role that the policy names, up to its cap", () => {
    const people = peopleOf(
      [
        "people:",
        '  "@alice": { subject: "person:alice" }',
        '  "@erin": { subject: "person:erin", roles: [on-call] }',
        '  "@frank": { subject: "person:frank", roles: [on-call, ml-lead] }',
        "",
      ].join("\n"),
    );
    const { policy: compiled } = compiling(glass, people);
    expect([compiled.breakGlass, compiled.breakGlassMaxMicros]).toEqual([["person:erin", "person:frank"], 12_500_000]);
  });

  it("is for nobody where no person holds the role", () => {
    expect(compiling(glass).policy.breakGlass).toEqual([]);
  });
});
