import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import { idsOf, locate } from "./programs.ts";
import type { Program } from "./programs.ts";

export type DaemonOptions = {
  readonly program: Program;
  readonly args: readonly string[];
  readonly user: "root" | "slurm" | "nobody";
  readonly env: Readonly<Record<string, string>>;
};

/** One process of the lab. */
export type Daemon = {
  readonly name: string;
  /** Whether it has ended, and what it printed last. */
  readonly ended: () => string | null;
  /** SIGTERM, and SIGKILL to one that does not heed it. Repeating it is harmless. */
  readonly stop: () => Promise<void>;
};

/** What a daemon may take to end by itself. slurmctld first writes its state. */
const STOP_DEADLINE_MS = 5_000;
/** Output that an error quotes. Characters. */
const TAIL_CHARS = 2_000;
const POLL_MS = 50;

/**
 * Starts a program in the foreground as a user. `setpriv` also has the kernel kill it when this process ends in
 * whatever way: a daemon never outlives its test.
 */
export function startDaemon({ program, args, user, env }: DaemonOptions): Daemon {
  const ids = idsOf(user);
  if (ids === null) throw new Error(`no user ${user}`);
  const privileges = [`--reuid=${ids.uid}`, `--regid=${ids.gid}`, "--clear-groups", "--pdeathsig=KILL"];
  const child = spawn(locate("setpriv"), [...privileges, locate(program), ...args], {
    cwd: "/",
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LANG: "C", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let tail = "";
  const read = (chunk: Buffer): void => {
    tail = (tail + chunk.toString("utf8")).slice(-TAIL_CHARS);
  };
  child.stdout.on("data", read);
  child.stderr.on("data", read);
  let ending: string | null = null;
  const exited = new Promise<void>((resolve) => {
    const end = (how: string): void => {
      ending = `${program} ended (${how}):\n${tail}`;
      resolve();
    };
    child.once("exit", (code, signal) => end(signal ?? `status ${code}`));
    child.once("error", (error) => end(error.message));
  });
  const stop = async (): Promise<void> => {
    child.kill("SIGTERM");
    await Promise.race([exited, sleep(STOP_DEADLINE_MS, undefined, { ref: false })]);
    child.kill("SIGKILL");
    await exited;
  };
  return { name: program, ended: () => ending, stop };
}

/** Waits until `isReady`. Throws at once with its output when a daemon has ended, and after `deadlineMs` otherwise. */
export async function untilReady(
  what: string,
  daemons: readonly Daemon[],
  isReady: () => Promise<boolean>,
  deadlineMs: number,
): Promise<void> {
  const deadline = Date.now() + deadlineMs;
  while (!(await isReady())) {
    const ended = daemons.map((daemon) => daemon.ended()).find((ending) => ending !== null);
    if (ended !== undefined) throw new Error(ended);
    if (Date.now() > deadline) throw new Error(`${what}: not within ${deadlineMs} ms`);
    await sleep(POLL_MS);
  }
}
