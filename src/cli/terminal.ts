import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { isatty } from "node:tty";

/** Everything of the surroundings that a command may use. Tests bring their own. */
export type Terminal = {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** The folder that relative file names start from. */
  readonly folder: string;
  readonly now: () => number;
  /** Results, for people or for machines. */
  readonly out: (text: string) => void;
  /** Errors, warnings, progress and questions: never part of a result. */
  readonly err: (text: string) => void;
  readonly outIsTty: boolean;
  readonly errIsTty: boolean;
  readonly inIsTty: boolean;
  readonly columns: number;
  /** Asks a person for one line; null when there is none (end of input, interrupted). */
  readonly ask: (question: string) => Promise<string | null>;
  /** Everything that stdin holds, up to a mebibyte. */
  readonly input: () => Promise<string>;
  /** Waits so long, or until `stop` is aborted. */
  readonly pause: (ms: number, stop: AbortSignal) => Promise<void>;
  /** Aborted by Ctrl-C, which then ends nothing by itself; a second one does. */
  readonly interruption: () => AbortSignal;
};

/** What a terminal has when nobody says. */
const COLUMNS_DEFAULT = 80;

/** More than any settings or key. What fills it may have been cut off. */
export const INPUT_CHARS_MAX = 1024 * 1024;

/** The surroundings of this process. */
export function processTerminal(): Terminal {
  const { env, stdout, stderr, stdin } = process;
  // Whoever reads may stop reading (`| head`): the rest is then for nobody.
  for (const stream of [stdout, stderr]) {
    stream.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  }
  return {
    env,
    folder: startFolder(env),
    now: Date.now,
    out: (text) => void stdout.write(text),
    err: (text) => void stderr.write(text),
    outIsTty: isatty(stdout.fd),
    errIsTty: isatty(stderr.fd),
    inIsTty: isatty(stdin.fd),
    columns: columnsOf(stdout.isTTY ? stdout.columns : Number(env["COLUMNS"])),
    ask,
    input,
    pause: (ms, stop) => sleep(ms, undefined, { signal: stop }).catch(() => undefined),
    interruption: () => {
      const interrupted = new AbortController();
      process.once("SIGINT", () => interrupted.abort());
      return interrupted.signal;
    },
  };
}

async function input(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    text += String(chunk);
    if (text.length > INPUT_CHARS_MAX) break;
  }
  return text.slice(0, INPUT_CHARS_MAX);
}

/** Colours only where a terminal shows them and nobody has asked for none (https://no-color.org). */
export const hasColour = (env: Terminal["env"], isTty: boolean): boolean =>
  isTty && (env["NO_COLOR"] ?? "") === "" && env["TERM"] !== "dumb";

/** `npm run` changes to the project's folder; file names are meant from where the person was. */
const startFolder = (env: Terminal["env"]): string =>
  env["npm_lifecycle_event"] === "portcullis" ? (env["INIT_CWD"] ?? process.cwd()) : process.cwd();

const columnsOf = (columns: number): number => (Number.isInteger(columns) && columns > 0 ? columns : COLUMNS_DEFAULT);

async function ask(question: string): Promise<string | null> {
  const reader = createInterface({ input: process.stdin, output: process.stderr });
  const ended = new Promise<null>((resolve) => reader.once("close", () => resolve(null)));
  try {
    return await Promise.race([reader.question(question), ended]);
  } catch {
    // Ctrl-C.
    return null;
  } finally {
    reader.close();
  }
}
