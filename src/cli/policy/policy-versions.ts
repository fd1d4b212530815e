import { Option, type Command } from "commander";
import { z } from "zod";
import { err, ok, type Result } from "../../platform/result.ts";
import { openClient, readAs, type GateClient } from "../client.ts";
import { addCommand, type CommandSpec, type Invocation, type Outcome, type Session } from "../command.ts";
import { usage, type Failure } from "../failure.ts";
import { addActivationCommands, isVersion } from "./policy-activation.ts";
import { table, verbatim, type Cell } from "../print.ts";
import { shortTime } from "../times.ts";
import { changeBlocks, changesShown } from "./version-changes.ts";

/** Seven digits name a commit well enough for people. */
const SHORT_COMMIT = 7;

/** `policy versions|show|history`, and the commands that put versions in force. */
export function addVersionCommands(group: Command, session: Session): void {
  addActivationCommands(group, session);
  addCommand(group, session, versions);
  addCommand(group, session, show);
  addCommand(group, session, history);
}

const none = z.object({});
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
const scheduleList = z.object({ records: z.array(z.object({ version: z.number(), at: z.string() })) });
const inForce = z.object({ version: z.number(), policy: z.string().nullable() });
type Shown = z.infer<typeof versionList>["records"][number];

const versions: CommandSpec<z.infer<typeof none>> = {
  usage: "versions",
  summary: "list the versions, newest first",
  schema: none,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/policy/versions" });
    if (!answer.ok) return answer;
    const list = readAs(versionList, answer.value);
    if (!list.ok) return list;
    const current = await activeVersion(client.value);
    if (!current.ok) return current;
    const planned = await client.value.call({ method: "GET", path: "/_gate/v1/policy/schedules" });
    if (!planned.ok) return planned;
    const schedules = readAs(scheduleList, planned.value);
    if (!schedules.ok) return schedules;
    const dueAt = new Map(schedules.value.records.map(({ version, at }) => [version, at]));
    const rows = list.value.records.map((one): readonly Cell[] => [
      String(one.version),
      stateOf(one, current.value.version, dueAt.get(one.version)),
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

function stateOf(one: Shown, active: number, dueAt: string | undefined): Cell {
  if (one.version === active) return { text: "in force", style: "good" };
  if (dueAt !== undefined) return { text: `from ${shortTime(dueAt)}`, style: "warn" };
  return one.activated_at === null ? { text: "waiting", style: "warn" } : { text: "replaced", style: "dim" };
}

const DOCUMENTS = ["policy", "people", "catalogue", "prices"] as const;
const showOptions = z.object({
  document: z.enum(DOCUMENTS).default("policy"),
  against: z.union([z.string(), z.literal(true)]).optional(),
});
const texts = z.object({
  version: z.number(),
  documents: z.object({
    policy: z.string().nullable(),
    people: z.string().nullable(),
    catalogue: z.string().nullable(),
    prices: z.string().nullable(),
  }),
});
const diffShown = z.object({ version: z.number(), changes: changesShown });

const show: CommandSpec<z.infer<typeof showOptions>> = {
  usage: "show [version]",
  summary: "print the policy in force, a version, or what a version changes",
  options: [
    new Option("--document <name>", "which of its documents").choices([...DOCUMENTS]).default("policy"),
    new Option("--against [version]", "what it changes against another one (default: the one in force)"),
  ],
  schema: showOptions,
  run: async (invocation) => {
    const { against, document } = invocation.options;
    const [number] = invocation.args;
    const faulty = [number, against].find((one) => typeof one === "string" && !isVersion(one));
    if (faulty !== undefined) return err(usage(`${String(faulty)} is not a version number`));
    const client = openClient(invocation);
    if (!client.ok) return client;
    if (number === undefined && against === undefined && document === "policy")
      return showActive(invocation, client.value);
    const current = number === undefined ? await activeVersion(client.value) : null;
    if (current !== null && !current.ok) return current;
    const path = `/_gate/v1/policy/versions/${number ?? current?.value.version ?? ""}`;
    if (against !== undefined) {
      const query = against === true ? {} : { against };
      const answer = await client.value.call({ method: "GET", path: `${path}/diff`, query });
      if (!answer.ok) return answer;
      const view = readAs(diffShown, answer.value);
      return view.ok ? ok({ json: answer.value, human: changeBlocks(view.value.changes) }) : view;
    }
    const answer = await client.value.call({ method: "GET", path });
    if (!answer.ok) return answer;
    const view = readAs(texts, answer.value);
    if (!view.ok) return view;
    invocation.note(`version ${view.value.version}`);
    return ok({ json: answer.value, human: [lines(view.value.documents[document])] });
  },
};

/** The policy in force is everybody's to read; versions are for those who hold a role. */
async function showActive(
  { note }: Pick<Invocation<unknown>, "note">,
  client: GateClient,
): Promise<Result<Outcome, Failure>> {
  const answer = await client.call({ method: "GET", path: "/_gate/v1/policy" });
  if (!answer.ok) return answer;
  const view = readAs(inForce, answer.value);
  if (!view.ok) return view;
  note(`version ${view.value.version}`);
  return ok({ json: answer.value, human: [lines(view.value.policy)] });
}

const lines = (document: string | null) => verbatim((document ?? "").trimEnd().split("\n"));

const historyList = z.object({
  records: z.array(
    z.object({
      version: z.number(),
      previous: z.number().nullable(),
      by: z.string(),
      at: z.string(),
      how: z.string(),
      reason: z.string().nullable(),
    }),
  ),
});

const history: CommandSpec<z.infer<typeof none>> = {
  usage: "history",
  summary: "list which version came in force when, newest first",
  schema: none,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/policy/activations" });
    if (!answer.ok) return answer;
    const list = readAs(historyList, answer.value);
    if (!list.ok) return list;
    const rows = list.value.records.map((one): readonly Cell[] => [
      shortTime(one.at),
      String(one.version),
      one.previous === null ? "–" : String(one.previous),
      one.how === "scheduled" ? `${one.by}, scheduled` : one.by,
      one.reason ?? "–",
    ]);
    const columns = ["since", "version", "before", "by", "reason"].map((title) => ({ title }));
    return ok({ json: answer.value, human: [table(columns, rows)] });
  },
};

/** The version in force and its policy. */
async function activeVersion(client: GateClient): Promise<Result<z.infer<typeof inForce>, Failure>> {
  const answer = await client.call({ method: "GET", path: "/_gate/v1/policy" });
  return answer.ok ? readAs(inForce, answer.value) : answer;
}
