import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { readDemo } from "./demo-file.ts";
import { randomSecret, writePrivate } from "./secrets-file.ts";
import type { Upstream } from "./settings.ts";

/** Everything that the start ever makes in the state folder. `FRESH=1` removes these and touches nothing else. */
const MADE_HERE = [
  "state",
  "wrangler",
  "secrets.env",
  "example-tokens.json",
  "setup.json",
  "demo.json",
  "gate.log",
  "gate.pid",
];

const SETUP = z.strictObject({ upstream: z.string(), seeding: z.boolean() });

/**
 * Makes the state folder ready. Removes what an interrupted first run left: its keys were shown to nobody, and a tenant
 * is bootstrapped once. Throws when the folder was made for another upstream.
 */
export function openStateFolder(stateDir: string, upstream: Upstream, fresh: boolean): void {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  if (fresh) clear(stateDir);
  const setup = readSetup(stateDir);
  if (setup === null) return writeSetup(stateDir, upstream, false);
  if (setup.upstream !== describe(upstream)) {
    throw new Error(`${stateDir} was made for ${setup.upstream}: use FRESH=1, or another STATE_DIR`);
  }
  if (setup.seeding && readDemo(stateDir) === null) {
    clear(stateDir);
    writeSetup(stateDir, upstream, false);
  }
}

/** Notes that the first run begins (`true`) or has finished (`false`) to make tenants. */
export const noteSeeding = (stateDir: string, upstream: Upstream, seeding: boolean): void =>
  writeSetup(stateDir, upstream, seeding);

const TOKENS = z.strictObject({ acme: z.string().min(32), globex: z.string().min(32) });

/** The example control plane's credential of each demo tenant. */
export type ExampleTokens = z.infer<typeof TOKENS>;

/** The example control plane's credentials, made once. */
export function keepExampleTokens(stateDir: string): ExampleTokens {
  const file = join(stateDir, "example-tokens.json");
  if (existsSync(file)) return TOKENS.parse(JSON.parse(readFileSync(file, "utf8")));
  const made = { acme: randomSecret(), globex: randomSecret() };
  writePrivate(file, `${JSON.stringify(made, null, 2)}\n`);
  return made;
}

function readSetup(stateDir: string): z.infer<typeof SETUP> | null {
  const file = join(stateDir, "setup.json");
  return existsSync(file) ? SETUP.parse(JSON.parse(readFileSync(file, "utf8"))) : null;
}

const writeSetup = (stateDir: string, upstream: Upstream, seeding: boolean): void =>
  writePrivate(join(stateDir, "setup.json"), `${JSON.stringify({ upstream: describe(upstream), seeding })}\n`);

const describe = (upstream: Upstream): string =>
  upstream.kind === "example"
    ? "the example control plane"
    : `catalogue ${upstream.catalogue}, policy ${upstream.policy ?? "of each tenant"}`;

function clear(stateDir: string): void {
  for (const name of MADE_HERE) rmSync(join(stateDir, name), { recursive: true, force: true });
}
