import { describe, expect, test } from "vitest";
import { z } from "zod";
import { AUDIT_RECORD } from "../../src/audit/record-schema.ts";
import type { AuditRecord } from "../../src/audit/record.ts";
import { auditLog, RECORDS_START } from "../audit/records.ts";
import { NOW, runAtTerminal } from "./fake-terminal.ts";
import { flat, jsonOf, runCli, widest, type Ran } from "./run-cli.ts";
import { problemAnswer, startStubGate, type Answer, type StubGate } from "./stub-gate.ts";

const AUDIT = "GET /_gate/v1/audit";
const queryOf = ({ received }: StubGate, index = -1): URLSearchParams =>
  new URL(received.at(index)?.target ?? "", "http://gate").searchParams;

/** A gate whose answers to lists depend on what was asked. */
async function listing(answer: (query: URLSearchParams) => readonly AuditRecord[]): Promise<StubGate> {
  const gate: StubGate = await startStubGate({
    [AUDIT]: () => ({ body: { records: answer(queryOf(gate)).toReversed(), next_cursor: null } }),
  });
  return gate;
}

const at = (seconds: number): string => new Date(RECORDS_START + seconds * 1_000).toISOString();

/** Runs `audit tail` for as many looks as there are answers. */
async function tail(
  answers: readonly (Answer | readonly AuditRecord[])[],
  args: readonly string[] = [],
): Promise<Ran & { readonly gate: StubGate }> {
  let looks = 0;
  const stop = new AbortController();
  const gate = await startStubGate({
    [AUDIT]: () => {
      const answer = answers[looks] ?? [];
      looks += 1;
      return "length" in answer ? { body: { records: answer.toReversed(), next_cursor: null } } : answer;
    },
  });
  let now = RECORDS_START + 60_000;
  const ran = await runAtTerminal(["audit", "tail", ...args], {
    env: gate.env,
    now: () => (now += 1_000),
    interruption: () => stop.signal,
    pause: async () => {
      if (looks >= answers.length) stop.abort();
    },
  });
  return { ...ran, gate };
}

describe("audit list", () => {
  test("passes every filter on under the gate's own name", async () => {
    const gate = await listing(() => []);
    const filters = ["--kind", "decision", "--reason-code", "deny", "--outcome", "failed", "--owner", "person:dana"];
    const more = ["--credential", "key_1", "--approval", "apr_1", "--text", "=drivers %_", "--since", "1h"];
    expect((await runAtTerminal(["audit", "list", ...filters, ...more], { env: gate.env })).code).toBe(0);
    expect(Object.fromEntries(queryOf(gate))).toEqual({
      kind: "decision",
      reason_code: "deny",
      outcome: "failed",
      owner: "person:dana",
      credential_id: "key_1",
      approval_id: "apr_1",
      q: "=drivers %_",
      since: new Date(NOW - 3_600_000).toISOString(),
    });
  });

  test("an answer that found nothing yet is not the end: it goes on, and says so", async () => {
    let answers = 0;
    const [record] = auditLog([{ reason_code: "found-at-last" }]);
    const gate = await startStubGate({
      [AUDIT]: () => {
        answers += 1;
        return { body: { records: answers < 3 ? [] : [record], next_cursor: answers < 3 ? `place-${answers}` : null } };
      },
    });
    const ran = await runCli(["audit", "list", "--principal", "agent:rare"], { env: gate.env });
    expect(ran.stdout).toContain("found-at-last");
    expect(ran.stderr).toBe("looking further back …\nlooking further back …\n");
    expect(gate.received.map((_, index) => queryOf(gate, index).get("cursor"))).toEqual([null, "place-1", "place-2"]);
  });
});

describe("audit show", () => {
  const ID = "req_asked";
  const DECISION = {
    principal: "person:alice",
    principal_class: "person",
    decision: null,
    outcome: null,
    reason: null,
  } as const;
  const LEDGER = auditLog([
    {
      kind: "proposal",
      request_id: "req_first",
      approval_id: "apr_1",
      reason_code: "opened",
      decision: null,
      time: at(1),
    },
    {
      ...DECISION,
      kind: "decision",
      request_id: "req_of_alice",
      approval_id: "apr_1",
      reason_code: "approve",
      time: at(3),
    },
    {
      kind: "intent",
      request_id: ID,
      approval_id: "apr_1",
      approvers: ["person:alice"],
      time: at(5),
      incident: "INC-7",
    },
    { kind: "intent", request_id: "req_other", approval_id: "apr_1", time: at(6) },
    { kind: "outcome", request_id: ID, approval_id: "apr_1", outcome: "succeeded", upstream_status: 201, time: at(7) },
    {
      kind: "settlement",
      request_id: ID,
      decision: null,
      outcome: "settled",
      detail: "usage report by service:meter, which is a rather long line that has to be broken somewhere",
      reservation: { id: ID, state: "settled", daily: "d", monthly: "m", held_micros: 0, settled_micros: 18_500_000 },
      time: at(9),
    },
  ]);
  const READS = auditLog(
    [{ kind: "plan", request_id: ID, decision: "plan", outcome: "planned", time: at(4) }],
    "requests-2",
  );
  const gate = (): Promise<StubGate> =>
    listing((query) =>
      [...READS, ...LEDGER].filter(
        (one) =>
          one.request_id === query.get("request_id") ||
          (query.has("approval_id") && one.approval_id === query.get("approval_id")),
      ),
    );

  test("tells one request from its proposal to its settlement, in order, in 80 columns", async () => {
    const ran = await runCli(["audit", "show", ID], { env: (await gate()).env });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
    const told = flat(ran.stdout);
    const steps = [
      "opened",
      "person:alice approve",
      "plan: planned",
      "allow: dispatching",
      "allow: succeeded; upstream 201",
      "settled 18.50 USD",
    ];
    const places = steps.map((step) => told.indexOf(step));
    expect(places).not.toContain(-1);
    expect(places.toSorted((a, b) => a - b)).toEqual(places);
    for (const shown of [
      `request ${ID}`,
      "agent:trainer, for person:dana",
      "INC-7",
      "20.00 USD",
      "weekly retraining",
      "approved by person:alice",
    ])
      expect(told).toContain(shown);
  });

  test("shows no other request of the same approval", async () => {
    const ran = await runCli(["audit", "show", ID, "--json"], { env: (await gate()).env });
    const { records } = z.object({ records: z.array(AUDIT_RECORD) }).parse(jsonOf(ran));
    expect(records.map(({ kind }) => kind)).toEqual([
      "proposal",
      "decision",
      "plan",
      "intent",
      "outcome",
      "settlement",
    ]);
    expect(records[3]).toEqual(LEDGER[2]);
  });

  test("says that there is no record, and asks nothing for what is no id", async () => {
    const none = await gate();
    expect(await runCli(["audit", "show", "req_none"], { env: none.env })).toMatchObject({ code: 1, stdout: "" });
    expect((await runCli(["audit", "show", "../x?y"], { env: none.env })).code).toBe(2);
    expect(none.received).toHaveLength(1);
  });
});

describe("audit tail", () => {
  const LOG = auditLog([
    { reason_code: "one" },
    { reason_code: "two" },
    { reason_code: "three" },
    { reason_code: "four" },
  ]);

  test("prints what there is and then what is new, each once, oldest first", async () => {
    const ran = await tail([LOG.slice(0, 2), LOG.slice(0, 2), LOG.slice(1, 4), LOG]);
    expect(ran.code).toBe(0);
    expect(ran.stdout.match(/one|two|three|four/g)).toEqual(["one", "two", "three", "four"]);
    expect(queryOf(ran.gate, 0).get("limit")).toBe("10");
    expect(queryOf(ran.gate, 1).get("since")).toBe(new Date(Date.parse(LOG[1]?.time ?? "") - 15_000).toISOString());
  });

  test("prints one record per line with --json, whole", async () => {
    const ran = await tail([LOG.slice(0, 1), LOG.slice(0, 2)], ["--json", "--kind", "intent"]);
    const lines = ran.stdout.split("\n").slice(0, -1);
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual(LOG.slice(0, 2));
    expect(queryOf(ran.gate, 1).get("kind")).toBe("intent");
  });

  test("a late record of another log is printed still", async () => {
    const late = auditLog([{ reason_code: "late", time: LOG[0]?.time ?? "" }], "requests-1");
    const ran = await tail([LOG, [...late, ...LOG]]);
    expect(ran.stdout.match(/late/g)).toHaveLength(1);
  });

  test("leaves out its own reading", async () => {
    const own = auditLog([{ kind: "request", path: "/_gate/v1/audit?limit=10", principal: "person:security" }]);
    expect((await tail([own, own])).stdout).toBe("");
  });

  test("waits while nobody answers, and goes on from where it was", async () => {
    const ran = await tail([LOG.slice(0, 1), { drop: true }, { drop: true }, LOG.slice(0, 2)]);
    expect(ran.stdout.match(/one|two/g)).toEqual(["one", "two"]);
    expect(ran.stderr).toContain("does not answer");
    expect(ran.stderr).toContain("answers again");
  });

  test("a mistake ends it at once", async () => {
    const ran = await tail([problemAnswer("malformed-request", 400, "The request is malformed", {})]);
    expect(ran.code).toBe(1);
    expect(ran.gate.received).toHaveLength(1);
  });
});
