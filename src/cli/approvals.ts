import { Option, type Command } from "commander";
import { z } from "zod";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { approve, breakGlass } from "./approve.ts";
import { openClient, readAs, type GateClient } from "./client.ts";
import { addCommand, wholeNumber, type CommandSpec, type Invocation, type Session } from "./command.ts";
import { usage, valueText, type Failure } from "./failure.ts";
import { isId } from "./ids.ts";
import { table, text, verbatim, type Block, type Cell } from "./print.ts";
import { costText, decidedOutcome, proposalBlocks, proposalSchema, stateCell, type Proposal } from "./proposal.ts";
import { fromNow } from "./times.ts";
import { watch } from "./watch.ts";

/** The gate's own bound of one long poll, seconds. */
const POLL_S = 30;
/** A proposal lives half an hour unless the policy says otherwise; waiting longer than an hour is waiting for nothing. */
const WAIT_MAX_S = 3_600;

const none = z.object({});
const listOptions = z.object({ state: z.string().default("pending"), limit: wholeNumber(1, 200).optional() });
const showOptions = z.object({ wait: wholeNumber(1, WAIT_MAX_S).optional() });
/** Of a denial and of a review. */
const commentOptions = z.object({ comment: z.string().min(1).max(1_024) });
const contextOptions = z.object({
  reason: z.string().optional(),
  evidence: z.string().optional(),
  backOut: z.string().optional(),
  incident: z.string().optional(),
});

/** `approvals list|watch|show|approve|deny|break-glass|review|complete|withdraw`. Whoever's key it is decides: there is no way to name another person. */
export function addApprovalCommands(program: Command, session: Session): void {
  const group = program.command("approvals").description("proposals that people decide");
  addCommand(group, session, list);
  addCommand(group, session, watch);
  addCommand(group, session, show);
  addCommand(group, session, approve);
  addCommand(group, session, deny);
  addCommand(group, session, breakGlass);
  addCommand(group, session, review);
  addCommand(group, session, complete);
  addCommand(group, session, withdraw);
}

const proposalList = z.object({ records: z.array(proposalSchema) });

const list: CommandSpec<z.infer<typeof listOptions>> = {
  usage: "list",
  summary: "list the proposals that this key may see",
  options: [
    new Option(
      "--state <state>",
      "pending, draft, approved, denied, expired, withdrawn, invalidated, consumed or all",
    ).default("pending"),
    new Option("--limit <n>", "at most so many, 1 to 200 (default: 50)"),
  ],
  schema: listOptions,
  run: async (invocation) => {
    const { options, terminal } = invocation;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const query = { state: options.state === "all" ? undefined : options.state, limit: options.limit };
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/approvals", query });
    if (!answer.ok) return answer;
    const view = readAs(proposalList, answer.value);
    if (!view.ok) return view;
    return ok({ json: answer.value, human: listBlocks(view.value.records, options.state, terminal.now()) });
  },
};

function listBlocks(proposals: readonly Proposal[], state: string, now: number): readonly Block[] {
  if (proposals.length === 0)
    return [text(state === "all" ? "No proposals." : `No ${state} proposals (--state all shows every one).`)];
  const rows = proposals.map((one): readonly Cell[] => [
    one.id,
    `${one.action}${one.resource ? ` ${one.resource}` : ""} (tier ${one.tier}), ${costText(one)}`,
    one.requester,
    `${one.given}/${one.needed}`,
    one.state === "pending" || one.state === "draft" ? fromNow(one.expires_at, now) : stateCell(one.state),
  ]);
  const titles = ["request", "requester", "given", "ends"].map((title) => ({ title }));
  return [table([{ title: "id", keep: true }, ...titles], rows)];
}

const show: CommandSpec<z.infer<typeof showOptions>> = {
  usage: "show <id>",
  summary: "show one proposal with everything its approvers see",
  options: [new Option("--wait <seconds>", `wait until it is decided, at most so long (1 to ${WAIT_MAX_S})`)],
  schema: showOptions,
  run: async (invocation) => {
    const opened = openProposal(invocation);
    if (!opened.ok) return opened;
    const answer = await readProposal(invocation, opened.value);
    if (!answer.ok) return answer;
    const view = readAs(proposalSchema, answer.value);
    if (!view.ok) return view;
    const { token } = view.value;
    return ok({
      json: answer.value,
      human: [
        ...proposalBlocks(view.value, invocation.terminal.now()),
        ...(token
          ? [text("Approval token, for the header Gate-Approval of the identical request:"), verbatim([token])]
          : []),
      ],
    });
  },
};

type Opened = { readonly client: GateClient; readonly path: string };

function openProposal(invocation: Invocation<unknown>): Result<Opened, Failure> {
  const [id = ""] = invocation.args;
  if (!isId(id)) return err(usage("that is not a proposal's id", "portcullis approvals list shows the ids."));
  const client = openClient(invocation);
  return client.ok ? ok({ client: client.value, path: `/_gate/v1/approvals/${id}` }) : client;
}

/** One look, or long polls until the proposal is decided or the time is over. */
async function readProposal(
  { options, terminal, note }: Invocation<z.infer<typeof showOptions>>,
  { client, path }: Opened,
): Promise<Result<JsonObject, Failure>> {
  const until = terminal.now() + (options.wait ?? 0) * 1_000;
  for (;;) {
    const leftS = Math.ceil((until - terminal.now()) / 1_000);
    const query = leftS > 0 ? { wait: Math.min(POLL_S, leftS) } : {};
    const answer = await client.call({ method: "GET", path, query });
    if (!answer.ok) return answer;
    const { state, given, needed } = answer.value;
    if ((state !== "pending" && state !== "draft") || terminal.now() >= until) return answer;
    note(`still ${state}: ${valueText(given)} of ${valueText(needed)} approvals`);
  }
}

const deny: CommandSpec<z.infer<typeof commentOptions>> = {
  usage: "deny <id>",
  summary: "deny a proposal as the person whose key this is; one denial is a veto",
  options: [new Option("--comment <text>", "why; the requester and the audit record get it").makeOptionMandatory()],
  schema: commentOptions,
  run: async (invocation) => {
    const opened = openProposal(invocation);
    if (!opened.ok) return opened;
    const { client, path } = opened.value;
    const body = { decision: "deny", comment: invocation.options.comment };
    return decidedOutcome(await client.call({ method: "POST", path: `${path}/decisions`, body }));
  },
};

const review: CommandSpec<z.infer<typeof commentOptions>> = {
  usage: "review <id>",
  summary: "review a broken glass that somebody else broke",
  options: [new Option("--comment <text>", "what the review found, for the audit record").makeOptionMandatory()],
  schema: commentOptions,
  run: async (invocation) => {
    const opened = openProposal(invocation);
    if (!opened.ok) return opened;
    const { client, path } = opened.value;
    const body = { comment: invocation.options.comment };
    const answer = await client.call({ method: "POST", path: `${path}/review`, body });
    if (!answer.ok) return answer;
    return ok({ json: answer.value, human: [text({ text: "The review is recorded.", style: "good" })] });
  },
};

const complete: CommandSpec<z.infer<typeof contextOptions>> = {
  usage: "complete <id>",
  summary: "give a draft the context that it still needs; it then goes to its approvers",
  options: [
    new Option("--reason <text>", "why the change is needed"),
    new Option("--evidence <text>", "what was seen"),
    new Option("--back-out <text>", "how to undo it"),
    new Option("--incident <key>", "the incident that this remediates"),
  ],
  notes: "For requesters (and owners of their keys) whose client cannot send the Gate-* headers.",
  schema: contextOptions,
  run: async (invocation) => {
    const opened = openProposal(invocation);
    if (!opened.ok) return opened;
    const { reason, evidence, backOut, incident } = invocation.options;
    const given = Object.entries({ reason, evidence, back_out: backOut, incident }).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value] as const],
    );
    if (given.length === 0) return err(usage("nothing to add", "Name --reason, --evidence, --back-out or --incident."));
    const { client, path } = opened.value;
    return decidedOutcome(
      await client.call({ method: "PUT", path: `${path}/context`, body: Object.fromEntries(given) }),
    );
  },
};

const withdraw: CommandSpec<z.infer<typeof none>> = {
  usage: "withdraw <id>",
  summary: "withdraw your own proposal and release the money held for it",
  schema: none,
  run: async (invocation) => {
    const opened = openProposal(invocation);
    if (!opened.ok) return opened;
    return decidedOutcome(await opened.value.client.call({ method: "DELETE", path: opened.value.path }));
  },
};
