import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { flat, jsonOf, ROOT, runCli, scratchFile, scratchFolder, widest } from "./run-cli.ts";

const ACME = "policies/tenants/acme.yaml";
const PEOPLE = "policies/tenants/acme.people.yaml";
const acme = readFileSync(join(ROOT, ACME), "utf8");

describe("policy check", () => {
  test("the published example passes, with the people beside it and the example catalogue", async () => {
    const ran = await runCli(["policy", "check", ACME]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(flat(ran.stdout)).toContain("0 errors, 0 warnings");
    expect(ran.stdout).toContain(PEOPLE);
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
  });

  test("every mistake is one line with file, line, column, severity and pointer; exit code 1", async () => {
    const file = scratchFile(
      "acme.yaml",
      acme.replace("workloads.list", "workloads.lst").replace("max_gpus: 4", "max_gpu: 4"),
    );
    const ran = await runCli(["policy", "check", file, "--people", PEOPLE]);
    expect(ran.code).toBe(1);
    const lines = ran.stdout.split("\n").filter((line) => line.startsWith(`${file}:`) && line.endsWith(")"));
    expect(lines[0]).toBe(
      `${file}:7:7: error the catalogue has no action "workloads.lst" (did you mean "workloads.list"?) (/allowed_tools/tier_0/0)`,
    );
    expect(lines[1]).toMatch(
      /acme\.yaml:\d+:\d+: error .*"gpus".* \(\/allowed_tools\/tier_2\/0\/workloads\.submit\/max_gpu\)$/,
    );
  });

  test("a warning is told and fails only under --strict", async () => {
    const file = scratchFile("acme.yaml", acme.replace('["@alice", "@bob"]', '["@alice", "@nobody"]'));
    const args = ["policy", "check", file, "--people", PEOPLE];
    const lenient = await runCli(args);
    expect(lenient.code).toBe(0);
    expect(lenient.stdout).toMatch(/acme\.yaml:\d+:\d+: warning .*@nobody/);
    expect((await runCli([...args, "--strict"])).code).toBe(1);
  });

  test("--json has the same problems in a stable form", async () => {
    const file = scratchFile("acme.yaml", acme.replace("workloads.list", "workloads.lst"));
    const ran = await runCli(["policy", "check", file, "--people", PEOPLE, "--json"]);
    expect(ran.code).toBe(1);
    expect(jsonOf(ran)).toMatchObject({
      ok: false,
      files: { policy: file, people: PEOPLE, catalogue: "policies/catalogues/example.yaml" },
      problems: [{ file, line: 7, column: 7, severity: "error", path: "/allowed_tools/tier_0/0" }],
    });
  });

  test("broken people and catalogues are told under their own names", async () => {
    const people = scratchFile("people.yaml", "people:\n  alice: { subject: x }\n");
    const ran = await runCli(["policy", "check", ACME, "--people", people, "--catalogue", ACME]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain(`${people}:2:3: error`);
    expect(ran.stdout).toMatch(new RegExp(`^${ACME}:\\d+:\\d+: error`, "m"));
  });

  test.each([
    [
      "a file that does not exist",
      ["policy", "check", "nowhere.yaml", "--people", PEOPLE],
      "nowhere.yaml cannot be read: no such file",
    ],
    [
      "a policy without people beside it",
      ["policy", "check", "policies/prices/example.yaml"],
      "example.people.yaml does not exist",
    ],
    ["a folder", ["policy", "check", "policies", "--people", PEOPLE], "policies cannot be read: it is a folder"],
    ["no file", ["policy", "check"], "missing required argument 'file'"],
  ])("%s is a usage error", async (_, args, message) => {
    const ran = await runCli(args);
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(flat(ran.stderr)).toContain(message);
  });

  test("a file that is not UTF-8 is refused and not repaired", async () => {
    const file = join(scratchFolder(), "latin1.yaml");
    writeFileSync(file, Buffer.from([0x61, 0xe9]));
    const ran = await runCli(["policy", "check", file, "--people", PEOPLE]);
    expect(ran.code).toBe(2);
    expect(flat(ran.stderr)).toContain("it is not UTF-8 text");
  });

  test("under npm, file names start where the person is", async () => {
    const env = { npm_lifecycle_event: "portcullis", INIT_CWD: join(ROOT, "policies/tenants") };
    const ran = await runCli(["policy", "check", "acme.yaml"], { env });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain("acme.people.yaml");
  });
});

describe("catalogue check", () => {
  test("says which actions there are, their floors and their facts", async () => {
    const ran = await runCli(["catalogue", "check", "policies/catalogues/example.yaml"]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toMatch(/workloads\.submit +2 or 3 +gpus, gpu_type, hours/);
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
  });

  test("a mistake has its place; exit code 1", async () => {
    const text = readFileSync(join(ROOT, "policies/catalogues/example.yaml"), "utf8");
    const file = scratchFile("broken.yaml", text.replace("error_dialect: problem", "error_dialect: rude"));
    const ran = await runCli(["catalogue", "check", file]);
    expect(ran.code).toBe(1);
    expect(ran.stdout).toMatch(/broken\.yaml:7:\d+: error .* \(\/error_dialect\)/);
  });

  test("a write of which nothing says when it has ended is a warning at its place; exit code 0", async () => {
    const text = readFileSync(join(ROOT, "policies/catalogues/example.yaml"), "utf8");
    const file = scratchFile("endless.yaml", text.replace("    status: none\n", ""));
    const ran = await runCli(["catalogue", "check", file]);
    expect(ran.code).toBe(0);
    expect(ran.stdout).toMatch(/endless\.yaml:\d+:\d+: warning .*reservations\.create.* \(\/routes\/\d+\/outcome\)/);
    expect(flat(ran.stdout)).toContain("1 warning");
  });
});

describe("catalogue test", () => {
  test.each(["example", "slurm-v0.0.38"])("the table of %s passes, its prices found by themselves", async (name) => {
    const ran = await runCli(["catalogue", "test", `policies/catalogues/${name}.yaml`]);
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(flat(ran.stdout)).toMatch(/[1-9]\d+ passed, 0 failed/);
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
  });

  test("a failing case is told with its place and difference; exit code 1", async () => {
    const folder = scratchFolder();
    cpSync(join(ROOT, "policies/catalogues/example.yaml"), join(folder, "mine.yaml"));
    const tests = readFileSync(join(ROOT, "policies/catalogues/example.tests.yaml"), "utf8");
    writeFileSync(join(folder, "mine.tests.yaml"), tests.replace('ceiling_usd: "20.00"', 'ceiling_usd: "21.00"'));
    const args = ["catalogue", "test", "mine.yaml", "--prices", join(ROOT, "policies/prices/example.yaml")];
    const ran = await runCli(args, { cwd: folder });
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain('mine.tests.yaml:5: ceiling_usd: expected "21.00", got "20.00"');
    expect(jsonOf(await runCli([...args, "--json"], { cwd: folder }))).toMatchObject({
      ok: false,
      catalogue: "example",
      failed: 1,
      cases: expect.arrayContaining([
        expect.objectContaining({ line: 5, ok: false, differences: ['ceiling_usd: expected "21.00", got "20.00"'] }),
        expect.objectContaining({ ok: true, differences: [] }),
      ]),
    });
  });

  test("without prices that go with it, the person is asked for them", async () => {
    const folder = join(scratchFolder(), "catalogues");
    mkdirSync(folder);
    cpSync(join(ROOT, "policies/catalogues/example.yaml"), join(folder, "mine.yaml"));
    cpSync(join(ROOT, "policies/catalogues/example.tests.yaml"), join(folder, "mine.tests.yaml"));
    const ran = await runCli(["catalogue", "test", "mine.yaml"], { cwd: folder });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toContain("--prices FILE");
  });
});
