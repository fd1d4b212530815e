import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { z } from "zod";
import { err, ok } from "../../src/platform/result.ts";
import type { Result } from "../../src/platform/result.ts";

/** What stands behind the gate: the example control plane that is started beside it, or something that runs already. */
export type Upstream =
  | { readonly kind: "example" }
  | {
      readonly kind: "external";
      readonly url: string;
      /** File name under `policies/catalogues/`, without `.yaml`. */
      readonly catalogue: string;
      /** File name under `policies/tenants/` that both demo tenants get, without `.yaml`; null for each tenant's own. */
      readonly policy: string | null;
      readonly credential: Readonly<Record<string, string>>;
    };

export type Settings = {
  readonly port: number;
  readonly upstreamPort: number;
  readonly stateDir: string;
  readonly fresh: boolean;
  readonly upstream: Upstream;
};

const PORT = z
  .string()
  .regex(/^[1-9][0-9]{0,4}$/, "must be a port number")
  .transform(Number)
  .refine((port) => port <= 65_535, "must be a port number");
const FILE_NAME = z.string().regex(/^[a-z0-9][a-z0-9._-]*$/, "must be a file name without a folder and without .yaml");
const CREDENTIAL = z.record(z.string().min(1), z.string().min(1));

const ENVIRONMENT = z.object({
  PORT: PORT.default(8_787),
  UPSTREAM_PORT: PORT.default(8_788),
  STATE_DIR: z.string().min(1).default(".portcullis"),
  FRESH: z.enum(["0", "1"], { error: "must be 0 or 1" }).default("0"),
  UPSTREAM_URL: z.url({ protocol: /^https?$/, error: "must be an http or https address" }).optional(),
  CATALOGUE: FILE_NAME.optional(),
  TENANT_POLICY: FILE_NAME.optional(),
  UPSTREAM_CREDENTIAL: z.string().optional(),
  UPSTREAM_CREDENTIAL_FILE: z.string().optional(),
});

/** Reads the environment of `npm start`. An empty variable counts as unset. The error names every variable at fault. */
export function readSettings(env: Readonly<Record<string, string | undefined>>): Result<Settings, string> {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ""));
  const parsed = ENVIRONMENT.safeParse(set);
  if (!parsed.success) {
    return err(parsed.error.issues.map(({ path, message }) => `${path.join(".")} ${message}`).join("; "));
  }
  const { PORT: port, UPSTREAM_PORT: upstreamPort } = parsed.data;
  if (port === upstreamPort) return err("PORT and UPSTREAM_PORT must differ");
  const upstream = readUpstream(parsed.data);
  if (!upstream.ok) return upstream;
  const stateDir = resolve(parsed.data.STATE_DIR);
  return ok({ port, upstreamPort, stateDir, fresh: parsed.data.FRESH === "1", upstream: upstream.value });
}

function readUpstream(env: z.infer<typeof ENVIRONMENT>): Result<Upstream, string> {
  const { UPSTREAM_URL: url, CATALOGUE: catalogue = "example" } = env;
  if (url === undefined) {
    return env.CATALOGUE === undefined
      ? ok({ kind: "example" })
      : err("CATALOGUE needs UPSTREAM_URL: the address of the control plane that it describes");
  }
  const { origin, pathname } = new URL(url);
  if (pathname !== "/") return err("UPSTREAM_URL must be an origin: scheme, host and port, no path");
  const credential = readCredential(env);
  if (!credential.ok) return credential;
  // The Slurm lab has a policy of its own; other control planes say which one suits them.
  const policy = env.TENANT_POLICY ?? (catalogue.startsWith("slurm-") ? "slurm-lab" : null);
  if (policy === null && catalogue !== "example") {
    return err(`TENANT_POLICY must name a file of policies/tenants/ that fits the catalogue ${catalogue}`);
  }
  return ok({ kind: "external", url: origin, catalogue, policy, credential: credential.value });
}

function readCredential(env: z.infer<typeof ENVIRONMENT>): Result<Readonly<Record<string, string>>, string> {
  const { UPSTREAM_CREDENTIAL: inline, UPSTREAM_CREDENTIAL_FILE: file } = env;
  const example = '{"user":"games","token":"…"}';
  if (inline === undefined && file === undefined) {
    return err(`UPSTREAM_URL needs UPSTREAM_CREDENTIAL (JSON such as ${example}) or UPSTREAM_CREDENTIAL_FILE`);
  }
  const name = inline === undefined ? "UPSTREAM_CREDENTIAL_FILE" : "UPSTREAM_CREDENTIAL";
  try {
    const parsed = CREDENTIAL.safeParse(JSON.parse(inline ?? readFileSync(file ?? "", "utf8")));
    return parsed.success ? ok(parsed.data) : err(`${name} must be a JSON object of strings such as ${example}`);
  } catch (error) {
    // The text may be a secret: only the kind of mistake is said.
    return err(`${name} cannot be read: ${error instanceof SyntaxError ? "not JSON" : "no such file"}`);
  }
}
