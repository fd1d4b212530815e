import { beforeAll, describe, expect, test } from "vitest";
import { ADMIN_ROUTES } from "../../src/app.ts";
import type { ApiKeyClaims } from "../../src/identity/api-key-claims.ts";
import { mintApiKey } from "../../src/identity/api-key.ts";
import { readSecretKey } from "../../src/identity/secret-key.ts";
import { newId } from "../../src/platform/ids.ts";
import { member, text, verdict } from "../support/answer.ts";
import { ACME_POLICY, caller, replaceOnce, useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { CONTEXT, decide, job, proposalOf, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

const open = useBlackBox("routes");

const CALLERS = ["nobody", "wrong", "agent", "service", "person", "operator", "finance", "security"] as const;
type CallerName = (typeof CALLERS)[number];

/**
 * Further classes of credentials, and whom of those above each is answered like. `null`: like nobody.
 * `secret`: the deployment's. `grant`: an approval token, which says that people approved one request. `scoped`: an agent that may do
 * one thing. `approver`: a person whom the policy has decide. `foreign`: another tenant's operator, about that tenant's own things.
 */
const FURTHER = {
  expired: null,
  revoked: null,
  secret: null,
  grant: null,
  scoped: "agent",
  approver: "person",
  foreign: "operator",
} as const satisfies Readonly<Record<string, CallerName | null>>;
type FurtherName = keyof typeof FURTHER;
const FURTHER_NAMES = ["expired", "revoked", "secret", "grant", "scoped", "approver", "foreign"] as const;

const ID = "apr_0123456789abcdefghjkmnpqrs";
const REFUSED = "403 out-of-scope";
/** The path with its parameters replaced by what is nowhere. */
const placed = (template: string): string => template.replace(":id", ID).replace(":key", "INC-404");

/** Every credential of the tenant gets this answer, save the service: its role is billing, which reports usage alone. */
const everybody = (answer: string): Partial<Record<CallerName, string>> =>
  Object.fromEntries(CALLERS.slice(2).map((name) => [name, name === "service" ? REFUSED : answer]));
/** People with these roles get this answer; everybody else is out of scope. */
const only = (roles: readonly CallerName[], answer: string): Partial<Record<CallerName, string>> =>
  Object.fromEntries(roles.map((role) => [role, answer]));

type Expectation = {
  readonly path?: string;
  readonly body?: unknown;
  /** By caller; where nothing stands, `403 out-of-scope`. Nobody and a wrong credential: 401, always. */
  readonly answers: Partial<Record<CallerName, string>>;
};

/**
 * The gate's own API × who asks. Bodies and ids are such that nothing changes: who is let in is told from who is not by
 * the answer that only the handler gives.
 */
const EXPECTED: Readonly<Record<string, Expectation>> = {
  "GET /_gate/v1/whoami": { answers: { ...everybody("200"), service: "200" } },
  "GET /_gate/v1/budget": { answers: everybody("200") },
  "GET /_gate/v1/aggregates": { answers: everybody("200") },
  "PUT /_gate/v1/budget": { body: {}, answers: only(["finance"], "400 malformed-request") },
  "POST /_gate/v1/budget/requests": { body: {}, answers: everybody("400 malformed-request") },
  "GET /_gate/v1/budget/requests": { answers: everybody("200") },
  "DELETE /_gate/v1/budget/requests/:id": { answers: everybody("404 not-found") },
  "GET /_gate/v1/budget/history": { answers: only(["finance"], "200") },
  "GET /_gate/v1/budget/holds": { answers: only(["finance"], "200") },
  "GET /_gate/v1/budget/unresolved": { answers: only(["finance", "operator"], "200") },
  "GET /_gate/v1/budget/entries": { answers: only(["finance"], "200") },
  "GET /_gate/v1/budget/export": { answers: only(["finance"], "200") },
  "GET /_gate/v1/budget/forecast": { answers: everybody("200") },
  "GET /_gate/v1/budget/reconciliation": { answers: only(["finance", "security"], "200") },
  "POST /_gate/v1/usage": { body: {}, answers: only(["finance", "service"], "400 malformed-request") },
  "POST /_gate/v1/operations/:id/resolve": {
    body: {},
    answers: only(["operator", "finance"], "400 malformed-request"),
  },
  "GET /_gate/v1/operations/:id": { answers: everybody("404 not-found") },
  "GET /_gate/v1/freeze": { answers: everybody("200") },
  "POST /_gate/v1/freeze": { body: {}, answers: only(["operator", "security", "finance"], "400 malformed-request") },
  "DELETE /_gate/v1/freeze": { answers: only(["operator", "security"], "404 not-found") },
  "GET /_gate/v1/approvals": { answers: everybody("200") },
  "GET /_gate/v1/approvals/:id": { answers: everybody("404 not-found") },
  "DELETE /_gate/v1/approvals/:id": { answers: everybody("404 not-found") },
  "POST /_gate/v1/approvals/:id/decisions": { body: { decision: "approve" }, answers: everybody("404 not-found") },
  "POST /_gate/v1/approvals/:id/review": { body: { comment: "fine" }, answers: everybody("404 not-found") },
  "POST /_gate/v1/approvals/:id/tokens": { body: { token: "a.b.c" }, answers: everybody("404 not-found") },
  "PUT /_gate/v1/approvals/:id/context": { body: { reason: "why" }, answers: everybody("404 not-found") },
  "POST /_gate/v1/standing-approvals": { body: {}, answers: everybody("400 malformed-request") },
  "GET /_gate/v1/standing-approvals": { answers: everybody("200") },
  "GET /_gate/v1/standing-approvals/:id": { answers: everybody("404 not-found") },
  "DELETE /_gate/v1/standing-approvals/:id": { answers: everybody("404 not-found") },
  "GET /_gate/v1/incidents": { answers: everybody("200") },
  "GET /_gate/v1/incidents/:key": { answers: everybody("404 not-found") },
  "POST /_gate/v1/incidents/:key/resolve": { body: { outcome: "fixed" }, answers: everybody("404 not-found") },
  "POST /_gate/v1/incidents/:key/hand-over": { body: { to: "agent:trainer" }, answers: everybody("404 not-found") },
  "POST /_gate/v1/escalations": { body: {}, answers: everybody("400 malformed-request") },
  "GET /_gate/v1/escalations": { answers: everybody("200") },
  "GET /_gate/v1/escalations/:id": { answers: everybody("404 not-found") },
  "POST /_gate/v1/escalations/:id/close": {
    body: { note: "seen" },
    answers: { ...everybody("404 not-found"), agent: REFUSED },
  },
  "POST /_gate/v1/evidence": { body: {}, answers: everybody("400 malformed-request") },
  "GET /_gate/v1/evidence/:digest": {
    path: `/_gate/v1/evidence/${"0".repeat(64)}`,
    answers: everybody("404 not-found"),
  },
  "GET /_gate/v1/audit": { answers: only(["security"], "200") },
  "GET /_gate/v1/audit/open": { answers: only(["security"], "200") },
  "GET /_gate/v1/audit/export": { answers: only(["security"], "200") },
  "GET /_gate/v1/audit/export/manifest": { answers: only(["security"], "200") },
  // What there is of a log depends on how far it has got; that there is no such log does not.
  "GET /_gate/v1/audit/checkpoint": {
    path: "/_gate/v1/audit/checkpoint?log=none",
    answers: only(["security"], "400 malformed-request"),
  },
  "GET /_gate/v1/audit/proof": { answers: only(["security"], "400 malformed-request") },
  "GET /_gate/v1/audit/consistency": { answers: only(["security"], "400 malformed-request") },
  "GET /_gate/v1/credentials": { answers: only(["operator", "security"], "200") },
  "POST /_gate/v1/credentials": {
    body: {},
    answers: only(["operator", "finance", "security"], "400 malformed-request"),
  },
  "DELETE /_gate/v1/credentials/:id": { answers: only(["operator", "security"], "404 not-found") },
  "GET /_gate/v1/policy": { answers: everybody("200") },
  "GET /_gate/v1/policy/versions": { answers: only(["operator", "finance", "security"], "200") },
  "POST /_gate/v1/policy/versions": { body: {}, answers: only(["operator"], "400 malformed-request") },
  "POST /_gate/v1/policy/activate": { body: { version: 99 }, answers: only(["finance", "security"], "404 not-found") },
  "GET /_gate/v1/policy/versions/:version": {
    path: "/_gate/v1/policy/versions/99",
    answers: only(["operator", "finance", "security"], "404 not-found"),
  },
  "GET /_gate/v1/policy/versions/:version/diff": {
    path: "/_gate/v1/policy/versions/99/diff",
    answers: only(["operator", "finance", "security"], "404 not-found"),
  },
  "GET /_gate/v1/policy/activations": { answers: only(["operator", "finance", "security"], "200") },
  "GET /_gate/v1/policy/schedules": { answers: only(["operator", "finance", "security"], "200") },
  "DELETE /_gate/v1/policy/schedules/:version": {
    path: "/_gate/v1/policy/schedules/99",
    answers: only(["operator", "finance", "security"], "404 not-found"),
  },
  "GET /_gate/v1/channels": { answers: only(["operator", "security"], "200") },
  "PUT /_gate/v1/channels/slack": { body: {}, answers: only(["operator"], "400 malformed-request") },
  "PUT /_gate/v1/channels/webhook": { body: {}, answers: only(["operator"], "400 malformed-request") },
  "PUT /_gate/v1/channels/audit-webhook": { body: {}, answers: only(["security"], "400 malformed-request") },
  "DELETE /_gate/v1/channels/audit-webhook": { answers: only(["security"], "200") },
  "DELETE /_gate/v1/channels/:name": {
    path: "/_gate/v1/channels/pager",
    answers: only(["operator"], "404 not-found"),
  },
  "GET /_gate/v1/issuers": { answers: only(["operator", "security"], "200") },
  "POST /_gate/v1/issuers/:id/confirm": { body: {}, answers: only(["security"], "400 malformed-request") },
  "DELETE /_gate/v1/issuers/:id": { answers: only(["operator", "security"], "404 not-found") },
  "GET /_gate/v1/approval-issuers": { answers: only(["operator", "security"], "200") },
  "POST /_gate/v1/approval-issuers/:id/confirm": { body: {}, answers: only(["security"], "400 malformed-request") },
  "DELETE /_gate/v1/approval-issuers/:id": { answers: only(["operator", "security"], "404 not-found") },
  "GET /_gate/v1/sign-in": { answers: only(["operator", "security"], "200") },
  "POST /_gate/v1/sign-in/confirm": { body: {}, answers: only(["security"], "400 malformed-request") },
  "DELETE /_gate/v1/sign-in": { answers: only(["operator", "security"], "404 not-found") },
  "POST /_gate/v1/sessions/revoke": { body: {}, answers: only(["operator", "security"], "400 malformed-request") },
  "PUT /_gate/v1/upstream-credential": { body: {}, answers: only(["operator"], "400 malformed-request") },
};

let callers: Readonly<Record<CallerName | FurtherName, Caller>>;
let shared: BlackBox;

beforeAll(async () => {
  shared = await open();
  const as = (name: Parameters<BlackBox["as"]>[0]): Promise<Caller> => shared.as(name);
  callers = {
    nobody: caller(null, ""),
    wrong: caller(`${(await as("operator")).key.slice(0, -1)}!`, ""),
    agent: await as("agent"),
    service: await as("billing"),
    person: await as("carol"),
    operator: await as("operator"),
    finance: await as("finance"),
    security: await as("security"),
    ...(await furtherCallers(shared)),
  };
});

async function furtherCallers(box: BlackBox): Promise<Readonly<Record<FurtherName, Caller>>> {
  const security = await box.as("security");
  const revoked = await box.mint({
    subject: "person:gone",
    class: "person",
    owner: "person:gone",
    roles: ["operator"],
  });
  expect(verdict(await security.delete(`/_gate/v1/credentials/${revoked.keyId}`))).toBe("200");
  const agent = await box.as("agent");
  const approval = proposalOf(await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT));
  await decide(box, approval, ["bob"]);
  const scoped = {
    subject: "agent:narrow",
    class: "agent",
    owner: "person:dana",
    actions: ["gpus.status"],
    max_tier: 0,
  };
  return {
    expired: caller(expiredKey(box.tenant), ""),
    revoked,
    secret: caller(testEnv.BOOTSTRAP_SECRET, ""),
    grant: caller(text(await agent.get(`/_gate/v1/approvals/${approval}`), "token"), ""),
    scoped: await box.mint(scoped),
    approver: await box.as("alice"),
    foreign: await (await open()).as("operator"),
  };
}

/** A genuine key of an operator whose time is over. */
function expiredKey(tenant: string): string {
  const secret = readSecretKey("CREDENTIAL_KEY", testEnv.CREDENTIAL_KEY);
  if (!secret.ok) throw new Error("no key to mint with");
  const day = 86_400_000;
  const claims: ApiKeyClaims = {
    keyId: newId("key"),
    tenant,
    subject: "person:past",
    class: "person",
    owner: "person:past",
    issuer: "person:operator",
    scopes: { actions: [], maxTier: 0 },
    roles: ["operator", "finance", "security"],
    issuedAt: Date.now() - 2 * day,
    expiresAt: Date.now() - day,
    demo: false,
  };
  const minted = mintApiKey(claims, crypto.getRandomValues(new Uint8Array(32)), secret.value, "test");
  if (!minted.ok) throw new Error(minted.error);
  return minted.value.key;
}

test("every route has its row here", () => {
  const routes = ADMIN_ROUTES.map(({ method, path }) => `${method} ${path}`);
  expect(routes.toSorted()).toEqual(Object.keys(EXPECTED).toSorted());
});

describe.each(Object.entries(EXPECTED))("%s", (route, { path, body, answers }) => {
  const [method = "", template = ""] = route.split(" ");

  test.each(CALLERS)("%s", async (name) => {
    const target = path ?? placed(template);
    const answered = await callers[name].send(method, target, body);
    const expected = name === "nobody" || name === "wrong" ? "401 unauthenticated" : (answers[name] ?? REFUSED);
    expect(verdict(answered)).toBe(expected);
  });

  test.each(FURTHER_NAMES)("%s", async (name) => {
    const target = path ?? placed(template);
    const like = FURTHER[name];
    const expected = like === null ? "401 unauthenticated" : (answers[like] ?? REFUSED);
    expect(verdict(await callers[name].send(method, target, body))).toBe(expected);
  });
});

test("another tenant's people find nothing of this one, whatever id they name", async () => {
  const agent = await shared.as("agent");
  const approval = proposalOf(await agent.post(SUBMIT, job({ gpus: 9 }), CONTEXT));
  const added = await callers.operator.post("/_gate/v1/policy/versions", { reason: "nobody else's" });
  const there = await open();
  for (const name of ["operator", "security", "finance"] as const) {
    const foreign = await there.as(name);
    expect(verdict(await foreign.get(`/_gate/v1/approvals/${approval}`))).toBe("404 not-found");
    expect(verdict(await foreign.get(`/_gate/v1/policy/versions/${Number(member(added, "version"))}`))).toBe(
      "404 not-found",
    );
    expect(member(await foreign.get("/_gate/v1/whoami"), "tenant")).toBe(there.tenant);
  }
  const security = await there.as("security");
  expect(verdict(await security.delete(`/_gate/v1/credentials/${agent.keyId}`))).toBe("404 not-found");
  expect(verdict(await security.post("/_gate/v1/policy/activate", { version: member(added, "version") }))).toBe(
    "404 not-found",
  );
  expect(verdict(await agent.get("/_gate/v1/whoami"))).toBe("200");
});

test("no agent reaches an administrative route, whatever roles its key was asked to have", async () => {
  const operator = callers.operator;
  for (const roles of [["operator"], ["finance"], ["security"], ["billing"]]) {
    const claims = { subject: "agent:sly", class: "agent", owner: "person:dana", actions: ["*"], max_tier: 4, roles };
    expect(verdict(await operator.post("/_gate/v1/credentials", { ...claims, demo: true }))).not.toBe("201");
  }
  const closed = ADMIN_ROUTES.filter((route) => route.roles !== null);
  expect(closed.length).toBeGreaterThan(5);
  for (const { method, path } of closed) {
    const answered = await callers.agent.send(method, placed(path), method === "GET" ? undefined : {});
    expect(answered.status, `${method} ${path}`).toBeGreaterThanOrEqual(400);
  }
});

test("a billing credential reports usage, reads who it is, and reaches no other route", async () => {
  const reached: string[] = [];
  for (const { method, path } of ADMIN_ROUTES) {
    const target = EXPECTED[`${method} ${path}`]?.path ?? placed(path);
    const takesBody = method === "POST" || method === "PUT";
    const answered = await callers.service.send(method, target, takesBody ? {} : undefined);
    if (verdict(answered) !== REFUSED) reached.push(`${method} ${path}: ${verdict(answered)}`);
  }
  expect(reached).toEqual(["GET /_gate/v1/whoami: 200", "POST /_gate/v1/usage: 400 malformed-request"]);
  expect(verdict(await callers.service.get("/v1/workloads"))).toBe(REFUSED);
});

test("finance freezes and lifts spending, and no other scope", async () => {
  const box = await open();
  const finance = await box.as("finance");
  for (const scope of ["tenant", "action:workloads.submit", "principal:agent:trainer"]) {
    expect(verdict(await finance.post("/_gate/v1/freeze", { reason: "no", scope }))).toBe(REFUSED);
    expect(verdict(await finance.delete(`/_gate/v1/freeze?scope=${scope}`))).toBe(REFUSED);
  }
  expect(verdict(await finance.post("/_gate/v1/freeze", { reason: "audit", scope: "spending" }))).toBe("200");
  expect((await finance.get("/_gate/v1/freeze")).body).toMatchObject({
    records: [{ scope: "spending", reason: "audit", frozen_by: "person:finance" }],
  });
  expect((await (await box.as("agent")).get("/_gate/v1/budget")).body).toMatchObject({
    spending_frozen: { by: "person:finance", reason: "audit" },
  });
  expect(verdict(await finance.delete("/_gate/v1/freeze?scope=spending"))).toBe("200");
  // What security stopped is not finance's to let go.
  await (await box.as("security")).post("/_gate/v1/freeze", { reason: "incident", scope: "spending" });
  expect(verdict(await finance.delete("/_gate/v1/freeze?scope=spending"))).toBe("403 not-eligible");
});

test("people's credentials reach no upstream route, not even a read", async () => {
  for (const name of ["person", "operator", "finance", "security"] as const) {
    expect(verdict(await callers[name].get("/v1/workloads"))).toBe(REFUSED);
  }
  expect(await shared.upstream.requests()).toEqual([]);
});

describe("nobody widens alone", () => {
  test.each(["finance", "security", "billing"])(
    "an operator does not mint itself a colleague with role %s",
    async (role) => {
      const box = await open();
      const claims = { subject: "person:puppet", class: "person", owner: "person:puppet", roles: [role], demo: true };
      expect(verdict(await (await box.as("operator")).post("/_gate/v1/credentials", claims))).toBe("403 not-eligible");
    },
  );

  test("who added a version does not put it in force", async () => {
    const box = await open();
    const operator = await box.as("operator");
    const added = await operator.post("/_gate/v1/policy/versions", { reason: "mine" });
    expect(verdict(added)).toBe("201");
    expect(verdict(await operator.post("/_gate/v1/policy/activate", { version: 2 }))).toBe(REFUSED);
    expect(verdict(await (await box.as("security")).post("/_gate/v1/policy/activate", { version: 2 }))).toBe("200");
  });

  test("a version that raises a cap is finance's to put in force", async () => {
    const box = await open();
    const raised = replaceOnce(ACME_POLICY, "daily_limit_usd: 500", "daily_limit_usd: 501");
    await (await box.as("operator")).post("/_gate/v1/policy/versions", { policy: raised, reason: "more" });
    expect(verdict(await (await box.as("security")).post("/_gate/v1/policy/activate", { version: 2 }))).toBe(
      "403 not-eligible",
    );
    expect(verdict(await (await box.as("finance")).post("/_gate/v1/policy/activate", { version: 2 }))).toBe("200");
  });

  test.each([
    ["a team", "teams: { research: ['agent:trainer'] }\nbudget:"],
    ["a cap inside the tenant's", "budget:\n  per: { principal: { each: { daily_limit_usd: 1 } } }"],
    ["a bound of submissions", "budget:\n  gross_daily_limit_usd: 600"],
    ["other thresholds", "budget:\n  notify_at_percent: []"],
  ])("so is one with %s", async (_, budget) => {
    const box = await open();
    const policy = replaceOnce(ACME_POLICY, "budget:", budget);
    expect(
      verdict(await (await box.as("operator")).post("/_gate/v1/policy/versions", { policy, reason: "other" })),
    ).toBe("201");
    expect(verdict(await (await box.as("security")).post("/_gate/v1/policy/activate", { version: 2 }))).toBe(
      "403 not-eligible",
    );
    expect(verdict(await (await box.as("finance")).post("/_gate/v1/policy/activate", { version: 2 }))).toBe("200");
  });

  test("a version that lowers the tenant's caps is security's to put in force too", async () => {
    const box = await open();
    const policy = replaceOnce(ACME_POLICY, "daily_limit_usd: 500", "daily_limit_usd: 499");
    await (await box.as("operator")).post("/_gate/v1/policy/versions", { policy, reason: "less" });
    expect(verdict(await (await box.as("security")).post("/_gate/v1/policy/activate", { version: 2 }))).toBe("200");
  });

  test("a freeze of security is not an operator's to lift", async () => {
    const box = await open();
    await (await box.as("security")).post("/_gate/v1/freeze", { reason: "incident" });
    expect(verdict(await (await box.as("operator")).delete("/_gate/v1/freeze"))).toBe("403 not-eligible");
    expect(verdict(await (await box.as("security")).delete("/_gate/v1/freeze"))).toBe("200");
  });
});

test("a document with a mistake is refused with its line and column, and the version in force is unchanged", async () => {
  const box = await open();
  const operator = await box.as("operator");
  const refused = await operator.post("/_gate/v1/policy/versions", {
    policy: 'version: "1.0"\nallowed_tools:\n  tier_0:\n    - workloads.lst\n',
    reason: "typing",
  });
  expect(verdict(refused)).toBe("422 policy-invalid");
  expect(refused.body).toMatchObject({ line: 4, column: 7, path: expect.stringContaining("/allowed_tools/tier_0/0") });
  expect((await operator.get("/_gate/v1/policy")).body).toMatchObject({ version: 1 });
});

test("administrative acts and refused attempts are on record, with who did them", async () => {
  const box = await open();
  const carol = await box.as("carol");
  await (await box.as("security")).post("/_gate/v1/freeze", { reason: "drill" });
  await (await box.as("operator")).delete("/_gate/v1/freeze");
  await (await box.as("security")).delete("/_gate/v1/freeze");
  const acts = (await ledgerRecords(box.tenant)).filter((record) => record.kind === "admin");
  expect(acts.map((record) => [record.reason_code, record.principal, record.decision])).toEqual([
    ["bootstrap", null, null],
    ["credential-created", "person:operator", "allow"],
    ["frozen", "person:security", "allow"],
    ["unfrozen", "person:operator", "refuse"],
    ["unfrozen", "person:security", "allow"],
  ]);
  expect(acts[1]?.detail).toContain(carol.keyId);
});
