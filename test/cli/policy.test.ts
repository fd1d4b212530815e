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

const GATE = "/_gate/v1/policy";
const changes = (over: object = {}): object => ({
  against: 3,
  documents: ["policy"],
  caps: {
    daily: { before_usd: 500, before_micros: 5e8, after_usd: 600, after_micros: 6e8 },
    monthly: { before_usd: 10_000, before_micros: 1e10, after_usd: 10_000, after_micros: 1e10 },
  },
  activated_by: ["finance"],
  never_by: "person:operator",
  meaning: {
    widens: true,
    changes: [{ kind: "budget", widens: true, action: null, text: "daily cap: 500 → 600" }],
    more: 0,
  },
  ...over,
});

const gateWith = (number: number, answer: object, more = {}): Promise<StubGate> =>
  startStubGate({
    [`GET ${GATE}/versions/${number}/diff`]: { body: { version: number, changes: changes() } },
    [`POST ${GATE}/activate`]: { body: answer },
    ...more,
  });

describe("policy activate, rollback and schedule", () => {
  test("activate says what changes and who may, and asks for just that", async () => {
    const gate = await gateWith(4, { version: 4, active: true, at: null });
    const { stdout } = await runCli(["policy", "activate", "4", "--reason", "agreed"], { env: gate.env });
    expect(stdout).toContain("wider: daily cap: 500 → 600");
    expect(stdout).toContain("500.00 USD → 600.00 USD");
    expect(stdout).toContain("10000.00 USD as before");
    expect(stdout).toContain("finance, and not by person:operator, its author");
    expect(stdout).toMatch(/Version 4 is in force\.\n$/);
    expect(widest(stdout)).toBeLessThanOrEqual(80);
    expect(gate.received).toMatchObject([{}, { body: { version: 4, replaces: 3, reason: "agreed" } }]);
    expect((await runCli(["policy", "activate", "four"], { env: gate.env })).code).toBe(2);
    expect(gate.received).toHaveLength(2);
  });

  test("with --json the answer is the one document on stdout", async () => {
    const gate = await gateWith(4, { version: 4, active: true, at: null });
    const { stdout } = await runCli(["policy", "activate", "4", "--json"], { env: gate.env });
    expect(JSON.parse(stdout)).toEqual({ version: 4, active: true, at: null });
  });

  test("activate --at makes a schedule, which names no version that has to be in force", async () => {
    const gate = await gateWith(4, { version: 4, active: false });
    const at = "2026-12-01T08:00:00Z";
    const { stdout } = await runCli(["policy", "activate", "4", "--at", at], { env: gate.env });
    expect(flat(stdout)).toContain("Version 4 comes in force 2026-12-01 08:00Z, if you may still do it then.");
    expect(gate.received[1]?.body).toEqual({ version: 4, at });
  });

  test("rollback takes the version that was in force before this one, or the one that is named", async () => {
    const before = { [`GET ${GATE}/activations`]: { body: { records: [{ version: 3, previous: 2 }] } } };
    const gate = await gateWith(2, { version: 2, active: true }, before);
    expect((await runCli(["policy", "rollback"], { env: gate.env })).stdout).toContain("Version 2 is in force.");
    expect(gate.received.at(-1)).toMatchObject({ body: { version: 2, replaces: 3 } });
    const named = await gateWith(1, { version: 1, active: true });
    await runCli(["policy", "rollback", "--to", "1"], { env: named.env });
    expect(named.received.at(-1)).toMatchObject({ body: { version: 1 } });
    expect(named.received).toHaveLength(2);
  });

  test("rollback has nowhere to go from a tenant's first version", async () => {
    const gate = await startStubGate({
      [`GET ${GATE}/activations`]: { body: { records: [{ version: 1, previous: null }] } },
    });
    const ran = await runCli(["policy", "rollback"], { env: gate.env });
    expect(ran.code).toBe(1);
    expect(gate.received).toHaveLength(1);
  });

  test("schedules are listed and taken back", async () => {
    const record = {
      version: 4,
      at: "2026-12-01T08:00:00.000Z",
      by: "person:sam",
      reason: null,
      made_at: "2026-11-20T08:00:00.000Z",
    };
    const gate = await startStubGate({
      [`GET ${GATE}/schedules`]: { body: { records: [record], next_cursor: null } },
      [`DELETE ${GATE}/schedules/4`]: { body: { version: 4, cancelled: true } },
    });
    expect((await runCli(["policy", "schedule", "list"], { env: gate.env })).stdout).toMatch(
      /^2026-12-01 08:00Z +4 +person:sam, 2026-11-20 08:00Z +–/m,
    );
    const cancelled = await runCli(["policy", "schedule", "cancel", "4"], { env: gate.env });
    expect(flat(cancelled.stdout)).toContain("Version 4 does not come in force by itself any more.");
  });
});

describe("policy versions, show and history", () => {
  test("versions says which one is in force, which is to come, which waits and which were replaced", async () => {
    const records = [
      version(4, { activated_by: null, activated_at: null }),
      version(3, { activated_by: null, activated_at: null }),
      version(2, {}),
      version(1, { git_commit: null }),
    ];
    const gate = await startStubGate({
      [`GET ${GATE}/versions`]: { body: { records, next_cursor: null } },
      [`GET ${GATE}/schedules`]: { body: { records: [{ version: 4, at: "2026-12-01T08:00:00.000Z" }] } },
      [`GET ${GATE}`]: { body: { version: 2, policy: 'version: "1.0"\n', digests: {} } },
    });
    const { stdout } = await runCli(["policy", "versions"], { env: gate.env });
    expect(stdout).toMatch(/^4 +from/m);
    expect(stdout).toMatch(/^3 +waiting/m);
    expect(stdout).toMatch(/^2 +in force/m);
    expect(stdout).toMatch(/^1 +replaced/m);
    expect(widest(stdout)).toBeLessThanOrEqual(80);
    expect((await runCli(["policy", "show"], { env: gate.env })).stdout).toBe('version: "1.0"\n');
  });

  test("show prints any document of any version, or what the version changes", async () => {
    const documents = { policy: "a policy\n", people: "people\n", catalogue: null, prices: null };
    const gate = await startStubGate({
      [`GET ${GATE}/versions/3`]: { body: { version: 3, documents } },
      [`GET ${GATE}/versions/3/diff`]: { body: { version: 3, changes: changes({ against: 2 }) } },
    });
    expect((await runCli(["policy", "show", "3"], { env: gate.env })).stdout).toBe("a policy\n");
    expect((await runCli(["policy", "show", "3", "--document", "people"], { env: gate.env })).stdout).toBe("people\n");
    expect((await runCli(["policy", "show", "3", "--against"], { env: gate.env })).stdout).toContain("version 2");
    await runCli(["policy", "show", "3", "--against", "2"], { env: gate.env });
    expect(gate.received.at(-1)?.target).toContain("against=2");
    expect((await runCli(["policy", "show", "x"], { env: gate.env })).code).toBe(2);
  });

  test("history says what was in force since when, and why", async () => {
    const record = {
      version: 2,
      previous: 1,
      by: "person:sam",
      at: "2026-11-20T08:00:00.000Z",
      how: "scheduled",
      reason: "launch",
    };
    const gate = await startStubGate({
      [`GET ${GATE}/activations`]: { body: { records: [record], next_cursor: null } },
    });
    expect((await runCli(["policy", "history"], { env: gate.env })).stdout).toMatch(
      /^2026-11-20 08:00Z +2 +1 +person:sam, scheduled +launch/m,
    );
  });
});
