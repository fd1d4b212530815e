import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseEnv } from "node:util";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { z } from "zod";
import { startGate, type RunningGate } from "../../example/start/running-gate.ts";
import type { Demo } from "../../example/start/demo-file.ts";
import { jsonOf, ROOT, runCli, type Ran } from "../cli/run-cli.ts";

type Name = keyof Demo["tenants"]["acme"];

const CONTEXT = {
  "gate-reason": "train the 7B model before the review",
  "gate-evidence": "loss still falls%0Astep 2000: 2.12",
  "gate-back-out": "cancel the workload",
};
const job = (name: string): object => ({
  name,
  image: "repo/train:1",
  job_type: "elastic",
  gpus: 8,
  gpu_type: "H100",
  max_hours: 2,
});
const POLICY = "policies/tenants/acme.yaml";

let stateDir: string;
let running: RunningGate;

beforeAll(async () => {
  stateDir = mkdtempSync(join(tmpdir(), "portcullis-cli-live-"));
  running = await startGate({ port: 0, upstreamPort: 0, stateDir });
});
afterAll(async () => {
  await running.stop();
  rmSync(stateDir, { recursive: true, force: true });
});

/** Runs the command as one of acme's people or agents. */
const as = (who: Name, ...args: readonly string[]): Promise<Ran> =>
  runCli(args, { env: { PORTCULLIS_URL: running.gate, PORTCULLIS_KEY: running.demo.tenants.acme[who] } });

const problem = z.object({ slug: z.string(), approval: z.object({ id: z.string() }).optional() });

/** The agent's own request, which the command has no part in. */
async function submit(name: string): Promise<{ readonly status: number; readonly body: unknown }> {
  const response = await fetch(`${running.gate}/v1/workloads`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${running.demo.tenants.acme.agent}`,
      "content-type": "application/json",
      ...CONTEXT,
    },
    body: JSON.stringify(job(name)),
  });
  return { status: response.status, body: await response.json() };
}

async function openProposal(name: string): Promise<string> {
  const { status, body } = await submit(name);
  expect(status).toBe(428);
  const { slug, approval } = problem.parse(body);
  expect(slug).toBe("approval-required");
  return approval?.id ?? "";
}

describe("an approval from the command line", () => {
  test("refused, listed, approved by alice, then the identical request runs", async () => {
    const id = await openProposal("approved-job");
    const listed = await as("alice", "approvals", "list");
    expect(listed.code).toBe(0);
    expect(listed.stdout).toContain(id);
    const approved = await as(
      "alice",
      "approvals",
      "approve",
      id,
      "--confirm",
      "workloads.submit",
      "--comment",
      "fits",
    );
    expect(approved).toMatchObject({ code: 0, stderr: "" });
    expect(approved.stdout).toContain("step 2000: 2.12");
    expect(approved.stdout).toContain(`Proposal ${id} is approved: 1 of 1 approvals.`);
    expect((await submit("approved-job")).status).toBe(201);
    const shown = jsonOf(await as("agent", "approvals", "show", id, "--json"));
    expect(shown).toMatchObject({ state: "consumed", decisions: [{ subject: "person:alice", comment: "fits" }] });
  });

  test("nobody but alice is alice: not the operator, not with a key that the operator mints in her name, not the agent", async () => {
    const id = await openProposal("contested-job");
    const approve = ["approvals", "approve", id, "--confirm", "workloads.submit"];
    const operator = await as("operator", ...approve);
    expect(operator.code).toBe(1);
    expect(operator.stderr).toContain("not-eligible");

    const keyFile = join(stateDir, "in-the-name-of-alice");
    const minted = await as(
      "operator",
      "credentials",
      "create",
      "--subject",
      "person:alice",
      "--class",
      "person",
      "--out",
      keyFile,
    );
    expect(minted.code).toBe(0);
    const forged = await runCli([...approve, "--key-file", keyFile], { env: { PORTCULLIS_URL: running.gate } });
    expect(forged.code).toBe(1);
    expect(forged.stderr).toContain("not-eligible");

    expect((await as("agent", ...approve)).code).toBe(1);
    expect(jsonOf(await as("alice", "approvals", "show", id, "--json"))).toMatchObject({ state: "pending", given: 0 });
    expect((await as("bob", "approvals", "deny", id, "--comment", "not now")).code).toBe(0);
    expect((await as("alice", ...approve)).stderr).toContain("already-decided");
    expect((await submit("contested-job")).status).toBe(403);
  });
});

describe("documents from the command line", () => {
  test("the operator pushes, cannot activate alone, and a second person does", async () => {
    const file = join(stateDir, "acme.yaml");
    const text = readFileSync(join(ROOT, POLICY), "utf8");
    writeFileSync(file, text.replace("daily_limit_usd: 500", "daily_limit_usd: 400"));
    const pushed = await as("operator", "policy", "push", "--policy", file, "--reason", "smaller days");
    expect(pushed.code).toBe(0);
    expect(pushed.stdout).toContain("Version 2 is stored and not in force yet.");
    expect((await as("operator", "policy", "activate", "2")).code).toBe(1);
    expect((await as("security", "policy", "activate", "2")).code).toBe(0);
    expect((await as("agent", "budget", "show")).stdout).toMatch(/ 400\.00 /);
    expect((await as("operator", "policy", "versions")).stdout).toMatch(/^2 +in force/m);
  });

  test("a document that does not compile is refused with its place, as policy check had said", async () => {
    const file = join(stateDir, "broken.yaml");
    writeFileSync(file, readFileSync(join(ROOT, POLICY), "utf8").replace("workloads.list", "workloads.lst"));
    const pushed = await as("operator", "policy", "push", "--policy", file, "--reason", "a slip");
    expect(pushed.code).toBe(1);
    expect(pushed.stderr).toContain("line 7, column 7");
    const checked = await runCli(["policy", "check", file, "--people", "policies/tenants/acme.people.yaml"]);
    expect(checked.stdout).toContain(`${file}:7:7: error`);
  });
});

describe("operating from the command line", () => {
  test("a key is listed until it is revoked, and does nothing afterwards", async () => {
    const made = await as(
      "operator",
      "credentials",
      "create",
      "--subject",
      "agent:extra",
      "--class",
      "agent",
      "--owner",
      "person:dana",
      "--json",
    );
    const { key, key_id: id } = z.object({ key: z.string(), key_id: z.string() }).parse(jsonOf(made));
    const env = { PORTCULLIS_URL: running.gate, PORTCULLIS_KEY: key };
    expect((await runCli(["whoami"], { env })).stdout).toContain("agent:extra");
    expect((await as("operator", "credentials", "list")).stdout).toContain(id);
    expect((await as("operator", "credentials", "revoke", id)).code).toBe(0);
    const after = await runCli(["whoami"], { env });
    expect(after.code).toBe(1);
    expect(after.stderr).toContain("unauthenticated");
  });

  test("a freeze stops writes until it is lifted, and the audit says who did both", async () => {
    expect((await as("operator", "freeze", "set", "--reason", "drill")).code).toBe(0);
    expect(problem.parse((await submit("frozen-job")).body).slug).toBe("frozen");
    expect((await as("agent", "freeze", "list")).stdout).toContain("drill");
    expect((await as("operator", "freeze", "lift")).code).toBe(0);
    // Not frozen any more; whether it may propose so soon after the denial above is another question.
    expect(problem.parse((await submit("frozen-job")).body).slug).not.toBe("frozen");
    await expect
      .poll(async () => (await as("security", "audit", "list", "--principal", "person:operator", "--json")).stdout, {
        timeout: 20_000,
      })
      .toMatch(/"unfrozen"/);
  });

  test("a new tenant starts with the bootstrap secret, once, and doctor says that the secret is still set", async () => {
    const { BOOTSTRAP_SECRET: secret = "" } = parseEnv(readFileSync(join(stateDir, "secrets.env"), "utf8"));
    const credential = join(stateDir, "upstream.json");
    writeFileSync(credential, '{"token":"unused"}', { mode: 0o600 });
    const people = ["--operator", "person:olga", "--security", "person:sam", "--finance", "person:fay"];
    const documents = ["--policy", POLICY, "--people", "policies/tenants/acme.people.yaml"];
    const more = ["--catalogue", "policies/catalogues/example.yaml", "--prices", "policies/prices/example.yaml"];
    const args = [
      "bootstrap",
      "--tenant",
      "initech",
      "--upstream-credential",
      credential,
      ...people,
      ...documents,
      ...more,
    ];
    const env = { PORTCULLIS_URL: running.gate, PORTCULLIS_BOOTSTRAP_SECRET: secret };
    expect((await runCli([...args, "--out", stateDir], { env })).code).toBe(0);
    const self = await runCli(["whoami", "--key-file", join(stateDir, "initech-finance.key"), "--json"], { env });
    expect(jsonOf(self)).toMatchObject({ principal: "person:fay", tenant: "initech", roles: ["finance"] });
    const again = await runCli([...args, "--json"], { env });
    expect(jsonOf(again)).toMatchObject({ error: { problem: { slug: "already-decided" } } });
    const doctor = await as("operator", "doctor");
    expect(doctor.code).toBe(0);
    expect(doctor.stdout).toMatch(/^bootstrap secret +warning/m);
  });
});
