import { runProgram } from "../../src/cli/program.ts";
import type { Terminal } from "../../src/cli/terminal.ts";
import type { Ran } from "./run-cli.ts";

/** 2026-11-20T08:10:00Z: ten minutes into the stub's proposals. */
export const NOW = Date.UTC(2026, 10, 20, 8, 10);

/** Runs the program in this process in front of a terminal that a person sits at, who types `answers` line by line. */
export async function runAtTerminal(
  args: readonly string[],
  changes: Partial<Terminal> & { readonly answers?: readonly string[] } = {},
): Promise<Ran & { readonly asked: readonly string[] }> {
  const { answers = [], ...surroundings } = changes;
  let stdout = "";
  let stderr = "";
  const asked: string[] = [];
  const terminal: Terminal = {
    env: {},
    folder: process.cwd(),
    now: () => NOW,
    out: (text) => void (stdout += text),
    err: (text) => void (stderr += text),
    outIsTty: true,
    errIsTty: true,
    inIsTty: true,
    columns: 80,
    ask: async (question) => {
      asked.push(question);
      return answers[asked.length - 1] ?? null;
    },
    input: async () => "",
    pause: async () => undefined,
    interruption: () => new AbortController().signal,
    ...surroundings,
  };
  const code = await runProgram(args, terminal);
  return { code, stdout, stderr, asked };
}

/** The same away from any terminal, as in a script: `input` is what comes in by the pipe. */
export const runPiped = (
  args: readonly string[],
  { env = {}, input = "" }: { readonly env?: Readonly<Record<string, string>>; readonly input?: string } = {},
): Promise<Ran> =>
  runAtTerminal(args, { env, outIsTty: false, errIsTty: false, inIsTty: false, input: async () => input });
