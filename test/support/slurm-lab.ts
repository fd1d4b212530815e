import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NODES, gresConf, labFiles, slurmConf } from "./slurm/configuration.ts";
import type { LabPorts } from "./slurm/configuration.ts";
import { startDaemon, untilReady } from "./slurm/daemon.ts";
import type { Daemon } from "./slurm/daemon.ts";
import { killLeftovers } from "./slurm/leftovers.ts";
import { idsOf, missingForSlurm, runClient } from "./slurm/programs.ts";

/** The unprivileged user whose jobs the lab runs: every Debian has it. */
export const LAB_USER = "games";

/** A job as the cluster itself knows it: the fields of `scontrol show job`, by name. */
export type LabJob = Readonly<Record<string, string>>;

/** A real Slurm cluster of our own: 4 nodes with 8 pretended GPUs each, on loopback. Gone after `stop`. */
export type SlurmLab = {
  /** Where slurmrestd listens. */
  readonly url: string;
  /** What a gate needs to be let in by slurmrestd. */
  readonly credential: { readonly user: string; readonly token: string };
  /** Every job, asked past slurmrestd. */
  readonly jobs: () => Promise<readonly LabJob[]>;
  readonly job: (id: string | number) => Promise<LabJob | null>;
  /** Cancels every job and waits until none is pending, running or ending. */
  readonly cancelAll: () => Promise<void>;
  readonly stop: () => Promise<void>;
};

/** Starting takes 3 s here; a slow machine gets 30. */
const START_DEADLINE_MS = 30_000;
/** A cancelled job has a second to end (`KillWait`); then its processes are killed. */
const CANCEL_DEADLINE_MS = 15_000;
/** Longer than any suite. */
const TOKEN_LIFETIME_S = 3_600;

/** Starts the cluster in a temporary folder, on ports that are free. When it rejects, whatever it started has been stopped. */
export async function startSlurmLab(): Promise<SlurmLab> {
  const missing = missingForSlurm();
  if (missing !== null) throw new Error(`no Slurm cluster can run here: ${missing}`);
  const folder = mkdtempSync(join(tmpdir(), "portcullis-slurm-"));
  const daemons: Daemon[] = [];
  const sweep = (): void => void killLeftovers(folder);
  process.once("exit", sweep);
  const stop = async (): Promise<void> => {
    // Last started, first stopped: slurmd can still report to its controller.
    for (const daemon of daemons.toReversed()) await daemon.stop();
    sweep();
    process.off("exit", sweep);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const [controller = 0, rest = 0, ...nodes] = await freePorts(2 + NODES.length);
    const ports: LabPorts = { controller, rest, nodes };
    lay(folder, ports);
    await startCluster(folder, ports, daemons);
    const lab = await openLab(folder, ports);
    return {
      ...lab,
      stop: async () => {
        if (existsSync(folder)) await lab.cancelAll().catch(() => undefined);
        await stop();
      },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Folders, keys and configuration. The daemons' users must reach them, hence the open folder and the owned ones. */
function lay(folder: string, ports: LabPorts): void {
  const files = labFiles(folder);
  const owner = idsOf("slurm");
  if (owner === null) throw new Error("no user slurm");
  chmodSync(folder, 0o755);
  for (const name of ["etc", "dev", "run", "state", "spool"]) mkdirSync(join(folder, name), { mode: 0o755 });
  for (const name of ["run", "state", "spool"]) chownSync(join(folder, name), owner.uid, owner.gid);
  writeFileSync(files.configuration, slurmConf(folder, ports));
  writeFileSync(files.gres, gresConf(folder));
  for (const device of files.devices) writeFileSync(device, "");
  for (const [key, bytes] of [
    [files.mungeKey, 128],
    [files.tokenKey, 32],
  ] as const) {
    writeFileSync(key, randomBytes(bytes), { mode: 0o600 });
    chownSync(key, owner.uid, owner.gid);
  }
}

async function startCluster(folder: string, ports: LabPorts, daemons: Daemon[]): Promise<void> {
  const files = labFiles(folder);
  const env = { SLURM_CONF: files.configuration };
  const start = (options: Parameters<typeof startDaemon>[0]): void => void daemons.push(startDaemon(options));
  const ready = (what: string, isReady: () => Promise<boolean>): Promise<void> =>
    untilReady(what, daemons, isReady, START_DEADLINE_MS);

  const munge = ["--key-file", files.mungeKey, "--socket", files.mungeSocket, "--num-threads", "2"];
  for (const file of ["pid", "log", "seed"]) munge.push(`--${file}-file`, `${folder}/run/munged.${file}`);
  start({ program: "munged", user: "slurm", env: {}, args: ["--foreground", ...munge] });
  await ready("munged", async () => existsSync(files.mungeSocket));
  start({ program: "slurmctld", user: "slurm", env, args: ["-D", "-f", files.configuration] });
  for (const node of NODES) {
    mkdirSync(join(folder, "spool", node));
    start({ program: "slurmd", user: "root", env, args: ["-D", "-N", node, "-f", files.configuration] });
  }
  await ready("all nodes idle", async () => {
    const states = await runClient("sinfo", ["-h", "-N", "-o", "%T"], files.configuration).catch(() => "");
    return states.split("\n").filter((state) => state === "idle").length === NODES.length;
  });
  // slurmrestd refuses to run as root or as SlurmUser. With SLURM_JWT=daemon it has no identity of its own: every request
  // brings one. The older versions are there to show that the gate keeps them closed.
  const plugins = ["v0.0.38", "v0.0.37", "v0.0.36"].map((version) => `openapi/${version}`).join(",");
  const args = ["-f", files.configuration, "-a", "rest_auth/jwt", "-s", plugins, `127.0.0.1:${ports.rest}`];
  start({ program: "slurmrestd", user: "nobody", env: { ...env, SLURM_JWT: "daemon" }, args });
  await ready("slurmrestd", () => answers(`http://127.0.0.1:${ports.rest}/openapi`));
}

async function openLab(folder: string, ports: LabPorts): Promise<Omit<SlurmLab, "stop">> {
  const { configuration } = labFiles(folder);
  const made = await runClient(
    "scontrol",
    ["token", `username=${LAB_USER}`, `lifespan=${TOKEN_LIFETIME_S}`],
    configuration,
  );
  const token = /^SLURM_JWT=(\S+)$/.exec(made)?.[1];
  if (token === undefined) throw new Error("scontrol made no token");
  const jobs = async (): Promise<readonly LabJob[]> => {
    const lines = (await runClient("scontrol", ["-o", "show", "job"], configuration)).split("\n");
    return lines.filter((line) => line.startsWith("JobId=")).map(fieldsOf);
  };
  const isQuiet = async (): Promise<boolean> => (await jobs()).every((job) => !ALIVE.has(job["JobState"] ?? ""));
  const cancelAll = async (): Promise<void> => {
    await runClient("scancel", ["-u", LAB_USER], configuration);
    await untilReady("all jobs ended", [], isQuiet, CANCEL_DEADLINE_MS);
  };
  return {
    url: `http://127.0.0.1:${ports.rest}`,
    credential: { user: LAB_USER, token },
    jobs,
    job: async (id) => (await jobs()).find((job) => job["JobId"] === String(id)) ?? null,
    cancelAll,
  };
}

/** States in which processes of a job may exist, or come to exist. */
const ALIVE = new Set(["PENDING", "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED"]);

/** `Name=value` pairs; a value with spaces (none that matters here has any) would lose its tail. */
const fieldsOf = (line: string): LabJob =>
  Object.fromEntries(
    line.split(" ").flatMap((pair) => {
      const at = pair.indexOf("=");
      return at < 1 ? [] : [[pair.slice(0, at), pair.slice(at + 1)]];
    }),
  );

async function answers(url: string): Promise<boolean> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await response.body?.cancel();
    return true;
  } catch {
    return false;
  }
}

/** Ports that were free a moment ago, all different. If another process takes one first, its daemon ends at once and says so. */
async function freePorts(count: number): Promise<readonly number[]> {
  const probes = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    probes.map(async (probe) => {
      await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
      const address = probe.address();
      if (address === null || typeof address === "string") throw new Error("the probe has no port");
      return address.port;
    }),
  );
  await Promise.all(probes.map((probe) => new Promise<void>((resolve) => probe.close(() => resolve()))));
  return ports;
}
