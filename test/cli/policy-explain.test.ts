import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { flat, jsonOf, ROOT, runCli, scratchFile, widest } from "./run-cli.ts";

const PLATFORM = "policies/tenants/platform-team.yaml";
const REMEDY = ["--as", "agent:remedy", "--owner", "person:dana@platform-team"];
const NOON = ["--at", "2026-11-20T11:00:00Z"];
const NIGHT = ["--at", "2026-11-21T02:00:00Z"];

const submit = (gpus: number, type: string): readonly string[] => [
  "--request",
  "POST /v1/workloads",
  "--body",
  JSON.stringify({ name: "t", image: "i", job_type: "elastic", gpus, gpu_type: type, max_hours: 2 }),
];
const explain = (...args: readonly string[]) => runCli(["policy", "explain", PLATFORM, ...REMEDY, ...args]);

describe("policy explain", () => {
  test("every rule is told in order, then what is asked for, the caps and the aggregates", async () => {
    const ran = await explain(...NIGHT, ...submit(16, "H100"));
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
    const text = flat(ran.stdout);
    for (const part of [
      "by agent:remedy, for person:dana@platform-team",
      "action workloads.submit",
      "floor tier 3",
      "people 1 of @alice, @bob, @carol",
      "context reason, evidence, back_out",
      "costs 80.00 USD",
      "daily of principal:agent:remedy 1000.00 80.00 it may",
      "gpus-of-one-agent gpus, running 32 16 approve",
      "It runs once people approve: tier 3 by allowed_tools.tier_3[0] workloads.submit.",
    ])
      expect(text).toContain(part);
    const inOrder = [
      "tier 5 not prohibited",
      "allowed_tools.tier_2[0] below the floor max_gpus: 4, asked for 16",
      "allowed_tools.tier_3[0] decides all its constraints hold",
      "environments possible production",
      "blast_radius[0] does not cover it the action is of another kind",
      "blast_radius[1] no objection window weeknights is open until 2026-11-21 03:00Z",
    ].map((row) => text.indexOf(row));
    expect(inOrder).not.toContain(-1);
    expect(inOrder).toEqual(inOrder.toSorted((a, b) => a - b));
  });

  test("a refusal says which rule, and the nearest request that passes", async () => {
    const ran = await explain(...NIGHT, ...submit(64, "A100"));
    expect(ran.code).toBe(0);
    const text = flat(ran.stdout);
    expect(text).toContain("broken max_gpus: 32, asked for 64");
    expect(text).toContain("blast_radius[0] not asked");
    expect(text).toContain(
      "Refused: constraint-exceeded by allowed_tools.tier_3[0] workloads.submit; gpus = 32 would pass at tier 3.",
    );
  });

  test("a window that is closed says when it opens", async () => {
    const ran = await explain(...NOON, ...submit(4, "H100"));
    const text = flat(ran.stdout);
    expect(text).toContain("objects outside weeknights, sundays; opens 2026-11-21 01:00Z");
    expect(text).toContain("Refused: outside-window by blast_radius[1]; opens 2026-11-21T01:00:00Z.");
  });

  test("what is refused before the policy is asked has no rules", async () => {
    const ran = await explain(...NOON, "--request", "GET /v1/secrets");
    expect(ran.code).toBe(0);
    expect(flat(ran.stdout)).toContain("Refused: unknown-operation.");
    expect(ran.stdout).not.toContain("verdict");
  });

  test("--looked-up and --body take files; a query stands in the request", async () => {
    const lookedUp = scratchFile("answers.yaml", "workload: { gpus: 2, gpu_type: A100, max_hours: 4 }\n");
    const body = scratchFile("body.json", '{"gpus": 4}');
    const ran = await explain(
      ...NOON,
      "--request",
      "PATCH /v1/workloads/wl-1",
      "--body",
      body,
      "--looked-up",
      lookedUp,
    );
    expect(flat(ran.stdout)).toContain("facts resource wl-1, gpus 4, gpu_type A100, hours 4");
    expect(flat(ran.stdout)).toContain("incident catalogue:workload:wl-1");
    const read = await explain(...NOON, "--request", "GET /v1/workloads?limit=5");
    expect(flat(read.stdout)).toContain("It runs at once: tier 0");
    const unknown = await explain(...NOON, "--request", "GET /v1/workloads?all=1");
    expect(flat(unknown.stdout)).toContain("Refused: malformed-request: ");
  });

  test("--json has the same words as a table of tests, and each step", async () => {
    const ran = await explain(...NIGHT, ...submit(16, "H100"), "--json");
    expect(jsonOf(ran)).toMatchObject({
      decision: "approval",
      tier: 3,
      needed: 1,
      environments: ["production"],
      window: "weeknights",
      closes_at: "2026-11-21T03:00:00Z",
      aggregates: { "gpus-of-one-agent": 16, "gpus-of-all": 16, "things-of-one-agent": 1 },
      steps: [
        { kind: "prohibition", rule: null },
        { kind: "entry", verdict: "below-floor", violations: [{ constraint: "max_gpus", limit: 4, actual: 16 }] },
        { kind: "entry", verdict: "decides", tier: 3 },
        { kind: "environments", possible: ["production"] },
        { kind: "guard", rule: "blast_radius[0]", verdict: { kind: "other-writes" } },
        { kind: "guard", rule: "blast_radius[1]", verdict: { kind: "open", open: { name: "weeknights" } } },
      ],
      money: { asked_micros: 80_000_000 },
    });
  });

  test("a policy that does not compile is told with its place, exit code 1", async () => {
    const text = readFileSync(join(ROOT, PLATFORM), "utf8").replace("workloads.list", "workloads.lst");
    const policy = scratchFile("p.yaml", text);
    const people = ["--people", "policies/tenants/platform-team.people.yaml"];
    const ran = await runCli(["policy", "explain", policy, ...people, ...REMEDY, "--request", "GET /v1/gpus"]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/p\.yaml:\d+:\d+: error .*workloads\.lst/);
  });

  test.each<[string, readonly string[], string]>([
    ["no request", [], "required option '--request"],
    ["a request without a method", ["--request", "/v1/gpus"], "a method and a path are required"],
    [
      "a body that does not exist",
      ["--request", "POST /v1/workloads", "--body", "nowhere.json"],
      "nowhere.json cannot be read",
    ],
    ["a time that is none", ["--request", "GET /v1/gpus", "--at", "noon"], "a moment with its offset is required"],
  ])("%s is a usage error", async (_, args, message) => {
    const ran = await explain(...args);
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(flat(ran.stderr)).toContain(message);
  });
});
