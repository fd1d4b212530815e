import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { flat, runCli, scratchFolder } from "./run-cli.ts";
import { startStubGate } from "./stub-gate.ts";

const DIGEST = `sha256:${"a".repeat(64)}`;
const waiting = {
  id: "staff",
  issuer: "https://idp.example.com",
  state: "waiting",
  digest: DIGEST,
  asked_by: "deployment",
  asked_at: "2026-11-20T08:00:00.000Z",
  registration: {},
};

test("issuers are asked for with the deployment's secret, looked at, confirmed by their digest, and removed", async () => {
  const gate = await startStubGate({
    "POST /_gate/v1/issuers": { status: 202, body: { registered: false, ...waiting } },
    "GET /_gate/v1/issuers": { body: { records: [waiting], next_cursor: null } },
    "POST /_gate/v1/issuers/staff/confirm": { body: { registered: true, id: "staff" } },
    "DELETE /_gate/v1/issuers/staff": { body: { id: "staff", removed: true } },
  });
  const folder = scratchFolder();
  writeFileSync(join(folder, "staff.json"), '{"id":"staff"}');
  const secret = { ...gate.env, PORTCULLIS_BOOTSTRAP_SECRET: "deployment-secret" };
  const asked = await runCli(["issuers", "add", "staff.json"], { env: secret, cwd: folder });
  expect(flat(asked.stdout)).toContain(`portcullis issuers confirm staff ${DIGEST}`);
  expect(gate.received[0]).toMatchObject({ authorization: "Bearer deployment-secret", body: { id: "staff" } });
  expect((await runCli(["issuers", "list"], { env: gate.env })).stdout).toMatch(/^staff +waiting/m);
  expect((await runCli(["issuers", "confirm", "staff", DIGEST], { env: gate.env })).stdout).toContain("is registered");
  expect(gate.received.at(-1)?.body).toEqual({ digest: DIGEST });
  expect((await runCli(["issuers", "remove", "staff"], { env: gate.env })).stdout).toContain("staff is removed.");
});

test("the other kinds have their own places; without the deployment's secret nothing is asked for", async () => {
  const gate = await startStubGate({
    "DELETE /_gate/v1/sign-in": { body: { id: "sign-in", removed: true } },
    "DELETE /_gate/v1/approval-issuers/bot": { body: { id: "bot", removed: true } },
  });
  expect((await runCli(["issuers", "remove", "sign-in", "--kind", "sign-in"], { env: gate.env })).code).toBe(0);
  expect((await runCli(["issuers", "remove", "bot", "--kind", "approval"], { env: gate.env })).code).toBe(0);
  const before = gate.received.length;
  expect((await runCli(["issuers", "add", "staff.json"], { env: gate.env })).code).toBe(2);
  expect(gate.received).toHaveLength(before);
});
