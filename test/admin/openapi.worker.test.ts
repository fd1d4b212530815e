import { afterEach, expect, test, vi } from "vitest";
import { ANSWER } from "../../src/admin/openapi/openapi-answers.ts";
import { ASKED_TO_REGISTER } from "../../src/admin/openapi/openapi-registrations.ts";
import { ROUTE_DESCRIPTIONS } from "../../src/admin/openapi/openapi-routes.ts";
import { approvalAuthority } from "../support/authority.ts";
import { text, type Answered } from "../support/answer.ts";
import { ACME_PEOPLE, ACME_POLICY, caller, replaceOnce, useBlackBox } from "../support/black-box.ts";
import { testEnv } from "../support/test-env.ts";
import { CONTEXT, decide, job, proposalOf, REASON, receiptFor, SUBMIT, submit } from "../support/requests.ts";

const open = useBlackBox("openapi");

afterEach(() => {
  vi.unstubAllGlobals();
});

type Described = (typeof ROUTE_DESCRIPTIONS)[string];

/** The answer has the documented status, every documented member in its form, and no member that is not documented. */
function expectDocumented(described: Described | undefined, answered: Answered): Answered {
  expect(answered.status, answered.text).toBe(described?.status ?? 200);
  expect(described?.answer.parse(answered.body)).toEqual(answered.body);
  return answered;
}

/** Calls `METHOD path` and compares the answer with its description. `seen` notes which routes were compared. */
const comparing = (seen: Set<string>) => (route: string, answered: Answered) => {
  seen.add(route);
  return expectDocumented(ROUTE_DESCRIPTIONS[route], answered);
};

test("the gate's own API answers what its OpenAPI document says, on every route", async () => {
  const box = await open({
    policy: replaceOnce(
      ACME_POLICY,
      "timeout_minutes: 30",
      "timeout_minutes: 30\n  break_glass: { role: on-call, max_usd: 100 }",
    ),
    people: replaceOnce(ACME_PEOPLE, "subject: person:carol\n", "subject: person:carol\n    roles: [on-call]\n"),
  });
  const seen = new Set<string>();
  const compare = comparing(seen);
  const [agent, alice, operator, security] = [
    await box.as("agent"),
    await box.as("alice"),
    await box.as("operator"),
    await box.as("security"),
  ];
  compare("GET /_gate/v1/whoami", await agent.get("/_gate/v1/whoami"));
  const submitted = await submit(agent, job());
  const operation = submitted.headers.get("gate-request-id");
  compare("GET /_gate/v1/operations/:id", await agent.get(`/_gate/v1/operations/${operation}`));

  const finance = await box.as("finance");
  const budget = "/_gate/v1/budget";
  compare("PUT /_gate/v1/budget", await finance.put(budget, { daily_cap_usd: 400, reason: "careful" }));
  const asked = compare(
    "POST /_gate/v1/budget/requests",
    await agent.post(`${budget}/requests`, { window: "daily", cap_usd: 450, reason: "the launch" }),
  );
  const changing = text(asked, "id");
  expectDocumented(
    ROUTE_DESCRIPTIONS["GET /_gate/v1/approvals/:id"],
    await finance.get(`/_gate/v1/approvals/${changing}`),
  );
  expectDocumented(
    ROUTE_DESCRIPTIONS["POST /_gate/v1/approvals/:id/decisions"],
    await finance.post(`/_gate/v1/approvals/${changing}/decisions`, { decision: "approve", comment: "one of two" }),
  );
  compare("GET /_gate/v1/budget", await finance.get(budget));
  compare("GET /_gate/v1/aggregates", await finance.get("/_gate/v1/aggregates"));
  compare("GET /_gate/v1/budget/requests", await agent.get(`${budget}/requests`));
  compare("DELETE /_gate/v1/budget/requests/:id", await agent.delete(`${budget}/requests/${changing}`));
  for (const name of ["history", "holds", "unresolved", "entries", "forecast", "reconciliation"])
    compare(`GET ${budget}/${name}`, await finance.get(`${budget}/${name}`));
  compare("GET /_gate/v1/budget/export", await finance.get(`${budget}/export?format=json`));
  compare(
    "POST /_gate/v1/usage",
    await finance.post("/_gate/v1/usage", [{ request_id: operation, actual_usd: 10, evidence: "invoice 1" }]),
  );

  const stored = compare(
    "POST /_gate/v1/evidence",
    await agent.post("/_gate/v1/evidence", { evidence: "step 400: loss NaN" }),
  );
  const reference = text(stored, "ref");
  compare("GET /_gate/v1/evidence/:digest", await alice.get(`/_gate/v1/evidence/${reference.slice("sha256:".length)}`));

  const draft = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 })));
  const context = { reason: "more GPUs", evidence: "queue is empty", back_out: "cancel it" };
  compare("PUT /_gate/v1/approvals/:id/context", await agent.put(`/_gate/v1/approvals/${draft}/context`, context));
  compare(
    "POST /_gate/v1/approvals/:id/decisions",
    await alice.post(`/_gate/v1/approvals/${draft}/decisions`, { decision: "approve", comment: "seen" }),
  );
  const authority = await approvalAuthority(box);
  compare(
    "POST /_gate/v1/approvals/:id/tokens",
    await agent.post(`/_gate/v1/approvals/${draft}/tokens`, { token: await authority.sign(draft, "alice") }),
  );
  const granted = compare("GET /_gate/v1/approvals/:id", await agent.get(`/_gate/v1/approvals/${draft}`));
  expect(text(granted, "token")).toMatch(/^eyJ/);
  compare("GET /_gate/v1/approvals", await alice.get("/_gate/v1/approvals?state=approved"));
  const other = proposalOf(await agent.post(SUBMIT, job({ gpus: 9 }), CONTEXT));
  compare("DELETE /_gate/v1/approvals/:id", await agent.delete(`/_gate/v1/approvals/${other}`));

  const broken = proposalOf(await agent.post(SUBMIT, job({ gpus: 11 }), CONTEXT));
  const glass = { decision: "break-glass", comment: "nobody answers" };
  await (await box.as("carol")).post(`/_gate/v1/approvals/${broken}/decisions`, glass);
  compare(
    "POST /_gate/v1/approvals/:id/review",
    await alice.post(`/_gate/v1/approvals/${broken}/review`, { comment: "was needed" }),
  );
  await decide(box, proposalOf(await agent.post(SUBMIT, job({ gpus: 10 }), CONTEXT)), ["alice"], "deny");

  const standing = compare(
    "POST /_gate/v1/standing-approvals",
    await (
      await box.as("dana")
    ).post("/_gate/v1/standing-approvals", {
      action: "workloads.submit",
      pins: { max_gpus: 8, job_type: ["elastic"] },
      uses: 3,
      cap_usd: 60,
      expires_at: new Date(Date.now() + 3_600_000).toISOString(),
      reason: "nightly evaluation",
    }),
  );
  const granting = `/_gate/v1/standing-approvals/${text(standing, "id")}`;
  compare("GET /_gate/v1/standing-approvals", await alice.get("/_gate/v1/standing-approvals"));
  compare("GET /_gate/v1/standing-approvals/:id", await agent.get(granting));
  compare("DELETE /_gate/v1/standing-approvals/:id", await alice.delete(granting));

  // A key that is no segment of a path, and the routes in the order in which a claim passes through them.
  const incidents = "/_gate/v1/incidents";
  await agent.post("/v1/workloads/wl-1/cancel", undefined, CONTEXT);
  const claim = "~?key=catalogue:workload:wl-1";
  compare(`GET ${incidents}`, await agent.get(`${incidents}?state=claimed`));
  compare(`GET ${incidents}/:key`, await alice.get(`${incidents}/${claim}`));
  const [place, key] = claim.split("?");
  const handed = await agent.post(`${incidents}/${place}/hand-over?${key}`, { to: "person:alice", note: "yours" });
  compare(`POST ${incidents}/:key/hand-over`, handed);
  const resolved = await alice.post(`${incidents}/${place}/resolve?${key}`, { outcome: "false-alarm" });
  compare(`POST ${incidents}/:key/resolve`, resolved);
  const escalations = "/_gate/v1/escalations";
  const unknown = { hypothesis: "a bad switch", evidence: "link down", tried: "another node", incident: "INC-7" };
  const escalated = compare(`POST ${escalations}`, await agent.post(escalations, unknown));
  const escalation = `${escalations}/${text(escalated, "id")}`;
  compare(`GET ${escalations}`, await alice.get(`${escalations}?state=open`));
  compare(`GET ${escalations}/:id`, await agent.get(escalation));
  compare(`POST ${escalations}/:id/close`, await alice.post(`${escalation}/close`, { note: "the switch is replaced" }));

  const scope = "action:workloads.cancel";
  compare("POST /_gate/v1/freeze", await security.post("/_gate/v1/freeze", { reason: "upgrade", scope }));
  compare("GET /_gate/v1/freeze", await agent.get("/_gate/v1/freeze"));
  compare("DELETE /_gate/v1/freeze", await security.delete(`/_gate/v1/freeze?scope=${scope}`));

  const minted = compare(
    "POST /_gate/v1/credentials",
    await operator.post("/_gate/v1/credentials", { subject: "agent:x", class: "agent", owner: "person:dana" }),
  );
  compare("GET /_gate/v1/credentials", await operator.get("/_gate/v1/credentials"));
  compare("DELETE /_gate/v1/credentials/:id", await operator.delete(`/_gate/v1/credentials/${text(minted, "key_id")}`));

  compare(
    "PUT /_gate/v1/upstream-credential",
    await operator.put("/_gate/v1/upstream-credential", { token: `upstream-${box.tenant}` }),
  );

  const slack = { app_id: "A0APP", team_id: "T0ACME001", bot_token: "xoxb-0123456789-test" };
  compare("PUT /_gate/v1/channels/slack", await operator.put("/_gate/v1/channels/slack", slack));
  const webhook = { url: "https://hooks.example/gate", secret: `whsec_${"A".repeat(32)}` };
  compare("PUT /_gate/v1/channels/webhook", await operator.put("/_gate/v1/channels/webhook", webhook));
  compare("GET /_gate/v1/channels", await operator.get("/_gate/v1/channels"));
  compare("DELETE /_gate/v1/channels/:name", await operator.delete("/_gate/v1/channels/webhook"));
  // Nothing is left to be told to anybody when the test is over.
  await operator.delete("/_gate/v1/channels/slack");
  compare("PUT /_gate/v1/channels/audit-webhook", await security.put("/_gate/v1/channels/audit-webhook", webhook));
  compare("DELETE /_gate/v1/channels/audit-webhook", await security.delete("/_gate/v1/channels/audit-webhook"));

  compare(
    "POST /_gate/v1/sessions/revoke",
    await security.post("/_gate/v1/sessions/revoke", { subject: "person:alice" }),
  );

  const secret = caller(testEnv.BOOTSTRAP_SECRET, "");
  const jwks = { jwks_uri: "https://login.example/jwks.json", algorithms: ["ES256"], subject_prefix: "person:" };
  const login = { id: "login", issuer: "https://login.example", tenant: box.tenant, ...jwks };
  const staff = { ...login, audience: "gate", class: "person", owner: null, actions: [], max_tier: 0 };
  const oidc = { issuer: login.issuer, client_id: "gate", client_secret: "hush", subject_prefix: "person:" };
  for (const [path, one, body] of [
    ["issuers", "/:id", staff],
    ["approval-issuers", "/:id", login],
    ["sign-in", "", { tenant: box.tenant, oidc }],
  ] as const) {
    const registering = await secret.post(`/_gate/v1/${path}`, body);
    expect(registering.status, registering.text).toBe(202);
    expect(ASKED_TO_REGISTER.parse(registering.body)).toEqual(registering.body);
    compare(`GET /_gate/v1/${path}`, await security.get(`/_gate/v1/${path}`));
    const target = `/_gate/v1/${path}${one.replace(":id", "login")}`;
    const digest = text(registering, "digest");
    compare(`POST /_gate/v1/${path}${one}/confirm`, await security.post(`${target}/confirm`, { digest }));
    compare(`GET /_gate/v1/${path}`, await security.get(`/_gate/v1/${path}`));
    compare(`DELETE /_gate/v1/${path}${one}`, await security.delete(target));
  }

  compare("GET /_gate/v1/policy", await agent.get("/_gate/v1/policy"));
  const policy = replaceOnce(
    ACME_POLICY,
    'tier_4_approvers: ["@alice", "@bob"]',
    'tier_4_approvers: ["@alice", "@eve"]',
  );
  const version = compare(
    "POST /_gate/v1/policy/versions",
    await operator.post("/_gate/v1/policy/versions", { policy, reason: "a warning is worth documenting" }),
  );
  expect(version.body).toMatchObject({ version: 2, warnings: [{ severity: "warning" }, { severity: "warning" }] });
  compare("GET /_gate/v1/policy/versions", await operator.get("/_gate/v1/policy/versions"));
  const versions = "/_gate/v1/policy/versions";
  compare(`GET ${versions}/:version`, await operator.get(`${versions}/2`));
  compare(`GET ${versions}/:version/diff`, await operator.get(`${versions}/2/diff?against=1`));
  const tomorrow = new Date(Date.now() + 86_400_000).toISOString();
  const scheduled = await security.post("/_gate/v1/policy/activate", { version: 2, at: tomorrow });
  expect(scheduled.status).toBe(202);
  expect(ROUTE_DESCRIPTIONS["POST /_gate/v1/policy/activate"]?.answer.parse(scheduled.body)).toEqual(scheduled.body);
  compare("GET /_gate/v1/policy/schedules", await operator.get("/_gate/v1/policy/schedules"));
  compare("DELETE /_gate/v1/policy/schedules/:version", await operator.delete("/_gate/v1/policy/schedules/2"));
  compare("POST /_gate/v1/policy/activate", await security.post("/_gate/v1/policy/activate", { version: 2 }));
  compare("GET /_gate/v1/policy/activations", await operator.get("/_gate/v1/policy/activations"));

  await expect
    .poll(async () => (await security.get(`/_gate/v1/audit?request_id=${operation}`)).text)
    .toContain('"kind":"outcome"');
  compare("GET /_gate/v1/audit", await security.get("/_gate/v1/audit?limit=500"));
  for (const [name, query] of [
    ["checkpoint", ""],
    ["proof", "?seq=1"],
    ["consistency", "?from=1"],
  ] as const)
    compare(`GET /_gate/v1/audit/${name}`, await security.get(`/_gate/v1/audit/${name}${query}`));
  const manifest = "/_gate/v1/audit/export/manifest";
  compare(`GET ${manifest}`, await security.get(manifest));
  const exported = await security.get("/_gate/v1/audit/export");
  const lines: readonly unknown[] = exported.text
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line));
  for (const line of lines.slice(0, -1)) expect(ANSWER.auditRecord.parse(line)).toEqual(line);
  expect(ANSWER.auditManifest.parse(lines.at(-1))).toEqual(lines.at(-1));
  seen.add("GET /_gate/v1/audit/export");

  const receipt = await receiptFor(agent, job({ name: "lost" }));
  await box.upstream.inject([
    { method: "POST", path: SUBMIT, kind: "drop-after-execute" },
    { method: "GET", path: SUBMIT, times: 1_000, kind: "status:500" },
  ]);
  const lost = await agent.post(SUBMIT, job({ name: "lost" }), { ...REASON, "gate-plan": receipt });
  const resolving = `/_gate/v1/operations/${lost.headers.get("gate-request-id")}/resolve`;
  const word = { outcome: "failed", evidence: "nothing is there" };
  await expect.poll(async () => (await operator.post(resolving, word)).status).toBe(200);
  const unseen = await security.get("/_gate/v1/audit/open?limit=5");
  expect(compare("GET /_gate/v1/audit/open", unseen).body).toMatchObject({ unknown: { count: 1 }, records: [{}] });
  compare("POST /_gate/v1/operations/:id/resolve", await finance.post(resolving, word));

  expect([...seen].toSorted()).toEqual(Object.keys(ROUTE_DESCRIPTIONS).toSorted());
});

test.each([
  ["/_gate/health", ANSWER.health],
  ["/_gate/ready", ANSWER.readiness],
  ["/_gate/problems/frozen", ANSWER.problemPage],
])("GET %s answers what the document says", async (path, answer) => {
  const answered = await caller(null, "").get(path);
  expect(answer.parse(answered.body)).toEqual(answered.body);
});
