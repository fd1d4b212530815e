import { expect, test } from "vitest";
import document from "../../docs/audit-sql.md?raw";
import { list, member, text, verdict } from "../support/answer.ts";
import { ACME_PEOPLE, ACME_POLICY, replaceOnce, useBlackBox, type BlackBox } from "../support/black-box.ts";
import { CONTEXT, decide, job, proposalOf, REASON, receiptFor, submit, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

const open = useBlackBox("audit-sql");

/** Every statement of the document, by the heading that it stands under. */
const STATEMENTS: ReadonlyMap<string, string> = new Map(
  document.split(/^## /m).flatMap((section) => {
    const [heading = ""] = section.split("\n");
    return [...section.matchAll(/^```sql\n([\s\S]*?)^```$/gm)].map(([, sql = ""]) => [heading, sql] as const);
  }),
);

/** The statement as somebody would change it: their tenant, their times, their ids. */
function statement(heading: string, tenant: string, keyId: string): string {
  const sql = STATEMENTS.get(heading);
  if (sql === undefined) throw new Error(`no statement under ${heading}`);
  return sql
    .replaceAll("'acme'", `'${tenant}'`)
    .replaceAll("'2026-11-01'", "'2000-01-01'")
    .replaceAll("'2026-12-01'", "'2100-01-01'")
    .replaceAll(/'key_[0-9a-z]{26}'/g, `'${keyId}'`);
}

type Rows = readonly Readonly<Record<string, unknown>>[];

/** One of everything: an approved write, a denied one, a broken glass with its review, refusals, a lost outcome, a usage report. */
async function busyTenant(): Promise<{ readonly box: BlackBox; readonly keyId: string }> {
  const box = await open({
    policy: replaceOnce(
      ACME_POLICY,
      "timeout_minutes: 30",
      "timeout_minutes: 30\n  break_glass: { role: on-call, max_usd: 100 }",
    ),
    people: replaceOnce(ACME_PEOPLE, "subject: person:carol\n", "subject: person:carol\n    roles: [on-call]\n"),
  });
  const [agent, alice, carol, finance] = [
    await box.as("agent"),
    await box.as("alice"),
    await box.as("carol"),
    await box.as("finance"),
  ];
  const incident = { ...CONTEXT, "gate-incident": "INC-7" };
  const big = job({ gpus: 8 });
  const approved = proposalOf(await agent.post(SUBMIT, big, incident));
  const decisions = `/_gate/v1/approvals/${approved}/decisions`;
  expect((await carol.post(decisions, { decision: "approve" })).status).toBe(403);
  expect((await alice.post(decisions, { decision: "approve", comment: "looks right" })).status).toBe(200);
  expect(verdict(await agent.post(SUBMIT, big, incident))).toBe("201");

  const urgent = job({ gpus: 10 });
  const broken = proposalOf(await agent.post(SUBMIT, urgent, CONTEXT));
  const glass = { decision: "break-glass", comment: "nobody answers" };
  expect((await carol.post(`/_gate/v1/approvals/${broken}/decisions`, glass)).status).toBe(200);
  expect(verdict(await agent.post(SUBMIT, urgent, CONTEXT))).toBe("201");
  expect((await alice.post(`/_gate/v1/approvals/${broken}/review`, { comment: "was needed" })).status).toBe(200);

  // Last of the proposals: after a denial the next has to wait.
  await decide(box, proposalOf(await agent.post(SUBMIT, job({ gpus: 9 }), CONTEXT)), ["alice"], "deny");

  const done = await submit(agent, job());
  const report = { request_id: done.headers.get("gate-request-id"), actual_usd: 10, evidence: "invoice 1" };
  expect((await finance.post("/_gate/v1/usage", [report])).status).toBe(200);

  const receipt = await receiptFor(agent, job({ name: "lost" }));
  await box.upstream.inject([
    { method: "POST", path: SUBMIT, kind: "drop-after-execute" },
    { method: "GET", path: SUBMIT, times: 1_000, kind: "status:500" },
  ]);
  expect(verdict(await agent.post(SUBMIT, job({ name: "lost" }), { ...REASON, "gate-plan": receipt }))).toContain(
    "504",
  );
  return { box, keyId: agent.keyId };
}

/** What each statement must find for that tenant. */
const FOUND: Readonly<Record<string, (rows: Rows) => void>> = {
  "Who approved what": (rows) => {
    expect(rows).toContainEqual(
      expect.objectContaining({ decided_by: "person:alice", decision: "approve", comment: "looks right", tier: 3 }),
    );
    expect(rows).toContainEqual(expect.objectContaining({ decided_by: "person:alice", decision: "deny" }));
  },
  "How much each approver let through": (rows) =>
    expect(rows).toContainEqual({
      approver: "person:alice",
      action: "workloads.submit",
      requests: 1,
      ceilings_usd: 20,
    }),
  "Denials by principal and day": (rows) =>
    expect(rows).toContainEqual(
      expect.objectContaining({ principal: "agent:trainer", reason_code: "approval-required", denials: 3 }),
    ),
  "Denials by the hour": (rows) =>
    expect(rows[0]).toMatchObject({ hour: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:00Z$/) }),
  "Who tried to decide and may not": (rows) =>
    expect(rows).toMatchObject([{ principal: "person:carol", attempts: 1, proposals: 1 }]),
  "Broken glass, and who reviewed it": (rows) =>
    expect(rows).toMatchObject([
      { broken_by: "person:carol", comment: expect.stringContaining("nobody answers"), reviewed_by: "person:alice" },
    ]),
  "Writes without an outcome": (rows) => expect(rows).toMatchObject([{ principal: "agent:trainer", held_usd: 10 }]),
  "Outcomes that nobody saw, and what became of them": (rows) =>
    expect(rows).toMatchObject([{ action: "workloads.submit", outcome: null }]),
  "Spend by principal": (rows) =>
    expect(rows).toMatchObject([{ principal: "agent:trainer", requests: 4, settled_usd: 10 }]),
  "What one credential did": (rows) => expect(rows.length).toBeGreaterThan(8),
  "One incident, from its beginning": (rows) =>
    expect(rows.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(["request", "proposal", "decision", "intent", "outcome"]),
    ),
  "Who changed what": (rows) => expect(rows).toContainEqual(expect.objectContaining({ reason_code: "bootstrap" })),
  "Who read the audit record": (rows) => expect(rows[0]).toMatchObject({ principal: "person:security" }),
  "What destroys": (rows) => expect(rows).toEqual([]),
  "What retention has deleted": (rows) => expect(rows).toEqual([]),
  "How new the copy is": (rows) => expect(rows).toContainEqual(expect.objectContaining({ log: "ledger" })),
  Gaps: (rows) => expect(rows).toEqual([]),
  "Links of the chain that do not hold": (rows) => expect(rows).toEqual([]),
};

/** Those that go through all of a tenant's logs, and say so. */
const WHOLE_LOGS = new Set(["How new the copy is", "Gaps", "Links of the chain that do not hold"]);

test("every statement of the document answers its question, by index, on the records of a busy tenant", async () => {
  expect([...STATEMENTS.keys()].toSorted()).toEqual(Object.keys(FOUND).toSorted());
  const { box, keyId } = await busyTenant();
  const security = await box.as("security");
  const recorded = async (query: string): Promise<number> =>
    list(await security.get(`/_gate/v1/audit?${query}`), "records").length;
  await expect.poll(() => recorded("kind=unknown")).toBe(1);
  await expect.poll(() => recorded("kind=settlement")).toBe(1);
  await expect.poll(() => recorded("decision=refuse&reason_code=approval-required")).toBe(3);
  await expect.poll(() => recorded("kind=request&principal=person:security")).toBeGreaterThan(0);
  for (const [heading, found] of Object.entries(FOUND)) {
    const sql = statement(heading, box.tenant, keyId);
    const { results } = await testEnv.DB.prepare(sql).all();
    found(results);
    const plan = await testEnv.DB.prepare(`EXPLAIN QUERY PLAN ${sql}`).all<{ readonly detail: string }>();
    const steps = plan.results.map(({ detail }) => detail).join("\n");
    expect(steps, heading).not.toMatch(/SCAN (?:audit|intent|lost|broken|record)\b/);
    if (!WHOLE_LOGS.has(heading))
      expect(steps, heading).toMatch(/USING (?:COVERING )?INDEX audit_by_(?:time|incident) \(tenant=\? AND /);
  }
});

const ask = async (heading: string): Promise<Rows> =>
  (await testEnv.DB.prepare(statement(heading, "forged", "x")).all()).results;

test("a row that is taken away is a gap, and one that is changed breaks a link", async () => {
  const box = await open();
  await (await box.as("agent")).get("/v1/workloads");
  const security = await box.as("security");
  await expect
    .poll(async () => text(await security.get("/_gate/v1/audit?kind=admin&limit=1"), "records", 0, "kind"))
    .toBe("admin");
  await testEnv.DB.prepare(
    `INSERT INTO audit (tenant, log, sequence, hash, record)
     SELECT 'forged', log, sequence, hash, json_set(record, '$.tenant', 'forged') FROM audit WHERE tenant = ? AND log = 'ledger'`,
  )
    .bind(box.tenant)
    .run();
  expect([await ask("Gaps"), await ask("Links of the chain that do not hold")]).toEqual([[], []]);
  await testEnv.DB.prepare("UPDATE audit SET hash = 'sha256:0' WHERE tenant = 'forged' AND sequence = 1").run();
  expect(await ask("Links of the chain that do not hold")).toMatchObject([{ sequence: 1 }, { sequence: 2 }]);
  await testEnv.DB.prepare("DELETE FROM audit WHERE tenant = 'forged' AND sequence = 1").run();
  expect(await ask("Gaps")).toEqual([{ log: "ledger", first_missing: 1, last_missing: 1 }]);
  expect(member(await security.get("/_gate/v1/audit?limit=1"), "records")).toHaveLength(1);
});
