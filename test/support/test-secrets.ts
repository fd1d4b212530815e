import { exportJWK, generateKeyPair } from "jose";

/** Secrets of one test run by the name of their binding. */
export type TestSecrets = Readonly<Record<string, string>> & { readonly UPSTREAM_SIGNING_KEY: string };

const random = (): string => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString("base64url");

/** Fresh secrets for one test run, in the form of the deployment's own (`wrangler.toml`, `[secrets]`). */
export async function testSecrets(): Promise<TestSecrets> {
  return {
    CREDENTIAL_KEY: random(),
    RECORD_PEPPER: random(),
    SEALING_KEY: random(),
    APPROVAL_KEY: await signingKey("approval-test"),
    CHECKPOINT_KEY: await signingKey("checkpoint-test"),
    UPSTREAM_SIGNING_KEY: random(),
    REDACTION_KEY: random(),
    BOOTSTRAP_SECRET: random(),
  };
}

async function signingKey(kid: string): Promise<string> {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true });
  return JSON.stringify({ ...(await exportJWK(privateKey)), kid });
}
