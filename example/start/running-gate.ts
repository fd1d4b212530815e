import { existsSync, readFileSync } from "node:fs";
import { startControlPlane } from "../control-plane/server.ts";
import type { ControlPlane } from "../control-plane/server.ts";
import { DEMO_TENANTS, readDemo, writeDemo } from "./demo-file.ts";
import type { Demo, DemoTenant } from "./demo-file.ts";
import { controlPlaneOf, readDocuments } from "./documents.ts";
import { startGateProcess } from "./gate-process.ts";
import type { GateProcess } from "./gate-process.ts";
import { applyMigrations } from "./migrations.ts";
import { HOST, freePort, isFree } from "./ports.ts";
import { keepSecrets } from "./secrets-file.ts";
import type { Secrets } from "./secrets-file.ts";
import { seedTenant } from "./seed.ts";
import type { TenantKeys } from "./seed.ts";
import type { Upstream } from "./settings.ts";
import { keepExampleTokens, noteSeeding, openStateFolder } from "./state-folder.ts";
import type { ExampleTokens } from "./state-folder.ts";
import { filesOf, logTail } from "./wrangler.ts";

export type StartOptions = {
  /** 0 for any free port. */
  readonly port: number;
  /** 0 for any free port; unused when the upstream is external. */
  readonly upstreamPort: number;
  readonly stateDir: string;
  /** Default: the example control plane, started in this process. */
  readonly upstream?: Upstream;
  /** Removes the state of earlier runs first. */
  readonly fresh?: boolean;
  /** Further variables of the gate, and environment of its process. They override the gate's own of the same name. */
  readonly extraEnv?: Readonly<Record<string, string>>;
  /** Told what is being done. */
  readonly progress?: (line: string) => void;
  /** Gives up starting and stops what was started. */
  readonly signal?: AbortSignal;
};

/** A gate that answers, with its upstream. */
export type RunningGate = {
  readonly gate: string;
  readonly upstream: string;
  readonly demo: Demo;
  /** Process group of the gate that runs now, null while it is killed. */
  readonly pid: () => number | null;
  /** Ends the gate's whole process group and nothing else: the upstream goes on. */
  readonly kill: (signal: "SIGTERM" | "SIGKILL") => Promise<void>;
  /** Starts the gate again on the same port and state. */
  readonly restart: () => Promise<void>;
  /** The same without sending it a single request: what it does from there it does by itself. */
  readonly restartUntouched: () => Promise<void>;
  /** Ends everything. Repeating it is harmless. */
  readonly stop: () => Promise<void>;
  /** Resolves with the log's tail when the gate ends without having been told to; never otherwise. */
  readonly died: Promise<string>;
};

/**
 * Starts an upstream (unless it runs elsewhere) and the gate in front of it; on the first run of a state folder it makes
 * the demo tenants. When it rejects, everything that it started has been stopped.
 */
export async function startGate(options: StartOptions): Promise<RunningGate> {
  const { stateDir, upstream = { kind: "example" }, progress = () => undefined, signal } = options;
  // Ports first: FRESH must not remove the state under a gate that still runs.
  const port = await claimPort("PORT", options.port, stateDir);
  const upstreamPort =
    upstream.kind === "example" ? await claimPort("UPSTREAM_PORT", options.upstreamPort, stateDir) : 0;
  openStateFolder(stateDir, upstream, options.fresh ?? false);
  const places = {
    gate: `http://${HOST}:${port}`,
    upstream: upstream.kind === "external" ? upstream.url : `http://${HOST}:${upstreamPort}`,
  };
  const secrets = keepSecrets(filesOf(stateDir).secrets, {
    ENVIRONMENT: "local",
    UPSTREAMS: JSON.stringify({ [controlPlaneOf(upstream)]: places.upstream }),
  });
  const tokens = keepExampleTokens(stateDir);
  const gate = gateOn(port, options);
  let example: ControlPlane | null = null;
  try {
    if (upstream.kind === "example") {
      example = await startExample(upstreamPort, tokens, secrets);
      progress(`example control plane on ${example.url}`);
    }
    if (await applyMigrations(stateDir)) progress("D1 migrations applied");
    signal?.throwIfAborted();
    const known = readDemo(stateDir);
    progress("starting the gate");
    await gate.start(known === null ? secrets.BOOTSTRAP_SECRET : null);
    const tenants = known?.tenants ?? (await seed({ ...places, options, upstream, secrets, tokens, progress }));
    const demo: Demo = { gate: places.gate, upstream: places.upstream, tenants };
    writeDemo(stateDir, demo);
    if (known === null) noteSeeding(stateDir, upstream, false);
    signal?.throwIfAborted();
    return runningGate(demo, gate, example);
  } catch (error) {
    await gate.kill("SIGKILL");
    await example?.close();
    throw error;
  }
}

function runningGate(demo: Demo, gate: Gate, example: ControlPlane | null): RunningGate {
  return {
    gate: demo.gate,
    upstream: demo.upstream,
    demo,
    pid: gate.pid,
    kill: gate.kill,
    restart: () => gate.start(null),
    restartUntouched: () => gate.start(null, false),
    stop: async () => {
      await gate.kill("SIGTERM");
      await example?.close();
    },
    died: gate.died,
  };
}

type Gate = {
  readonly start: (bootstrapSecret: string | null, untilHealthy?: boolean) => Promise<void>;
  readonly kill: (signal: "SIGTERM" | "SIGKILL") => Promise<void>;
  readonly pid: () => number | null;
  readonly died: Promise<string>;
};

/** The gate on one port and state folder, through any number of starts and kills. */
function gateOn(port: number, { stateDir, extraEnv, signal }: StartOptions): Gate {
  let current: GateProcess | null = null;
  const { promise: died, resolve: reportDeath } = Promise.withResolvers<string>();
  const start = async (bootstrapSecret: string | null, untilHealthy = true): Promise<void> => {
    if (current !== null) throw new Error("the gate runs already");
    const options = { stateDir, port, bootstrapSecret, extraEnv: extraEnv ?? {}, signal, untilHealthy };
    const started = await startGateProcess(options);
    current = started;
    // Whoever kills it on purpose takes it out of `current` first.
    void started.exited.then(() => {
      if (current === started) reportDeath(logTail(stateDir));
    });
  };
  const kill = async (how: "SIGTERM" | "SIGKILL"): Promise<void> => {
    const killed = current;
    current = null;
    await killed?.kill(how);
  };
  return { start, kill, pid: () => current?.pid ?? null, died };
}

const startExample = (port: number, tokens: ExampleTokens, secrets: Secrets): Promise<ControlPlane> =>
  startControlPlane({
    port,
    credentials: Object.fromEntries(DEMO_TENANTS.map((tenant) => [tokens[tenant], tenant])),
    signingKey: secrets.UPSTREAM_SIGNING_KEY,
  });

type SeedStep = {
  readonly gate: string;
  readonly options: StartOptions;
  readonly upstream: Upstream;
  readonly secrets: Secrets;
  readonly tokens: ExampleTokens;
  readonly progress: (line: string) => void;
};

async function seed({ gate, options, upstream, secrets, tokens, progress }: SeedStep): Promise<Demo["tenants"]> {
  noteSeeding(options.stateDir, upstream, true);
  const tenant = (name: DemoTenant): Promise<TenantKeys> => {
    progress(`making tenant ${name}: policy, people, catalogue, prices, credentials`);
    return seedTenant({
      gate,
      bootstrapSecret: secrets.BOOTSTRAP_SECRET,
      tenant: name,
      documents: readDocuments(name, upstream),
      upstreamCredential: upstream.kind === "external" ? upstream.credential : { token: tokens[name] },
    });
  };
  return { acme: await tenant("acme"), globex: await tenant("globex") };
}

/** The port asked for, or any free one for 0. Throws when something listens there, and says what it may be. */
async function claimPort(name: string, port: number, stateDir: string): Promise<number> {
  if (port === 0) return freePort();
  if (await isFree(port)) return port;
  const { pid } = filesOf(stateDir);
  const left = existsSync(pid) ? ` (perhaps an earlier gate: kill -- -${readFileSync(pid, "utf8").trim()})` : "";
  throw new Error(`port ${port} is in use${left}: stop what listens there, or set ${name}`);
}
