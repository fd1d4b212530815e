import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { Facts, Tier } from "../../src/vocabulary.ts";
import { ACME_PEOPLE, compiling, decide, peopleOf, tenantFile } from "./compiling.ts";

/** SHA-256 of the published example policy: acme's policy is that file, byte for byte. */
const PUBLISHED_SHA256 = "135eab435cd7ab8b161692f5b3436e35af38c1da9187a299aa62fe52896db33b";

const submit = (gpus: number, jobType: string): Facts => ({ gpus, job_type: jobType, gpu_type: "H100", hours: 1 });

describe("the published example policy", () => {
  const { policy, warnings } = compiling(tenantFile("acme.yaml"));

  it("is the published text, unchanged, and loads without a warning", () => {
    expect(createHash("sha256").update(tenantFile("acme.yaml")).digest("hex")).toBe(PUBLISHED_SHA256);
    expect(warnings).toEqual([]);
  });

  it.each<[string, Facts, Tier, string]>([
    ["workloads.list", {}, 0, "allowed_tools.tier_0[0] workloads.list"],
    ["workloads.get", {}, 0, "allowed_tools.tier_0[1] workloads.get"],
    ["metrics.get", {}, 0, "allowed_tools.tier_0[2] metrics.get"],
    ["failure_analysis.diagnose", {}, 0, "allowed_tools.tier_0[3] failure_analysis.diagnose"],
    ["gpus.status", {}, 0, "allowed_tools.tier_0[4] gpus.status"],
    ["logs.get", {}, 0, "allowed_tools.tier_0[5] logs.get"],
    ["workloads.explain", {}, 1, "allowed_tools.tier_1[0] workloads.explain"],
    ["insights.analyze", {}, 1, "allowed_tools.tier_1[1] insights.analyze"],
    ["capacity.plan", {}, 1, "allowed_tools.tier_1[2] capacity.plan"],
    ["workloads.submit", submit(1, "elastic"), 2, "allowed_tools.tier_2[0] workloads.submit"],
    ["workloads.submit", submit(4, "elastic"), 2, "allowed_tools.tier_2[0] workloads.submit"],
    ["workloads.submit", submit(5, "elastic"), 3, "allowed_tools.tier_3[0] workloads.submit"],
    ["workloads.submit", submit(8, "elastic"), 3, "allowed_tools.tier_3[0] workloads.submit"],
    ["workloads.submit", submit(2, "reserved"), 3, "allowed_tools.tier_3[0] workloads.submit"],
    ["workloads.submit", submit(64, "elastic"), 3, "allowed_tools.tier_3[0] workloads.submit"],
    ["workloads.submit", submit(64, "reserved"), 3, "allowed_tools.tier_3[0] workloads.submit"],
    ["allocations.create", { instances: 8 }, 2, "allowed_tools.tier_2[1] allocations.create"],
    ["allocations.transfer", {}, 3, "allowed_tools.tier_3[1] allocations.transfer"],
    ["reservations.create", { gpus: 8 }, 3, "allowed_tools.tier_3[2] reservations.create"],
    ["workloads.cancel", {}, 4, "allowed_tools.tier_4[0] workloads.cancel"],
    ["allocations.release", {}, 4, "allowed_tools.tier_4[1] allocations.release"],
  ])("%s %o is tier %i", (action, facts, tier, rule) => {
    expect(decide(policy, action, facts)).toMatchObject({ kind: "matched", tier, rule });
  });

  it.each([65, 128, 10_000])("%i GPUs break max_gpus 64, and 64 at tier 3 would pass", (gpus) => {
    for (const jobType of ["elastic", "reserved"]) {
      expect(decide(policy, "workloads.submit", submit(gpus, jobType))).toEqual({
        kind: "constraint-exceeded",
        rule: "allowed_tools.tier_3[0] workloads.submit",
        violations: [{ constraint: "max_gpus", limit: 64, actual: gpus }],
        nearest: { tier: 3, facts: { gpus: 64 } },
      });
    }
  });

  it("names 8 instances as the nearest allocation", () => {
    expect(decide(policy, "allocations.create", { instances: 9 })).toEqual({
      kind: "constraint-exceeded",
      rule: "allowed_tools.tier_2[1] allocations.create",
      violations: [{ constraint: "max_instances", limit: 8, actual: 9 }],
      nearest: { tier: 2, facts: { instances: 8 } },
    });
  });

  it.each(["capacity.get", "allocations.list", "nodes.drain", "toString", "__proto__", ""])(
    "%j is not named, so not allowed",
    (action) => {
      expect(policy.names(action)).toBe(false);
      expect(policy.evaluate({ action, facts: {}, missing: [], floor: 0, now: 0 })).toEqual({
        kind: "not-allowed",
        rule: `allowed_tools does not name ${action}`,
      });
    },
  );

  it.each(["pools.delete", "infrastructure.destroy"])("%s is prohibited by its floor, not merely unnamed", (action) => {
    expect(decide(policy, action)).toEqual({ kind: "prohibited", rule: `catalogue floor 5 ${action}` });
  });

  it("takes a submission whose size is unknown for unsized, never for small", () => {
    expect(decide(policy, "workloads.submit", { job_type: "elastic" }, ["gpus"])).toEqual({
      kind: "unsized",
      missing: ["gpus"],
    });
  });

  it("compiles budget, approvers, channels and defaults as written", () => {
    expect(policy.budget).toEqual({
      dailyCapMicros: 500_000_000,
      monthlyCapMicros: 10_000_000_000,
      grossDailyCapMicros: null,
      thresholdsPercent: [50, 80, 95, 100],
    });
    expect(policy.scopeCaps).toEqual([]);
    expect(policy.spending({ subject: "agent:trainer", owner: "person:dana" }, "workloads.submit")).toEqual({
      team: null,
      per: [],
    });
    expect(policy.approvalTimeoutMs).toBe(1_800_000);
    expect(policy.channels).toEqual({ tier3: "#ml-ops-approvals", tier4: null, escalation: "#ml-ops-escalation" });
    expect(policy.rateLimits).toEqual({ readsPerMinute: 6_000, writesPerMinute: 600 });
    expect(policy.signals).toEqual({
      denialsPer10Minutes: 50,
      ineligibleApprovalsPerHour: 3,
      auditBacklogRows: 5_000,
      auditCopyLateMinutes: 60,
    });
    expect([policy.timezone, policy.dryRun, policy.idempotency]).toEqual(["UTC", "receipt", "optional"]);
    const people = [
      { handle: "@alice", subject: "person:alice" },
      { handle: "@bob", subject: "person:bob" },
    ];
    expect(policy.approvers(3)).toMatchObject({ needed: 1, people, unresolved: [] });
    expect(policy.approvers(4)).toMatchObject({ needed: 2, people, unresolved: [] });
    expect(([0, 1, 2, 3, 4] as const).map((tier) => policy.requires(tier))).toEqual([
      [],
      [],
      ["reason"],
      ["reason", "evidence", "back_out"],
      ["reason", "evidence", "back_out"],
    ]);
  });
});

describe("the other tenant of the example", () => {
  const globex = compiling(tenantFile("globex.yaml"), peopleOf(tenantFile("globex.people.yaml")));

  it("loads without a warning and shares no approver with acme", () => {
    expect(globex.warnings).toEqual([]);
    for (const { subject } of [...globex.policy.approvers(3).people, ...globex.policy.approvers(4).people]) {
      expect(ACME_PEOPLE.bySubject(subject)).toBeNull();
    }
  });

  it("prohibits what its tier 5 lists although the catalogue would allow it", () => {
    expect(decide(globex.policy, "reservations.create", { gpus: 1 })).toEqual({
      kind: "prohibited",
      rule: "allowed_tools.tier_5[0] reservations.create",
    });
  });
});
