import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

/** The project's root folder. */
export const ROOT = resolve(import.meta.dirname, "../..");

/** Lines of gate.log that an error quotes. */
const TAIL_LINES = 30;
/** Variables of the caller that the child may see. Wrangler lets any other override the gate's own of the same name. */
const PASSED_ON = ["HOME", "TMPDIR", "TZ", "LANG", "LC_ALL", "SystemRoot", "TEMP", "TMP"];

/** The files under the state folder that belong to the gate's process. */
export const filesOf = (stateDir: string) => ({
  log: join(stateDir, "gate.log"),
  secrets: join(stateDir, "secrets.env"),
  state: join(stateDir, "state"),
  pid: join(stateDir, "gate.pid"),
});

/**
 * Starts wrangler with this Node as leader of a process group of its own, its output appended to gate.log. It writes
 * only under `stateDir` (and the bundle under .wrangler/), asks no network for anything and reports to nobody.
 */
export function spawnWrangler(
  stateDir: string,
  args: readonly string[],
  extraEnv: Readonly<Record<string, string>> = {},
): ChildProcess {
  mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  const log = openSync(filesOf(stateDir).log, "a", 0o600);
  try {
    return spawn(process.execPath, [join(ROOT, "node_modules/wrangler/bin/wrangler.js"), ...args], {
      cwd: ROOT,
      detached: true,
      stdio: ["ignore", log, log],
      env: { ...quietEnvironment(stateDir), ...extraEnv },
    });
  } finally {
    closeSync(log);
  }
}

/** Bytes of gate.log so far. */
export const logSize = (stateDir: string): number =>
  statSync(filesOf(stateDir).log, { throwIfNoEntry: false })?.size ?? 0;

/** What gate.log has had added since it was `from` bytes long. */
export const logSince = (stateDir: string, from: number): string =>
  readFileSync(filesOf(stateDir).log).subarray(from).toString("utf8");

/** The last lines of gate.log, for an error message. */
export function logTail(stateDir: string): string {
  const { log } = filesOf(stateDir);
  if (!existsSync(log)) return "";
  return readFileSync(log, "utf8").trimEnd().split("\n").slice(-TAIL_LINES).join("\n");
}

function quietEnvironment(stateDir: string): Record<string, string> {
  const passed = PASSED_ON.flatMap((name) => {
    const value = process.env[name];
    return value === undefined ? [] : [[name, value] as const];
  });
  return {
    ...Object.fromEntries(passed),
    PATH: [join(ROOT, "node_modules/.bin"), process.env["PATH"] ?? ""].join(delimiter),
    XDG_CONFIG_HOME: join(stateDir, "wrangler"),
    WRANGLER_REGISTRY_PATH: join(stateDir, "wrangler/registry"),
    WRANGLER_SEND_METRICS: "false",
    WRANGLER_WRITE_LOGS: "false",
    // The banner is what looks for a newer version.
    WRANGLER_HIDE_BANNER: "true",
    WRANGLER_CI_DISABLE_CONFIG_WATCHING: "true",
    // Otherwise miniflare downloads a sample of Request.cf.
    CLOUDFLARE_CF_FETCH_ENABLED: "false",
    // Wrangler's own pages under /cdn-cgi/ show every binding: not on the gate's port.
    X_LOCAL_EXPLORER: "false",
    X_LOCAL_OBSERVABILITY: "false",
    NO_COLOR: "1",
  };
}
