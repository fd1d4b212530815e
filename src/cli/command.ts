import type { Command, Option } from "commander";
import { z } from "zod";
import type { JsonValue } from "../platform/json.ts";
import { parseUsd, usd } from "../platform/money.ts";
import type { Result } from "../platform/result.ts";
import { plainMessage } from "../platform/zod-problems.ts";
import { EXIT, exitCodeOf, failureBlocks, failureJson, usage, type ExitCode, type Failure } from "./failure.ts";
import { inertJson, inertJsonLine } from "./inert.ts";
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

/** The end of a command that has printed everything while it ran. */
export const ENDED = "ended";

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
  /** One result of several, at once: JSON in one line, or blocks for people. */
  readonly emit: (outcome: Outcome) => void;
};

export type CommandSpec<O> = {
  /** Name and arguments as commander writes them: `show <id>`. */
  readonly usage: string;
  readonly summary: string;
  /** Further help below the options. */
  readonly notes?: string;
  readonly options?: readonly Option[];
  readonly schema: z.ZodType<O>;
  /** With `--json`: one JSON document per line (NDJSON) instead of one in all. */
  readonly jsonLines?: true;
  readonly run: (invocation: Invocation<O>) => Promise<Result<Outcome | typeof ENDED, Failure>>;
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
    const form = globals.json ? (spec.jsonLines === true ? "json-lines" : "json") : "human";
    if (!options.success) return finish(session, form, { ok: false, error: optionFailure(options.error) });
    const invocation = invocationOf(session.terminal, globals, options.data, command.args);
    finish(session, form, await spec.run(invocation));
  });
}

type Form = "human" | "json" | "json-lines";

/** Prints a failure outside any command (a mistake on the command line, a bug). */
export function printFailure(terminal: Terminal, form: Form, failure: Failure): ExitCode {
  // JSON goes to stdout whatever happens, so that a script has one place to look.
  if (form === "human") terminal.err(render(failureBlocks(failure), errorLayout(terminal)));
  else terminal.out(`${jsonText(form, failureJson(failure))}\n`);
  return exitCodeOf(failure);
}

function finish(session: Session, form: Form, result: Result<Outcome | typeof ENDED, Failure>): void {
  const { terminal } = session;
  if (!result.ok) {
    session.exitCode = printFailure(terminal, form, result.error);
    return;
  }
  if (result.value === ENDED) return;
  const { json, human, exitCode } = result.value;
  terminal.out(form === "human" ? render(human, outLayout(terminal)) : `${jsonText(form, json)}\n`);
  session.exitCode = exitCode ?? EXIT.done;
}

const jsonText = (form: "json" | "json-lines", value: JsonValue): string =>
  form === "json" ? inertJson(value) : inertJsonLine(value);

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
    emit: ({ json, human }) =>
      terminal.out(globals.json ? `${inertJsonLine(json)}\n` : render(human, outLayout(terminal))),
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

/** The text of an option as an amount of US dollars with at most six decimals, exact as a JSON number. */
export const usdAmount: z.ZodType<number> = z
  .string()
  .refine((amount) => parseUsd(amount) !== null, { error: "an amount in US dollars such as 300 or 12.50 is required" })
  .transform((amount) => usd(parseUsd(amount) ?? 0));

/** The text of an option as a list: `a,b`. */
export const commaList = z.string().transform((list) =>
  list
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== ""),
);
