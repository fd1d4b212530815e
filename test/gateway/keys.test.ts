import { expect, test } from "vitest";
import { readConfig, type Config } from "../../src/config.ts";
import { readKeys } from "../../src/gateway/keys.ts";
import { testSecrets } from "../support/test-secrets.ts";

/** The configuration with these secrets. Nothing here is asked for a binding. */
async function configOf(over: Readonly<Record<string, string>> = {}): Promise<Config> {
  const variables: unknown = { ENVIRONMENT: "test", UPSTREAMS: "{}", ...(await testSecrets()), ...over };
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- readConfig judges whatever it is given
  const read = readConfig(variables as Parameters<typeof readConfig>[0]);
  if (!read.ok) throw new Error(read.error.join("; "));
  return read.value;
}

test("every secret is read for its own purpose", async () => {
  const read = await readKeys(await configOf());
  expect(read.ok && [read.value.approval.kid, read.value.checkpoint.kid]).toEqual(["approval-test", "checkpoint-test"]);
});

test("one key does not sign both approvals and checkpoints, whatever it is called", async () => {
  const { approvalKey } = await configOf();
  const renamed = JSON.stringify({ ...JSON.parse(approvalKey), kid: "checkpoint-1" });
  const read = await readKeys(await configOf({ APPROVAL_KEY: approvalKey, CHECKPOINT_KEY: renamed }));
  expect(read).toEqual({ ok: false, error: ["CHECKPOINT_KEY must be another key than APPROVAL_KEY"] });
});

test("all bad secrets are named at once, and none is quoted", async () => {
  const read = await readKeys(await configOf({ CHECKPOINT_KEY: '{"d":"quoted"}', RECORD_PEPPER: "a".repeat(43) }));
  expect(read).toEqual({
    ok: false,
    error: [expect.stringContaining("RECORD_PEPPER"), "CHECKPOINT_KEY must be a private Ed25519 JWK"],
  });
});
