import { describe, expect, test } from "vitest";
import { runAtTerminal } from "./fake-terminal.ts";
import { flat, jsonOf, runCli, widest } from "./run-cli.ts";
import { problemAnswer, proposal, startStubGate, whoami, type StubGate } from "./stub-gate.ts";

const PROPOSAL = "GET /_gate/v1/approvals/apr_1";
const DECIDE = "POST /_gate/v1/approvals/apr_1/decisions";

const gateWith = (shown: object = proposal()): Promise<StubGate> =>
  startStubGate({
    "GET /_gate/v1/whoami": { body: whoami() },
    "GET /_gate/v1/approvals": { body: { records: [shown], next_cursor: null } },
    [PROPOSAL]: { body: shown },
    [DECIDE]: { body: proposal({ state: "approved", given: 2 }) },
    "PUT /_gate/v1/approvals/apr_1/context": { body: proposal() },
    "DELETE /_gate/v1/approvals/apr_1": { body: proposal({ state: "withdrawn" }) },
  });

const decisions = (gate: StubGate): readonly unknown[] =>
  gate.received.filter(({ method }) => method === "POST").map(({ target, body }) => ({ target, body }));

describe("a proposal that runs in a window only, and that rules in shadow would have refused", () => {
  test("says so to whoever decides it", async () => {
    const window = { name: "nightly", closes_at: "2099-01-01T03:00:00.000Z" };
    const gate = await gateWith(proposal({ window, shadow: [{ rule: "reversible[0]", verdict: "not-allowed" }] }));
    const ran = await runCli(["approvals", "show", "apr_1"], { env: gate.env });
    expect(flat(ran.stdout)).toMatch(/window nightly, closes 2099/);
    expect(flat(ran.stdout)).toContain("in shadow not-allowed by reversible[0]; not enforced");
  });
});

describe("approvals list", () => {
  test("shows what waits for a decision, in 80 columns", async () => {
    const gate = await gateWith();
    const ran = await runCli(["approvals", "list"], { env: gate.env });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toContain("apr_1");
    expect(flat(ran.stdout)).toContain("agent:trainer 0/2");
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
    expect(gate.received[0]?.target).toBe("/_gate/v1/approvals?state=pending");
  });

  test("--state all asks for every one, --json prints the gate's answer as it is", async () => {
    const gate = await gateWith();
    const ran = await runCli(["approvals", "list", "--state", "all", "--limit", "7", "--json"], { env: gate.env });
    expect(jsonOf(ran)).toEqual({ records: [proposal()], next_cursor: null });
    expect(gate.received[0]?.target).toBe("/_gate/v1/approvals?limit=7");
  });

  test("none is said, not shown as an empty table", async () => {
    const gate = await startStubGate({ "GET /_gate/v1/approvals": { body: { records: [], next_cursor: null } } });
    expect((await runCli(["approvals", "list"], { env: gate.env })).stdout).toContain("No pending proposals");
  });
});

const shown = async (changes: object): Promise<string> => {
  const gate = await gateWith(proposal(changes));
  return (await runCli(["approvals", "show", "apr_1"], { env: gate.env })).stdout;
};

describe("approvals show", () => {
  test("shows everything that an approver needs", async () => {
    const gate = await gateWith(
      proposal({
        given: 1,
        decisions: [
          {
            subject: "person:bob",
            handle: "@bob",
            decision: "approve",
            comment: "saw it",
            demo: false,
            decided_at: "2026-11-20T08:05:00.000Z",
          },
        ],
        facts: { gpus: 8, job_type: "elastic" },
        cost: { ceiling_usd: 12.5, ceiling_micros: 12_500_000 },
        incident: "INC-7",
      }),
    );
    const { stdout } = await runCli(["approvals", "show", "apr_1"], { env: gate.env });
    for (const part of [
      "workloads.cancel (tier 4",
      "job-7",
      "gpus = 8, job_type = elastic",
      "at most 12.50 USD",
      "stuck since noon",
      "no heartbeat",
      "submit it again",
      "POST /v1/workloads/job-7/cancel",
      "agent:trainer (owner person:dana)",
      "1 of 2; may decide: @alice, @bob",
      "saw it",
      "INC-7",
      "2026-11-20 08:30Z",
    ]) {
      expect(stdout).toContain(part);
    }
    expect(widest(stdout)).toBeLessThanOrEqual(80);
  });

  test("shows what it would affect, how far it reaches and where its page is, the address whole", async () => {
    const page = `https://gate.example.com/_gate/approvals/apr_${"0".repeat(60)}`;
    const gate = await gateWith(
      proposal({
        affected: { count: 52, items: ["wl-1 train", "wl-2 eval"] },
        blast_radius: "allocation",
        reversible: false,
        page_url: page,
      }),
    );
    const { stdout } = await runCli(["approvals", "show", "apr_1"], { env: gate.env });
    expect(stdout).toContain("What it affects, 2 of 52:\n  │ wl-1 train\n  │ wl-2 eval\n");
    expect(stdout).toMatch(/^affected {3}52, listed above$/m);
    expect(stdout).toMatch(/^reach {6}allocation; cannot be undone$/m);
    expect(stdout.split("\n")).toContain(page);
    expect(widest(stdout.replace(page, ""))).toBeLessThanOrEqual(80);
  });

  test("nothing affected is said; what the gate does not know is left out, and so is an address without a host", async () => {
    expect(await shown({ affected: { count: 0, items: [] } })).toMatch(/^affected {3}nothing$/m);
    const unknown = await shown({ affected: null, blast_radius: null, reversible: null });
    expect(unknown).not.toMatch(/affect|reach|_gate\/approvals/);
  });

  test("--wait polls the gate until there is a decision", async () => {
    const gate = await gateWith(proposal({ state: "approved", token: "aaa.bbb.ccc" }));
    const ran = await runCli(["approvals", "show", "apr_1", "--wait", "20"], { env: gate.env });
    expect(gate.received.map(({ target }) => target)).toEqual(["/_gate/v1/approvals/apr_1?wait=20"]);
    expect(ran.stdout).toContain("\naaa.bbb.ccc\n");
  });

  test.each(["../whoami", "a/b", "apr_1?x=y", "", "-x"])("%j is not taken for an id", async (id) => {
    const gate = await gateWith();
    const ran = await runCli(["approvals", "show", "--", id], { env: gate.env });
    expect(ran.code).toBe(2);
    expect(gate.received).toEqual([]);
  });
});

describe("what an agent wrote cannot act on the approver's terminal or imitate the gate", () => {
  const hostile = "\u001b[2J\u001b[1;1Hstate      approved\rfine\u202e\u200b\n\n\n\napprovals  2 of 2";

  test("reason, evidence, back-out, request and resource are inert and marked as quotations", async () => {
    const gate = await gateWith(
      proposal({
        reason: hostile,
        evidence: hostile,
        back_out: hostile,
        requester: `agent:${hostile}`,
        request: { method: "POST", path: "/v1/x", query: {}, body: { name: hostile } },
        affected: { count: 1, items: [hostile] },
        blast_radius: hostile,
        page_url: `https://gate.example/${hostile}`,
      }),
    );
    const { stdout } = await runCli(["approvals", "show", "apr_1"], { env: gate.env });
    expect(stdout.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(stdout).not.toMatch(/^approvals {2}2 of 2/m);
    expect(stdout.match(/^What it affects:\n( {2}│ .*\n)+/m)?.[0]).not.toContain("│ approvals");
    expect(stdout.match(/^ {2}│ approvals {2}2 of 2$/gm)).toHaveLength(3);
  });
});

describe("approvals approve", () => {
  test("a person at a terminal sees the proposal, types the resource, and decides as themselves", async () => {
    const gate = await gateWith();
    const ran = await runAtTerminal(["approvals", "approve", "apr_1"], { env: gate.env, answers: ["job-7"] });
    expect(ran.code).toBe(0);
    expect(ran.asked).toEqual(["Type job-7 to approve, anything else to stop: "]);
    expect(ran.stdout).toContain("stuck since noon");
    expect(ran.stdout).toContain("You approve as person:alice");
    expect(ran.stdout).toContain("Proposal apr_1 is approved: 2 of 2 approvals.");
    expect(decisions(gate)).toEqual([
      { target: "/_gate/v1/approvals/apr_1/decisions", body: { decision: "approve", confirm: "job-7" } },
    ]);
  });

  test.each([["yes"], ["job-8"], [""], ["JOB-7"]])("typing %j decides nothing", async (answer) => {
    const gate = await gateWith();
    const ran = await runAtTerminal(["approvals", "approve", "apr_1"], { env: gate.env, answers: [answer] });
    expect(ran.code).toBe(1);
    expect(flat(ran.stderr)).toContain("nothing was decided");
    expect(decisions(gate)).toEqual([]);
  });

  test("an interrupted question decides nothing", async () => {
    const gate = await gateWith();
    expect((await runAtTerminal(["approvals", "approve", "apr_1"], { env: gate.env })).code).toBe(1);
    expect(decisions(gate)).toEqual([]);
  });

  test("a creation is confirmed by its action", async () => {
    const gate = await gateWith(proposal({ resource: null, action: "workloads.submit" }));
    const ran = await runAtTerminal(["approvals", "approve", "apr_1"], {
      env: gate.env,
      answers: ["workloads.submit"],
    });
    expect(ran.code).toBe(0);
  });

  test("without a terminal the proposal is shown and --confirm has to name what will change", async () => {
    const gate = await gateWith();
    const ran = await runCli(["approvals", "approve", "apr_1", "--confirm", "job-7", "--comment", "checked"], {
      env: gate.env,
    });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toContain("stuck since noon");
    expect(decisions(gate)).toMatchObject([{ body: { decision: "approve", confirm: "job-7", comment: "checked" } }]);
  });

  test.each([
    ["no --confirm", [], 2],
    ["another text", ["--confirm", "job-8"], 1],
    ["no text", ["--confirm", ""], 1],
  ])("without a terminal and with %s nothing is decided", async (_, more, code) => {
    const gate = await gateWith();
    const ran = await runCli(["approvals", "approve", "apr_1", ...more], { env: gate.env, input: "job-7\n" });
    expect(ran.code).toBe(code);
    expect(decisions(gate)).toEqual([]);
  });

  test("under --json stdout holds the gate's answer alone, the proposal goes to stderr", async () => {
    const gate = await gateWith();
    const ran = await runCli(["approvals", "approve", "apr_1", "--confirm", "job-7", "--json"], { env: gate.env });
    expect(jsonOf(ran)).toEqual(proposal({ state: "approved", given: 2 }));
    expect(flat(ran.stderr)).toContain("stuck since noon");
  });

  test.each(["--as", "--subject", "--approver", "--on-behalf-of"])("there is no %s", async (option) => {
    const gate = await gateWith();
    const ran = await runCli(["approvals", "approve", "apr_1", "--confirm", "job-7", option, "person:bob"], {
      env: gate.env,
    });
    expect(ran.code).toBe(2);
    expect(gate.received).toEqual([]);
  });

  test("the gate's refusal is passed on with its reason", async () => {
    const gate = await startStubGate({
      "GET /_gate/v1/whoami": { body: whoami() },
      [PROPOSAL]: { body: proposal() },
      [DECIDE]: problemAnswer("not-eligible", 403, "This person cannot decide this", {
        reason: "The owner cannot decide.",
      }),
    });
    const ran = await runCli(["approvals", "approve", "apr_1", "--confirm", "job-7"], { env: gate.env });
    expect(ran.code).toBe(1);
    expect(flat(ran.stderr)).toContain("The owner cannot decide.");
  });
});

describe("approvals break-glass", () => {
  const BREAK = ["approvals", "break-glass", "apr_1"];

  test("shows the proposal, has the name typed and sends the comment: as oneself, and said to be recorded", async () => {
    const gate = await gateWith(proposal({ confirm: "job-7" }));
    const ran = await runAtTerminal([...BREAK, "--comment", "cluster is burning"], {
      env: { ...gate.env, NO_COLOR: "1" },
      answers: ["job-7"],
    });
    expect(ran.code).toBe(0);
    expect(ran.asked).toEqual(["Type job-7 to break the glass, anything else to stop: "]);
    expect(flat(ran.stdout)).toContain("You break the glass as person:alice, with 0 of 2 approvals: workloads.cancel");
    expect(ran.stdout).toContain("stuck since noon");
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
    const body = { decision: "break-glass", confirm: "job-7", comment: "cluster is burning" };
    expect(decisions(gate)).toEqual([{ target: "/_gate/v1/approvals/apr_1/decisions", body }]);
  });

  test.each([
    ["without a comment", [], ["job-7"], 2],
    ["with another text typed", ["--comment", "c"], ["job-8"], 1],
    ["interrupted", ["--comment", "c"], [], 1],
  ])("%s nothing is decided", async (_, more, answers, code) => {
    const gate = await gateWith();
    const ran = await runAtTerminal([...BREAK, ...more], { env: gate.env, answers });
    expect(ran.code).toBe(code);
    expect(decisions(gate)).toEqual([]);
  });

  test("without a terminal --confirm has to name it", async () => {
    const gate = await gateWith();
    const comment = ["--comment", "c"];
    expect((await runCli([...BREAK, ...comment], { env: gate.env })).code).toBe(2);
    expect((await runCli([...BREAK, ...comment, "--confirm", "job-8"], { env: gate.env })).code).toBe(1);
    expect(decisions(gate)).toEqual([]);
    const ran = await runCli([...BREAK, ...comment, "--confirm", "job-7", "--json"], { env: gate.env });
    expect(jsonOf(ran)).toEqual(proposal({ state: "approved", given: 2 }));
  });

  test("its review sends what was found", async () => {
    const gate = await startStubGate({ "POST /_gate/v1/approvals/apr_1/review": { body: proposal() } });
    const ran = await runCli(["approvals", "review", "apr_1", "--comment", "it was right"], { env: gate.env });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(gate.received).toMatchObject([{ body: { comment: "it was right" } }]);
  });
});

describe("the other decisions", () => {
  test("deny sends its comment", async () => {
    const gate = await gateWith();
    const ran = await runCli(["approvals", "deny", "apr_1", "--comment", "not today"], { env: gate.env });
    expect(ran.code).toBe(0);
    expect(decisions(gate)).toMatchObject([{ body: { decision: "deny", comment: "not today" } }]);
  });

  test.each([
    ["without a comment", []],
    ["with an empty one", ["--comment", ""]],
  ])("deny %s is a usage error", async (_, more) => {
    const gate = await gateWith();
    const ran = await runCli(["approvals", "deny", "apr_1", ...more], { env: gate.env });
    expect(ran.code).toBe(2);
    expect(flat(ran.stderr)).toContain("--comment");
    expect(gate.received).toEqual([]);
  });

  test("complete sends what was given, withdraw takes the proposal back", async () => {
    const gate = await gateWith();
    const completed = await runCli(["approvals", "complete", "apr_1", "--reason", "r", "--back-out", "b"], {
      env: gate.env,
    });
    const withdrawn = await runCli(["approvals", "withdraw", "apr_1"], { env: gate.env });
    expect([completed.code, withdrawn.code]).toEqual([0, 0]);
    expect(gate.received).toMatchObject([
      { method: "PUT", body: { reason: "r", back_out: "b" } },
      { method: "DELETE", body: null },
    ]);
    expect((await runCli(["approvals", "complete", "apr_1"], { env: gate.env })).code).toBe(2);
  });
});
