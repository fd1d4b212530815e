import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire, stripTypeScriptTypes } from "node:module";
import { join } from "node:path";
import { freePort } from "../example/start/ports.ts";
import { keepSecrets } from "../example/start/secrets-file.ts";
import { ROOT } from "../example/start/wrangler.ts";
import { start, untilListening } from "./processes.ts";
import type { Started } from "./processes.ts";
import { d1Binding, objectBinding, textBinding, workerdConfig } from "./workerd-config.ts";
import type { WorkerService } from "./workerd-config.ts";

export type Server = Started & { readonly port: number };

/** Everything that runs during a measurement: the gate, the pass-through Worker, and what both need. */
export type Stand = {
  readonly gate: Server;
  readonly pass: Server;
  readonly d1: Server;
  readonly upstream: Server;
  readonly bootstrapSecret: string;
  readonly stop: () => void;
};

/** workerd as the installed wrangler uses it: its package's only export is the path of the program. */
const WORKERD: string = createRequire(import.meta.url)("workerd").default;

/** Long enough for a loaded machine; its double, the dispatch deadline, comes due within a measurement and is counted. */
const UPSTREAM_DEADLINE_MS = 1_500;
export const DISPATCH_DEADLINE_MS = 2 * UPSTREAM_DEADLINE_MS;

const OBJECTS = ["TenantLedger", "RequestLog", "QuotaBucket", "Outbox"];
const BINDINGS = { LEDGER: "TenantLedger", REQUEST_LOG: "RequestLog", QUOTA: "QuotaBucket", OUTBOX: "Outbox" };

/** Builds the bundle that `wrangler deploy` would upload. Throws with wrangler's output. */
export function buildBundle(folder: string): string {
  const outdir = join(folder, "bundle");
  const args = [join(ROOT, "node_modules/wrangler/bin/wrangler.js"), "deploy", "--dry-run", "--outdir", outdir];
  const env = {
    ...process.env,
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_WRITE_LOGS: "false",
    WRANGLER_HIDE_BANNER: "true",
  };
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, env, encoding: "utf8" });
  if (status !== 0) throw new Error(`the bundle could not be built:\n${stdout}${stderr}`);
  return join(outdir, "index.js");
}

/** Starts everything. `firstPort` 0 takes free ports. */
export async function startStand(folder: string, bundle: string, firstPort: number): Promise<Stand> {
  const ports = firstPort === 0 ? await freePorts(4) : [0, 1, 2, 3].map((offset) => firstPort + offset);
  const [gatePort = 0, passPort = 0, d1Port = 0, upstreamPort = 0] = ports;
  mkdirSync(folder, { recursive: true });
  const origin = `http://127.0.0.1:${upstreamPort}`;
  const secrets = keepSecrets(join(folder, "secrets.env"), {});
  const log = join(folder, "upstream.log");
  const upstream = {
    port: upstreamPort,
    ...start(process.execPath, [join(ROOT, "bench/upstream.ts"), String(upstreamPort)], "others", ROOT, log),
  };
  await untilListening(upstreamPort, log);
  const d1 = await startWorker(folder, d1Worker(d1Port), null);
  await migrate(d1Port);
  const vars = {
    ...secrets,
    ENVIRONMENT: "local",
    UPSTREAMS: JSON.stringify({ example: origin }),
    UPSTREAM_DEADLINE_MS: String(UPSTREAM_DEADLINE_MS),
  };
  const gate = await startWorker(folder, gateWorker(gatePort, bundle, vars), d1Port);
  const pass = await startWorker(folder, passWorker(passPort, origin), null);
  const all = [gate, pass, d1, upstream];
  const { BOOTSTRAP_SECRET: bootstrapSecret } = secrets;
  return { gate, pass, d1, upstream, bootstrapSecret, stop: () => all.forEach((server) => server.stop()) };
}

/** Source file by module name; TypeScript is stripped, a bundle is taken as it is. */
type Sources = Readonly<Record<string, string>>;
type Description = { readonly service: Omit<WorkerService, "modules">; readonly sources: Sources };

const gateWorker = (port: number, bundle: string, vars: Readonly<Record<string, string>>): Description => ({
  service: {
    name: "gate",
    port,
    durableObjects: OBJECTS,
    bindings: [
      ...Object.entries(vars).map(([name, text]) => textBinding(name, text)),
      ...Object.entries(BINDINGS).map(([name, className]) => objectBinding(name, className)),
      d1Binding("DB", "d1"),
    ],
  },
  sources: { "src/index.ts": bundle },
});

const passWorker = (port: number, origin: string): Description => ({
  service: { name: "pass", port, durableObjects: [], bindings: [textBinding("UPSTREAM", origin)] },
  sources: { "pass.js": join(ROOT, "bench/workers/pass.worker.ts") },
});

const d1Worker = (port: number): Description => ({
  service: { name: "d1", port, durableObjects: ["Database"], bindings: [objectBinding("DATABASE", "Database")] },
  sources: { "d1.js": join(ROOT, "bench/workers/d1.worker.ts") },
});

async function startWorker(folder: string, { service, sources }: Description, d1Port: number | null): Promise<Server> {
  const own = join(folder, service.name);
  mkdirSync(join(own, "storage"), { recursive: true });
  const modules = Object.entries(sources).map(([name, source], index) => {
    const file = `module-${index}.js`;
    if (source.endsWith(".ts")) writeFileSync(join(own, file), stripTypeScriptTypes(readFileSync(source, "utf8")));
    else copyFileSync(source, join(own, file));
    return { name, file };
  });
  writeFileSync(join(own, "config.capnp"), workerdConfig({ ...service, modules }, d1Port));
  const log = join(folder, `${service.name}.log`);
  const inspect =
    process.env["INSPECT"] !== undefined && service.name === "gate" ? ["--inspector-addr", process.env["INSPECT"]] : [];
  const server = start(
    WORKERD,
    ["serve", ...inspect, "config.capnp"],
    service.name === "d1" ? "others" : "measured",
    own,
    log,
  );
  await untilListening(service.port, log);
  return { ...server, port: service.port };
}

async function migrate(port: number): Promise<void> {
  const folder = join(ROOT, "migrations");
  for (const name of readdirSync(folder)
    .filter((file) => file.endsWith(".sql"))
    .toSorted()) {
    await queryD1(port, readFileSync(join(folder, name), "utf8"));
  }
}

/** Rows of the last statement, straight from the database's process. Throws with its error. */
export async function queryD1(port: number, sql: string): Promise<readonly object[]> {
  const response = await fetch(`http://127.0.0.1:${port}/query`, { method: "POST", body: JSON.stringify({ sql }) });
  const answer: unknown = await response.json();
  if (!Array.isArray(answer)) throw new Error(`D1: ${JSON.stringify(answer)}`);
  return answer.flatMap((one: { results: readonly object[] }) => [one.results].flat());
}

async function freePorts(count: number): Promise<readonly number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = await freePort();
    if (!ports.includes(port)) ports.push(port);
  }
  return ports;
}
