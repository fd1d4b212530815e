import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { HOST, isFree } from "../../example/start/ports.ts";
import { ROOT } from "../../example/start/wrangler.ts";
import { until } from "./live-until.ts";

/** Migrations, start and seeding take 5 s here; a slow machine gets 90. */
const READY_DEADLINE_MS = 90_000;
const STOP_DEADLINE_MS = 30_000;

export type StartSettings = {
  readonly port: number;
  readonly upstreamPort: number;
  readonly stateDir: string;
  readonly fresh?: boolean;
};

/** `npm start`, as a process of its own. */
export type Started = {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  /** Resolves with everything printed once the line `ready …` is there. Rejects when it ends before. */
  readonly ready: () => Promise<string>;
  /** Resolves with the exit status; null when a signal ended it. */
  readonly ended: () => Promise<number | null>;
};

/** Runs `command` in the project's root, with nothing of this environment but what a shell has. */
export function spawnStart(command: readonly [string, ...string[]], settings: StartSettings): Started {
  const [file, ...args] = command;
  const child = spawn(file, args, {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    env: {
      PATH: process.env["PATH"] ?? "",
      HOME: process.env["HOME"] ?? "",
      PORT: String(settings.port),
      UPSTREAM_PORT: String(settings.upstreamPort),
      STATE_DIR: settings.stateDir,
      ...(settings.fresh === true ? { FRESH: "1" } : {}),
    },
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${file} could not be started`);
  const printed = { stdout: "", stderr: "" };
  child.stdout.on("data", (bytes: Buffer) => (printed.stdout += bytes.toString("utf8")));
  child.stderr.on("data", (bytes: Buffer) => (printed.stderr += bytes.toString("utf8")));
  const killWithUs = (): boolean => child.kill("SIGKILL");
  process.once("exit", killWithUs);
  let exited = false;
  const end = new Promise<number | null>((resolve) => child.once("close", (code) => resolve(code)));
  void end.then(() => {
    exited = true;
    process.off("exit", killWithUs);
  });
  const ready = async (): Promise<string> => {
    await until(
      "the start has ended or says that it is ready",
      READY_DEADLINE_MS,
      () => exited || /^ready /m.test(printed.stdout),
    );
    if (exited) throw new Error(`it ended:\n${printed.stdout}${printed.stderr}`);
    return printed.stdout;
  };
  const ended = async (): Promise<number | null> => {
    await until("the start has ended", STOP_DEADLINE_MS, () => exited);
    return end;
  };
  return { pid, stdout: () => printed.stdout, stderr: () => printed.stderr, ready, ended };
}

/** The process group of the gate that runs on this state folder, null when none is noted. */
export function gateGroup(stateDir: string): number | null {
  const file = join(stateDir, "gate.pid");
  return existsSync(file) ? Number(readFileSync(file, "utf8")) : null;
}

/** What is left of a start that should be gone: listening ports, members of the gate's group, processes on its folder. */
export async function leftovers(
  { port, upstreamPort, stateDir }: StartSettings,
  group: number,
): Promise<readonly string[]> {
  const found: string[] = [];
  for (const taken of [port, upstreamPort]) if (!(await isFree(taken))) found.push(`${HOST}:${taken} is taken`);
  const { stdout } = spawnSync("ps", ["-A", "-o", "pgid=,stat=,args="], { encoding: "utf8" });
  for (const line of stdout.split("\n")) {
    const [pgid, state = ""] = line.trim().split(/\s+/);
    // A zombie has ended; whoever started it has not yet asked how.
    if (state.startsWith("Z")) continue;
    if (Number(pgid) === group || line.includes(stateDir)) found.push(line.trim());
  }
  return found;
}
