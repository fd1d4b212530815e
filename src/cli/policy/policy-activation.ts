import { Option, type Command } from "commander";
import { z } from "zod";
import type { JsonObject } from "../../platform/json.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { openClient, readAs, type GateClient } from "../client.ts";
import { addCommand, type CommandSpec, type Invocation, type Outcome, type Session } from "../command.ts";
import { failed, usage, type Failure } from "../failure.ts";
import { table, text, type Cell } from "../print.ts";
import { shortTime, timeAfter } from "../times.ts";
import { changeBlocks, changesShown } from "./version-changes.ts";

const ACTIVATE = "/_gate/v1/policy/activate";
const SCHEDULES = "/_gate/v1/policy/schedules";

/** `policy activate|rollback`, `policy schedule list|cancel`. */
export function addActivationCommands(group: Command, session: Session): void {
  addCommand(group, session, activate);
  addCommand(group, session, rollback);
  const schedule = group.command("schedule").description("versions that come in force by themselves");
  addCommand(schedule, session, list);
  addCommand(schedule, session, cancel);
}

const reason = z.string().min(1).max(1_024).optional();
const REASON = new Option("--reason <text>", "why, for the people who are told and the audit log");
const WHO =
  "Needs a key with role security or finance of somebody else than its author; finance where it raises a cap or changes prices, teams or other terms of the budget.";

const activateOptions = z.object({ at: z.string().optional(), reason });

const activate: CommandSpec<z.infer<typeof activateOptions>> = {
  usage: "activate <version>",
  summary: "put a version in force that somebody else has pushed",
  options: [
    new Option("--at <time>", "let it come in force by itself: a UTC time or 2h, 7d from now, at most 90 days ahead"),
    REASON,
  ],
  notes: `Says what it changes, and does it only if the version that it was compared with is still in force. ${WHO}`,
  schema: activateOptions,
  run: async (invocation) => {
    const [version = ""] = invocation.args;
    if (!isVersion(version)) return err(usage(`${version} is not a version number`));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const { at } = invocation.options;
    const when = at === undefined ? {} : { at: timeAfter(at, invocation.terminal.now()) };
    return putInForce(invocation, client.value, Number(version), when);
  },
};

const rollbackOptions = z.object({ to: z.string().optional(), reason });
const lastActivation = z.object({
  records: z.array(z.object({ version: z.number(), previous: z.number().nullable() })),
});

const rollback: CommandSpec<z.infer<typeof rollbackOptions>> = {
  usage: "rollback",
  summary: "put the version in force again that was before this one",
  options: [new Option("--to <version>", "another one that was"), REASON],
  notes: WHO,
  schema: rollbackOptions,
  run: async (invocation) => {
    const { to } = invocation.options;
    if (to !== undefined && !isVersion(to)) return err(usage(`${to} is not a version number`));
    const client = openClient(invocation);
    if (!client.ok) return client;
    if (to !== undefined) return putInForce(invocation, client.value, Number(to), {});
    const path = "/_gate/v1/policy/activations";
    const answer = await client.value.call({ method: "GET", path, query: { limit: 1 } });
    if (!answer.ok) return answer;
    const view = readAs(lastActivation, answer.value);
    if (!view.ok) return view;
    const previous = view.value.records[0]?.previous ?? null;
    if (previous === null)
      return err(failed("No version was in force before this one", "Name the one you mean with --to.", null));
    return putInForce(invocation, client.value, previous, {});
  },
};

const diffShown = z.object({ changes: changesShown });

/** Shows what the version changes, then has it put in force for exactly that. */
async function putInForce(
  { show, options }: Pick<Invocation<{ readonly reason?: string | undefined }>, "show" | "options">,
  client: GateClient,
  version: number,
  when: { readonly at?: string },
): Promise<Result<Outcome, Failure>> {
  const compared = await client.call({ method: "GET", path: `/_gate/v1/policy/versions/${version}/diff` });
  if (!compared.ok) return compared;
  const view = readAs(diffShown, compared.value);
  if (!view.ok) return view;
  const { changes } = view.value;
  show(changeBlocks(changes));
  const body: JsonObject = {
    version,
    ...(when.at === undefined ? { replaces: changes.against } : { at: when.at }),
    ...(options.reason === undefined ? {} : { reason: options.reason }),
  };
  const answer = await client.call({ method: "POST", path: ACTIVATE, body });
  if (!answer.ok) return answer;
  const done =
    when.at === undefined
      ? `Version ${version} is in force.`
      : `Version ${version} comes in force ${shortTime(when.at)}, if you may still do it then.`;
  return ok({ json: answer.value, human: [text({ text: done, style: "good" })] });
}

const none = z.object({});
const scheduleList = z.object({
  records: z.array(
    z.object({
      version: z.number(),
      at: z.string(),
      by: z.string(),
      reason: z.string().nullable(),
      made_at: z.string(),
    }),
  ),
});

const list: CommandSpec<z.infer<typeof none>> = {
  usage: "list",
  summary: "list them, soonest first",
  schema: none,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: SCHEDULES });
    if (!answer.ok) return answer;
    const view = readAs(scheduleList, answer.value);
    if (!view.ok) return view;
    const rows = view.value.records.map((one): readonly Cell[] => [
      shortTime(one.at),
      String(one.version),
      `${one.by}, ${shortTime(one.made_at)}`,
      one.reason ?? "–",
    ]);
    const columns = ["at", "version", "scheduled by", "reason"].map((title) => ({ title }));
    return ok({
      json: answer.value,
      human: rows.length === 0 ? [text("No version is scheduled.")] : [table(columns, rows)],
    });
  },
};

const cancel: CommandSpec<z.infer<typeof none>> = {
  usage: "cancel <version>",
  summary: "take the schedule of a version back (operator, security or finance)",
  schema: none,
  run: async (invocation) => {
    const [version = ""] = invocation.args;
    if (!isVersion(version)) return err(usage(`${version} is not a version number`));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "DELETE", path: `${SCHEDULES}/${version}` });
    if (!answer.ok) return answer;
    return ok({
      json: answer.value,
      human: [text({ text: `Version ${version} does not come in force by itself any more.`, style: "good" })],
    });
  },
};

/** Whether a text is the number of a version. */
export const isVersion = (version: string): boolean => /^[1-9][0-9]{0,8}$/.test(version);
