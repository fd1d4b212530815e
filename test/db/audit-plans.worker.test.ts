import { beforeAll, describe, expect, test } from "vitest";
import document from "../../docs/audit-queries.md?raw";
import { auditPage, EQUAL_FILTERS, type AuditFilters } from "../../src/db/audit-rows.ts";
import { auditRunPage, auditRuns, auditSummary } from "../../src/db/audit-runs.ts";
import { RARE_KINDS } from "../../src/db/schema.ts";
import { auditLog } from "../audit/records.ts";
import { storeRecords, STORED_LOG } from "../support/stored-records.ts";
import { plansOf } from "../support/query-plan.ts";
import { testEnv } from "../support/test-env.ts";

const SINCE = "2026-11-20T00:00:00.000Z";
const UNTIL = "2026-11-21T00:00:00.000Z";
const PLACE = { time: UNTIL, log: "ledger", sequence: 7 };
const NONE: AuditFilters = { since: null, until: null, equal: {}, tier: null, approver: null, text: null };

const pagePlan = async (filters: Partial<AuditFilters>, after: typeof PLACE | null = null): Promise<string> => {
  const plans = await plansOf(testEnv.DB, (d1) =>
    auditPage(d1, "plans", { ...NONE, ...filters }, after, 100, { near: 1, all: 2 }),
  );
  for (const plan of plans) expect(plan).not.toContain("SCAN audit");
  return plans.at(-1) ?? "";
};

/** What a list is narrowed by, and the index that finds it. */
const LISTS: Readonly<Record<string, readonly [Partial<AuditFilters>, index: string]>> = {
  "no filter": [{}, "audit_by_time (tenant=? AND time>?)"],
  "since, until": [{ since: SINCE, until: UNTIL }, "audit_by_time (tenant=? AND time>? AND time<?)"],
  ...Object.fromEntries(
    EQUAL_FILTERS.map((name) => [name, [{ equal: { [name]: "x" } }, "audit_by_time (tenant=? AND time>?)"]]),
  ),
  "kind, a rare one": [{ equal: { kind: RARE_KINDS[0] } }, "audit_by_rare_kind (tenant=? AND kind=?)"],
  approval_id: [{ equal: { approval_id: "apr_1" } }, "audit_by_approval (tenant=? AND approval_id=?)"],
  incident: [{ equal: { incident: "INC-1" } }, "audit_by_incident (tenant=? AND incident=?)"],
  request_id: [{ equal: { request_id: "req_1" } }, "audit_by_request (tenant=? AND request_id=?)"],
  tier: [{ tier: 4 }, "audit_by_time (tenant=? AND time>?)"],
  approver: [{ approver: "person:alice" }, "audit_by_time (tenant=? AND time>?)"],
  "q, since": [{ text: "driver", since: SINCE }, "audit_by_time (tenant=? AND time>?)"],
};

describe("no list of audit records reads the table from end to end", () => {
  test.each(Object.entries(LISTS))("%s", async (name, [filters, index]) => {
    const plan = await pagePlan(filters);
    expect(plan).toContain(`SEARCH audit USING INDEX ${index}`);
    if (name !== "request_id") expect(plan).not.toContain("TEMP B-TREE");
    expect(document, "docs/audit-queries.md shows it").toContain(`SEARCH audit USING INDEX ${index}`);
  });

  test("nor does the page behind a cursor", async () => {
    expect(await pagePlan({}, PLACE)).toContain("audit_by_time (tenant=? AND (time,log,sequence)<(?,?,?))");
    expect(await pagePlan({ equal: { incident: "INC-1" } }, PLACE)).toContain(
      "audit_by_incident (tenant=? AND incident=?",
    );
  });
});

describe("nor does an export", () => {
  const run = { log: STORED_LOG, first: 1, last: 3 };
  // Without records its questions would end at the first.
  beforeAll(() => storeRecords(auditLog([{}, {}, {}], STORED_LOG, "plans")));

  test.each([
    ["its pages", (d1: D1Database) => auditRunPage(d1, "plans", run, 3, 200)],
    ["its manifest", (d1: D1Database) => auditSummary(d1, "plans", run)],
    ["its range, bounded", (d1: D1Database) => auditRuns(d1, "plans", { since: SINCE, until: UNTIL, log: null })],
    [
      "its range, of one log",
      (d1: D1Database) => auditRuns(d1, "plans", { since: null, until: UNTIL, log: STORED_LOG }),
    ],
  ])("%s", async (_, act) => {
    const plans = await plansOf(testEnv.DB, act);
    expect(plans.length).toBeGreaterThan(0);
    for (const plan of plans) {
      expect(plan).not.toMatch(/SCAN audit\b/);
      expect(plan).toMatch(/SEARCH audit USING (?:COVERING )?INDEX/);
    }
  });
});

describe("what people filter by is judged without reading the records that do not match", () => {
  test("every filter without an index of its own is a column of the list's index", async () => {
    const columns = await testEnv.DB.prepare("SELECT name FROM pragma_index_info('audit_by_time')").all();
    const own = new Set(["approval_id", "incident", "request_id"]);
    const names = columns.results.map(({ name }) => name);
    for (const filter of [...EQUAL_FILTERS.filter((name) => !own.has(name)), "tier", "has_text", "approver_count"])
      expect(names).toContain(filter);
  });
});
