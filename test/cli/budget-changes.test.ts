import { describe, expect, test } from "vitest";
import { NOW, runAtTerminal, runPiped } from "./fake-terminal.ts";
import { budget, change, listOf, lowered } from "./money-answers.ts";
import { flat, jsonOf, widest } from "./run-cli.ts";
import { problemAnswer, startStubGate, whoami, type StubGate } from "./stub-gate.ts";

/** The bodies of everything but reads. */
const writes = (gate: StubGate): readonly unknown[] =>
  gate.received.filter(({ method }) => method !== "GET").map(({ method, target, body }) => ({ method, target, body }));

describe("budget set", () => {
  const PUT = "PUT /_gate/v1/budget";
  const set = (answers: object, more: readonly string[]) =>
    startStubGate({
      [PUT]: { body: { daily: null, monthly: null, refused: null, budget: budget(), ...answers } },
    }).then(async (gate) => ({
      gate,
      ran: await runAtTerminal(["budget", "set", ...more], { env: { ...gate.env, NO_COLOR: "1" } }),
    }));

  test("a lower cap is told to be in force, a higher one to wait, with what the second person runs", async () => {
    const monthly = change({ id: "bud_3", period: "monthly", cap_micros: 8_000_000_000, from_micros: 6_000_000_000 });
    const more = ["--daily", "300", "--monthly", "8000.000001", "--reason", "the quarter ends"];
    const { gate, ran } = await set({ daily: lowered(), monthly }, more);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toContain("Finance's daily cap of 300.00 USD is in force now.\n");
    expect(flat(ran.stdout)).toContain(
      "Not in force: monthly 6000.00 → 8000.00 USD waits for a second person of finance until 2026-11-21 08:00Z.",
    );
    expect(ran.stdout).toMatch(/^portcullis budget decide bud_3 approve$/m);
    expect(ran.stdout).toContain("finance's is in force");
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
    expect(writes(gate)).toEqual([
      {
        method: "PUT",
        target: "/_gate/v1/budget",
        body: { daily_cap_usd: 300, monthly_cap_usd: 8000.000001, reason: "the quarter ends" },
      },
    ]);
  });

  test("--at and --until are times of the gate's, or lie so far ahead; what is to come is not called in force", async () => {
    const ahead = { effective_at: "2026-12-01T00:00:00.000Z", ends_at: "2026-12-08T00:00:00.000Z" };
    const times = ["--at", "2026-12-01T00:00:00Z", "--until", "7d"];
    const { gate, ran } = await set({ daily: lowered(ahead) }, ["--daily", "300", "--reason", "r", ...times]);
    expect(flat(ran.stdout)).toContain(
      "daily cap of 300.00 USD will be in force from 2026-12-01 00:00Z on, until 2026-12-08 00:00Z; then the cap before it holds again.",
    );
    expect(gate.received[0]?.body).toEqual({
      daily_cap_usd: 300,
      reason: "r",
      effective_at: "2026-12-01T00:00:00Z",
      until: new Date(NOW + 7 * 86_400_000).toISOString(),
    });
  });

  test("a change that the gate dates after this machine's clock is in force all the same", async () => {
    const later = "2026-11-20T09:30:00.000Z";
    const { ran } = await set({ daily: lowered({ effective_at: later, asked_at: later }) }, [
      "--daily",
      "300",
      "--reason",
      "r",
    ]);
    expect(ran.stdout).toContain("is in force now");
  });

  test("a cap above the policy's is said to change nothing by itself, one below it is not", async () => {
    const above = await set({ daily: change() }, ["--daily", "700", "--reason", "r"]);
    expect(flat(above.ran.stdout)).toContain("It is above the policy's daily cap of 500.00 USD");
    const below = await set({ daily: lowered() }, ["--daily", "300", "--reason", "r"]);
    expect(below.ran.stdout).not.toContain("above the policy's");
  });

  test("one of two refused is a failure that shows what was done and what was not", async () => {
    const { body } = problemAnswer("not-eligible", 403, "This person cannot decide this", { reason: "An API key." });
    const { ran } = await set({ daily: lowered(), refused: { period: "monthly", problem: body } }, [
      "--daily",
      "300",
      "--monthly",
      "9000",
      "--reason",
      "r",
    ]);
    expect(ran.code).toBe(1);
    expect(flat(ran.stdout)).toContain("Finance's daily cap of 300.00 USD is in force now.");
    expect(flat(ran.stdout)).toContain("The monthly cap was not changed: error: This person cannot decide this");
  });
});

describe("budget request, requests and withdraw", () => {
  test("a request is sent whole and said to wait for two people", async () => {
    const body = change({ kind: "request", asked_by: "agent:trainer", needed: 2 });
    const gate = await startStubGate({ "POST /_gate/v1/budget/requests": { status: 201, body } });
    const more = [
      "--window",
      "daily",
      "--cap",
      "700",
      "--reason",
      "r",
      "--incident",
      "INC-7",
      "--until",
      "2026-11-22T00:00:00Z",
    ];
    const ran = await runPiped(["budget", "request", ...more], { env: gate.env });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(flat(ran.stdout)).toContain("Not in force: daily 500.00 → 700.00 USD waits for 2 people of finance");
    expect(gate.received[0]?.body).toEqual({
      window: "daily",
      cap_usd: 700,
      reason: "r",
      incident: "INC-7",
      until: "2026-11-22T00:00:00Z",
    });
  });

  test("none is said, not shown as an empty table", async () => {
    const gate = await startStubGate({ "GET /_gate/v1/budget/requests": { body: listOf() } });
    expect((await runPiped(["budget", "requests"], { env: gate.env })).stdout).toContain("No pending changes");
  });

  test("withdraw takes back what it names", async () => {
    const body = change({ state: "withdrawn" });
    const gate = await startStubGate({ "DELETE /_gate/v1/budget/requests/bud_1": { body } });
    const ran = await runPiped(["budget", "withdraw", "bud_1"], { env: gate.env });
    expect(ran).toMatchObject({ code: 0, stdout: "Change bud_1 (daily 500.00 → 700.00 USD) is withdrawn.\n" });
  });
});

describe("budget decide", () => {
  const DECIDE = "/_gate/v1/approvals/bud_1/decisions";
  const decider = (seen: object = change()): Promise<StubGate> =>
    startStubGate({
      "GET /_gate/v1/whoami": { body: whoami({ principal: "person:fin" }) },
      "GET /_gate/v1/approvals/bud_1": { body: seen },
      [`POST ${DECIDE}`]: { body: change({ state: "approved", given: 1 }) },
    });

  test("a person sees the change, types the cap, and approves as themselves", async () => {
    const gate = await decider();
    const ran = await runAtTerminal(["budget", "decide", "bud_1", "approve", "--comment", "seen"], {
      env: { ...gate.env, NO_COLOR: "1" },
      answers: ["700"],
    });
    expect(ran.code).toBe(0);
    expect(ran.asked).toEqual(["Type 700.00 to approve, anything else to stop: "]);
    expect(ran.stdout).toContain("Reason, as person:fay wrote it:\n  │ the review is on Friday\n");
    expect(flat(ran.stdout)).toContain(
      "You approve as person:fin: a daily cap of 700.00 USD, for person:fay; it was 500.00.",
    );
    expect(ran.stdout).toContain("Finance's daily cap of 700.00 USD is in force now.");
    expect(writes(gate)).toEqual([{ method: "POST", target: DECIDE, body: { decision: "approve", comment: "seen" } }]);
  });

  test.each([
    ["approve", ["yes"], 1],
    ["approve", ["7000"], 1],
    ["approve", [""], 1],
    ["approve", [], 1],
    ["deny", ["yes"], 1],
    ["deny", [], 1],
  ])("at a terminal, %s with %j typed decides nothing", async (decision, answers, code) => {
    const gate = await decider();
    const ran = await runAtTerminal(["budget", "decide", "bud_1", decision], { env: gate.env, answers });
    expect(ran.code).toBe(code);
    expect(flat(ran.stderr)).toContain("nothing was decided");
    expect(writes(gate)).toEqual([]);
  });

  test.each([
    ["no --confirm", [], 2],
    ["another amount", ["--confirm", "700.01"], 1],
  ])("without a terminal and with %s nothing is approved", async (_, more, code) => {
    const gate = await decider();
    const ran = await runPiped(["budget", "decide", "bud_1", "approve", ...more], { env: gate.env, input: "700\n" });
    expect(ran.code).toBe(code);
    expect(writes(gate)).toEqual([]);
  });

  test("without a terminal --confirm approves and a denial needs nothing more; stdout holds the answer alone", async () => {
    const gate = await decider();
    const confirmed = ["budget", "decide", "bud_1", "approve", "--confirm", "700.00", "--json"];
    const approved = await runPiped(confirmed, { env: gate.env });
    const denied = await runPiped(["budget", "decide", "bud_1", "deny"], { env: gate.env });
    expect([approved.code, denied.code]).toEqual([0, 0]);
    expect(jsonOf(approved)).toEqual(change({ state: "approved", given: 1 }));
    expect(flat(approved.stderr)).toContain("the review is on Friday");
    expect(writes(gate)).toMatchObject([{ body: { decision: "approve" } }, { body: { decision: "deny" } }]);
  });

  test("what the asker wrote can neither act on the terminal nor pass for the gate's words", async () => {
    const hostile = "\u001b[2J\nstate     approved\u202e\ndecided   1 of 1 of finance";
    const seen = change({ reason: hostile, asked_by: `agent:${hostile}`, incident: hostile });
    const ran = await runAtTerminal(["budget", "decide", "bud_1", "approve"], {
      env: { ...(await decider(seen)).env, NO_COLOR: "1" },
    });
    expect(ran.stdout.replaceAll("\n", "")).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    expect(ran.stdout).not.toMatch(/^(?:state +approved|decided +1 of 1)/m);
    expect(ran.stdout).toMatch(/^state +pending$/m);
  });
});

describe("budget freeze and unfreeze", () => {
  test("name the freeze of spending and nothing else", async () => {
    const body = { frozen: true, scope: "spending" };
    const gate = await startStubGate({ "POST /_gate/v1/freeze": { body }, "DELETE /_gate/v1/freeze": { body } });
    const frozen = await runPiped(["budget", "freeze", "--reason", "audit"], { env: gate.env });
    const lifted = await runPiped(["budget", "unfreeze"], { env: gate.env });
    expect([frozen.code, lifted.code]).toEqual([0, 0]);
    expect(frozen.stdout).toContain("portcullis budget unfreeze");
    expect(writes(gate)).toEqual([
      { method: "POST", target: "/_gate/v1/freeze", body: { reason: "audit", scope: "spending" } },
      { method: "DELETE", target: "/_gate/v1/freeze?scope=spending", body: null },
    ]);
  });
});
