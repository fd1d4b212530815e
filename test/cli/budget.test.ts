import { describe, expect, test } from "vitest";
import type { z } from "zod";
import { MONEY_ANSWER } from "../../src/admin/openapi/openapi-money-answers.ts";
import { runAtTerminal, runPiped } from "./fake-terminal.ts";
import {
  budget,
  change,
  day,
  forecast,
  history,
  hold,
  listOf,
  lowered,
  reconciliation,
  reported,
  usageResult,
} from "./money-answers.ts";
import { flat, jsonOf, widest } from "./run-cli.ts";
import { startStubGate } from "./stub-gate.ts";

test.each<readonly [keyof typeof MONEY_ANSWER, object]>([
  ["budget", budget({ spending_frozen: { by: "person:fay", reason: "audit", since: "2026-11-20T08:00:00.000Z" } })],
  ["change", lowered({ ends_at: "2026-12-08T00:00:00.000Z" })],
  ["changes", listOf(change())],
  ["capsSet", { daily: lowered(), monthly: null, refused: null, budget: budget() }],
  ["history", history()],
  ["holds", listOf(hold())],
  ["forecast", forecast()],
  ["reconciliation", reconciliation()],
  ["usage", reported(usageResult())],
])("the samples that the commands are tested with are the gate's: %s", (name, sample) => {
  const schema: z.ZodType = MONEY_ANSWER[name];
  expect(schema.safeParse(sample).error?.issues).toBeUndefined();
});

describe("every list and figure of finance fits 80 columns, and machines get the gate's answer", () => {
  test.each([
    [["show"], "GET /_gate/v1/budget", budget(), "27.50"],
    [["requests"], "GET /_gate/v1/budget/requests", listOf(change()), "bud_1"],
    [["history", "--limit", "9"], "GET /_gate/v1/budget/history", history(), "420.00"],
    [["holds"], "GET /_gate/v1/budget/holds", listOf(hold(), hold({ state: "unknown" })), "2 holds, 360.00 USD"],
    [["unresolved"], "GET /_gate/v1/budget/unresolved", listOf(hold()), "portcullis operations resolve"],
    [["forecast"], "GET /_gate/v1/budget/forecast", forecast(), "too little to go by"],
    [["reconcile"], "GET /_gate/v1/budget/reconciliation", reconciliation(), "No drift"],
  ] as const)("%j", async (args, call, body, shown) => {
    const gate = await startStubGate({ [call]: { body } });
    const people = await runPiped(["budget", ...args], { env: gate.env });
    expect(people).toMatchObject({ code: 0, stderr: "" });
    expect(people.stdout).toContain(shown);
    expect(widest(people.stdout)).toBeLessThanOrEqual(80);
    const machines = await runPiped(["budget", ...args, "--json"], { env: gate.env });
    expect(machines).toMatchObject({ code: 0, stderr: "" });
    expect(jsonOf(machines)).toEqual(body);
  });

  test.each([
    [["requests", "--state", "all", "--limit", "7"], "/_gate/v1/budget/requests?limit=7"],
    [["requests"], "/_gate/v1/budget/requests?state=pending"],
    [["history", "--limit", "9"], "/_gate/v1/budget/history?limit=9"],
    [["holds", "--window", "2026-11-20", "--limit", "3"], "/_gate/v1/budget/holds?window=2026-11-20&limit=3"],
    [["unresolved"], "/_gate/v1/budget/unresolved"],
    [["reconcile", "--month", "2026-10"], "/_gate/v1/budget/reconciliation?month=2026-10"],
  ] as const)("%j asks for %s", async (args, target) => {
    const gate = await startStubGate({});
    await runPiped(["budget", ...args], { env: gate.env });
    expect(gate.received.map((call) => call.target)).toEqual([target]);
  });

  test.each([
    [["holds", "--window", "today"], "--window"],
    [["reconcile", "--month", "11"], "--month"],
    [["export", "--month", "2026-11-20"], "--month"],
    [["export"], "--month"],
    [["set", "--reason", "r"], "--daily"],
    [["set", "--daily", "300"], "--reason"],
    [["set", "--daily", "1e3", "--reason", "r"], "--daily"],
    [["set", "--daily", "-3", "--reason", "r"], "--daily"],
    [["set", "--monthly", "0.0000001", "--reason", "r"], "--monthly"],
    [["request", "--window", "weekly", "--cap", "700", "--reason", "r"], "--window"],
    [["request", "--window", "daily", "--cap", "lots", "--reason", "r"], "--cap"],
    [["freeze"], "--reason"],
    [["withdraw", "apr_1"], "change's id"],
    [["withdraw", "../freeze"], "change's id"],
    [["decide", "apr_1", "approve"], "change's id"],
    [["decide", "bud_1", "maybe"], "approve, deny"],
  ] as const)("%j is a usage error, and nothing is sent", async (args, named) => {
    const gate = await startStubGate({});
    const ran = await runPiped(["budget", ...args], { env: gate.env });
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(flat(ran.stderr)).toContain(named);
    expect(gate.received).toEqual([]);
  });
});

const shown = async (changes: object): Promise<string> => {
  const gate = await startStubGate({ "GET /_gate/v1/budget": { body: budget(changes) } });
  return (await runPiped(["budget", "show"], { env: gate.env })).stdout;
};

describe("budget show says why each number is what it is", () => {
  test("caps, which of policy and finance holds, what the holds consist of, gross, inner caps, what waits", async () => {
    const told = await shown({});
    expect(told).toMatch(/^2026-11-20 +300\.00 +12\.50 +260\.00 +27\.50 +2026-11-21 00:00Z$/m);
    expect(told).toMatch(/^daily cap +policy 500\.00, finance 300\.00: finance's is in force$/m);
    expect(told).toMatch(/^monthly cap +policy 8000\.00; finance has set none$/m);
    expect(flat(told)).toContain("held today proposals 40.00, being sent 0.00, running 180.00, unknown 40.00");
    expect(flat(told)).toContain("submitted today 420.00 of at most 600.00, cancelled or not; 180.00 left");
    expect(flat(told)).toMatch(/principal:agent:trainer 2026-11-20 100\.00 12\.50 80\.00 7\.50/);
    expect(flat(told)).toMatch(/Not in force yet: .* bud_1 daily 500\.00 → 700\.00 person:fay 0\/1/);
  });

  test("the policy's cap holds where it is the lower one", async () => {
    expect(await shown({ daily: day(900_000_000) })).toContain("finance 900.00: the policy's is in force");
  });

  test("a freeze of spending stands first, with how to lift it", async () => {
    const told = await shown({ spending_frozen: { by: "person:fay", reason: "audit", since: "2026-11-20T08:00:00Z" } });
    expect(told).toMatch(
      /^Spending is frozen by person:fay since 2026-11-20 08:00Z: audit\n\nportcullis budget unfreeze$/m,
    );
  });

  test("without inner caps and changes nothing is said of them", async () => {
    expect(await shown({ scopes: [], pending: [] })).not.toMatch(/Caps inside|Not in force/);
  });
});

describe("budget holds", () => {
  test("who holds how much, with the team; wide terminals get resource and end", async () => {
    const gate = await startStubGate({ "GET /_gate/v1/budget/holds": { body: listOf(hold()) } });
    const narrow = await runAtTerminal(["budget", "holds"], { env: { ...gate.env, NO_COLOR: "1" } });
    expect(flat(narrow.stdout)).toContain("180.00 committed workloads.submit by agent:trainer (research)");
    expect(narrow.stdout).not.toContain("wl-1001");
    const wide = await runAtTerminal(["budget", "holds"], { env: gate.env, columns: 120 });
    expect(wide.stdout).toMatch(/wl-1001 +2026-11-20 18:00Z/);
  });

  test("nothing held and nothing unresolved are said", async () => {
    const none = { body: listOf() };
    const gate = await startStubGate({ "GET /_gate/v1/budget/holds": none, "GET /_gate/v1/budget/unresolved": none });
    expect((await runPiped(["budget", "holds"], { env: gate.env })).stdout).toBe("Nothing is held.\n");
    expect((await runPiped(["budget", "unresolved"], { env: gate.env })).stdout).toBe("Nothing is unresolved.\n");
  });
});

describe("budget forecast", () => {
  test("the date the cap is reached, estimates to the cent, and what they rest on", async () => {
    const gate = await startStubGate({ "GET /_gate/v1/budget/forecast": { body: forecast() } });
    const { stdout } = await runPiped(["budget", "forecast"], { env: gate.env });
    expect(stdout).toMatch(/^2026-11-20 +272\.50 +300\.00 +800\.00 +811\.11 +2026-11-20 09:00Z$/m);
    expect(stdout).toMatch(/^2026-11 +1072\.00 +8000\.00 +– +– +not in this window$/m);
    expect(stdout).toMatch(/^basis of 2026-11-20 +pace since the window began$/m);
  });
});
