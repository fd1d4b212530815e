import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { runAtTerminal } from "./fake-terminal.ts";
import { flat, jsonOf, runCli, scratchFile, scratchFolder, widest } from "./run-cli.ts";
import { problemAnswer, startStubGate } from "./stub-gate.ts";

const SECRET = "made-key-shown-once";
const MADE = { key_id: "key_1", key: SECRET, expires_at: "2027-02-18T00:00:00.000Z" };
const CREATE = ["credentials", "create", "--subject", "agent:x", "--class", "agent"];
const gateThatMints = () => startStubGate({ "POST /_gate/v1/credentials": { status: 201, body: MADE } });

describe("a secret that exists once is shown once, and only where somebody gets it", () => {
  test("--out writes it to a new file that its owner alone can read, and nowhere else", async () => {
    const gate = await gateThatMints();
    const file = join(scratchFolder(), "agent.key");
    for (const [index, more] of [[], ["--json"]].entries()) {
      const ran = await runCli([...CREATE, "--out", `${file}${index}`, ...more], { env: gate.env });
      expect(ran.code).toBe(0);
      expect(ran.stdout + ran.stderr).not.toContain(SECRET);
      expect(readFileSync(`${file}${index}`, "utf8")).toBe(`${SECRET}\n`);
      expect(statSync(`${file}${index}`).mode & 0o777).toBe(0o600);
    }
  });

  test("--json prints the gate's answer, key and all", async () => {
    const gate = await gateThatMints();
    expect(jsonOf(await runCli([...CREATE, "--json"], { env: gate.env }))).toEqual(MADE);
  });

  test("a person at a terminal sees it on a line of its own", async () => {
    const gate = await gateThatMints();
    const ran = await runAtTerminal(CREATE, { env: gate.env });
    expect(ran.code).toBe(0);
    expect(ran.stdout.split("\n").filter((line) => line === SECRET)).toHaveLength(1);
    expect(flat(ran.stderr)).not.toContain(SECRET);
  });

  test("into a pipe without --json none is made at all", async () => {
    const gate = await gateThatMints();
    const ran = await runCli(CREATE, { env: gate.env });
    expect(ran).toMatchObject({ code: 2, stdout: "" });
    expect(flat(ran.stderr)).toContain("--out");
    expect(gate.received).toEqual([]);
  });

  test("a file that exists is never written over, and nothing is minted", async () => {
    const gate = await gateThatMints();
    const file = scratchFile("other.key", "somebody's key");
    const ran = await runCli([...CREATE, "--out", file], { env: gate.env });
    expect(ran.code).toBe(2);
    expect(readFileSync(file, "utf8")).toBe("somebody's key");
    expect(gate.received).toEqual([]);
  });

  test("a refusal leaves no empty file behind", async () => {
    const gate = await startStubGate({
      "POST /_gate/v1/credentials": problemAnswer("not-eligible", 403, "No", { reason: "Role finance has holders." }),
    });
    const file = join(scratchFolder(), "agent.key");
    expect((await runCli([...CREATE, "--out", file], { env: gate.env })).code).toBe(1);
    expect(existsSync(file)).toBe(false);
  });
});

describe("credentials create", () => {
  test("sends what was given and leaves the rest to the gate", async () => {
    const gate = await gateThatMints();
    await runCli([...CREATE, "--json"], { env: gate.env });
    const all = ["--owner", "person:dana", "--actions", "workloads.submit, gpus.*", "--max-tier", "3"];
    const roles = ["--role", "billing", "--role", "finance", "--expires-in-days", "30", "--demo"];
    await runCli([...CREATE, ...all, ...roles, "--json"], { env: gate.env });
    expect(gate.received.map(({ body }) => body)).toEqual([
      { subject: "agent:x", class: "agent" },
      {
        subject: "agent:x",
        class: "agent",
        owner: "person:dana",
        actions: ["workloads.submit", "gpus.*"],
        max_tier: 3,
        roles: ["billing", "finance"],
        expires_in_days: 30,
        demo: true,
      },
    ]);
  });

  test.each([
    ["a tier that no key reaches", ["--max-tier", "5"], "--max-tier"],
    ["a tier in other digits", ["--max-tier", "1e0"], "--max-tier"],
    ["an unknown role", ["--role", "admin"], "--role"],
    ["a key for ever", ["--expires-in-days", "0"], "--expires-in-days"],
    ["an unknown class", ["--class", "robot"], "--class"],
  ])("%s is a usage error", async (_, more, option) => {
    const gate = await gateThatMints();
    const ran = await runCli([...CREATE, ...more, "--json"], { env: gate.env });
    expect(ran.code).toBe(2);
    expect(ran.stdout).toContain(option);
    expect(gate.received).toEqual([]);
  });
});

const row = (changes: object): object => ({
  key_id: "key_00000000000000000000000000",
  subject: "agent:trainer",
  class: "agent",
  owner: "person:dana",
  issuer: "person:operator",
  scopes: { actions: ["workloads.*", "gpus.status"], max_tier: 3 },
  roles: [],
  last4: "abcd",
  demo: false,
  created_at: "2026-11-01T00:00:00.000Z",
  expires_at: "2099-01-01T00:00:00.000Z",
  revoked_at: null,
  ...changes,
});

describe("credentials list and revoke", () => {
  test("the list fits 80 columns, keeps ids whole and tells living keys from dead ones", async () => {
    const records = [
      row({}),
      row({ revoked_at: "2026-11-19T00:00:00.000Z" }),
      row({ expires_at: "2020-01-01T00:00:00.000Z" }),
    ];
    const gate = await startStubGate({ "GET /_gate/v1/credentials": { body: { records, next_cursor: null } } });
    const ran = await runCli(["credentials", "list"], { env: gate.env });
    expect(ran.code).toBe(0);
    expect(ran.stdout.match(/key_00000000000000000000000000/g)).toHaveLength(3);
    const words = flat(ran.stdout);
    for (const part of ["ends in", "revoked", "expired"]) expect(words).toContain(part);
    expect(widest(ran.stdout)).toBeLessThanOrEqual(80);
  });

  test("revoke names the key", async () => {
    const gate = await startStubGate({
      "DELETE /_gate/v1/credentials/key_1": { body: { revoked: true, key_id: "key_1" } },
    });
    expect((await runCli(["credentials", "revoke", "key_1"], { env: gate.env })).stdout).toBe("key_1 is revoked.\n");
    expect((await runCli(["credentials", "revoke", "key_2"], { env: gate.env })).code).toBe(1);
  });
});

const founder = (role: string): object => ({ key: `${SECRET}-${role}`, key_id: `key_${role}` });

describe("bootstrap", () => {
  const DOCUMENTS = {
    policy: "policies/tenants/acme.yaml",
    people: "policies/tenants/acme.people.yaml",
    catalogue: "policies/catalogues/example.yaml",
    prices: "policies/prices/example.yaml",
  };
  const answer = {
    tenant: "new",
    operator: founder("operator"),
    security: founder("security"),
    finance: founder("finance"),
    warnings: [{ message: "look here" }],
  };
  const args = (credential: string): readonly string[] => [
    "bootstrap",
    "--tenant=new",
    "--operator=person:olga",
    "--security=person:sam",
    "--finance=person:fay",
    `--upstream-credential=${credential}`,
    ...Object.entries(DOCUMENTS).flatMap(([name, file]) => [`--${name}`, file]),
  ];

  test("reads the secret from the environment and hands each key over once, in a file of its own", async () => {
    const gate = await startStubGate({ "POST /_gate/v1/bootstrap": { status: 201, body: answer } });
    const credential = scratchFile("upstream.json", '{"token":"t"}');
    const out = scratchFolder();
    const env = { PORTCULLIS_URL: gate.url, PORTCULLIS_BOOTSTRAP_SECRET: "the-bootstrap-secret" };
    const ran = await runCli([...args(credential), "--out", out], { env });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain("Remove BOOTSTRAP_SECRET");
    expect(ran.stdout).toContain("look here");
    expect(ran.stdout + ran.stderr).not.toContain(SECRET);
    for (const role of ["operator", "security", "finance"]) {
      expect(readFileSync(join(out, `new-${role}.key`), "utf8")).toBe(`${SECRET}-${role}\n`);
      expect(statSync(join(out, `new-${role}.key`)).mode & 0o777).toBe(0o600);
    }
    expect(gate.received).toMatchObject([
      {
        authorization: "Bearer the-bootstrap-secret",
        body: {
          tenant: "new",
          operator: { subject: "person:olga" },
          security: { subject: "person:sam" },
          finance: { subject: "person:fay" },
          upstream_credential: { token: "t" },
          demo: false,
        },
      },
    ]);
  });

  test("with one of the files taken, nothing is made and no file is left", async () => {
    const gate = await startStubGate({ "POST /_gate/v1/bootstrap": { status: 201, body: answer } });
    const credential = scratchFile("upstream.json", '{"token":"t"}');
    const taken = scratchFile("new-finance.key", "somebody's key");
    const env = { PORTCULLIS_URL: gate.url, PORTCULLIS_BOOTSTRAP_SECRET: "the-bootstrap-secret" };
    const ran = await runCli([...args(credential), "--out", dirname(taken)], { env });
    expect(ran.code).toBe(2);
    expect(readdirSync(dirname(taken))).toEqual(["new-finance.key"]);
    expect(gate.received).toEqual([]);
  });

  test("the secret's absence and a malformed credential are told without their text", async () => {
    const credential = scratchFile("upstream.json", '{"token":"half-a-sec');
    const without = await runCli(args(credential));
    expect(without.code).toBe(2);
    expect(flat(without.stderr)).toContain("PORTCULLIS_BOOTSTRAP_SECRET is not set");
    const malformed = await runCli(args(credential), { env: { PORTCULLIS_BOOTSTRAP_SECRET: "s" } });
    expect(malformed.code).toBe(2);
    expect(flat(malformed.stderr)).not.toContain("half-a-sec");
  });
});
