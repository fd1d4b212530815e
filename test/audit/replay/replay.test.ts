import { describe, expect, it } from "vitest";
import type { AuditEntry, AuditRecord } from "../../../src/audit/record.ts";
import { AUDIT_RECORD } from "../../../src/audit/record-schema.ts";
import { divergenceReport } from "../../../src/audit/replay/divergence.ts";
import { readExportLine, type RecordView } from "../../../src/audit/replay/record-view.ts";
import { rejudgeWith } from "../../../src/audit/replay/rejudge.ts";
import { replayReport, type ReplayResult } from "../../../src/audit/replay/replay-report.ts";
import { policyDiff } from "../../../src/policy/diff/diff.ts";
import { auditRecord } from "../records.ts";
import { ACME_POLICY, acmeWorld, generatedAudit, MONTH_START } from "./generated-audit.ts";

const MONTH_ROWS = 100_000;
const CURRENT = acmeWorld();
/** Narrower for small jobs and large ones, wider for reads, and transfers need nobody any more to be refused. */
const CANDIDATE = acmeWorld(
  ACME_POLICY.replace("max_gpus: 4", "max_gpus: 2")
    .replace("max_gpus: 64", "max_gpus: 128")
    .replace("    - allocations.transfer\n", "")
    .replace("    - logs.get\n", "    - logs.get\n    - capacity.get\n"),
);

function viewOf(record: AuditRecord): RecordView {
  const line = readExportLine(JSON.stringify(record));
  if (line.kind !== "record") throw new Error(`${line.kind}: ${JSON.stringify(record)}`);
  return line.record;
}

const micros = (records: readonly RecordView[]): number =>
  records.reduce((sum, one) => sum + (one.cost_micros ?? 0), 0);
const isSmall = ({ action, facts }: RecordView): boolean =>
  action === "workloads.submit" &&
  facts?.["job_type"] === "elastic" &&
  Number(facts["gpus"]) > 2 &&
  Number(facts["gpus"]) <= 4;

describe("a generated month of audit", () => {
  const month = [...generatedAudit(MONTH_ROWS)].map(viewOf);
  const replayed = (candidate = CANDIDATE, current = CURRENT): ReplayResult => {
    const report = replayReport(candidate, current);
    for (const record of month) report.take(record);
    return report.result();
  };

  it("has as many records as asked for, each in the form of the gate's own", () => {
    expect(month.length).toBeGreaterThanOrEqual(MONTH_ROWS);
    let checked = 0;
    for (const record of generatedAudit(2_000)) {
      expect(AUDIT_RECORD.safeParse(record).error).toBeUndefined();
      checked += 1;
    }
    expect(checked).toBeGreaterThanOrEqual(2_000);
  });

  it("changes in nothing under the policy that made it", () => {
    const result = replayed(CURRENT);
    expect(result).toMatchObject({
      effects: { allowed: 0, denied: 0, "tier-raised": 0, "tier-lowered": 0 },
      changes: [],
    });
    expect(result.effects.unchanged).toBe(result.judged);
    expect(result.judged).toBeGreaterThan(60_000);
    expect(result.load.after).toEqual(result.load.before);
    expect([...result.unjudged]).toEqual([]);
  });

  it("every decision that changes is counted once, in requests, in dollars and in asks of people", () => {
    const result = replayed();
    const intents = month.filter(({ kind }) => kind === "intent");
    const asked = month.filter(({ kind }) => kind === "proposal");
    const refused = month.filter(
      ({ reason_code: reason }) => reason === "constraint-exceeded" || reason === "not-allowed",
    );
    const small = intents.filter(isSmall);
    const large = refused.filter(({ facts }) => facts?.["gpus"] === 128);
    const transfers = asked.filter(({ action }) => action === "allocations.transfer");
    const looks = refused.filter(({ action }) => action === "capacity.get");
    expect([small, large, transfers, looks].map(({ length }) => length > 100)).toEqual([true, true, true, true]);
    expect(result.effects).toMatchObject({
      "tier-raised": small.length,
      allowed: large.length + looks.length,
      denied: transfers.length,
      "tier-lowered": 0,
    });
    expect(result.dollars).toEqual({
      deniedMicros: 0,
      needsApprovalMicros: micros(small),
      approvalLiftedMicros: 0,
      allowedMicros: 0,
      askedMicros: large.reduce(
        (sum, { facts }) =>
          sum + 128 * Number(facts?.["hours"]) * (facts?.["gpu_type"] === "H100" ? 2_500_000 : 1_500_000),
        0,
      ),
      unpriced: 0,
    });
    expect(result.load.before.asks).toBe(asked.length);
    const kept = asked.length - transfers.length + small.length;
    // Whoever asks again for what was refused within half an hour asks once.
    expect(result.load.after.asks).toBeGreaterThan(kept);
    expect(result.load.after.asks).toBeLessThanOrEqual(kept + large.length);
    const rows = result.changes.map(({ action, was, would, requests }) => [action, was, would, requests]);
    expect(rows).toContainEqual(["allocations.transfer", "asked at tier 3", "refused (not-allowed)", transfers.length]);
    expect(rows).toContainEqual(["capacity.get", "refused", "tier 0", looks.length]);
    for (const { examples } of result.changes) expect(examples.length).toBeGreaterThan(0);
  });

  it("says the same as the comparison of the two policies: a request that no change speaks of is decided alike", () => {
    const actions = new Set(policyDiff(CURRENT, CANDIDATE, MONTH_START).map(({ action }) => action));
    for (const { action } of replayed().changes) expect(actions).toContain(action);
    expect(actions).toEqual(new Set(["workloads.submit", "allocations.transfer", "capacity.get"]));
  });
});

describe("what a record says was decided", () => {
  const rejudge = rejudgeWith(CANDIDATE);
  const request: Partial<AuditEntry> = { kind: "request", decision: "refuse", outcome: "refused", rule: null };
  it.each<readonly [string, Partial<AuditEntry>, object]>([
    ["a write that ran", {}, { kind: "judged", was: { kind: "ran", tier: 2 }, would: { tier: 3 } }],
    ["its outcome", { kind: "outcome" }, { kind: "skipped", why: "not-a-decision" }],
    ["a dry run", { kind: "plan", decision: "plan" }, { kind: "skipped", why: "dry-run" }],
    ["a replayed answer", { kind: "request", reason_code: "replayed" }, { kind: "skipped", why: "repeat" }],
    [
      "a refusal for money",
      { ...request, reason_code: "budget-exceeded" },
      { kind: "skipped", why: "refused-otherwise" },
    ],
    [
      "the caller's own bound",
      { ...request, reason_code: "constraint-exceeded", rule: "Gate-Max-Cost of the caller" },
      { kind: "skipped", why: "refused-otherwise" },
    ],
    [
      "a request that waits for people",
      { ...request, reason_code: "approval-required" },
      { kind: "skipped", why: "not-a-decision" },
    ],
    [
      "a standing approval that is asked for",
      { kind: "proposal", reason_code: "opened", path: "/_gate/v1/standing-approvals" },
      { kind: "skipped", why: "not-a-decision" },
    ],
    [
      "a refusal without facts",
      { ...request, reason_code: "not-allowed", facts: null },
      { kind: "unjudged", why: "facts-unknown" },
    ],
    [
      "a refusal without facts of what stays refused",
      { ...request, reason_code: "not-allowed", action: "pools.delete", facts: null },
      { kind: "judged", would: { tier: null, reason: "prohibited" } },
    ],
    [
      "a refusal without facts of what asks about none",
      { ...request, reason_code: "not-allowed", action: "capacity.get", facts: null },
      { kind: "judged", would: { tier: 0 } },
    ],
    [
      "a redacted fact that is asked about",
      { facts: { gpus: 4, job_type: "[redacted:0123456789abcdef]" } },
      { kind: "unjudged", why: "facts-redacted" },
    ],
    [
      "a redacted fact that nobody asks about",
      { facts: { gpus: 2, job_type: "elastic", name: "[redacted]" } },
      { kind: "judged", would: { tier: 2 } },
    ],
    [
      "a fact that could not be read",
      { ...request, reason_code: "unsized", facts: { gpus: 8 } },
      { kind: "unjudged", why: "facts-unreadable" },
    ],
    [
      "an action that the catalogue no longer has",
      { action: "workloads.gone" },
      { kind: "judged", would: { tier: null, reason: "unknown-operation" } },
    ],
  ])("%s", (_, over, expected) => {
    expect(rejudge(viewOf(auditRecord(over)))).toMatchObject(expected);
  });

  it("what was refused has the price that its facts have, and none where the facts do not say it", () => {
    const refused = { ...request, reason_code: "constraint-exceeded", cost_micros: null };
    const submit = { ...refused, facts: { gpus: 100, gpu_type: "H100", hours: 2, job_type: "reserved" } };
    expect(rejudge(viewOf(auditRecord(submit)))).toMatchObject({ costMicros: 500_000_000 });
    const scale = { ...refused, action: "workloads.scale", facts: { gpus: 2, gpu_type: "H100", hours: 2 } };
    expect(rejudge(viewOf(auditRecord(scale)))).toMatchObject({ costMicros: null });
  });

  it("one record that stands for many counts as often; asking again within the timeout asks people once", () => {
    const report = replayReport(CANDIDATE, CURRENT);
    const refused = {
      ...request,
      reason_code: "constraint-exceeded",
      cost_micros: null,
      facts: { gpus: 100, gpu_type: "H100", hours: 1, job_type: "reserved" },
    };
    report.take(viewOf(auditRecord({ ...refused, count: 7 })));
    report.take(viewOf(auditRecord({ ...refused, sequence: 2 })));
    expect(report.result()).toMatchObject({
      judged: 8,
      effects: { allowed: 8 },
      dollars: { askedMicros: 8 * 250_000_000 },
      load: { before: { asks: 0 }, after: { asks: 1, decisions: 1, peakPerHour: 1 } },
    });
  });

  it("a proposal and the run that follows it are one decision, and its owner is not asked", () => {
    const report = replayReport(acmeWorld(ACME_POLICY.replace("max_gpus: 64", "max_gpus: 2")), CURRENT);
    const proposed = {
      tier: 3 as const,
      approval_id: "apr_1",
      facts: { gpus: 8, job_type: "elastic" },
      owner: "person:alice",
    };
    report.take(viewOf(auditRecord({ ...proposed, kind: "proposal", decision: null, reason_code: "draft" })));
    report.take(
      viewOf(auditRecord({ ...proposed, kind: "proposal", decision: null, reason_code: "opened", sequence: 2 })),
    );
    report.take(viewOf(auditRecord({ ...proposed, kind: "intent", sequence: 3 })));
    expect(report.result()).toMatchObject({
      judged: 1,
      effects: { denied: 1 },
      dollars: { deniedMicros: 20_000_000 },
      load: { before: { asks: 1, people: [{ handle: "@bob", asks: 1 }] }, after: { asks: 0 } },
    });
  });
});

describe("what rules in shadow would have decided", () => {
  it("is counted by rule and verdict, each request once", () => {
    const report = divergenceReport();
    const shadow = [{ rule: "blast_radius[0]", verdict: "not-allowed" }];
    report.take(viewOf(auditRecord({ shadow })));
    report.take(viewOf(auditRecord({ shadow, kind: "outcome", sequence: 2 })));
    report.take(viewOf(auditRecord({ shadow, kind: "proposal", sequence: 3 })));
    report.take(
      viewOf(
        auditRecord({
          shadow: [{ rule: "blast_radius[0]", verdict: "outside-window" }],
          action: "workloads.cancel",
          sequence: 4,
          count: 3,
          kind: "request",
        }),
      ),
    );
    report.take(viewOf(auditRecord({ sequence: 5 })));
    expect(report.result()).toMatchObject({
      requests: 5,
      diverging: 4,
      rules: [
        {
          rule: "blast_radius[0]",
          verdict: "outside-window",
          requests: 3,
          actions: new Map([["workloads.cancel", 3]]),
        },
        { rule: "blast_radius[0]", verdict: "not-allowed", requests: 1 },
      ],
    });
  });
});

describe("a line of an export", () => {
  it.each([
    [{ deleted: true, hash: "x", leaf_hash: "x", log: "ledger", sequence: 1 }, { kind: "deleted" }],
    [{ next: { after: "ledger:100" } }, { kind: "end", after: "ledger:100" }],
    [{ manifest: { count: 1 } }, { kind: "end", after: null }],
    [{ other: 1 }, { kind: "unreadable" }],
  ])("%j", (line, expected) => {
    expect(readExportLine(JSON.stringify(line))).toEqual(expected);
    expect(readExportLine(`${JSON.stringify(line)}{`)).toEqual({ kind: "unreadable" });
  });
});
