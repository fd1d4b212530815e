import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { rmSync, writeFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { HOST, isFree } from "./ports.ts";
import { filesOf, logSince, logSize, logTail, spawnWrangler } from "./wrangler.ts";

export type GateProcessOptions = {
  readonly stateDir: string;
  readonly port: number;
  /** Given on the first run only; null leaves the gate without the means to bootstrap anybody. */
  readonly bootstrapSecret: string | null;
  readonly extraEnv?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  /** False sends the gate no request, not even for its health: it is then only known to have been started. */
  readonly untilHealthy?: boolean;
};

/** The gate's process group: wrangler and the workerd processes that it starts. */
export type GateProcess = {
  /** Process id of the group's leader, which is the group's id too. */
  readonly pid: number;
  /** Resolves when the leader has ended, for whatever reason. */
  readonly exited: Promise<void>;
  /** Signals the whole group and waits until nothing of it is left and the port is free. */
  readonly kill: (signal: "SIGTERM" | "SIGKILL") => Promise<void>;
};

/** Bundling and starting take 2 s here; a slow machine gets 60. */
const START_DEADLINE_MS = 60_000;
/** What the group may take to end by itself after SIGTERM, before it is killed. */
const STOP_DEADLINE_MS = 8_000;
/** What the rest of the group may take to tidy up once its leader has ended. */
const TIDY_DEADLINE_MS = 3_000;
/** What the kernel may take to give back the port of killed processes. */
const RELEASE_DEADLINE_MS = 5_000;
const POLL_MS = 50;

/**
 * Starts the gate and resolves once `GET /_gate/health` answers 200 (at once with `untilHealthy: false`). Rejects with
 * the log's tail when it does not.
 */
export async function startGateProcess(options: GateProcessOptions): Promise<GateProcess> {
  const files = filesOf(options.stateDir);
  const args = ["dev", "--ip", HOST, "--port", String(options.port), "--inspector-port", "0"];
  args.push("--persist-to", files.state, "--env-file", files.secrets);
  args.push("--show-interactive-dev-session=false", "--log-level", "warn");
  // wrangler.toml lists the secrets that a deployment must have, and wrangler reads no other name from the file.
  if (options.bootstrapSecret !== null) args.push("--var", `BOOTSTRAP_SECRET:${options.bootstrapSecret}`);
  // Wrangler binds a variable of its environment only where wrangler.toml lists the name: the others are declared here.
  const variables = { PUBLIC_URL: `http://${HOST}:${options.port}`, ...options.extraEnv };
  for (const [name, value] of Object.entries(variables)) args.push("--var", `${name}:${value}`);
  const before = logSize(options.stateDir);
  const child = spawnWrangler(options.stateDir, args, options.extraEnv);
  const gate = groupOf(child, options.port, files.pid);
  try {
    if (options.untilHealthy !== false) await untilHealthy(gate, options, before);
    return gate;
  } catch (error) {
    await gate.kill("SIGKILL");
    throw error;
  }
}

function groupOf(child: ChildProcess, port: number, pidFile: string): GateProcess {
  const { pid } = child;
  if (pid === undefined) throw new Error("wrangler could not be started");
  writeFileSync(pidFile, `${pid}\n`);
  const killNow = (): boolean => signalGroup(pid, "SIGKILL");
  // Whatever ends this process, the group does not outlive it (SIGKILL excepted: nobody can answer that).
  process.once("exit", killNow);
  const exited = once(child, "exit").then(() => undefined);
  const kill = async (signal: "SIGTERM" | "SIGKILL"): Promise<void> => {
    signalGroup(pid, signal);
    await Promise.race([exited, sleep(STOP_DEADLINE_MS, undefined, { ref: false })]);
    if (signal === "SIGTERM") await untilGone(pid);
    killNow();
    await exited;
    process.removeListener("exit", killNow);
    await untilFree(port);
    rmSync(pidFile, { force: true });
  };
  return { pid, exited, kill };
}

async function untilHealthy(
  gate: GateProcess,
  { port, stateDir, signal }: GateProcessOptions,
  logFrom: number,
): Promise<void> {
  let ended = false;
  void gate.exited.then(() => (ended = true));
  const deadline = Date.now() + START_DEADLINE_MS;
  while (Date.now() < deadline) {
    signal?.throwIfAborted();
    if (ended) throw new Error(`the gate ended while it was starting:\n${logTail(stateDir)}`);
    // Wrangler would wait for somebody to mend the source.
    if (logSince(stateDir, logFrom).includes("Build failed")) throw new Error(`no build:\n${logTail(stateDir)}`);
    if (await isHealthy(port)) return;
    await sleep(POLL_MS);
  }
  throw new Error(`the gate did not answer within ${START_DEADLINE_MS / 1_000} s:\n${logTail(stateDir)}`);
}

async function isHealthy(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://${HOST}:${port}/_gate/health`, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return response.status === 200;
  } catch {
    return false;
  }
}

async function untilFree(port: number): Promise<void> {
  const deadline = Date.now() + RELEASE_DEADLINE_MS;
  while (!(await isFree(port))) {
    if (Date.now() > deadline) throw new Error(`port ${port} is still taken after the gate was killed`);
    await sleep(POLL_MS);
  }
}

/** Waits a while for the last of the group. Killed processes that nobody has reaped still count as members. */
async function untilGone(pid: number): Promise<void> {
  const deadline = Date.now() + TIDY_DEADLINE_MS;
  while (signalGroup(pid, 0) && Date.now() < deadline) await sleep(POLL_MS);
}

/** Signals every process of the group (0 only asks); false when nothing is left of it. */
function signalGroup(pid: number, signal: "SIGTERM" | "SIGKILL" | 0): boolean {
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}
