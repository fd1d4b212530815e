import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { runAtTerminal, runPiped } from "./fake-terminal.ts";
import { reconciliation } from "./money-answers.ts";
import { flat, jsonOf, runCli, scratchFile, scratchFolder } from "./run-cli.ts";
import { problemAnswer, startStubGate, type Answer } from "./stub-gate.ts";

describe("budget export", () => {
  const CSV = '\ufeffnumber,action\r\n1,"\'=cmd"\r\n2,a\u001bb\r\n';
  const csv: Answer = { text: CSV, headers: { "content-type": "text/csv; charset=utf-8" } };
  const EXPORT = "GET /_gate/v1/budget/export";
  const exported = ["budget", "export", "--month", "2026-11"];

  test("into a pipe the table comes byte for byte; asked for by month and format", async () => {
    const gate = await startStubGate({ [EXPORT]: csv });
    const ran = await runCli(exported, { env: gate.env });
    expect(ran).toEqual({ code: 0, stdout: CSV, stderr: "" });
    expect(gate.received[0]?.target).toBe("/_gate/v1/budget/export?month=2026-11&format=csv");
  });

  test("at a terminal it is inert", async () => {
    const gate = await startStubGate({ [EXPORT]: csv });
    const ran = await runAtTerminal(exported, { env: gate.env });
    expect(ran.stdout).toBe('number,action\n1,"\'=cmd"\n2,a\\u{1b}b\n');
  });

  test("--output makes a file, and replaces none without --force", async () => {
    const gate = await startStubGate({ [EXPORT]: csv });
    const folder = scratchFolder();
    const made = await runCli([...exported, "--output", "november.csv"], { env: gate.env, cwd: folder });
    expect(made).toMatchObject({ code: 0, stdout: "The entries of 2026-11 are in november.csv.\n" });
    expect(readFileSync(join(folder, "november.csv"), "utf8")).toBe(CSV);

    const file = scratchFile("old.csv", "old");
    const refused = await runCli([...exported, "--output", file], { env: gate.env });
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(flat(refused.stderr)).toContain("--force");
    expect(readFileSync(file, "utf8")).toBe("old");
    expect(gate.received).toHaveLength(1);

    const forced = await runCli([...exported, "--output", file, "--force", "--json"], { env: gate.env });
    expect(jsonOf(forced)).toMatchObject({ file, format: "csv", bytes: new TextEncoder().encode(CSV).length });
    expect(readFileSync(file, "utf8")).toBe(CSV);
  });

  test("JSON comes as the gate sent it", async () => {
    const gate = await startStubGate({ [EXPORT]: { body: { records: [] } } });
    const ran = await runCli([...exported, "--format", "json", "--json"], { env: gate.env });
    expect(jsonOf(ran)).toEqual({ records: [] });
    expect(gate.received[0]?.target).toContain("format=json");
  });

  test("--json with CSV on stdout is refused: it would be no JSON document", async () => {
    const gate = await startStubGate({ [EXPORT]: csv });
    expect((await runCli([...exported, "--json"], { env: gate.env })).code).toBe(2);
    expect(gate.received).toEqual([]);
  });

  test.each([
    ["a refusal", problemAnswer("out-of-scope", 403, "Not covered", {}), "Not covered (out-of-scope, 403)"],
    ["a page of something else", { text: "<h1>hi</h1>", headers: { "content-type": "text/html" } }, "is not the gate"],
  ])("%s leaves no file behind", async (_, answer, told) => {
    const gate = await startStubGate({ [EXPORT]: answer });
    const file = join(scratchFolder(), "out.csv");
    const ran = await runCli([...exported, "--output", file], { env: gate.env });
    expect(ran.code).toBe(1);
    expect(flat(ran.stderr)).toContain(told);
    expect(existsSync(file)).toBe(false);
  });
});

describe("budget reconcile fails unless all books agree", () => {
  test.each([
    ["no drift", {}, 0, "No drift"],
    ["a micro-dollar", { audit_settled_micros: 1 }, 1, "The books differ."],
    ["a missing micro-dollar", { entries_held_micros: -1 }, 1, "The books differ."],
    ["a figure deeper down", { audit: { settled_micros: 1 } }, 1, "The books differ."],
    ["a figure that is not known", { usage_micros: null }, 1, "Not every book could be compared."],
  ])("%s", async (_, drift, code, told) => {
    const gate = await startStubGate({ "GET /_gate/v1/budget/reconciliation": { body: reconciliation(drift) } });
    const ran = await runPiped(["budget", "reconcile"], { env: gate.env });
    expect(ran.code).toBe(code);
    expect(ran.stdout).toContain(told);
    expect((await runPiped(["budget", "reconcile", "--json"], { env: gate.env })).code).toBe(code);
  });

  test("an answer without a figure is no agreement", async () => {
    const gate = await startStubGate({
      "GET /_gate/v1/budget/reconciliation": { body: { ...reconciliation(), drift: {} } },
    });
    expect((await runPiped(["budget", "reconcile"], { env: gate.env })).code).toBe(1);
  });

  test("shows every figure once, in dollars", async () => {
    const gate = await startStubGate({ "GET /_gate/v1/budget/reconciliation": { body: reconciliation() } });
    const { stdout } = await runPiped(["budget", "reconcile"], { env: gate.env });
    expect(stdout).toMatch(/^entries +260\.00 +812\.00$/m);
    expect(stdout).toMatch(/^usage reports +3$/m);
    expect(stdout.match(/\b60\b/g)).toHaveLength(1);
    expect(stdout).toMatch(/^overrun +2\.00$/m);
  });
});
