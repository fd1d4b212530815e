import { describe, expect, test } from "vitest";
import { flat, jsonOf, runCli } from "./run-cli.ts";
import { startStubGate } from "./stub-gate.ts";

const INCIDENTS = "/_gate/v1/incidents";
const ESCALATIONS = "/_gate/v1/escalations";

const incident = (over: object = {}): object => ({
  key: "INC-7",
  url: `${INCIDENTS}/INC-7`,
  state: "claimed",
  owner: "agent:trainer",
  person: "person:dana",
  action: "workloads.cancel",
  request_id: "req_1",
  approval_id: "apr_1",
  started_at: "2026-11-20T08:00:00.000Z",
  expires_at: null,
  open: ["apr_1"],
  outcome: null,
  note: null,
  ended_by: null,
  ended_at: null,
  ...over,
});

const escalation = (over: object = {}): object => ({
  id: "esc_1",
  url: `${ESCALATIONS}/esc_1`,
  state: "open",
  incident: "INC-7",
  opened_at: "2026-11-20T08:00:00.000Z",
  closed_by: null,
  closed_at: null,
  note: null,
  entries: [
    {
      number: 1,
      principal: "agent:trainer",
      hypothesis: "a bad switch",
      evidence: "link down",
      tried: "another node",
      at: "2026-11-20T08:00:00.000Z",
    },
  ],
  ...over,
});

describe("incident", () => {
  test("list shows who is at what, by state", async () => {
    const gate = await startStubGate({ [`GET ${INCIDENTS}`]: { body: { records: [incident()], next_cursor: null } } });
    const ran = await runCli(["incident", "list"], { env: gate.env });
    expect(ran.code).toBe(0);
    expect(flat(ran.stdout)).toContain("INC-7 agent:trainer workloads.cancel");
    await runCli(["incident", "list", "--state", "all", "--limit", "3"], { env: gate.env });
    expect(gate.received.map(({ target }) => target)).toEqual([`${INCIDENTS}?state=claimed`, `${INCIDENTS}?limit=3`]);
  });

  test("a key that is no segment of a path goes into the query", async () => {
    const gate = await startStubGate({
      [`GET ${INCIDENTS}/~`]: { body: incident({ key: "catalogue:workload:wl-1" }) },
    });
    const ran = await runCli(["incident", "show", "catalogue:workload:wl-1"], { env: gate.env });
    expect(flat(ran.stdout)).toContain("owner agent:trainer (person:dana)");
    const [asked] = gate.received;
    expect(decodeURIComponent(asked?.target ?? "")).toBe(`${INCIDENTS}/~?key=catalogue:workload:wl-1`);
  });

  test("show --wait asks again until it is over or somebody else's", async () => {
    const answers = [incident(), incident(), incident({ owner: "agent:tuner" })];
    const gate = await startStubGate({ [`GET ${INCIDENTS}/INC-7`]: () => ({ body: answers.shift() }) });
    const ran = await runCli(["incident", "show", "INC-7", "--wait", "60", "--json"], { env: gate.env });
    expect(jsonOf(ran)).toMatchObject({ owner: "agent:tuner" });
    expect(gate.received).toHaveLength(3);
    for (const { target } of gate.received) expect(target).toContain("wait=30");
  });

  test("resolve and hand-over say what and to whom, with a note", async () => {
    const gate = await startStubGate({
      [`POST ${INCIDENTS}/INC-7/resolve`]: { body: incident({ state: "resolved", outcome: "fixed", note: "ok" }) },
      [`POST ${INCIDENTS}/INC-7/hand-over`]: { body: incident({ owner: "agent:tuner" }) },
    });
    const resolved = ["incident", "resolve", "INC-7", "--outcome", "fixed", "--note", "ok"];
    expect(flat((await runCli(resolved, { env: gate.env })).stdout)).toContain("resolved: fixed");
    await runCli(["incident", "hand-over", "INC-7", "--to", "agent:tuner"], { env: gate.env });
    expect(gate.received.map(({ body }) => body)).toEqual([{ outcome: "fixed", note: "ok" }, { to: "agent:tuner" }]);
  });

  test.each([
    ["show", "no key"],
    ["show", "../audit"],
    ["resolve", "INC-7", "--outcome", "gone"],
    ["hand-over", "INC-7"],
  ])("%s %s … is refused before anything is sent", async (...args) => {
    const gate = await startStubGate({});
    expect((await runCli(["incident", ...args], { env: gate.env })).code).toBe(2);
    expect(gate.received).toEqual([]);
  });
});

describe("escalation", () => {
  test("open says what was seen, and whether people have it already", async () => {
    const twice = { entries: [1, 2].map((number) => ({ ...ENTRY, number })) };
    const answers = [escalation(), escalation(twice)];
    const gate = await startStubGate({ [`POST ${ESCALATIONS}`]: () => ({ status: 201, body: answers.shift() }) });
    const args = ["--hypothesis", "a switch", "--evidence", "link down", "--tried", "nothing", "--incident", "INC-7"];
    const first = await runCli(["escalation", "open", ...args], { env: gate.env });
    const second = await runCli(["escalation", "open", ...args], { env: gate.env });
    expect(first.stdout).toContain("esc_1 is before people.");
    expect(second.stdout).toContain("Added to esc_1");
    const [sent] = gate.received;
    expect(sent?.body).toEqual({
      hypothesis: "a switch",
      evidence: "link down",
      tried: "nothing",
      incident: "INC-7",
    });
  });

  test("list, show and close", async () => {
    const gate = await startStubGate({
      [`GET ${ESCALATIONS}`]: { body: { records: [escalation()], next_cursor: null } },
      [`GET ${ESCALATIONS}/esc_1`]: { body: escalation() },
      [`POST ${ESCALATIONS}/esc_1/close`]: { body: escalation({ state: "closed" }) },
    });
    expect((await runCli(["escalation", "list"], { env: gate.env })).stdout).toContain("esc_1");
    const shown = await runCli(["escalation", "show", "esc_1"], { env: gate.env });
    for (const part of ["a bad switch", "link down", "another node", "agent:trainer"])
      expect(shown.stdout).toContain(part);
    const closed = await runCli(["escalation", "close", "esc_1", "--note", "replaced"], { env: gate.env });
    expect(closed.stdout).toContain("Closed: esc_1.");
    expect(gate.received.at(-1)?.body).toEqual({ note: "replaced" });
    expect((await runCli(["escalation", "close", "esc_1"], { env: gate.env })).code).toBe(2);
  });
});

const ENTRY = {
  principal: "agent:trainer",
  hypothesis: "h",
  evidence: "e",
  tried: "t",
  at: "2026-11-20T08:00:00.000Z",
};
