import { describe, expect, test } from "vitest";
import { NOW, runAtTerminal } from "./fake-terminal.ts";
import { jsonOf, runCli, widest } from "./run-cli.ts";
import { problemAnswer, startStubGate, whoami } from "./stub-gate.ts";

const record = (changes: object): object => ({
  request_id: "req_00000000000000000000000000",
  log: "requests-0",
  sequence: 1,
  time: "2026-11-20T08:00:00.000Z",
  kind: "request",
  principal: "agent:trainer",
  action: "workloads.submit",
  tier: 3,
  decision: "refuse",
  reason_code: "approval-required",
  outcome: null,
  ...changes,
});

const ANSWERS = {
  "GET /_gate/v1/whoami": { body: whoami() },
  "GET /_gate/v1/audit": {
    body: { records: [record({}), record({ action: null, decision: null })], next_cursor: "abc.def" },
  },
  "GET /_gate/v1/freeze": {
    body: {
      records: [{ scope: "tenant", reason: "incident", frozen_by: "person:sam", since: "2026-11-20T08:00:00.000Z" }],
    },
  },
  "POST /_gate/v1/freeze": { body: { frozen: true, scope: "action:workloads.cancel" } },
  "DELETE /_gate/v1/freeze": { body: { frozen: false, scope: "action:workloads.cancel" } },
  "GET /_gate/v1/operations/req_1": {
    body: {
      request_id: "req_1",
      principal: "agent:trainer",
      action: "workloads.submit",
      state: "succeeded",
      resource: "wl_1",
      upstream_status: 201,
      reservation: { state: "committed", ceiling_micros: 40_000_000, settled_micros: null },
      admitted_at: "2026-11-20T08:00:00.000Z",
      completed_at: "2026-11-20T08:00:01.000Z",
    },
  },
} as const;

describe("every reading command shows the answer to people and passes it on to machines", () => {
  test.each([
    [["whoami"], "GET /_gate/v1/whoami", "person:alice"],
    [["audit", "list"], "GET /_gate/v1/audit", "approval-required"],
    [["freeze", "list"], "GET /_gate/v1/freeze", "incident"],
    [["operations", "show", "req_1"], "GET /_gate/v1/operations/req_1", "40.00 USD"],
  ] as const)("%j", async (args, call, shown) => {
    const gate = await startStubGate(ANSWERS);
    const people = await runCli(args, { env: gate.env });
    expect(people).toMatchObject({ code: 0, stderr: "" });
    expect(people.stdout).toContain(shown);
    expect(widest(people.stdout)).toBeLessThanOrEqual(80);
    const machines = await runCli([...args, "--json"], { env: gate.env });
    expect(machines).toMatchObject({ code: 0, stderr: "" });
    expect(jsonOf(machines)).toEqual(ANSWERS[call].body);
  });
});

describe("audit list", () => {
  test("passes each filter on; relative times become absolute ones", async () => {
    const gate = await startStubGate(ANSWERS);
    const filters = ["--action", "workloads.submit", "--tier", "3", "--decision", "refuse", "--principal", "agent:a b"];
    const more = [
      "--approver",
      "person:x",
      "--incident",
      "I/7",
      "--request-id",
      "req_1",
      "--limit",
      "5",
      "--cursor",
      "c.d",
    ];
    const ran = await runAtTerminal(["audit", "list", "--since", "2h", "--until", "2026-11-20", ...filters, ...more], {
      env: gate.env,
    });
    expect(ran.code).toBe(0);
    const query = new URL(gate.received[0]?.target ?? "", gate.url).searchParams;
    expect(Object.fromEntries(query)).toEqual({
      action: "workloads.submit",
      tier: "3",
      decision: "refuse",
      principal: "agent:a b",
      approver: "person:x",
      incident: "I/7",
      request_id: "req_1",
      limit: "5",
      cursor: "c.d",
      since: new Date(NOW - 7_200_000).toISOString(),
      until: "2026-11-20",
    });
    expect(gate.received[0]?.target).not.toContain("+");
  });
});

describe("freeze", () => {
  test("set and lift name the scope", async () => {
    const gate = await startStubGate(ANSWERS);
    const scope = ["--scope", "action:workloads.cancel"];
    const set = await runCli(["freeze", "set", "--reason", "incident", ...scope], { env: gate.env });
    const lift = await runCli(["freeze", "lift", ...scope], { env: gate.env });
    expect([set.code, lift.code]).toEqual([0, 0]);
    expect(gate.received).toMatchObject([
      { method: "POST", body: { reason: "incident", scope: "action:workloads.cancel" } },
      { method: "DELETE", target: "/_gate/v1/freeze?scope=action%3Aworkloads.cancel" },
    ]);
    expect((await runCli(["freeze", "set"], { env: gate.env })).code).toBe(2);
  });
});

const ready = (changes: object): object => ({
  ready: true,
  dependencies: { configuration: "ok", d1: "ok" },
  bootstrap_secret: "unset",
  ...changes,
});

describe("doctor", () => {
  test("a healthy gate needs no key to be looked at", async () => {
    const gate = await startStubGate({ "GET /_gate/ready": { body: ready({}) } });
    const ran = await runCli(["doctor"], { env: { PORTCULLIS_URL: gate.url } });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(/^d1 +ok/m);
    expect(gate.received).toMatchObject([{ authorization: undefined }]);
  });

  test("says that the bootstrap secret is still set", async () => {
    const gate = await startStubGate({
      "GET /_gate/ready": { body: ready({ bootstrap_secret: "set: remove BOOTSTRAP_SECRET" }) },
    });
    const ran = await runCli(["doctor"], { env: { PORTCULLIS_URL: gate.url } });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(/^bootstrap secret +warning/m);
  });

  test.each([
    [{ state: "off", logs: 0, records: 0, since: null }, /^second audit copy +ok +none/m],
    [{ state: "in-time", logs: 0, records: 0, since: null }, /^second audit copy +ok +in time/m],
    [{ state: "unknown", logs: 0, records: 0, since: null }, /^second audit copy +warning +unknown/m],
    [
      { state: "late", logs: 2, records: 5_010, since: "2026-11-21T12:00:00.000Z" },
      /^second audit copy +warning +late since 2026-11-21T12:00:00.000Z: 5010 records of\s+2 logs wait/m,
    ],
  ])("a second copy that is late is worth a warning, and fails nothing: %o", async (copy, line) => {
    const gate = await startStubGate({ "GET /_gate/ready": { body: ready({ second_copy: copy }) } });
    const ran = await runCli(["doctor"], { env: { PORTCULLIS_URL: gate.url } });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(line);
  });

  test("a dependency that is down fails, by name", async () => {
    const body = ready({ ready: false, dependencies: { configuration: "ok", d1: "unavailable" } });
    const gate = await startStubGate({ "GET /_gate/ready": { status: 503, body } });
    const ran = await runCli(["doctor", "--json"], { env: { PORTCULLIS_URL: gate.url } });
    expect(ran.code).toBe(1);
    expect(jsonOf(ran)).toMatchObject({
      ok: false,
      checks: [{ name: "configuration", state: "ok" }, { name: "d1", state: "failed" }, {}],
    });
  });

  test("a gate without its configuration, and a key that is not accepted, fail", async () => {
    const unconfigured = await startStubGate({
      "GET /_gate/ready": {
        ...problemAnswer("unavailable", 503, "The gate cannot decide", { dependency: "configuration" }),
      },
    });
    const first = await runCli(["doctor"], { env: unconfigured.env });
    expect(first.code).toBe(1);
    expect(first.stderr).toMatch(/dependency +configuration/);
    const gate = await startStubGate({
      "GET /_gate/ready": { body: ready({}) },
      "GET /_gate/v1/whoami": problemAnswer("unauthenticated", 401, "The credential was not accepted", {}),
    });
    const second = await runCli(["doctor"], { env: gate.env });
    expect(second.code).toBe(1);
    expect(second.stdout).toMatch(/^your key +failed +The credential was not accepted/m);
  });
});

const gateWithWarning = () =>
  startStubGate({
    "GET /_gate/ready": { body: { ready: true, dependencies: { d1: "ok" }, bootstrap_secret: "set" } },
  });

const colours = (text: string): boolean => text.includes("\u001b[");

describe("colours", () => {
  test.each([
    ["at a terminal", {}, {}, true],
    ["with NO_COLOR", { NO_COLOR: "1" }, {}, false],
    ["with an empty NO_COLOR, which counts as unset", { NO_COLOR: "" }, {}, true],
    ["on a dumb terminal", { TERM: "dumb" }, {}, false],
    ["into a pipe", {}, { outIsTty: false }, false],
  ])("%s", async (_, env, surroundings, expected) => {
    const gate = await gateWithWarning();
    const ran = await runAtTerminal(["doctor"], { env: { PORTCULLIS_URL: gate.url, ...env }, ...surroundings });
    expect(colours(ran.stdout)).toBe(expected);
  });

  test("never in JSON", async () => {
    const gate = await gateWithWarning();
    const ran = await runAtTerminal(["doctor", "--json"], { env: { PORTCULLIS_URL: gate.url } });
    expect(colours(ran.stdout)).toBe(false);
    expect(jsonOf(ran)).toMatchObject({ ok: true });
  });
});
