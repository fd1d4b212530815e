import { execFile } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { promisify } from "node:util";

/** Debian keeps daemons in /usr/sbin, which is not on everybody's PATH. */
const FOLDERS = [...(process.env["PATH"] ?? "").split(":"), "/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const PROGRAMS = ["munged", "slurmctld", "slurmd", "slurmrestd", "scontrol", "sinfo", "scancel", "setpriv"] as const;
export type Program = (typeof PROGRAMS)[number];

/** Users of the Debian packages that run the daemons. */
const USERS = ["slurm", "nobody"] as const;

/** Longest run of a client program. `scontrol` tries long enough when the controller does not answer. */
const CLIENT_TIMEOUT_MS = 10_000;

/** What keeps a Slurm cluster from running here, null when nothing does. */
export function missingForSlurm(): string | null {
  if (process.getuid?.() !== 0) return "it needs root, to run each daemon as its own user";
  const missing = PROGRAMS.filter((program) => pathOf(program) === null);
  if (missing.length > 0) return `${missing.join(", ")} not installed`;
  const unknown = USERS.filter((user) => idsOf(user) === null);
  return unknown.length > 0 ? `no user ${unknown.join(", ")}` : null;
}

/** Where a program is. Throws when it is nowhere. */
export function locate(program: Program): string {
  const path = pathOf(program);
  if (path === null) throw new Error(`${program} is not installed`);
  return path;
}

/** The output of a client program, trimmed. Throws with what it printed when it fails. */
export async function runClient(program: Program, args: readonly string[], configuration: string): Promise<string> {
  const { stdout } = await promisify(execFile)(locate(program), [...args], {
    env: { SLURM_CONF: configuration, PATH: "/usr/bin:/bin", LANG: "C" },
    timeout: CLIENT_TIMEOUT_MS,
  });
  return stdout.trim();
}

/** Numeric ids of a local user, null where there is none of that name. */
export function idsOf(user: string): { readonly uid: number; readonly gid: number } | null {
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith(`${user}:`));
  const [, , uid, gid] = line?.split(":") ?? [];
  return uid === undefined || gid === undefined ? null : { uid: Number(uid), gid: Number(gid) };
}

function pathOf(program: Program): string | null {
  for (const folder of FOLDERS) {
    try {
      accessSync(`${folder}/${program}`, constants.X_OK);
      return `${folder}/${program}`;
    } catch {
      // Not here; the next folder may have it.
    }
  }
  return null;
}
