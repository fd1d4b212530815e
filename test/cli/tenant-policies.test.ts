import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { jsonOf, ROOT, runCli } from "./run-cli.ts";

const FOLDER = "policies/tenants";
const POLICIES = readdirSync(join(ROOT, FOLDER))
  .filter((name) => /^[^.]+\.yaml$/.test(name))
  .map((name) => name.replace(".yaml", ""));

describe("every published policy", () => {
  test("is one of those that the documents speak of", () => {
    expect(POLICIES.toSorted()).toEqual([
      "acme",
      "globex",
      "platform-team",
      "research-lab",
      "slurm-lab",
      "training-team",
    ]);
  });

  test.each(POLICIES)("%s: nothing to warn of, by its own catalogue and prices", async (name) => {
    const ran = await runCli(["policy", "check", `${FOLDER}/${name}.yaml`, "--strict", "--json"]);
    expect(jsonOf(ran)).toMatchObject({ ok: true, problems: [] });
    expect(ran.code).toBe(0);
  });

  test.each(POLICIES)("%s: its own table of requests passes, and shows each kind of answer", async (name) => {
    const ran = await runCli(["policy", "test", `${FOLDER}/${name}.yaml`, "--json"]);
    expect(jsonOf(ran)).toMatchObject({ ok: true, failed: 0 });
    expect(ran.code).toBe(0);
    const table = readFileSync(join(ROOT, FOLDER, `${name}.tests.yaml`), "utf8");
    for (const decision of ["allow", "approval", "refuse"]) expect(table).toMatch(new RegExp(`decision: ${decision}`));
    expect(table).toContain("violations: { max_gpus: ");
  });
});
