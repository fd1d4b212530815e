import { Option, type Command } from "commander";
import { z } from "zod";
import { err, ok } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import { addCommand, wholeNumber, type CommandSpec, type Session } from "./command.ts";
import { usage } from "./failure.ts";
import { isId } from "./ids.ts";
import { fields, quote, table, text, type Block, type Cell } from "./print.ts";
import { shortTime } from "./times.ts";

const PATH = "/_gate/v1/escalations";

/** `escalation open|list|show|close`: what nobody could diagnose, handed over to people. */
export function addEscalationCommands(program: Command, session: Session): void {
  const group = program.command("escalation").description("what nobody could diagnose, handed over to people");
  addCommand(group, session, open);
  addCommand(group, session, list);
  addCommand(group, session, show);
  addCommand(group, session, close);
}

const none = z.object({});
const escalationSchema = z.object({
  id: z.string(),
  state: z.string(),
  incident: z.string().nullable(),
  opened_at: z.string(),
  closed_by: z.string().nullable(),
  closed_at: z.string().nullable(),
  note: z.string().nullable(),
  entries: z.array(
    z.object({
      principal: z.string(),
      hypothesis: z.string(),
      evidence: z.string(),
      tried: z.string(),
      at: z.string(),
    }),
  ),
});
type Escalation = z.infer<typeof escalationSchema>;

const openOptions = z.object({
  hypothesis: z.string().min(1).max(2_048),
  evidence: z.string().min(1).max(8_192),
  tried: z.string().min(1).max(2_048),
  incident: z.string().optional(),
});

const open: CommandSpec<z.infer<typeof openOptions>> = {
  usage: "open",
  summary: "put before people what could not be diagnosed",
  options: [
    new Option("--hypothesis <text>", "what it most likely is").makeOptionMandatory(),
    new Option("--evidence <text>", "what was seen").makeOptionMandatory(),
    new Option("--tried <text>", "what was tried").makeOptionMandatory(),
    new Option("--incident <key>", "the incident that it is about: what is open for it is added to"),
  ],
  schema: openOptions,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const { hypothesis, evidence, tried, incident } = invocation.options;
    const body = { hypothesis, evidence, tried, ...(incident === undefined ? {} : { incident }) };
    const answer = await client.value.call({ method: "POST", path: PATH, body });
    if (!answer.ok) return answer;
    const view = readAs(escalationSchema, answer.value);
    if (!view.ok) return view;
    const { id, entries } = view.value;
    const said = entries.length === 1 ? `${id} is before people.` : `Added to ${id}, which is before people already.`;
    return ok({ json: answer.value, human: [text({ text: said, style: "good" })] });
  },
};

const listOptions = z.object({
  state: z.enum(["open", "closed", "all"]).default("open"),
  limit: wholeNumber(1, 200).optional(),
});

const list: CommandSpec<z.infer<typeof listOptions>> = {
  usage: "list",
  summary: "list what waits for people",
  options: [
    new Option("--state <state>", "open, closed or all").default("open"),
    new Option("--limit <n>", "at most so many, 1 to 200 (default: 50)"),
  ],
  schema: listOptions,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const { state, limit } = invocation.options;
    const query = { state: state === "all" ? undefined : state, limit };
    const answer = await client.value.call({ method: "GET", path: PATH, query });
    if (!answer.ok) return answer;
    const view = readAs(z.object({ records: z.array(escalationSchema) }), answer.value);
    if (!view.ok) return view;
    const rows = view.value.records.map((one): readonly Cell[] => [
      one.id,
      one.incident ?? "-",
      shortTime(one.opened_at),
      one.state,
      one.entries[0]?.hypothesis ?? "",
    ]);
    const titles = ["incident", "since", "state", "hypothesis"].map((title) => ({ title }));
    const nothing = state === "all" ? "No escalations." : `No ${state} escalations.`;
    return ok({
      json: answer.value,
      human: [rows.length === 0 ? text(nothing) : table([{ title: "id", keep: true }, ...titles], rows)],
    });
  },
};

const show: CommandSpec<z.infer<typeof none>> = {
  usage: "show <id>",
  summary: "show one with everything that was said",
  schema: none,
  run: async (invocation) => {
    const [id = ""] = invocation.args;
    if (!isId(id)) return err(usage("that is not an escalation's id", "portcullis escalation list shows the ids."));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: `${PATH}/${id}` });
    if (!answer.ok) return answer;
    const view = readAs(escalationSchema, answer.value);
    return view.ok ? ok({ json: answer.value, human: escalationBlocks(view.value) }) : view;
  },
};

const closeOptions = z.object({ note: z.string().min(1).max(1_024) });

const close: CommandSpec<z.infer<typeof closeOptions>> = {
  usage: "close <id>",
  summary: "say that somebody has taken it up, or that it is over (people only)",
  options: [new Option("--note <text>", "what came of it").makeOptionMandatory()],
  schema: closeOptions,
  run: async (invocation) => {
    const [id = ""] = invocation.args;
    if (!isId(id)) return err(usage("that is not an escalation's id", "portcullis escalation list shows the ids."));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const { note } = invocation.options;
    const answer = await client.value.call({ method: "POST", path: `${PATH}/${id}/close`, body: { note } });
    return answer.ok ? ok({ json: answer.value, human: [text({ text: `Closed: ${id}.`, style: "good" })] }) : answer;
  },
};

function escalationBlocks(one: Escalation): readonly Block[] {
  return [
    fields([
      ["escalation", one.id],
      ["state", { text: one.state, style: one.state === "open" ? "warn" : "good" }],
      ["incident", one.incident],
      ["opened", one.opened_at],
      ["closed", one.closed_at === null ? null : `${one.closed_at} by ${one.closed_by ?? ""}`],
    ]),
    ...(one.note === null ? [] : [quote("note", one.note)]),
    ...one.entries.flatMap((entry) => [
      fields([["said by", `${entry.principal}, ${entry.at}`]]),
      quote("hypothesis", entry.hypothesis),
      quote("evidence", entry.evidence),
      quote("tried", entry.tried),
    ]),
  ];
}
