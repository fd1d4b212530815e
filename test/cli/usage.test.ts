import { describe, expect, test } from "vitest";
import { runPiped } from "./fake-terminal.ts";
import { reported, usageResult } from "./money-answers.ts";
import { flat, jsonOf, runCli, scratchFile, widest } from "./run-cli.ts";
import { startStubGate, type StubGate } from "./stub-gate.ts";

const HEADER = "request_id,actual_usd,ended_at,evidence";
const CSV = `${HEADER}\r\nreq_1,31.25,2026-11-20T09:00:00Z,invoice-7/1\r\n`;
const JSON_REPORT = '[{"request_id":"req_1","actual_usd":"31.250000","ended_at":null,"evidence":"invoice-7/1"}]';

const biller = (...results: readonly object[]): Promise<StubGate> =>
  startStubGate({ "POST /_gate/v1/usage": { body: reported(...results) } });

describe("usage report", () => {
  test.each([
    ["CSV", "text/csv", CSV, CSV],
    ["JSON", "application/json", JSON_REPORT, JSON.parse(JSON_REPORT)],
    ["CSV as spreadsheets save it, with a byte order mark", "text/csv", `\ufeff${CSV}`, CSV],
    ["JSON in an object", "application/json", `{"reports":${JSON_REPORT}}`, { reports: JSON.parse(JSON_REPORT) }],
    ["JSON behind blank lines", "application/json", `\n  ${JSON_REPORT}`, JSON.parse(JSON_REPORT)],
  ])("%s is sent as it stands, from a file and from stdin", async (_, contentType, written, sent) => {
    const gate = await biller(usageResult());
    const file = await runCli(["usage", "report", scratchFile("report", written)], { env: gate.env });
    const stdin = await runCli(["usage", "report", "-"], { env: gate.env, input: written });
    expect([file.code, stdin.code]).toEqual([0, 0]);
    expect(gate.received).toMatchObject([
      { contentType, body: sent },
      { contentType, body: sent },
    ]);
  });

  test("each line's result is shown, and what each kind means", async () => {
    const gate = await biller(
      usageResult(),
      usageResult({ state: "waiting", reason: "no end is known", settled_micros: null }),
      usageResult({ state: "overrun", settled_micros: 55_000_000 }),
      usageResult({ state: "duplicate" }),
    );
    const ran = await runPiped(["usage", "report", scratchFile("r.csv", CSV)], { env: gate.env });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(flat(ran.stdout)).toContain("invoice-7/1 40.00 31.25 settled");
    expect(flat(ran.stdout)).toContain("waiting: no end");
    expect(ran.stdout).toMatch(/^settled +1, booked\nwaiting +1, not booked yet.*\noverrun +1, .*\nduplicate +1, /m);
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
  });

  test("a rejected line makes the command fail, the others stand", async () => {
    const rejected = usageResult({
      state: "rejected",
      reason: "unknown request",
      held_micros: null,
      settled_micros: null,
    });
    const gate = await biller(usageResult(), rejected);
    const ran = await runPiped(["usage", "report", "-", "--json"], { env: gate.env, input: CSV });
    expect(ran).toMatchObject({ code: 1, stderr: "" });
    expect(jsonOf(ran)).toEqual(reported(usageResult(), rejected));
  });

  test.each([
    ["nothing", "", "is empty"],
    ["only a byte order mark", "\ufeff\n", "is empty"],
    ["more than is read, which would send a part as the whole", HEADER.padEnd(1024 * 1024 + 1, "x"), "several parts"],
  ])("stdin with %s is refused before anything is sent", async (_, input, told) => {
    const gate = await biller();
    const ran = await runCli(["usage", "report", "-"], { env: gate.env, input });
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(flat(ran.stderr)).toContain(told);
    expect(gate.received).toEqual([]);
  });
});

describe("operations resolve", () => {
  const RESOLVE = "POST /_gate/v1/operations/req_1/resolve";
  const resolve = ["operations", "resolve", "req_1"];

  test("the first of two people is told that the other is missing, the second that it is resolved", async () => {
    const answers = [
      { state: "pending", given: ["person:olga"] },
      { state: "resolved", given: ["person:olga", "person:fay"] },
    ];
    const gate = await startStubGate({ [RESOLVE]: () => ({ body: answers.shift() }) });
    const said = ["--outcome", "succeeded", "--actual-usd", "12.5", "--evidence", "invoice-9"];
    const first = await runPiped([...resolve, ...said], { env: gate.env });
    const second = await runPiped([...resolve, ...said], { env: gate.env });
    expect([first.code, second.code]).toEqual([0, 0]);
    expect(flat(first.stdout)).toContain("by person:olga. The other of operator and finance has to say the same.");
    expect(flat(second.stdout)).toContain("by person:olga and person:fay. It is resolved.");
    expect(gate.received[0]?.body).toEqual({ outcome: "succeeded", actual_usd: 12.5, evidence: "invoice-9" });
  });

  test.each([
    ["no outcome", ["--evidence", "e"]],
    ["another outcome", ["--outcome", "lost", "--evidence", "e"]],
    ["no evidence", ["--outcome", "failed"]],
    ["an amount that is none", ["--outcome", "failed", "--evidence", "e", "--actual-usd", "free"]],
  ])("%s is a usage error, and nothing is sent", async (_, more) => {
    const gate = await startStubGate({});
    expect((await runPiped([...resolve, ...more], { env: gate.env })).code).toBe(2);
    expect(gate.received).toEqual([]);
  });
});
