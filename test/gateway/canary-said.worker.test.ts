import { afterEach, expect, test, vi } from "vitest";
import { member, text, verdict } from "../support/answer.ts";
import { ACME_POLICY, caller } from "../support/black-box.ts";
import { UNMISTAKABLE, type Canary } from "../support/canaries.ts";
import { canaryBoxes, WEBHOOKS } from "../support/canary-watch.ts";
import { CONTEXT, job, proposalOf, REASON, receiptFor, SUBMIT } from "../support/requests.ts";
import { testEnv } from "../support/test-env.ts";

/**
 * Secrets of every known form, put into everything that people say to the gate, are nowhere afterwards (see
 * `canary-secrets.worker.test.ts`).
 */
const watched = canaryBoxes("canaries-said");

// Some hundred requests each.
vi.setConfig({ testTimeout: 240_000 });
afterEach(() => void vi.restoreAllMocks());

const INCIDENT = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;

test("in what is said of a request and of a decision", async () => {
  const { as, canaries, echoed, leaks } = await watched();
  const [agent, alice, carol, security] = await Promise.all([as("agent"), as("alice"), as("carol"), as("security")]);
  const said = (place: string, name: string) =>
    canaries.texts(place, 900).map((secret) => ({ ...CONTEXT, [name]: encodeURIComponent(secret) }));
  const incidents = canaries
    .of("an incident", INCIDENT)
    .map(({ text: incident }) => ({ ...CONTEXT, "gate-incident": incident }));
  const contexts = [
    ...said("a reason", "gate-reason"),
    ...said("evidence", "gate-evidence"),
    ...said("a back-out", "gate-back-out"),
    ...incidents,
  ];
  for (const [index, headers] of contexts.entries()) {
    const [small, large] = [job({ name: `small-${index}`, gpus: 1 }), job({ name: `large-${index}`, gpus: 5 })];
    const receipt = await receiptFor(agent, small, headers);
    const ran = await agent.post(SUBMIT, small, { ...headers, "gate-plan": receipt, "idempotency-key": `"k${index}"` });
    expect(verdict(ran)).toBe("201");
    const asked = proposalOf(await agent.post(SUBMIT, large, headers));
    expect(verdict(await alice.post(`/_gate/v1/approvals/${asked}/decisions`, { decision: "approve" }))).toBe("200");
  }
  const comments = canaries.texts("a comment", 900);
  const askers = [agent, await as("agent2")];
  expect(comments.length).toBe(askers.length);
  for (const [index, comment] of comments.entries()) {
    // Whoever was denied waits before asking again.
    const asker = askers[index] ?? agent;
    const decided = async (decision: "approve" | "deny" | "break-glass"): Promise<string> => {
      const draft = proposalOf(await asker.post(SUBMIT, job({ name: `${decision}-${index}`, gpus: 5 })));
      const context = {
        reason: canaries.texts("a draft", 900)[0],
        evidence: comment,
        back_out: comment,
        // One principal each: the second would wait for the first.
        incident: `INC-${index}`,
      };
      expect(verdict(await asker.put(`/_gate/v1/approvals/${draft}/context`, context))).toBe("200");
      const person = decision === "break-glass" ? carol : alice;
      const word = { decision, comment, ...(decision === "break-glass" ? { confirm: "workloads.submit" } : {}) };
      expect(verdict(await person.post(`/_gate/v1/approvals/${draft}/decisions`, word))).toBe("200");
      return draft;
    };
    await decided("approve");
    const broken = await decided("break-glass");
    await decided("deny");
    expect(verdict(await security.post(`/_gate/v1/approvals/${broken}/review`, { comment }))).toBe("200");
    await alice.post(`/_gate/v1/approvals/${broken}/decisions`, { decision: comment });
    await alice.post(`/_gate/v1/approvals/${broken}/decisions`, { decision: "deny", confirm: comment });
  }
  for (const words of canaries.texts("an escalation", 900)) {
    const ask = { hypothesis: words, evidence: words, tried: words };
    const id = text(await agent.post("/_gate/v1/escalations", ask), "id");
    expect(verdict(await alice.post(`/_gate/v1/escalations/${id}/close`, { note: words }))).toBe("200");
  }
  const act = async (what: string, body: object): Promise<string> =>
    verdict(await (await as("operator")).post(`/_gate/v1/incidents/INC-0/${what}`, body));
  for (const note of canaries.texts("what becomes of an incident", 900)) {
    for (const to of ["person:alice", "agent:trainer"]) expect(await act("hand-over", { to, note })).toBe("200");
  }
  const [note] = canaries.texts("what became of an incident", 900);
  expect(await act("resolve", { outcome: "fixed", note })).toBe("200");
  for (const evidence of canaries.texts("uploaded evidence", 8_000)) {
    const ref = text(await agent.post("/_gate/v1/evidence", { evidence }), "ref");
    expect(verdict(await alice.get(`/_gate/v1/evidence/${ref.slice("sha256:".length)}`))).toBe("200");
  }
  expect(await leaks()).toEqual([]);
  expect([...echoed()]).toEqual([]);
});

test("in what finance and operators say", async () => {
  const { as, canaries, echoed, leaks, box } = await watched();
  const [operator, finance, security] = await Promise.all([as("operator"), as("finance"), as("security")]);
  const [agent, dana] = await Promise.all([as("agent"), as("dana")]);
  const receipt = await receiptFor(agent, job());
  await box.upstream.inject([
    { method: "POST", path: SUBMIT, kind: "drop-after-execute" },
    { method: "GET", path: SUBMIT, times: 1_000, kind: "status:500" },
  ]);
  const lost =
    (await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt })).headers.get("gate-request-id") ?? "";
  await expect.poll(async () => member(await agent.get(`/_gate/v1/operations/${lost}`), "state")).toBe("unknown");

  const texts = (place: string) => canaries.texts(place, 900);
  for (const reason of texts("a budget's reason")) {
    await finance.put("/_gate/v1/budget", { daily_cap_usd: 400, reason });
    const raise = await finance.put("/_gate/v1/budget", { daily_cap_usd: 450, reason });
    const other = await box.mint({ subject: "person:finance2", class: "person", roles: ["finance"] }, "finance");
    await other.post(`/_gate/v1/approvals/${text(raise, "daily", "id")}/decisions`, {
      decision: "deny",
      comment: reason,
    });
    const asked = await agent.post("/_gate/v1/budget/requests", { window: "daily", cap_usd: 460, reason });
    await finance.post(`/_gate/v1/approvals/${text(asked, "id")}/decisions`, { decision: "approve", comment: reason });
  }
  for (const { text: incident } of canaries.of("a budget's incident", INCIDENT)) {
    const asked = await agent.post("/_gate/v1/budget/requests", {
      window: "daily",
      cap_usd: 470,
      reason: "more",
      incident,
    });
    const word = { decision: "deny", comment: "no" };
    expect(verdict(await finance.post(`/_gate/v1/approvals/${text(asked, "id")}/decisions`, word))).toBe("200");
  }
  // A line's evidence is refused where it looks like a secret, and answered with its result.
  for (const { text: evidence } of canaries.of("a usage report")) {
    await finance.post("/_gate/v1/usage", { reports: [{ request_id: lost, actual_usd: "1", evidence }] });
    await finance.post("/_gate/v1/usage", { reports: [{ request_id: evidence, actual_usd: "1", evidence: "line-1" }] });
    const csv = `request_id,actual_usd,ended_at,evidence\n${lost},1,,"${evidence}"\n"${evidence}",1,,line-2\n`;
    await finance.send("POST", "/_gate/v1/usage", csv, { "content-type": "text/csv" });
  }
  for (const evidence of texts("a resolution"))
    for (const person of [operator, finance])
      await person.post(`/_gate/v1/operations/${lost}/resolve`, { outcome: "failed", evidence });
  for (const reason of texts("a freeze's reason")) {
    expect(verdict(await security.post("/_gate/v1/freeze", { reason, scope: "action:pools.delete" }))).toBe("200");
    await agent.delete("/v1/pools/p-1");
    await operator.post("/_gate/v1/policy/versions", { reason });
    await dana.post("/_gate/v1/standing-approvals", standing({ reason }));
  }
  for (const { text: secret } of canaries.of("a freeze's scope", UNMISTAKABLE)) {
    await security.post("/_gate/v1/freeze", { reason: "stop", scope: `principal:${secret}` });
    await security.delete(`/_gate/v1/freeze?scope=${encodeURIComponent(`principal:${secret}`)}`);
  }
  for (const { text: secret } of canaries.of("a pin"))
    for (const pins of [{ image: secret }, { [secret]: 1 }])
      await dana.post("/_gate/v1/standing-approvals", standing({ pins }));
  expect(await leaks()).toEqual([]);
  expect([...echoed()].toSorted()).toEqual(["a freeze's scope", "a pin", "a usage report"]);
});

const standing = (over: object): object => ({
  action: "workloads.submit",
  pins: { max_gpus: 8 },
  uses: 2,
  cap_usd: 10,
  expires_at: new Date(Date.now() + 3_600_000).toISOString(),
  reason: "nightly",
  ...over,
});

/** Each of the secrets in one of the forms, and each form with one secret at least. */
const rotate = <T>(secrets: readonly Canary[], forms: (secret: string) => readonly T[]): readonly T[] =>
  secrets.flatMap(({ text: secret }, index) => {
    const all = forms(secret);
    return all.slice(index % all.length, (index % all.length) + 1);
  });

test("in credentials and channels", async () => {
  const { as, canaries, echoed, leaks, box } = await watched();
  const operator = await as("operator");
  for (const claims of rotate(canaries.of("a credential's claims", UNMISTAKABLE), (secret) => [
    { subject: secret },
    { subject: `agent:${secret}` },
    { subject: "agent:x", owner: secret },
    { subject: "agent:x", actions: [secret] },
  ]))
    expect((await operator.post("/_gate/v1/credentials", { class: "agent", ...claims })).status).toBe(400);
  const names = canaries.of("a member's name");
  for (const body of rotate(names, (secret) => [{ class: "agent", subject: "agent:x", [secret]: 1 }]))
    expect((await operator.post("/_gate/v1/credentials", body)).status).toBe(400);
  for (const settings of rotate(canaries.of("a webhook"), (secret) => [
    { url: `https://evil.example/${secret}`, secret },
    { url: `${WEBHOOKS}/hook/${box.tenant}?x=${encodeURIComponent(secret)}`, secret: HOOK_SECRET },
    { url: `${WEBHOOKS.replace("//", `//bob:${secret}@`)}/hook`, secret: HOOK_SECRET },
  ]))
    await operator.put("/_gate/v1/channels/webhook", settings);
  for (const { text: secret } of canaries.of("an upstream credential")) {
    await operator.put("/_gate/v1/channels/slack", { app_id: "A0APP", team_id: secret, bot_token: secret });
    await operator.put("/_gate/v1/upstream-credential", { token: secret });
  }
  for (const { text: secret } of names) await operator.put("/_gate/v1/upstream-credential", { [secret]: "x" });
  for (const { text: token } of canaries.of("a bot token", /^xoxb-/))
    expect(verdict(await operator.put("/_gate/v1/channels/slack", { ...SLACK_APP, bot_token: token }))).toBe("200");
  expect(await leaks()).toEqual([]);
  expect([...echoed()].toSorted()).toEqual(["a member's name"]);
});

test("in documents and registrations", async () => {
  const { as, canaries, echoed, leaks, box, entrance } = await watched();
  const operator = await as("operator");
  for (const policy of rotate(canaries.of("a document that is refused"), (secret) => [
    `version: "${secret}"`,
    `"${secret}": 1`,
    `a: &${secret.replaceAll(/[^\w]/g, "")}\n  - *b`,
    `{"${secret}`,
    secret,
    ACME_POLICY.replace("daily_limit_usd: 500", `daily_limit_usd: "${secret}"`),
    ACME_POLICY.replace("timeout_minutes: 30", `timeout_minutes: 30\n  # ${secret}\n  nonsense: "${secret}"`),
  ]))
    expect((await operator.post("/_gate/v1/policy/versions", { policy, reason: "test" })).status).toBe(422);
  const deployment = caller(testEnv.BOOTSTRAP_SECRET, "", entrance);
  const paths = ["issuers", "approval-issuers", "sign-in", "sign-in/links", "bootstrap"];
  for (const [to, body] of rotate(canaries.of("a registration"), (secret) =>
    paths.map(
      (path) =>
        [path, { ...registration(box.tenant), issuer: `https://bob:${secret}@login.example`, id: secret }] as const,
    ),
  ))
    await deployment.post(`/_gate/v1/${to}`, body);
  for (const [to, secret] of rotate(canaries.of("a deployment's secret", /^[\x21-\x7e]*$/), (wrong) =>
    paths.map((path) => [path, wrong] as const),
  ))
    expect(
      (await caller(secret, "", entrance).post(`/_gate/v1/${to}`, { tenant: secret })).status,
    ).toBeGreaterThanOrEqual(400);
  // A document is kept as it was written, for all who may read documents: a comment of a policy is no place for a secret.
  const policy = `${ACME_POLICY}\n# ${canaries.texts("a document", 100_000)[0]}\n`;
  expect(verdict(await operator.post("/_gate/v1/policy/versions", { policy, reason: "test" }))).toBe("201");
  const written = /^.* in a document: D1 documents\.body$/;
  expect((await leaks()).filter((leak) => !written.test(leak))).toEqual([]);
  // What stands where the mistake is: to nobody but who sent it.
  expect([...echoed()].toSorted()).toEqual(["a document that is refused"]);
});

const HOOK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SLACK_APP = { app_id: "A0APP", team_id: "T0OTHER" };
const registration = (tenant: string): object => ({
  tenant,
  jwks_uri: "https://login.example/jwks.json",
  algorithms: ["Ed25519"],
  audience: "https://gate.example",
  class: "person",
  subject_prefix: "person:",
  owner: null,
  actions: [],
  max_tier: 0,
});
