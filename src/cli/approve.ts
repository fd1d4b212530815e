import { Option } from "commander";
import { z } from "zod";
import { err, ok, type Result } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import type { CommandSpec, Invocation } from "./command.ts";
import { failed, usage, type Failure } from "./failure.ts";
import { isId } from "./ids.ts";
import { inert } from "./inert.ts";
import { text } from "./print.ts";
import { confirmationOf, costText, decidedOutcome, proposalBlocks, proposalSchema, type Proposal } from "./proposal.ts";

const schema = z.object({ confirm: z.string().optional(), comment: z.string().min(1).max(1_024).optional() });
type Options = z.infer<typeof schema>;

const whoami = z.object({ principal: z.string() });

/** `approvals approve`: shows what is approved, has the person type what will change, and only then decides. */
export const approve: CommandSpec<Options> = {
  usage: "approve <id>",
  summary: "approve a proposal as the person whose key this is, after seeing it",
  options: [
    new Option("--confirm <text>", "the resource's name (the action where there is none), instead of typing it"),
    new Option("--comment <text>", "for the requester and the audit record"),
  ],
  notes: "You decide as the person whose key this is; there is no way to decide for anybody else.",
  schema,
  run: async (invocation) => {
    const [id = ""] = invocation.args;
    if (!isId(id)) return err(usage("that is not a proposal's id", "portcullis approvals list shows the ids."));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const path = `/_gate/v1/approvals/${id}`;
    const self = await client.value.call({ method: "GET", path: "/_gate/v1/whoami" });
    if (!self.ok) return self;
    const decider = readAs(whoami, self.value);
    if (!decider.ok) return decider;
    const found = await client.value.call({ method: "GET", path });
    if (!found.ok) return found;
    const proposal = readAs(proposalSchema, found.value);
    if (!proposal.ok) return proposal;
    const confirmed = await confirm(invocation, proposal.value, decider.value.principal);
    if (!confirmed.ok) return confirmed;
    const { comment } = invocation.options;
    const body = { decision: "approve", ...(comment === undefined ? {} : { comment }) };
    return decidedOutcome(await client.value.call({ method: "POST", path: `${path}/decisions`, body }));
  },
};

async function confirm(
  invocation: Invocation<Options>,
  proposal: Proposal,
  decider: string,
): Promise<Result<null, Failure>> {
  const { options, terminal, show } = invocation;
  const expected = confirmationOf(proposal);
  show(proposalBlocks(proposal, terminal.now()));
  if (options.confirm !== undefined)
    return options.confirm === expected ? ok(null) : err(otherText(options.confirm, expected));
  if (!terminal.inIsTty) {
    return err(
      usage("nobody can be asked: stdin is not a terminal", "Give --confirm TEXT with the name of what will change."),
    );
  }
  show([text(`You approve as ${decider}: ${proposal.action} for ${proposal.requester}, ${costText(proposal)}.`)]);
  const typed = await terminal.ask(`Type ${inert(expected)} to approve, anything else to stop: `);
  return typed?.trim() === expected ? ok(null) : err(otherText(typed ?? "", expected));
}

const otherText = (typed: string, expected: string): Failure =>
  failed(
    "Not confirmed: nothing was decided",
    `Expected ${expected}, got ${typed.trim() === "" ? "nothing" : typed.trim()}.`,
  );
