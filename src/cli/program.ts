import { Command, CommanderError, Option } from "commander";
import { describeError } from "../platform/describe-error.ts";
import { addAggregatesCommand } from "./aggregates.ts";
import { addApprovalCommands } from "./approvals.ts";
import { addAuditCommands } from "./audit/audit.ts";
import { addBootstrapCommand } from "./bootstrap.ts";
import { addBudgetCommands } from "./budget/budget.ts";
import { addCatalogueCommands } from "./catalogue.ts";
import { addChannelCommands } from "./channels.ts";
import { printFailure, type Session } from "./command.ts";
import { DEFAULT_URL, keyOnCommandLine } from "./connection.ts";
import { addCredentialCommands } from "./credentials.ts";
import { addDoctorCommand } from "./doctor.ts";
import { EXIT, failed, usage, type ExitCode } from "./failure.ts";
import { addEscalationCommands } from "./escalations.ts";
import { addFreezeCommands } from "./freeze.ts";
import { addIncidentCommands } from "./incidents.ts";
import { addIssuerCommands } from "./issuers.ts";
import { addOperationCommands } from "./operations.ts";
import { addPolicyCommands } from "./policy/policy.ts";
import type { Terminal } from "./terminal.ts";
import { addUsageCommands } from "./budget/usage.ts";
import { addWhoamiCommand } from "./whoami.ts";

const HELP_NOTES = `
Keys are given in a file or in the environment, never as an argument.
Exit codes: 0 done, 1 refused or failed, 2 called in a way that cannot work.
With --json there is one JSON document on stdout (approvals watch: one per
line), for failures {"error": …}.`;

/** Runs one command line and answers its exit code. Never throws: whatever happens is told without a stack. */
export async function runProgram(argv: readonly string[], terminal: Terminal): Promise<ExitCode> {
  const form = argv.includes("--json") ? "json" : "human";
  const leaked = keyOnCommandLine(argv);
  if (leaked !== null) return printFailure(terminal, form, leaked);
  const session: Session = { terminal, exitCode: EXIT.done };
  const complaints: string[] = [];
  try {
    await buildProgram(session, (text) => complaints.push(text)).parseAsync([...argv], { from: "user" });
    return session.exitCode;
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      return printFailure(
        terminal,
        form,
        failed("Unexpected error", describeError(error), "This is a bug: please report it."),
      );
    }
    if (error.exitCode === 0) return EXIT.done;
    // Without a subcommand commander has printed the help, which says it all.
    if (error.code === "commander.help") return EXIT.usage;
    const detail = complaints
      .join(" ")
      .trim()
      .replace(/^error: /, "");
    return printFailure(
      terminal,
      form,
      usage(detail === "" ? error.message : detail, "portcullis help shows every command."),
    );
  }
}

function buildProgram(session: Session, complain: (text: string) => void): Command {
  const { terminal } = session;
  const program = new Command("portcullis")
    .description("The command line of Portcullis, the gate in front of GPU control planes.")
    .addOption(new Option("--url <url>", `the gate's address (PORTCULLIS_URL, default ${DEFAULT_URL})`))
    .addOption(new Option("--key-file <file>", "file that holds your key (or PORTCULLIS_KEY)"))
    .addOption(new Option("--json", "print one JSON document"))
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: terminal.out,
      writeErr: terminal.err,
      getOutHelpWidth: () => terminal.columns,
      getErrHelpWidth: () => terminal.columns,
      getOutHasColors: () => false,
      getErrHasColors: () => false,
      outputError: complain,
    })
    .exitOverride()
    .addHelpText("after", HELP_NOTES);
  addWhoamiCommand(program, session);
  addApprovalCommands(program, session);
  addPolicyCommands(program, session);
  addCatalogueCommands(program, session);
  addCredentialCommands(program, session);
  addBudgetCommands(program, session);
  addAggregatesCommand(program, session);
  addOperationCommands(program, session);
  addUsageCommands(program, session);
  addFreezeCommands(program, session);
  addIncidentCommands(program, session);
  addEscalationCommands(program, session);
  addChannelCommands(program, session);
  addIssuerCommands(program, session);
  addAuditCommands(program, session);
  addDoctorCommand(program, session);
  addBootstrapCommand(program, session);
  return program;
}
