import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { flat, jsonOf, ROOT, runCli, scratchFile, widest } from "./run-cli.ts";

const ACME = "policies/tenants/acme.yaml";
const PLATFORM = "policies/tenants/platform-team.yaml";
const HEAD = 'catalogue: example\nat: "2026-11-20T12:00:00Z"\nas: { subject: "agent:trainer", owner: "person:dana" }\n';
const SUBMIT =
  "{ method: POST, path: /v1/workloads, body: { name: t, image: i, job_type: elastic, gpus: 8, gpu_type: H100, max_hours: 1 } }";

const table = (...tests: string[]): string => scratchFile("acme.tests.yaml", `${HEAD}tests:\n${tests.join("\n")}\n`);
const oneCase = (expectation: string, request = SUBMIT, more = ""): string =>
  table(`  - { name: one, request: ${request}, ${more} expect: ${expectation} }`);
const run = (file: string, policy = ACME) => runCli(["policy", "test", policy, "--tests", file]);

describe("policy test", () => {
  test("a table that passes has one row per case and exit code 0", async () => {
    const ran = await runCli(["policy", "test", ACME]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(flat(ran.stdout)).toContain("15 passed, 0 failed");
    expect(ran.stdout).not.toContain("FAILED");
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
  });

  test("a case that fails shows what was expected and what came, in 80 columns; exit code 1", async () => {
    const file = oneCase(
      '{ decision: dry-run, tier: 2, rule: "tier_2[0]", needed: 2, cost_usd: "20.00", facts: { gpus: 8 } }',
    );
    const ran = await run(file);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain("FAILED");
    expect(ran.stdout).toContain(`${file}:5: one`);
    expect(widest(ran.stdout.replaceAll(file, "f"))).toBeLessThanOrEqual(80);
    expect(ran.stdout.split("\n").filter((line) => /^(member|decision|tier|rule|needed|facts)\b/.test(line))).toEqual([
      expect.stringMatching(/^member +expected +actual$/),
      expect.stringMatching(/^decision +dry-run +approval$/),
      expect.stringMatching(/^tier +2 +3$/),
      expect.stringMatching(/^rule +tier_2\[0\] +allowed_tools\.tier_3\[0\] workloads\.submit$/),
      expect.stringMatching(/^needed +2 +1$/),
    ]);
    expect(flat(ran.stdout)).toContain("0 passed, 1 failed");
  });

  test("--json has each difference", async () => {
    const ran = await runCli(["policy", "test", ACME, "--tests", oneCase("{ decision: allow }"), "--json"]);
    expect(ran.code).toBe(1);
    expect(jsonOf(ran)).toMatchObject({
      ok: false,
      passed: 0,
      failed: 1,
      cases: [
        {
          name: "one",
          line: 5,
          decided: "approval, tier 3",
          ok: false,
          differences: [{ member: "decision", expected: "allow", actual: "approval" }],
        },
      ],
    });
  });

  test.each<[string, string, string]>([
    ["a tier", "{ decision: approval, tier: 4 }", "tier"],
    ["a list, in full", '{ decision: approval, approvers: ["@alice"] }', "approvers"],
    ["a fact among others", "{ decision: approval, facts: { gpus: 9 } }", "facts"],
    ["money", '{ decision: approval, cost_usd: "20.01" }', "cost_usd"],
    ["an aggregate that there is none of", "{ decision: approval, aggregates: { all: 8 } }", "aggregates"],
    ["what there is none of", "{ decision: approval, window: nights }", "window"],
    ["a part of the rule's name", '{ decision: approval, rule: "tier_4" }', "rule"],
    ["a shadow", "{ decision: approval, shadow: [{ rule: a, verdict: b }] }", "shadow"],
  ])("%s that is stated is compared", async (_, expectation, member) => {
    const ran = await runCli(["policy", "test", ACME, "--tests", oneCase(expectation), "--json"]);
    expect(jsonOf(ran)).toMatchObject({ cases: [{ differences: [{ member }] }] });
  });

  test("a moment is compared as a moment, however it is written", async () => {
    const at = 'at: "2026-11-20T12:00:00+01:00",';
    const expectation = '{ decision: refuse, reason_code: outside-window, opens_at: "2026-11-21T02:00:00+01:00" }';
    expect((await run(oneCase(expectation, SUBMIT.replace("gpus: 8", "gpus: 4"), at), PLATFORM)).code).toBe(0);
  });

  test("an aggregate that one request fills is told: people decide, or nobody", async () => {
    const text = readFileSync(join(ROOT, PLATFORM), "utf8");
    const policy = scratchFile("p.yaml", text.replace("max: 32, over: approve", "max: 3, over: approve"));
    const people = ["--people", "policies/tenants/platform-team.people.yaml"];
    const request = SUBMIT.replace("gpus: 8, gpu_type: H100", "gpus: 4, gpu_type: A100");
    const lifted = oneCase("{ decision: approval, tier: 3, needed: 1 }", request);
    expect((await runCli(["policy", "test", policy, ...people, "--tests", lifted])).code).toBe(0);
    const strict = scratchFile("p.yaml", text.replace("max: 32, over: approve", "max: 3"));
    const refused = oneCase("{ decision: refuse, reason_code: aggregate-exceeded, rule: gpus-of-one-agent }", request);
    expect((await runCli(["policy", "test", strict, ...people, "--tests", refused])).code).toBe(0);
  });

  test.each<[string, () => string, RegExp]>([
    ["a key that no table has", () => oneCase("{ decision: allow, teir: 2 }"), /:5:\d+: error .*teir/],
    ["a decision that there is none of", () => oneCase("{ decision: yes }"), /:5:\d+: error/],
    [
      "the table of another catalogue",
      () => "policies/tenants/slurm-lab.tests.yaml",
      /these tests are for catalogue slurm-v0\.0\.38/,
    ],
  ])("%s is told with its place, exit code 1", async (_, file, message) => {
    const catalogue = ["--catalogue", "policies/catalogues/example.yaml"];
    const ran = await runCli(["policy", "test", ACME, ...catalogue, "--tests", file()]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(message);
  });

  test("a policy that does not compile fails before any case", async () => {
    const text = readFileSync(join(ROOT, ACME), "utf8").replace("workloads.list", "workloads.lst");
    const policy = scratchFile("acme.yaml", text);
    const ran = await runCli([
      "policy",
      "test",
      policy,
      "--people",
      "policies/tenants/acme.people.yaml",
      "--tests",
      oneCase("{ decision: allow }"),
    ]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain(`${policy}:7:7: error`);
  });

  test.each<[string, string[], string]>([
    [
      "no table beside the policy",
      ["policies/prices/example.yaml", "--people", "policies/tenants/acme.people.yaml"],
      "has no table of tests beside it",
    ],
    ["a table that does not exist", [ACME, "--tests", "nowhere.yaml"], "nowhere.yaml cannot be read"],
    [
      "a policy that does not exist",
      ["nowhere.yaml", "--people", "policies/tenants/acme.people.yaml", "--tests", "policies/tenants/acme.tests.yaml"],
      "nowhere.yaml cannot be read",
    ],
  ])("%s is a usage error", async (_, args, message) => {
    const ran = await runCli(["policy", "test", ...args]);
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(flat(ran.stderr)).toContain(message);
  });
});
