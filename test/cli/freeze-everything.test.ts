import { describe, expect, test } from "vitest";
import { runCli } from "./run-cli.ts";
import { problemAnswer, startStubGate, type Answer } from "./stub-gate.ts";

const PATH = "/_gate/v1/deployment/freeze";
const SECRET = "stub-secret-0123456789abcdef";

/** A gate whose owner calls: the steps of a walk in order, the last one again and again. */
async function owned(...steps: readonly Answer[]) {
  const left = [...steps];
  const next = (): Answer => (left.length > 1 ? left.shift() : left[0]) ?? {};
  const gate = await startStubGate({ [`POST ${PATH}`]: next, [`DELETE ${PATH}`]: next, [`GET ${PATH}`]: next });
  return { gate, env: { PORTCULLIS_URL: gate.url, PORTCULLIS_BOOTSTRAP_SECRET: SECRET } };
}

const step = (over: object = {}): Answer => ({
  body: { frozen: true, changed: 2, unchanged: 1, failed: [], next_cursor: null, ...over },
});

describe("freeze --everything", () => {
  test("walks through all tenants with the deployment's secret, and says how it is lifted", async () => {
    const { gate, env } = await owned(step({ next_cursor: "7/tenant-b" }), step());
    const ran = await runCli(["freeze", "set", "--everything", "--reason", "breach"], { env });
    expect(ran.code).toBe(0);
    expect(ran.stdout).toContain("portcullis freeze lift --everything");
    expect(ran.stdout).toMatch(/tenants\s+6/);
    expect(gate.received).toMatchObject([
      { method: "POST", target: PATH, authorization: `Bearer ${SECRET}`, body: { reason: "breach" } },
      { method: "POST", target: `${PATH}?cursor=7%2Ftenant-b`, body: { reason: "breach" } },
    ]);
  });

  test("names the tenants that were not reached, and its exit code says that it has to be repeated", async () => {
    const { env } = await owned(step({ failed: ["globex"] }));
    const ran = await runCli(["freeze", "lift", "--everything"], { env });
    expect(ran.code).toBe(1);
    expect(ran.stdout).toContain("globex");
    expect(ran.stdout).toContain("Repeat the command");
    const json = await runCli(["freeze", "lift", "--everything", "--json"], { env });
    expect(JSON.parse(json.stdout)).toEqual({ frozen: false, changed: 2, unchanged: 1, failed: ["globex"] });
  });

  test("shows what was said last", async () => {
    const { env } = await owned({ body: { frozen: true, reason: "breach", since: "2026-11-20T08:00:00.000Z" } });
    expect((await runCli(["freeze", "list", "--everything"], { env })).stdout).toContain("breach");
  });

  test("needs the secret, takes no scope beside it, and says what the gate refuses", async () => {
    const { gate, env } = await owned(problemAnswer("already-decided", 409, "Already decided", { state: "lifted" }));
    const set = ["freeze", "set", "--everything", "--reason", "x"];
    expect((await runCli(set, { env: gate.env })).code).toBe(2);
    expect((await runCli([...set, "--scope", "tenant"], { env })).code).toBe(2);
    expect(gate.received).toEqual([]);
    const refused = await runCli(set, { env });
    expect(refused.code).toBe(1);
    expect(refused.stderr).toContain("already-decided");
  });
});
