import type { Command, Option } from "commander";
import { z } from "zod";
import type { JsonValue } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { plainMessage } from "../platform/zod-problems.ts";
import { EXIT, exitCodeOf, failureBlocks, failureJson, usage, type ExitCode, type Failure } from "./failure.ts";
import { inertJson } from "./inert.ts";
import { render, text, type Block } from "./print.ts";
import { hasColour, type Terminal } from "./terminal.ts";

/** What every command takes. */
const GLOBALS = z.object({
  json: z.boolean().default(false),
  url: z.string().optional(),
  keyFile: z.string().optional(),
});
export type Globals = z.infer<typeof GLOBALS>;

/** What a command has come to: the machine's form and the people's form of the same. */
export type Outcome = { readonly json: JsonValue; readonly human: readonly Block[]; readonly exitCode?: ExitCode };

/** One call of one command. */
export type Invocation<O> = {
  readonly options: O;
  readonly args: readonly string[];
  readonly globals: Globals;
  readonly terminal: Terminal;
  /** Says something before the outcome: on stdout for people, on stderr where stdout belongs to the JSON document. */
  readonly show: (blocks: readonly Block[]) => void;
  /** A warning or a step of something slow, on stderr. */
  readonly note: (text: string) => void;
};

export type CommandSpec<O> = {
  /** Name and arguments as commander writes them: `show <id>`. */
  readonly usage: string;
  readonly summary: string;
  /** Further help below the options. */
  readonly notes?: string;
  readonly options?: readonly Option[];
  readonly schema: z.ZodType<O>;
  readonly run: (invocation: Invocation<O>) => Promise<Result<Outcome, Failure>>;
};

/** Where a program run keeps its result. */
export type Session = { readonly terminal: Terminal; exitCode: ExitCode };

/** Adds one command to its group: options are checked by `schema`, outcomes and failures are printed in one way. */
export function addCommand<O>(group: Command, session: Session, spec: CommandSpec<O>): void {
  const command = group.command(spec.usage).description(spec.summary);
  for (const option of spec.options ?? []) command.addOption(option);
  const { notes } = spec;
  if (notes !== undefined) command.addHelpText("after", () => `\n${render([text(notes)], plain(session.terminal))}`);
  command.action(async () => {
    const given: unknown = command.optsWithGlobals();
    const globals = GLOBALS.parse(given);
    const options = spec.schema.safeParse(given, { error: plainMessage });
    if (!options.success) return finish(session, globals.json, { ok: false, error: optionFailure(options.error) });
    const invocation = invocationOf(session.terminal, globals, options.data, command.args);
    finish(session, globals.json, await spec.run(invocation));
  });
}

/** Prints a failure outside any command (a mistake on the command line, a bug). */
export function printFailure(terminal: Terminal, json: boolean, failure: Failure): ExitCode {
  // One JSON document on stdout whatever happens, so that a script has one place to look.
  if (json) terminal.out(`${inertJson(failureJson(failure))}\n`);
  else terminal.err(render(failureBlocks(failure), errorLayout(terminal)));
  return exitCodeOf(failure);
}

function finish(session: Session, json: boolean, result: Result<Outcome, Failure>): void {
  const { terminal } = session;
  if (!result.ok) {
    session.exitCode = printFailure(terminal, json, result.error);
    return;
  }
  terminal.out(json ? `${inertJson(result.value.json)}\n` : render(result.value.human, outLayout(terminal)));
  session.exitCode = result.value.exitCode ?? EXIT.done;
}

function invocationOf<O>(terminal: Terminal, globals: Globals, options: O, args: readonly string[]): Invocation<O> {
  return {
    options,
    args,
    globals,
    terminal,
    show: (blocks) => {
      if (globals.json) terminal.err(`${render(blocks, errorLayout(terminal))}\n`);
      else terminal.out(`${render(blocks, outLayout(terminal))}\n`);
    },
    note: (line) => terminal.err(render([text(line)], errorLayout(terminal))),
  };
}

const plain = ({ columns }: Terminal) => ({ columns, colour: false });
const outLayout = ({ env, columns, outIsTty }: Terminal) => ({ columns, colour: hasColour(env, outIsTty) });
const errorLayout = ({ env, columns, errIsTty }: Terminal) => ({ columns, colour: hasColour(env, errIsTty) });

function optionFailure(error: z.ZodError): Failure {
  const [issue] = error.issues;
  const name = String(issue?.path[0] ?? "options").replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  return usage(`--${name}: ${issue?.message ?? "has another form"}`);
}

/** The text of an option as a whole number from `min` to `max`. */
export const wholeNumber = (min: number, max: number): z.ZodType<number> =>
  z
    .string()
    .refine((digits) => /^[0-9]{1,9}$/.test(digits) && Number(digits) >= min && Number(digits) <= max, {
      error: `a whole number from ${min} to ${max} is required`,
    })
    .transform(Number);

/** The text of an option as a list: `a,b`. */
export const commaList = z.string().transform((list) =>
  list
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== ""),
);
