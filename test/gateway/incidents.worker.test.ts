import { describe, expect, test } from "vitest";
import { member, text, verdict, type Answered } from "../support/answer.ts";
import { ACME_POLICY, useBlackBox, type BlackBox, type Caller } from "../support/black-box.ts";
import { ledgerRecords } from "../support/books.ts";
import { CONTEXT, decide, job, proposalOf, REASON, receiptFor, submit, SUBMIT } from "../support/requests.ts";

const open = useBlackBox("incidents");

const INCIDENTS = "/_gate/v1/incidents";
const KEY = { "gate-incident": "INC-7" };
const named = { ...REASON, ...KEY };

/** A workload that runs, and the address of what remediates it. */
async function running(box: BlackBox): Promise<string> {
  const submitted = await submit(await box.as("agent"), job());
  expect(verdict(submitted)).toBe("201");
  return `/v1/workloads/${text(submitted, "id")}/cancel`;
}

const claimOf = (cancel: string): string => `catalogue:workload:${cancel.split("/")[3] ?? ""}`;
const derived = (cancel: string, act = ""): string => `${INCIDENTS}/~${act}?key=${claimOf(cancel)}`;

const submitting = async (agent: Caller, name: string, headers: object): Promise<Answered> =>
  submit(agent, job({ name, gpus: 1 }), { ...REASON, ...headers });

/** Dry-run under no incident, sent under one: what the claim alone refuses. */
async function held(agent: Caller, name: string): Promise<{ send: () => Promise<Answered> }> {
  const body = job({ name, gpus: 1 });
  const receipt = await receiptFor(agent, body);
  return { send: () => agent.post(SUBMIT, body, { ...named, "gate-plan": receipt }) };
}

describe("one remediation per incident", () => {
  test("the second actor gets 409 with who, since when and where to follow, nothing is sent, and it can follow", async () => {
    const box = await open();
    const [agent, agent2] = [await box.as("agent"), await box.as("agent2")];
    const second = await held(agent2, "two");
    const first = await submitting(agent, "one", KEY);
    expect(verdict(first)).toBe("201");
    const refused = await second.send();
    expect(verdict(refused)).toBe("409 incident-in-progress");
    expect(refused.body).toMatchObject({
      incident: {
        key: "INC-7",
        owner: "agent:trainer",
        request_id: first.headers.get("gate-request-id"),
        started_at: expect.stringMatching(/Z$/),
        url: `${INCIDENTS}/INC-7`,
      },
    });
    expect(await box.upstream.mutations()).toHaveLength(1);
    const followed = await agent2.get(text(refused, "incident", "url"));
    expect(followed.body).toMatchObject({ key: "INC-7", state: "claimed", owner: "agent:trainer", ended_at: null });

    const waiting = agent2.get(`${INCIDENTS}/INC-7?wait=30`);
    const word = { outcome: "fixed", note: "the node was drained" };
    expect(verdict(await agent.post(`${INCIDENTS}/INC-7/resolve`, word))).toBe("200");
    expect((await waiting).body).toMatchObject({ state: "resolved", outcome: "fixed", ended_by: "agent:trainer" });
    expect(verdict(await second.send())).toBe("201");
  });

  test("neither another name nor none gets past what the catalogue derives", async () => {
    const box = await open();
    const cancel = await running(box);
    const [agent, agent2] = [await box.as("agent"), await box.as("agent2")];
    const proposal = proposalOf(await agent.post(cancel, undefined, { ...CONTEXT, ...KEY }));
    for (const headers of [{}, KEY, { "gate-incident": "INC-8" }, { "gate-incident": claimOf(cancel) }]) {
      const refused = await agent2.post(cancel, undefined, { ...CONTEXT, ...headers });
      expect(verdict(refused)).toBe("409 incident-in-progress");
      expect(member(refused, "incident", "key")).toBe(claimOf(cancel));
    }
    expect(verdict(await agent2.send("PATCH", cancel.replace("/cancel", ""), { gpus: 1 }, CONTEXT))).not.toBe("200");
    // The caller's own word claims nothing where there is the catalogue's.
    expect(verdict(await submitting(agent2, "other", KEY))).toBe("201");
    await decide(box, proposal, ["alice", "bob"]);
    expect(verdict(await agent.post(cancel, undefined, CONTEXT))).toBe("200");
    const security = await box.as("security");
    const over = await security.get(derived(cancel));
    expect(over.body).toMatchObject({ state: "resolved", outcome: "succeeded", open: [], ended_by: null });
  });

  test("nobody takes a key of the catalogue's for something else", async () => {
    const box = await open();
    const cancel = await running(box);
    const agent2 = await box.as("agent2");
    const squatting = { "gate-incident": claimOf(cancel) };
    const refused = await agent2.post(SUBMIT, job(), { ...REASON, ...squatting, "gate-dry-run": "?1" });
    expect(verdict(refused)).toBe("400 malformed-request");
    const other = await agent2.post("/v1/workloads/wl-9/cancel", undefined, { ...CONTEXT, ...squatting });
    expect(verdict(other)).toBe("400 malformed-request");
    const draft = proposalOf(await agent2.post("/v1/workloads/wl-9/cancel", undefined, REASON));
    const context = { evidence: "it hangs", back_out: "submit it again", incident: claimOf(cancel) };
    expect(verdict(await agent2.put(`/_gate/v1/approvals/${draft}/context`, context))).toBe("400 malformed-request");
    expect(verdict(await (await box.as("agent")).post(cancel, undefined, CONTEXT))).toBe("428 approval-required");
  });

  test("a proposal that is denied or taken back leaves the incident to the next", async () => {
    const box = await open();
    const cancel = await running(box);
    const [agent, agent2] = [await box.as("agent"), await box.as("agent2")];
    const first = proposalOf(await agent.post(cancel, undefined, CONTEXT));
    expect(verdict(await agent2.post(cancel, undefined, CONTEXT))).toBe("409 incident-in-progress");
    expect(verdict(await agent.delete(`/_gate/v1/approvals/${first}`))).toBe("200");
    const second = proposalOf(await agent2.post(cancel, undefined, CONTEXT));
    expect(verdict(await agent.post(cancel, undefined, CONTEXT))).toBe("409 incident-in-progress");
    await decide(box, second, ["alice"], "deny");
    expect(verdict(await agent.post(cancel, undefined, CONTEXT))).toBe("428 approval-required");
  });

  test("a plan says the same and claims nothing", async () => {
    const box = await open();
    const cancel = await running(box);
    const [agent, agent2] = [await box.as("agent"), await box.as("agent2")];
    expect(verdict(await agent.post(cancel, undefined, { ...CONTEXT, "gate-dry-run": "?1" }))).toBe("200");
    expect(verdict(await agent2.get(derived(cancel)))).toBe("404 not-found");
    await agent2.post(cancel, undefined, CONTEXT);
    const refused = await agent.post(cancel, undefined, { ...CONTEXT, "gate-dry-run": "?1" });
    expect(verdict(refused)).toBe("409 incident-in-progress");
  });

  test("both names find what was done in the audit log", async () => {
    const box = await open();
    const cancel = await running(box);
    await (await box.as("agent")).post(cancel, undefined, { ...CONTEXT, ...KEY });
    const records = await ledgerRecords(box.tenant);
    const of = (incident: string) =>
      records.filter((record) => record["incident"] === incident).map((record) => record["reason_code"]);
    expect(of("INC-7")).toEqual(["opened"]);
    expect(of(claimOf(cancel))).toEqual(["incident-claimed"]);
    expect(records.at(-1)).toMatchObject({ detail: "called INC-7", principal: "agent:trainer" });
  });
});

describe("a rule may require an incident", () => {
  const required = `${ACME_POLICY}\nincidents:\n  required_for: [workloads.submit, workloads.cancel]\n`;

  test("at tier 2 the request is refused without one, at tier 3 it is a draft until it has one", async () => {
    const box = await open({ policy: required });
    const agent = await box.as("agent");
    const receipt = await receiptFor(agent, job());
    const refused = await agent.post(SUBMIT, job(), { ...REASON, "gate-plan": receipt });
    expect(verdict(refused)).toBe("428 reason-required");
    expect(member(refused, "missing")).toEqual(["incident"]);
    expect(verdict(await agent.post(SUBMIT, job(), { ...named, "gate-plan": receipt }))).toBe("201");
    const draft = await agent.post(SUBMIT, job({ gpus: 8 }), CONTEXT);
    expect(draft.body).toMatchObject({ approval: { state: "draft", missing: ["incident"] } });
    const path = `/_gate/v1/approvals/${proposalOf(draft)}/context`;
    expect(verdict(await agent.put(path, { reason: "again" }))).toBe("428 reason-required");
    expect((await agent.put(path, { incident: "INC-8" })).body).toMatchObject({ state: "pending", incident: "INC-8" });
    expect((await agent.get(`${INCIDENTS}/INC-8`)).body).toMatchObject({ approval_id: proposalOf(draft) });
  });

  test("what the catalogue derives is one", async () => {
    const box = await open({ policy: required });
    const agent = await box.as("agent");
    const opened = await agent.post("/v1/workloads/wl-1/cancel", undefined, CONTEXT);
    expect(opened.body).toMatchObject({ approval: { state: "pending", missing: [] } });
  });

  test("comes before the claim of another, and that before the dry run", async () => {
    const box = await open({ policy: required });
    const [agent, agent2] = [await box.as("agent"), await box.as("agent2")];
    await submit(agent, job(), named);
    expect(verdict(await agent2.post(SUBMIT, job(), KEY))).toBe("428 reason-required");
    expect(verdict(await agent2.post(SUBMIT, job(), named))).toBe("409 incident-in-progress");
    expect(verdict(await agent.post(SUBMIT, job({ name: "next" }), named))).toBe("428 dry-run-required");
  });
});

describe("what becomes of a claim", () => {
  test("its owner's person and an operator decide; others are told that they cannot", async () => {
    const box = await open();
    const [agent, dana, operator] = [await box.as("agent"), await box.as("dana"), await box.as("operator")];
    await submitting(agent, "one", KEY);
    const resolve = (who: Caller) => who.post(`${INCIDENTS}/INC-7/resolve`, { outcome: "not-fixed" });
    for (const name of ["agent2", "alice", "security"] as const)
      expect(verdict(await resolve(await box.as(name)))).toBe("403 not-eligible");
    expect(verdict(await operator.post(`${INCIDENTS}/INC-7/hand-over`, { to: "agent:ghost" }))).toBe(
      "403 not-eligible",
    );
    const handed = await operator.post(`${INCIDENTS}/INC-7/hand-over`, { to: "agent:sweeper", note: "night shift" });
    expect(handed.body).toMatchObject({ owner: "agent:sweeper", person: "person:dana", state: "claimed" });
    const second = await held(agent, "two");
    expect(verdict(await second.send())).toBe("409 incident-in-progress");
    expect(verdict(await resolve(dana))).toBe("200");
    expect(verdict(await resolve(dana))).toBe("409 already-decided");
  });

  test("a claim is its own tenant's", async () => {
    const [acme, globex] = [await open(), await open()];
    await submitting(await acme.as("agent"), "one", KEY);
    const operator = await globex.as("operator");
    expect(verdict(await operator.get(`${INCIDENTS}/INC-7`))).toBe("404 not-found");
    expect(verdict(await operator.post(`${INCIDENTS}/INC-7/resolve`, { outcome: "fixed" }))).toBe("404 not-found");
    expect((await operator.get(INCIDENTS)).body).toEqual({ records: [], next_cursor: null });
    expect(verdict(await submitting(await globex.as("agent2"), "one", KEY))).toBe("201");
  });

  test("a query that says nothing about incidents is refused, not read past", async () => {
    const box = await open();
    const agent = await box.as("agent");
    for (const query of ["?state=open", "?limit=x", "?owner=agent:trainer", "/INC-7?key=a", "/~", "/INC-7?wait=31"])
      expect(verdict(await agent.get(`${INCIDENTS}${query}`))).toBe("400 malformed-request");
  });
});

describe("what nobody could diagnose", () => {
  const ESCALATIONS = "/_gate/v1/escalations";
  const ask = {
    incident: "INC-7",
    hypothesis: "the switch drops frames",
    evidence: "NCCL timeout on node-3\npassword=hunter2hunter2",
    tried: "restarted the job twice",
  };

  test("goes to people once per incident, with what each has said, and secrets left out", async () => {
    const box = await open();
    const [agent, agent2, alice] = [await box.as("agent"), await box.as("agent2"), await box.as("alice")];
    const first = await agent.post(ESCALATIONS, ask);
    expect(verdict(first)).toBe("201");
    expect(first.text).not.toContain("hunter2");
    const id = text(first, "id");
    const second = await agent2.post(ESCALATIONS, { ...ask, hypothesis: "the cable" });
    expect(text(second, "id")).toBe(id);
    const other = await agent.post(ESCALATIONS, { ...ask, incident: "INC-8" });
    expect(text(other, "id")).not.toBe(id);
    const shown = await alice.get(`${ESCALATIONS}/${id}`);
    expect(shown.body).toMatchObject({
      state: "open",
      incident: "INC-7",
      entries: [
        { number: 1, principal: "agent:trainer", tried: ask.tried },
        { number: 2, principal: "agent:sweeper", hypothesis: "the cable" },
      ],
    });
    expect(verdict(await alice.post(`${ESCALATIONS}/${id}/close`, { note: "cable replaced" }))).toBe("200");
    expect(verdict(await alice.post(`${ESCALATIONS}/${id}/close`, { note: "again" }))).toBe("409 already-decided");
    expect(text(await agent.post(ESCALATIONS, ask), "id")).not.toBe(id);
    const codes = (await ledgerRecords(box.tenant)).filter((record) => record["incident"] === "INC-7");
    expect(codes.map((record) => record["reason_code"])).toEqual([
      "escalation-opened",
      "escalation-added",
      "escalation-closed",
      "escalation-opened",
    ]);
    expect(codes[0]).toMatchObject({ reason: ask.hypothesis, principal: "agent:trainer" });
    expect(JSON.stringify(codes)).not.toContain("hunter2");
  });

  test("is seen by people and by those who said something, and closed by people alone", async () => {
    const [box, globex] = [await open(), await open()];
    const [agent, agent2] = [await box.as("agent"), await box.as("agent2")];
    const id = text(await agent.post(ESCALATIONS, ask), "id");
    expect(verdict(await agent2.get(`${ESCALATIONS}/${id}`))).toBe("404 not-found");
    expect((await agent2.get(ESCALATIONS)).body).toMatchObject({ records: [] });
    expect((await agent.get(`${ESCALATIONS}?state=open`)).body).toMatchObject({ records: [{ id }] });
    expect(verdict(await agent.post(`${ESCALATIONS}/${id}/close`, { note: "mine" }))).toBe("403 out-of-scope");
    const stranger = await globex.as("operator");
    expect(verdict(await stranger.get(`${ESCALATIONS}/${id}`))).toBe("404 not-found");
    expect(verdict(await stranger.post(`${ESCALATIONS}/${id}/close`, { note: "mine" }))).toBe("404 not-found");
  });

  test("shows an agent its own words, also where it added them to another's, and a list the first of each", async () => {
    const box = await open();
    const [agent, agent2, alice] = [await box.as("agent"), await box.as("agent2"), await box.as("alice")];
    const id = text(await agent.post(ESCALATIONS, ask), "id");
    const added = await agent2.post(ESCALATIONS, { ...ask, evidence: "mine" });
    const own = { id, entries: [{ number: 2, principal: "agent:sweeper", evidence: "mine" }] };
    expect(added.body).toMatchObject(own);
    expect(added.text).not.toContain("agent:trainer");
    expect((await agent2.get(`${ESCALATIONS}/${id}`)).body).toMatchObject(own);
    expect((await agent2.get(ESCALATIONS)).body).toMatchObject({ records: [own] });
    const listed = (await alice.get(ESCALATIONS)).body;
    expect(listed).toMatchObject({ records: [{ id, entries: [{ number: 1, principal: "agent:trainer" }] }] });
    // What others hand over does not push an agent's own out of its list.
    for (const incident of ["INC-8", "INC-9", "INC-10"]) await agent2.post(ESCALATIONS, { ...ask, incident });
    expect((await agent.get(`${ESCALATIONS}?limit=1`)).body).toMatchObject({ records: [{ id }] });
  });

  test("is bounded in size and per principal and hour", async () => {
    const box = await open();
    const [agent, agent2] = [await box.as("agent"), await box.as("agent2")];
    for (const over of [
      { hypothesis: "x".repeat(2_049) },
      { evidence: "x".repeat(8_193) },
      { tried: " " },
      { incident: "no key" },
      { more: 1 },
    ])
      expect(verdict(await agent.post(ESCALATIONS, { ...ask, ...over }))).toBe("400 malformed-request");
    for (let sent = 0; sent < 20; sent++) expect(verdict(await agent.post(ESCALATIONS, ask))).toBe("201");
    const limited = await agent.post(ESCALATIONS, ask);
    expect(verdict(limited)).toBe("429 rate-limited");
    expect(Number(limited.headers.get("retry-after"))).toBeGreaterThan(3_000);
    expect(verdict(await agent2.post(ESCALATIONS, ask))).toBe("201");
  });
});
