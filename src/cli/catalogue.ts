import { Option, type Command } from "commander";
import { z } from "zod";
import { runCatalogueTests, type CatalogueTestReport } from "../catalogue/catalogue-tests.ts";
import { compileCatalogue } from "../catalogue/compile.ts";
import { compilePrices } from "../catalogue/prices.ts";
import type { CompiledCatalogue } from "../catalogue/types.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { addCommand, type CommandSpec, type Invocation, type Outcome, type Session } from "./command.ts";
import { inFile, plural, pricesFor, problemLine, testsBeside, type FileProblem } from "./documents.ts";
import { EXIT, usage, type Failure } from "./failure.ts";
import { readText } from "./files.ts";
import { table, text, verbatim, type Block } from "./print.ts";

const none = z.object({});
const testOptions = z.object({ tests: z.string().optional(), prices: z.string().optional() });
type TestOptions = z.infer<typeof testOptions>;

const check: CommandSpec<z.infer<typeof none>> = {
  usage: "check <file>",
  summary: "check a catalogue, offline",
  notes:
    "Prints one line per problem: file:line:column: error|warning message (/pointer). Exit code 1 when there is an error.",
  schema: none,
  run: async ({ args: [file = ""], terminal }) => {
    const source = readText(terminal, file);
    if (!source.ok) return source;
    const catalogue = compileCatalogue(source.value);
    return ok(catalogue.ok ? described(file, catalogue.value) : broken(inFile(file, catalogue.error)));
  },
};

const test: CommandSpec<TestOptions> = {
  usage: "test <file>",
  summary: "run a catalogue's own table of requests, offline",
  options: [
    new Option("--tests <file>", "table of requests (default: <name>.tests.yaml beside the catalogue)"),
    new Option("--prices <file>", "price table (default: the one of ../prices/ that goes with the catalogue)"),
  ],
  notes: "Exit code 1 when a case fails.",
  schema: testOptions,
  run: async (invocation) => {
    const files = filesOf(invocation);
    return files.ok ? runTests(invocation, files.value) : files;
  },
};

/** `catalogue check|test`: everything about a catalogue that needs no gate. */
export function addCatalogueCommands(program: Command, session: Session): void {
  const group = program.command("catalogue").description("what a control plane's API means");
  addCommand(group, session, check);
  addCommand(group, session, test);
}

type Files = { readonly catalogue: string; readonly tests: string; readonly prices: string };

function filesOf({ args: [catalogue = ""], options, terminal }: Invocation<TestOptions>): Result<Files, Failure> {
  const tests = options.tests ?? testsBeside(terminal, catalogue);
  if (tests === null) {
    return err(usage(`${catalogue} has no table of tests beside it`, "Name the table with --tests FILE."));
  }
  const prices = options.prices ?? pricesFor(terminal, catalogue);
  return prices === null
    ? err(usage(`${catalogue} has no price table that goes with it`, "Name the price table with --prices FILE."))
    : ok({ catalogue, tests, prices });
}

function runTests({ terminal }: Invocation<TestOptions>, files: Files): Result<Outcome, Failure> {
  const catalogueText = readText(terminal, files.catalogue);
  if (!catalogueText.ok) return catalogueText;
  const pricesText = readText(terminal, files.prices);
  if (!pricesText.ok) return pricesText;
  const testsText = readText(terminal, files.tests);
  if (!testsText.ok) return testsText;
  // Compiled one by one first, so that a mistake is told with the name of its file.
  const catalogue = compileCatalogue(catalogueText.value);
  if (!catalogue.ok) return ok(broken(inFile(files.catalogue, catalogue.error)));
  const prices = compilePrices(pricesText.value);
  if (!prices.ok) return ok(broken(inFile(files.prices, prices.error)));
  const report = runCatalogueTests(catalogueText.value, pricesText.value, testsText.value);
  if (!report.ok) return ok(broken(inFile(files.tests, report.error)));
  return ok(reported(files, report.value, inFile(files.catalogue, catalogue.value.warnings)));
}

const warningLines = (warnings: readonly FileProblem[]): readonly Block[] =>
  warnings.length === 0 ? [] : [verbatim(warnings.map(problemLine))];

const broken = (problems: readonly FileProblem[]): Outcome => ({
  json: { ok: false, problems: problems.map((problem) => ({ ...problem })) },
  human: [
    verbatim(problems.map(problemLine)),
    text({ text: `${problems[0]?.file ?? ""}: ${plural(problems.length, "problem")}`, style: "bad" }),
  ],
  exitCode: EXIT.failed,
});

function described(file: string, catalogue: CompiledCatalogue): Outcome {
  const warnings = inFile(file, catalogue.warnings);
  const actions = [...catalogue.actions.values()].map((action) => ({
    action: action.action,
    floors: action.floors.map((row) => row.tier),
    facts: [...action.factNames.keys()],
  }));
  return {
    json: {
      ok: true,
      problems: warnings.map((problem) => ({ ...problem })),
      catalogue: catalogue.id,
      control_plane: catalogue.controlPlane,
      digest: catalogue.digest,
      actions,
    },
    human: [
      table(
        [{ title: "action" }, { title: "floor" }, { title: "facts that a policy may bound" }],
        actions.map(({ action, floors, facts }) => [action, floors.join(" or "), facts.join(", ")]),
      ),
      ...warningLines(warnings),
      text({
        text: `${file}: catalogue ${catalogue.id}, ${plural(actions.length, "action")}, ${warnings.length === 0 ? "no problem" : plural(warnings.length, "warning")}`,
        style: warnings.length === 0 ? "good" : "warn",
      }),
    ],
  };
}

function reported(files: Files, report: CatalogueTestReport, warnings: readonly FileProblem[]): Outcome {
  const { catalogue, passed, failed, cases } = report;
  return {
    json: {
      ok: failed === 0,
      catalogue,
      passed,
      failed,
      warnings: warnings.map((problem) => ({ ...problem })),
      cases: cases.map(({ name, line, differences }) => ({
        name,
        line,
        ok: differences.length === 0,
        differences: [...differences],
      })),
    },
    human: [
      caseTable(report),
      ...differenceBlocks(files, report),
      ...warningLines(warnings),
      text(verdict(files, report)),
    ],
    exitCode: failed === 0 ? EXIT.done : EXIT.failed,
  };
}

const caseTable = ({ cases }: CatalogueTestReport): Block =>
  table(
    [{ title: "result" }, { title: "line", align: "right" }, { title: "case" }],
    cases.map((one) => [
      one.differences.length === 0 ? { text: "ok", style: "good" } : { text: "FAILED", style: "bad" },
      String(one.line),
      one.name,
    ]),
  );

function differenceBlocks(files: Files, { cases }: CatalogueTestReport): readonly Block[] {
  const lines = cases.flatMap((one) =>
    one.differences.map((difference) => `${files.tests}:${one.line}: ${difference}`),
  );
  return lines.length === 0 ? [] : [verbatim(lines)];
}

const verdict = ({ prices }: Files, { catalogue, passed, failed }: CatalogueTestReport) =>
  ({
    text: `catalogue ${catalogue}, prices ${prices}: ${passed} passed, ${failed} failed`,
    style: failed === 0 ? "good" : "bad",
  }) as const;
