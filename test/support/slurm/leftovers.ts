import { readFileSync, readdirSync } from "node:fs";

/**
 * Kills whatever still runs for the lab in `folder`: slurmstepd detaches itself and outlives slurmd, and its jobs outlive
 * both. A process belongs to the lab when its command line or environment names the folder, which no other process does.
 */
export function killLeftovers(folder: string): number {
  let killed = 0;
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === process.pid || !belongsTo(pid, folder)) continue;
    try {
      process.kill(pid, "SIGKILL");
      killed += 1;
    } catch {
      // It has ended by itself meanwhile.
    }
  }
  return killed;
}

function belongsTo(pid: number, folder: string): boolean {
  try {
    const words = ["cmdline", "environ"].flatMap((file) => readFileSync(`/proc/${pid}/${file}`, "utf8").split("\0"));
    return words.some((word) => word.includes(`${folder}/`));
  } catch {
    // Ended, or not ours to look at: then it is not ours to kill either.
    return false;
  }
}
