import { Option, type Command } from "commander";
import { z } from "zod";
import { ok } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import { addCommand, type CommandSpec, type Session } from "./command.ts";
import { table, text, verbatim, type Cell } from "./print.ts";
import { EVERYTHING_NOTES, freezeEverything, showEverything } from "./freeze-everything.ts";
import { shortTime } from "./times.ts";

const scope = z.string().max(160).default("tenant");
const everything = z.boolean().default(false);
const scopeOption = (): Option =>
  new Option("--scope <scope>", "tenant, spending, principal:<subject> or action:<action>").default("tenant");
const everythingOption = (): Option => new Option("--everything", "all tenants of the deployment").conflicts("scope");

/** `freeze set|lift|list`: the kill switch. */
export function addFreezeCommands(program: Command, session: Session): void {
  const group = program.command("freeze").description("the kill switch for writes");
  addCommand(group, session, set);
  addCommand(group, session, lift);
  addCommand(group, session, list);
}

const setOptions = z.object({ reason: z.string().min(1).max(1_024), scope, everything });

const set: CommandSpec<z.infer<typeof setOptions>> = {
  usage: "set",
  summary: "stop writes from the next request on (role operator or security; finance: spending)",
  options: [
    new Option("--reason <text>", "why; everybody who is refused gets it").makeOptionMandatory(),
    scopeOption(),
    everythingOption(),
  ],
  notes: EVERYTHING_NOTES,
  schema: setOptions,
  run: async (invocation) => {
    if (invocation.options.everything) return freezeEverything(invocation, invocation.options.reason);
    const client = openClient(invocation);
    if (!client.ok) return client;
    const { reason, scope: wanted } = invocation.options;
    const answer = await client.value.call({
      method: "POST",
      path: "/_gate/v1/freeze",
      body: { reason, scope: wanted },
    });
    if (!answer.ok) return answer;
    return ok({
      json: answer.value,
      human: [
        text({ text: `Frozen: ${wanted}. To lift it:`, style: "warn" }),
        verbatim([`portcullis freeze lift --scope ${wanted}`]),
      ],
    });
  },
};

const liftOptions = z.object({ scope, everything });

const lift: CommandSpec<z.infer<typeof liftOptions>> = {
  usage: "lift",
  summary: "let writes through again (the role that froze them, or security)",
  options: [scopeOption(), everythingOption()],
  notes: EVERYTHING_NOTES,
  schema: liftOptions,
  run: async (invocation) => {
    if (invocation.options.everything) return freezeEverything(invocation, null);
    const client = openClient(invocation);
    if (!client.ok) return client;
    const query = { scope: invocation.options.scope };
    const answer = await client.value.call({ method: "DELETE", path: "/_gate/v1/freeze", query });
    if (!answer.ok) return answer;
    return ok({ json: answer.value, human: [text({ text: `Lifted: ${query.scope}.`, style: "good" })] });
  },
};

const freezeList = z.object({
  records: z.array(z.object({ scope: z.string(), reason: z.string(), frozen_by: z.string(), since: z.string() })),
});

const listOptions = z.object({ everything });

const list: CommandSpec<z.infer<typeof listOptions>> = {
  usage: "list",
  summary: "list what is frozen",
  options: [everythingOption()],
  notes: EVERYTHING_NOTES,
  schema: listOptions,
  run: async (invocation) => {
    if (invocation.options.everything) return showEverything(invocation);
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/freeze" });
    if (!answer.ok) return answer;
    const view = readAs(freezeList, answer.value);
    if (!view.ok) return view;
    const rows = view.value.records.map((one): readonly Cell[] => [
      one.scope,
      one.frozen_by,
      shortTime(one.since),
      one.reason,
    ]);
    const columns = ["scope", "by", "since", "reason"].map((title) => ({ title }));
    return ok({ json: answer.value, human: [rows.length === 0 ? text("Nothing is frozen.") : table(columns, rows)] });
  },
};
