import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { onTestFinished } from "vitest";
import { displayWidth } from "../../src/cli/width.ts";

export const ROOT = resolve(import.meta.dirname, "../..");
const MAIN = join(ROOT, "src/cli/main.ts");
/** Node keeps compiled modules here: half of what a hundred starts would otherwise take. */
const COMPILE_CACHE = join(ROOT, "node_modules/.cache/portcullis-cli");
/** A stack trace of Node: no output of the command may ever look like this. */
const STACK = /^\s+at .+:\d+:\d+\)?$/m;

export type Ran = { readonly code: number | null; readonly stdout: string; readonly stderr: string };

export type RunOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly input?: string;
};

/** Runs `portcullis` as a process of its own, with an environment of its own, away from any terminal. */
export async function runCli(args: readonly string[], options: RunOptions = {}): Promise<Ran> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    cwd: options.cwd ?? ROOT,
    env: { PATH: process.env["PATH"] ?? "", NODE_COMPILE_CACHE: COMPILE_CACHE, ...options.env },
    stdio: ["pipe", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  child.stdin.end(options.input ?? "");
  const code = await new Promise<number | null>((done) => child.once("close", done));
  if (STACK.test(stderr) || STACK.test(stdout)) throw new Error(`a stack was printed:\n${stderr}${stdout}`);
  return { code, stdout, stderr };
}

/** The one JSON document that a run has printed. */
export const jsonOf = ({ stdout }: Ran): unknown => JSON.parse(stdout);

/** Columns of the longest line. */
export const widest = (text: string): number => Math.max(...text.split("\n").map(displayWidth));

/** Text as it reads when nothing is broken over lines: where lines break depends on the length of file names. */
export const flat = (text: string): string => text.replaceAll(/\s+/g, " ");

/** A folder that is gone after the test. */
export function scratchFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "portcullis-cli-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A file in a folder of its own, with the mode of a key file. */
export function scratchFile(name: string, text: string): string {
  const file = join(scratchFolder(), name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}
