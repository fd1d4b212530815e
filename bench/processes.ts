import { spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { connect } from "node:net";
import { availableParallelism } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";

export type Started = { readonly pid: number; readonly stop: () => void };

/** The measured server has the first core to itself; load, upstream and database share the others. */
export type Core = "measured" | "others";

const CORES = availableParallelism();
const CAN_PIN = CORES > 1 && spawnSync("taskset", ["--version"]).status === 0;
const LISTEN_DEADLINE_MS = 20_000;
const POLL_MS = 50;

/** Where processes run, for the report's footnote. */
export const pinning = CAN_PIN ? `server on core 0, load on cores 1–${CORES - 1}` : "not pinned";

/** Pins a process that runs already (all its threads), where the system can. */
export function pin(pid: number, core: Core): void {
  if (CAN_PIN) spawnSync("taskset", ["-a", "-c", "-p", coresOf(core), String(pid)]);
}

const coresOf = (core: Core): string => (core === "measured" ? "0" : `1-${CORES - 1}`);

/** Starts a process whose output goes to `log`. It does not outlive this one. */
export function start(command: string, args: readonly string[], core: Core, cwd: string, log: string): Started {
  const output = openSync(log, "a");
  const [program, ...rest] = CAN_PIN ? ["taskset", "-c", coresOf(core), command, ...args] : [command, ...args];
  const child = spawn(program ?? command, rest, { cwd, stdio: ["ignore", output, output] });
  closeSync(output);
  const stop = (): void => void child.kill("SIGKILL");
  process.once("exit", stop);
  return { pid: child.pid ?? 0, stop };
}

/** Resolves when something accepts connections on the port. Throws with the end of `log` after twenty seconds. */
export async function untilListening(port: number, log: string): Promise<void> {
  const deadline = Date.now() + LISTEN_DEADLINE_MS;
  while (!(await accepts(port))) {
    if (Date.now() > deadline)
      throw new Error(`nothing listens on ${port}:\n${readFileSync(log, "utf8").slice(-2_000)}`);
    await sleep(POLL_MS);
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1" });
    const answer = (open: boolean) => (): void => {
      socket.destroy();
      resolve(open);
    };
    socket.once("connect", answer(true)).once("error", answer(false));
  });
}

/** User and system CPU of a process so far, in milliseconds, over all its threads. Linux only. */
export function cpuMsOf(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    nanoseconds += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8").split(" ")[0]);
  }
  return nanoseconds / 1e6;
}
