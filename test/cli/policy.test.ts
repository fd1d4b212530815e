import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { flat, runCli, scratchFolder, widest } from "./run-cli.ts";
import { startStubGate, type StubGate } from "./stub-gate.ts";

const PUSH = "POST /_gate/v1/policy/versions";
const gateThatTakes = (warnings: readonly object[] = []): Promise<StubGate> =>
  startStubGate({ [PUSH]: { status: 201, body: { version: 4, warnings } } });

/** A repository of its own with one committed policy. */
function repository(): { readonly folder: string; readonly commit: string } {
  const folder = scratchFolder();
  const git = (...args: readonly string[]): string =>
    execFileSync("git", ["-C", folder, "-c", "user.name=t", "-c", "user.email=t@t", ...args], {
      encoding: "utf8",
    }).trim();
  git("init", "--quiet");
  writeFileSync(join(folder, "acme.yaml"), "committed\n");
  git("add", "acme.yaml");
  git("commit", "--quiet", "--no-gpg-sign", "-m", "policy");
  return { folder, commit: git("rev-parse", "HEAD") };
}

const push = (gate: StubGate, cwd: string, ...more: readonly string[]) =>
  runCli(["policy", "push", "--policy", "acme.yaml", "--reason", "why", ...more], { env: gate.env, cwd });

describe("policy push", () => {
  test("sends the documents as they are, names the commit, and says that another person activates", async () => {
    const gate = await gateThatTakes();
    const { folder, commit } = repository();
    writeFileSync(join(folder, "people.yaml"), "people\n");
    const ran = await push(gate, folder, "--git-commit", commit, "--people", "people.yaml");
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect(ran.stdout).toContain("Version 4 is stored and not in force yet.");
    expect(ran.stdout).toContain("portcullis policy activate 4");
    expect(gate.received).toMatchObject([
      { body: { policy: "committed\n", people: "people\n", reason: "why", git_commit: commit } },
    ]);
  });

  test("the commit is found by itself", async () => {
    const gate = await gateThatTakes();
    const { folder, commit } = repository();
    await push(gate, folder);
    expect(gate.received).toMatchObject([{ body: { git_commit: commit } }]);
  });

  test.each([
    ["edited", "acme.yaml", "differs from what is committed"],
    ["never committed", "new.yaml", "differs from what is committed"],
  ])("a commit that does not hold the text is not named: %s", async (_, name, why) => {
    const gate = await gateThatTakes();
    const { folder } = repository();
    writeFileSync(join(folder, name), "edited\n");
    const ran = await runCli(["policy", "push", "--policy", name, "--reason", "why"], { env: gate.env, cwd: folder });
    expect(ran.code).toBe(0);
    expect(flat(ran.stderr)).toContain(why);
    expect(gate.received[0]?.body).toEqual({ policy: "edited\n", reason: "why" });
  });

  test("outside any repository the version has no commit, and that is said", async () => {
    const gate = await gateThatTakes();
    const folder = scratchFolder();
    writeFileSync(join(folder, "acme.yaml"), "text\n");
    const ran = await push(gate, folder);
    expect(flat(ran.stderr)).toContain("no git commit is recorded");
    expect(gate.received[0]?.body).toEqual({ policy: "text\n", reason: "why" });
  });

  test("warnings of the gate have their place", async () => {
    const warning = { line: 3, column: 5, path: "/x", message: "never decides", severity: "warning" };
    const gate = await gateThatTakes([warning]);
    const { folder } = repository();
    expect((await push(gate, folder)).stdout).toContain("acme.yaml:3:5: warning never decides (/x)");
  });

  test.each([
    ["no document", ["policy", "push", "--reason", "why"]],
    ["no reason", ["policy", "push", "--policy", "policies/tenants/acme.yaml"]],
    [
      "no commit id",
      ["policy", "push", "--policy", "policies/tenants/acme.yaml", "--reason", "w", "--git-commit", "main"],
    ],
  ])("%s is a usage error", async (_, args) => {
    const gate = await gateThatTakes();
    expect((await runCli(args, { env: gate.env })).code).toBe(2);
    expect(gate.received).toEqual([]);
  });
});

const version = (number: number, changes: object): object => ({
  version: number,
  digests: {},
  author: "person:operator",
  reason: "because",
  git_commit: "0123456789abcdef",
  created_at: "2026-11-20T08:00:00.000Z",
  activated_by: "person:security",
  activated_at: "2026-11-20T09:00:00.000Z",
  ...changes,
});

describe("policy activate, versions and show", () => {
  test("activate sends the number and takes nothing else", async () => {
    const gate = await startStubGate({ "POST /_gate/v1/policy/activate": { body: { version: 4, active: true } } });
    expect((await runCli(["policy", "activate", "4"], { env: gate.env })).stdout).toBe("Version 4 is in force.\n");
    expect(gate.received).toMatchObject([{ body: { version: 4 } }]);
    expect((await runCli(["policy", "activate", "four"], { env: gate.env })).code).toBe(2);
  });

  test("versions says which one is in force, which waits and which were replaced", async () => {
    const records = [
      version(3, { activated_by: null, activated_at: null }),
      version(2, {}),
      version(1, { git_commit: null }),
    ];
    const gate = await startStubGate({
      "GET /_gate/v1/policy/versions": { body: { records, next_cursor: null } },
      "GET /_gate/v1/policy": { body: { version: 2, policy: 'version: "1.0"\n', digests: {} } },
    });
    const { stdout } = await runCli(["policy", "versions"], { env: gate.env });
    expect(stdout).toMatch(/^3 +waiting/m);
    expect(stdout).toMatch(/^2 +in force/m);
    expect(stdout).toMatch(/^1 +replaced/m);
    expect(widest(stdout)).toBeLessThanOrEqual(80);
    expect((await runCli(["policy", "show"], { env: gate.env })).stdout).toBe('version: "1.0"\n');
  });
});
