import { Option } from "commander";
import { z } from "zod";
import { ok } from "../../platform/result.ts";
import type { CommandSpec, Outcome } from "../command.ts";
import { countsOf, problemLine, type FileProblem } from "../documents.ts";
import { EXIT } from "../failure.ts";
import { DOCUMENT_OPTIONS, loadPolicy, policyFiles, type PolicyFiles } from "./policy-files.ts";
import { text, verbatim } from "../print.ts";

const schema = z.object({
  people: z.string().optional(),
  catalogue: z.string().optional(),
  prices: z.string().optional(),
  strict: z.boolean().default(false),
});
type Options = z.infer<typeof schema>;

/** `policy check`: what the gate would say to these documents, without a gate. */
export const checkPolicy: CommandSpec<Options> = {
  usage: "check <file>",
  summary: "check a policy against people and a catalogue, offline",
  options: [...DOCUMENT_OPTIONS, new Option("--strict", "warnings fail too")],
  notes:
    "Prints one line per problem: file:line:column: error|warning message (/pointer). Exit code 1 when there is an error.",
  schema,
  run: async (invocation) => {
    const { args, options, terminal } = invocation;
    const files = policyFiles(terminal, args[0] ?? "", options);
    if (!files.ok) return files;
    const loaded = loadPolicy(terminal, files.value, terminal.now());
    if (!loaded.ok) return loaded;
    const problems = loaded.value.ok ? loaded.value.value.warnings : loaded.value.error;
    return ok(outcomeOf(files.value, problems, options.strict));
  },
};

function outcomeOf(
  { tests: _tests, ...files }: PolicyFiles,
  problems: readonly FileProblem[],
  strict: boolean,
): Outcome {
  const failing = problems.some(({ severity }) => strict || severity === "error");
  const counts = countsOf(problems);
  const verdict = typeof counts === "string" ? counts : counts.text;
  const priced = files.prices === null ? "" : `, prices ${files.prices}`;
  const summary = `${files.policy} (people ${files.people}, catalogue ${files.catalogue}${priced}): ${verdict}`;
  return {
    json: { ok: !failing, files, problems: problems.map((problem) => ({ ...problem })) },
    human: [
      ...(problems.length === 0 ? [] : [verbatim(problems.map(problemLine))]),
      text({ text: summary, style: failing ? "bad" : "good" }),
    ],
    exitCode: failing ? EXIT.failed : EXIT.done,
  };
}
