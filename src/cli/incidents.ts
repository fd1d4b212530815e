import { Option, type Command } from "commander";
import { z } from "zod";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { openClient, readAs, type GateClient } from "./client.ts";
import { addCommand, wholeNumber, type CommandSpec, type Invocation, type Outcome, type Session } from "./command.ts";
import { usage, type Failure } from "./failure.ts";
import { fields, quote, table, text, type Block, type Cell } from "./print.ts";
import { fromNow, shortTime } from "./times.ts";

/** The gate's own bound of one long poll, seconds. */
const POLL_S = 30;
/** Waiting for longer than an hour is waiting for somebody to be asked. */
const WAIT_MAX_S = 3_600;

const KEY = /^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$/;
/** A key that is one segment of a path; any other goes into the query. */
const SEGMENT = /^[A-Za-z0-9._-]*[A-Za-z0-9_-]$/;

const STATES = ["claimed", "resolved", "released", "expired", "all"] as const;
const note = z.string().min(1).max(1_024).optional();
const noteOption = (): Option => new Option("--note <text>", "what others should know");

/** `incident list|show|resolve|hand-over`: who works on what. */
export function addIncidentCommands(program: Command, session: Session): void {
  const group = program.command("incident").description("who works on which incident");
  addCommand(group, session, list);
  addCommand(group, session, show);
  addCommand(group, session, resolve);
  addCommand(group, session, handOver);
}

const incidentSchema = z.object({
  key: z.string(),
  state: z.string(),
  owner: z.string(),
  person: z.string().nullable(),
  action: z.string().nullable(),
  request_id: z.string(),
  approval_id: z.string().nullable(),
  started_at: z.string(),
  expires_at: z.string().nullable(),
  open: z.array(z.string()),
  outcome: z.string().nullable(),
  note: z.string().nullable(),
  ended_by: z.string().nullable(),
  ended_at: z.string().nullable(),
});
type Incident = z.infer<typeof incidentSchema>;
const incidentList = z.object({ records: z.array(incidentSchema) });

const listOptions = z.object({ state: z.enum(STATES).default("claimed"), limit: wholeNumber(1, 200).optional() });

const list: CommandSpec<z.infer<typeof listOptions>> = {
  usage: "list",
  summary: "list the incidents that somebody works on",
  options: [
    new Option("--state <state>", "claimed, resolved, released, expired or all").default("claimed"),
    new Option("--limit <n>", "at most so many, 1 to 200 (default: 50)"),
  ],
  schema: listOptions,
  run: async (invocation) => {
    const { options, terminal } = invocation;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const query = { state: options.state === "all" ? undefined : options.state, limit: options.limit };
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/incidents", query });
    if (!answer.ok) return answer;
    const view = readAs(incidentList, answer.value);
    if (!view.ok) return view;
    return ok({ json: answer.value, human: listBlocks(view.value.records, options.state, terminal.now()) });
  },
};

function listBlocks(incidents: readonly Incident[], state: string, now: number): readonly Block[] {
  if (incidents.length === 0)
    return [text(state === "all" ? "No incidents." : `No ${state} incidents (--state all shows every one).`)];
  const rows = incidents.map((one): readonly Cell[] => [
    one.key,
    one.owner,
    one.action ?? "-",
    shortTime(one.started_at),
    one.state === "claimed" ? (one.expires_at === null ? "at it" : fromNow(one.expires_at, now)) : endOf(one),
  ]);
  const titles = ["owner", "action", "since", "ends"].map((title) => ({ title }));
  return [table([{ title: "incident", keep: true }, ...titles], rows)];
}

const endOf = ({ state, outcome }: Incident): string => (outcome === null ? state : `${state}: ${outcome}`);

const showOptions = z.object({ wait: wholeNumber(1, WAIT_MAX_S).optional() });

const show: CommandSpec<z.infer<typeof showOptions>> = {
  usage: "show <key>",
  summary: "show who works on one incident, or what became of it",
  options: [
    new Option("--wait <seconds>", `wait until it is over or somebody else's, at most so long (1 to ${WAIT_MAX_S})`),
  ],
  schema: showOptions,
  run: async (invocation) => {
    const opened = openIncident(invocation);
    if (!opened.ok) return opened;
    const { terminal, options } = invocation;
    const until = terminal.now() + (options.wait ?? 0) * 1_000;
    let owner: string | null = null;
    for (;;) {
      const leftS = Math.ceil((until - terminal.now()) / 1_000);
      const wait = leftS > 0 ? { wait: Math.min(POLL_S, leftS) } : {};
      const answer = await opened.value.call("GET", "", wait);
      if (!answer.ok) return answer;
      const view = readAs(incidentSchema, answer.value);
      if (!view.ok) return view;
      owner ??= view.value.owner;
      if (leftS <= 0 || view.value.state !== "claimed" || view.value.owner !== owner)
        return ok({ json: answer.value, human: incidentBlocks(view.value) });
    }
  },
};

const resolveOptions = z.object({ outcome: z.enum(["fixed", "not-fixed", "false-alarm"]), note });

const resolve: CommandSpec<z.infer<typeof resolveOptions>> = {
  usage: "resolve <key>",
  summary: "say what became of an incident; others may work on it again",
  options: [new Option("--outcome <word>", "fixed, not-fixed or false-alarm").makeOptionMandatory(), noteOption()],
  notes: "Its owner, the person behind the owner's credential, or an operator.",
  schema: resolveOptions,
  run: (invocation) => act(invocation, "/resolve", { outcome: invocation.options.outcome }),
};

const handOverOptions = z.object({ to: z.string().min(1).max(128), note });

const handOver: CommandSpec<z.infer<typeof handOverOptions>> = {
  usage: "hand-over <key>",
  summary: "give an incident to another agent or person of the tenant",
  options: [
    new Option("--to <subject>", "who is to work on it, such as agent:NAME or person:NAME").makeOptionMandatory(),
    noteOption(),
  ],
  notes:
    "Its owner, the person behind the owner's credential, or an operator. Proposals of the former owner stay, and are not run while another has it.",
  schema: handOverOptions,
  run: (invocation) => act(invocation, "/hand-over", { to: invocation.options.to }),
};

async function act(
  invocation: Invocation<{ readonly note?: string | undefined }>,
  what: string,
  body: JsonObject,
): Promise<Result<Outcome, Failure>> {
  const opened = openIncident(invocation);
  if (!opened.ok) return opened;
  const { note: said } = invocation.options;
  const answer = await opened.value.call("POST", what, {}, { ...body, ...(said === undefined ? {} : { note: said }) });
  if (!answer.ok) return answer;
  const view = readAs(incidentSchema, answer.value);
  return view.ok ? ok({ json: answer.value, human: incidentBlocks(view.value) }) : view;
}

type Opened = {
  readonly call: (
    method: "GET" | "POST",
    what: string,
    query: Readonly<Record<string, number>>,
    body?: JsonObject,
  ) => ReturnType<GateClient["call"]>;
};

function openIncident(invocation: Invocation<unknown>): Result<Opened, Failure> {
  const [key = ""] = invocation.args;
  if (!KEY.test(key)) return err(usage("that is not an incident's key", "portcullis incident list shows the keys."));
  const client = openClient(invocation);
  if (!client.ok) return client;
  const [segment, elsewhere] = SEGMENT.test(key) ? [key, {}] : ["~", { key }];
  return ok({
    call: (method, what, query, body) =>
      client.value.call({
        method,
        path: `/_gate/v1/incidents/${segment}${what}`,
        query: { ...elsewhere, ...query },
        ...(body === undefined ? {} : { body }),
      }),
  });
}

function incidentBlocks(one: Incident): readonly Block[] {
  const isOpen = one.state === "claimed";
  const rows = fields([
    ["incident", one.key],
    ["state", { text: endOf(one), style: isOpen ? "warn" : "good" }],
    ["owner", one.person === null || one.person === one.owner ? one.owner : `${one.owner} (${one.person})`],
    ["action", one.action],
    ["since", one.started_at],
    ["request", one.request_id],
    ["proposal", one.approval_id],
    ["open", one.open.length === 0 ? null : one.open.join(", ")],
    ["ends without activity", one.expires_at],
    ["ended", one.ended_at],
    ["said by", one.ended_by],
  ]);
  return one.note === null ? [rows] : [rows, quote("note", one.note)];
}
