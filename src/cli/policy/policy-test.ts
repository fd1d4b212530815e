import { Option } from "commander";
import { z } from "zod";
import { err, ok, type Result } from "../../platform/result.ts";
import type { CommandSpec, Invocation, Outcome } from "../command.ts";
import { inFile, plural, problemLine, type FileProblem } from "../documents.ts";
import { EXIT, usage, type Failure } from "../failure.ts";
import { readText } from "../files.ts";
import { DOCUMENT_OPTIONS, documentsOf, loadPolicy, policyFiles, type PolicyFiles } from "./policy-files.ts";
import { runPolicyTests, type CaseResult, type PolicyTestReport } from "./policy-test-cases.ts";
import { table, text, verbatim, type Block } from "../print.ts";

const schema = z.object({
  people: z.string().optional(),
  catalogue: z.string().optional(),
  prices: z.string().optional(),
  tests: z.string().optional(),
});
type Options = z.infer<typeof schema>;
type Files = PolicyFiles & { readonly tests: string };

/** `policy test`: a policy's own table of requests, without a gate. */
export const testPolicy: CommandSpec<Options> = {
  usage: "test <file>",
  summary: "run a policy's own table of requests, offline",
  options: [
    ...DOCUMENT_OPTIONS,
    new Option("--tests <file>", "table of requests (default: <name>.tests.yaml beside the policy)"),
  ],
  notes: "Exit code 1 when a case fails or a document is wrong, 2 when a file cannot be read.",
  schema,
  run: async (invocation) => {
    const found = filesOf(invocation);
    if (!found.ok) return found;
    const files = found.value;
    const testsText = readText(invocation.terminal, files.tests);
    if (!testsText.ok) return testsText;
    const loaded = loadPolicy(invocation.terminal, files, invocation.terminal.now());
    if (!loaded.ok) return loaded;
    if (!loaded.value.ok) return ok(broken(loaded.value.error));
    const documents = documentsOf(files, loaded.value.value);
    if (!documents.ok) return documents;
    const report = await runPolicyTests(documents.value, testsText.value);
    return ok(report.ok ? reported(files, report.value) : broken(inFile(files.tests, report.error)));
  },
};

function filesOf({ args: [policy = ""], options, terminal }: Invocation<Options>): Result<Files, Failure> {
  const files = policyFiles(terminal, policy, options);
  if (!files.ok) return files;
  const { tests } = files.value;
  return tests === null
    ? err(usage(`${policy} has no table of tests beside it`, "Name the table with --tests FILE."))
    : ok({ ...files.value, tests });
}

/** Documents that do not compile, one line per mistake. */
export const broken = (problems: readonly FileProblem[]): Outcome => ({
  json: { ok: false, problems: problems.map((problem) => ({ ...problem })) },
  human: [
    verbatim(problems.map(problemLine)),
    text({ text: `${problems[0]?.file ?? ""}: ${plural(problems.length, "problem")}`, style: "bad" }),
  ],
  exitCode: EXIT.failed,
});

function reported(files: Files, report: PolicyTestReport): Outcome {
  const { passed, failed, cases } = report;
  return {
    json: {
      ok: failed === 0,
      files,
      passed,
      failed,
      cases: cases.map(({ name, line, decided, differences }) => ({
        name,
        line,
        decided,
        ok: differences.length === 0,
        differences: differences.map((difference) => ({ ...difference })),
      })),
    },
    human: [caseTable(cases), ...cases.flatMap((one) => failureBlocks(files, one)), text(verdict(files, report))],
    exitCode: failed === 0 ? EXIT.done : EXIT.failed,
  };
}

const caseTable = (cases: readonly CaseResult[]): Block =>
  table(
    [{ title: "result" }, { title: "line", align: "right" }, { title: "decided", keep: true }, { title: "case" }],
    cases.map(({ name, line, decided, differences }) => [
      differences.length === 0 ? { text: "ok", style: "good" } : { text: "FAILED", style: "bad" },
      String(line),
      decided,
      name,
    ]),
  );

const failureBlocks = ({ tests }: Files, { name, line, differences }: CaseResult): readonly Block[] =>
  differences.length === 0
    ? []
    : [
        verbatim([`${tests}:${line}: ${name}`]),
        table(
          [{ title: "member" }, { title: "expected" }, { title: "actual" }],
          differences.map(({ member, expected, actual }) => [member, expected, actual]),
        ),
      ];

const verdict = ({ policy, catalogue, prices }: Files, { passed, failed }: PolicyTestReport) =>
  ({
    text: `${policy} (catalogue ${catalogue}, prices ${prices}): ${passed} passed, ${failed} failed`,
    style: failed === 0 ? "good" : "bad",
  }) as const;
