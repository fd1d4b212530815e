import { Option } from "commander";
import { z } from "zod";
import { compileCatalogue } from "../catalogue/compile.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { compilePolicy } from "../policy/compile-policy.ts";
import { compilePeople } from "../policy/people.ts";
import type { CommandSpec, Invocation, Outcome } from "./command.ts";
import { countsOf, exampleCatalogue, inFile, peopleBeside, problemLine, type FileProblem } from "./documents.ts";
import { EXIT, usage, type Failure } from "./failure.ts";
import { readText } from "./files.ts";
import { text, verbatim } from "./print.ts";

const schema = z.object({
  people: z.string().optional(),
  catalogue: z.string().optional(),
  strict: z.boolean().default(false),
});
type Options = z.infer<typeof schema>;

/** `policy check`: what the gate would say to these documents, without a gate. */
export const checkPolicy: CommandSpec<Options> = {
  usage: "check <file>",
  summary: "check a policy against people and a catalogue, offline",
  options: [
    new Option("--people <file>", "people document (default: <name>.people.yaml beside the policy)"),
    new Option("--catalogue <file>", "catalogue (default: policies/catalogues/example.yaml)"),
    new Option("--strict", "warnings fail too"),
  ],
  notes:
    "Prints one line per problem: file:line:column: error|warning message (/pointer). Exit code 1 when there is an error.",
  schema,
  run: async (invocation) => {
    const files = filesOf(invocation);
    if (!files.ok) return files;
    const problems = problemsIn(invocation, files.value);
    return problems.ok ? ok(outcomeOf(files.value, problems.value, invocation.options.strict)) : problems;
  },
};

type Files = { readonly policy: string; readonly people: string; readonly catalogue: string };

function filesOf({ args, options, terminal }: Invocation<Options>): Result<Files, Failure> {
  const policy = args[0] ?? "";
  const people = options.people ?? peopleBeside(terminal, policy);
  const catalogue = options.catalogue ?? exampleCatalogue(terminal);
  if (people === null) {
    const wanted = `${policy.replace(/\.ya?ml$/, "")}.people.yaml`;
    return err(
      usage(`no people document: ${wanted} does not exist`, "Name it with --people FILE: handles are judged by it."),
    );
  }
  return ok({ policy, people, catalogue });
}

function problemsIn({ terminal }: Invocation<Options>, files: Files): Result<readonly FileProblem[], Failure> {
  const policyText = readText(terminal, files.policy);
  if (!policyText.ok) return policyText;
  const peopleText = readText(terminal, files.people);
  if (!peopleText.ok) return peopleText;
  const catalogueText = readText(terminal, files.catalogue);
  if (!catalogueText.ok) return catalogueText;
  const people = compilePeople(peopleText.value);
  const catalogue = compileCatalogue(catalogueText.value);
  const foundations = [
    ...(catalogue.ok ? [] : inFile(files.catalogue, catalogue.error)),
    ...(people.ok ? [] : inFile(files.people, people.error)),
  ];
  // A policy judged against broken people or a broken catalogue would only repeat their mistakes.
  if (!people.ok || !catalogue.ok) return ok(foundations);
  const policy = compilePolicy(policyText.value, people.value, catalogue.value);
  return ok(inFile(files.policy, policy.ok ? policy.value.warnings : policy.error));
}

function outcomeOf(files: Files, problems: readonly FileProblem[], strict: boolean): Outcome {
  const failing = problems.some(({ severity }) => strict || severity === "error");
  const counts = countsOf(problems);
  const verdict = typeof counts === "string" ? counts : counts.text;
  const summary = `${files.policy} (people ${files.people}, catalogue ${files.catalogue}): ${verdict}`;
  return {
    json: { ok: !failing, files, problems: problems.map((problem) => ({ ...problem })) },
    human: [
      ...(problems.length === 0 ? [] : [verbatim(problems.map(problemLine))]),
      text({ text: summary, style: failing ? "bad" : "good" }),
    ],
    exitCode: failing ? EXIT.failed : EXIT.done,
  };
}
