import { generateKeyPairSync, randomBytes } from "node:crypto";
import { chmodSync, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { parseEnv } from "node:util";

/** Secrets of 32 random bytes, base64url. */
const RANDOM = [
  "CREDENTIAL_KEY",
  "RECORD_PEPPER",
  "SEALING_KEY",
  "UPSTREAM_SIGNING_KEY",
  "REDACTION_KEY",
  "BOOTSTRAP_SECRET",
] as const;
const NAMES = [...RANDOM, "APPROVAL_KEY", "CHECKPOINT_KEY"] as const;

/** The gate's secrets by name. */
export type Secrets = Readonly<Record<(typeof NAMES)[number], string>>;

/** A secret of 32 random bytes, base64url. */
export const randomSecret = (): string => randomBytes(32).toString("base64url");

/**
 * Returns the secrets of `file`, making those that it does not have, and writes it back with the variables `vars`.
 * Secrets are made once: a changed one would void every credential and record sealed with it. Mode 0600.
 */
export function keepSecrets(file: string, vars: Readonly<Record<string, string>>): Secrets {
  const known = existsSync(file) ? parseEnv(readFileSync(file, "utf8")) : {};
  const secret = (name: (typeof RANDOM)[number]): string => known[name] ?? randomSecret();
  const secrets: Secrets = {
    CREDENTIAL_KEY: secret("CREDENTIAL_KEY"),
    RECORD_PEPPER: secret("RECORD_PEPPER"),
    SEALING_KEY: secret("SEALING_KEY"),
    UPSTREAM_SIGNING_KEY: secret("UPSTREAM_SIGNING_KEY"),
    REDACTION_KEY: secret("REDACTION_KEY"),
    BOOTSTRAP_SECRET: secret("BOOTSTRAP_SECRET"),
    APPROVAL_KEY: known["APPROVAL_KEY"] ?? signingKey("approval"),
    CHECKPOINT_KEY: known["CHECKPOINT_KEY"] ?? signingKey("checkpoint"),
  };
  writePrivate(file, envText({ ...secrets, ...vars }));
  return secrets;
}

/** Writes a file that only its owner can read, whole or not at all. */
export function writePrivate(file: string, text: string): void {
  const temporary = `${file}.new`;
  writeFileSync(temporary, text, { mode: 0o600 });
  chmodSync(temporary, 0o600);
  renameSync(temporary, file);
}

/** An Ed25519 private key as JWK with a key id (RFC 8037). */
function signingKey(purpose: string): string {
  const { privateKey } = generateKeyPairSync("ed25519");
  return JSON.stringify({
    ...privateKey.export({ format: "jwk" }),
    kid: `${purpose}-${randomBytes(4).toString("hex")}`,
  });
}

/** Single quotes keep JSON as it is; neither base64url nor the JSON written here contains one. */
const envText = (values: Readonly<Record<string, string>>): string =>
  Object.entries(values)
    .map(([name, value]) => `${name}='${value}'\n`)
    .join("");
