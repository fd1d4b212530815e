import { Option, type Command } from "commander";
import { z } from "zod";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import { addCommand, type CommandSpec, type Invocation, type Session } from "./command.ts";
import { problemLine, type FileProblem } from "./documents.ts";
import { usage, type Failure } from "./failure.ts";
import { absolute, readText } from "./files.ts";
import { commitOf } from "./git-commit.ts";
import { checkPolicy } from "./policy-check.ts";
import { fields, table, text, verbatim, type Cell } from "./print.ts";
import { shortTime } from "./times.ts";

const DOCUMENTS = ["policy", "people", "catalogue", "prices"] as const;
type Documents = Readonly<Partial<Record<(typeof DOCUMENTS)[number], string>>>;

/** Seven digits name a commit well enough for people. */
const SHORT_COMMIT = 7;

const none = z.object({});
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

/** `policy check|push|activate|versions|show`. */
export function addPolicyCommands(program: Command, session: Session): void {
  const group = program.command("policy").description("what a tenant allows, and who put it in force");
  addCommand(group, session, checkPolicy);
  addCommand(group, session, push);
  addCommand(group, session, activate);
  addCommand(group, session, versions);
  addCommand(group, session, show);
}

const pushed = z.object({
  version: z.number(),
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
    const { version, warnings } = view.value;
    const lines = warnings.map((warning): FileProblem => ({ ...warning, file: invocation.options.policy ?? "policy" }));
    return ok({
      json: answer.value,
      human: [
        ...(lines.length === 0 ? [] : [verbatim(lines.map(problemLine))]),
        text({ text: `Version ${version} is stored and not in force yet.`, style: "good" }),
        fields([["git commit", commit]]),
        text("A second person (security or finance) puts it in force:"),
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

const activate: CommandSpec<z.infer<typeof none>> = {
  usage: "activate <version>",
  summary: "put a version in force that somebody else has pushed",
  notes:
    "Needs a key with role security or finance; finance where it raises a cap or changes prices, teams or other terms of the budget.",
  schema: none,
  run: async (invocation) => {
    const [version = ""] = invocation.args;
    if (!/^[1-9][0-9]{0,8}$/.test(version)) return err(usage(`${version} is not a version number`));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const body = { version: Number(version) };
    const answer = await client.value.call({ method: "POST", path: "/_gate/v1/policy/activate", body });
    if (!answer.ok) return answer;
    return ok({ json: answer.value, human: [text({ text: `Version ${version} is in force.`, style: "good" })] });
  },
};

const versionList = z.object({
  records: z.array(
    z.object({
      version: z.number(),
      author: z.string(),
      reason: z.string(),
      git_commit: z.string().nullable(),
      created_at: z.string(),
      activated_by: z.string().nullable(),
      activated_at: z.string().nullable(),
    }),
  ),
});
const inForce = z.object({ version: z.number(), policy: z.string().nullable() });

const versions: CommandSpec<z.infer<typeof none>> = {
  usage: "versions",
  summary: "list the versions, newest first",
  schema: none,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/policy/versions" });
    if (!answer.ok) return answer;
    const active = await client.value.call({ method: "GET", path: "/_gate/v1/policy" });
    if (!active.ok) return active;
    const list = readAs(versionList, answer.value);
    if (!list.ok) return list;
    const current = readAs(inForce, active.value);
    if (!current.ok) return current;
    const rows = list.value.records.map((one): readonly Cell[] => [
      String(one.version),
      stateOf(one, current.value.version),
      `${one.author}, ${shortTime(one.created_at)}`,
      one.activated_by === null || one.activated_at === null
        ? "–"
        : `${one.activated_by}, ${shortTime(one.activated_at)}`,
      one.git_commit?.slice(0, SHORT_COMMIT) ?? "–",
      one.reason,
    ]);
    const columns = ["version", "state", "pushed by", "activated by", "commit", "reason"].map((title) => ({ title }));
    return ok({ json: answer.value, human: [table(columns, rows)] });
  },
};

function stateOf(one: { readonly version: number; readonly activated_at: string | null }, active: number): Cell {
  if (one.version === active) return { text: "in force", style: "good" };
  return one.activated_at === null ? { text: "waiting", style: "warn" } : { text: "replaced", style: "dim" };
}

const show: CommandSpec<z.infer<typeof none>> = {
  usage: "show",
  summary: "print the policy in force",
  schema: none,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/policy" });
    if (!answer.ok) return answer;
    const view = readAs(inForce, answer.value);
    if (!view.ok) return view;
    invocation.note(`version ${view.value.version}`);
    return ok({ json: answer.value, human: [verbatim((view.value.policy ?? "").trimEnd().split("\n"))] });
  },
};
