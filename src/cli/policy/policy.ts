import { Option, type Command } from "commander";
import { z } from "zod";
import type { JsonObject } from "../../platform/json.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { openClient, readAs } from "../client.ts";
import { addCommand, type CommandSpec, type Invocation, type Session } from "../command.ts";
import { problemLine, type FileProblem } from "../documents.ts";
import { usage, type Failure } from "../failure.ts";
import { absolute, readText } from "../files.ts";
import { commitOf } from "../git-commit.ts";
import { checkPolicy } from "./policy-check.ts";
import { diffPolicies } from "./policy-diff.ts";
import { policyDivergence } from "./policy-divergence.ts";
import { explainPolicy } from "./policy-explain.ts";
import { replayPolicy } from "./policy-replay.ts";
import { testPolicy } from "./policy-test.ts";
import { addVersionCommands } from "./policy-versions.ts";
import { fields, text, verbatim } from "../print.ts";
import { changeBlocks, changesShown } from "./version-changes.ts";

const DOCUMENTS = ["policy", "people", "catalogue", "prices"] as const;
type Documents = Readonly<Partial<Record<(typeof DOCUMENTS)[number], string>>>;

const pushOptions = z.object({
  policy: z.string().optional(),
  people: z.string().optional(),
  catalogue: z.string().optional(),
  prices: z.string().optional(),
  reason: z.string().min(1).max(1_024),
  gitCommit: z
    .string()
    .regex(/^[0-9a-f]{7,64}$/, { error: "a commit id is 7 to 64 hex digits" })
    .optional(),
});
type PushOptions = z.infer<typeof pushOptions>;

/** `policy check|push`, and what there is to do with versions. */
export function addPolicyCommands(program: Command, session: Session): void {
  const group = program.command("policy").description("what a tenant allows, and who put it in force");
  addCommand(group, session, checkPolicy);
  addCommand(group, session, testPolicy);
  addCommand(group, session, explainPolicy);
  addCommand(group, session, diffPolicies);
  addCommand(group, session, replayPolicy);
  addCommand(group, session, policyDivergence);
  addCommand(group, session, push);
  addVersionCommands(group, session);
}

const pushed = z.object({
  version: z.number(),
  changes: changesShown.nullable().optional(),
  warnings: z.array(
    z.object({
      line: z.number().nullable(),
      column: z.number().nullable(),
      path: z.string(),
      message: z.string(),
      severity: z.enum(["error", "warning"]),
    }),
  ),
});

const push: CommandSpec<PushOptions> = {
  usage: "push",
  summary: "store a new version of the documents; a second person puts it in force",
  options: [
    new Option("--policy <file>", "policy document"),
    new Option("--people <file>", "people document"),
    new Option("--catalogue <file>", "catalogue"),
    new Option("--prices <file>", "price table"),
    new Option("--reason <text>", "why, for the people who activate and audit it").makeOptionMandatory(),
    new Option(
      "--git-commit <sha>",
      "commit that holds the documents (default: found by itself when they are committed)",
    ),
  ],
  notes: "What is not named stays as it is in force. Needs the operator's key.",
  schema: pushOptions,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const documents = readDocuments(invocation);
    if (!documents.ok) return documents;
    const commit = await commitFor(invocation);
    const body: JsonObject = {
      ...documents.value,
      reason: invocation.options.reason,
      ...(commit === null ? {} : { git_commit: commit }),
    };
    const answer = await client.value.call({ method: "POST", path: "/_gate/v1/policy/versions", body });
    if (!answer.ok) return answer;
    const view = readAs(pushed, answer.value);
    if (!view.ok) return view;
    const { version, warnings, changes } = view.value;
    const lines = warnings.map((warning): FileProblem => ({ ...warning, file: invocation.options.policy ?? "policy" }));
    return ok({
      json: answer.value,
      human: [
        ...(lines.length === 0 ? [] : [verbatim(lines.map(problemLine))]),
        text({ text: `Version ${version} is stored and not in force yet.`, style: "good" }),
        fields([["git commit", commit]]),
        ...(changes === null || changes === undefined ? [] : changeBlocks(changes)),
        text("A second person puts it in force:"),
        verbatim([`portcullis policy activate ${version}`]),
      ],
    });
  },
};

function readDocuments({ options, terminal }: Invocation<PushOptions>): Result<Documents, Failure> {
  const read: Partial<Record<(typeof DOCUMENTS)[number], string>> = {};
  for (const name of DOCUMENTS) {
    const file = options[name];
    if (file === undefined) continue;
    const document = readText(terminal, file);
    if (!document.ok) return document;
    read[name] = document.value;
  }
  return Object.keys(read).length > 0
    ? ok(read)
    : err(usage("nothing to push", "Name at least one of --policy, --people, --catalogue and --prices."));
}

async function commitFor({ options, terminal, note }: Invocation<PushOptions>): Promise<string | null> {
  if (options.gitCommit !== undefined) return options.gitCommit;
  const files = DOCUMENTS.flatMap((name) => options[name] ?? []).map((file) => absolute(terminal, file));
  const found = await commitOf(files);
  if (found.kind === "found") return found.commit;
  note(`warning: no git commit is recorded with this version: ${found.why}`);
  return null;
}
