import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { flat, jsonOf, ROOT, runCli, scratchFile, scratchFolder, widest } from "./run-cli.ts";
import { startStubGate } from "./stub-gate.ts";

const ACME = "policies/tenants/acme.yaml";
const textOf = (file: string): string => readFileSync(join(ROOT, file), "utf8");
const narrowed = textOf(ACME).replace("max_gpus: 4", "max_gpus: 3");

describe("policy diff", () => {
  test("an older policy that lies alone is read with the other's documents, and what changes is told in groups", async () => {
    const ran = await runCli(["policy", "diff", scratchFile("old.yaml", narrowed), ACME]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toMatch(/^ *tiers$/m);
    expect(ran.stdout).toMatch(/^wider +workloads\.submit, gpus 4, job_type elastic: tier 3 → tier 2$/m);
    expect(ran.stdout).toContain("1 change, 1 of them wider.");
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
  });

  test("nothing changes in meaning where only the writing differs, and --exit-code says which it is", async () => {
    const same = await runCli([
      "policy",
      "diff",
      scratchFile("same.yaml", `# a word\n${textOf(ACME)}`),
      ACME,
      "--exit-code",
    ]);
    expect(same).toMatchObject({ code: 0, stdout: "Nothing changes in meaning.\n" });
    const other = await runCli(["policy", "diff", scratchFile("old.yaml", narrowed), ACME, "--exit-code"]);
    expect(other.code).toBe(1);
  });

  test("--json has each change with its kind, whether it widens, and a request that shows it", async () => {
    const ran = await runCli([
      "policy",
      "diff",
      ACME,
      scratchFile("new.yaml", narrowed),
      "--people",
      ACME.replace(".yaml", ".people.yaml"),
      "--json",
    ]);
    expect(jsonOf(ran)).toMatchObject({
      before: ACME,
      widens: false,
      changes: [
        {
          kind: "tier-raised",
          widens: false,
          action: "workloads.submit",
          where: "gpus 4, job_type elastic",
          before: "tier 2",
          after: "tier 3",
          example: { facts: { gpus: 4, job_type: "elastic" } },
        },
      ],
    });
  });

  test("--against-active compares with the version in force; what is not named stays as it is there", async () => {
    const documents = {
      policy: textOf(ACME),
      people: textOf("policies/tenants/acme.people.yaml"),
      catalogue: textOf("policies/catalogues/example.yaml"),
      prices: textOf("policies/prices/example.yaml"),
    };
    const gate = await startStubGate({
      "GET /_gate/v1/policy": { body: { version: 7, policy: documents.policy } },
      "GET /_gate/v1/policy/versions/7": { body: { version: 7, documents } },
    });
    const folder = scratchFolder();
    writeFileSync(join(folder, "next.yaml"), narrowed);
    const ran = await runCli(["policy", "diff", "next.yaml", "--against-active"], { env: gate.env, cwd: folder });
    expect(ran).toMatchObject({ code: 0 });
    expect(flat(ran.stdout)).toContain("tier 2 → tier 3 1 change, none of them wider.");
  });

  test("a document that does not compile is told under its own name", async () => {
    const file = scratchFile("broken.yaml", textOf(ACME).replace("max_gpus: 4", "max_gpu: 4"));
    const ran = await runCli(["policy", "diff", ACME, file, "--people", ACME.replace(".yaml", ".people.yaml")]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain(`${file}:`);
    expect((await runCli(["policy", "diff", ACME])).code).toBe(2);
  });
});
