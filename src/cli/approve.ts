import { Option } from "commander";
import { z } from "zod";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import type { CommandSpec, Invocation } from "./command.ts";
import { failed, usage, type Failure } from "./failure.ts";
import { isId } from "./ids.ts";
import { inert } from "./inert.ts";
import { text } from "./print.ts";
import { confirmationOf, costText, decidedOutcome, proposalBlocks, proposalSchema, type Proposal } from "./proposal.ts";

const comment = z.string().min(1).max(1_024);
const approveOptions = z.object({ confirm: z.string().optional(), comment: comment.optional() });
const breakGlassOptions = z.object({ confirm: z.string().optional(), comment });

const confirmOption = (): Option =>
  new Option("--confirm <text>", "the resource's name (the action where there is none), instead of typing it");

/** `approvals approve`: shows what is approved, has the person type what will change, and only then decides. */
export const approve: CommandSpec<z.infer<typeof approveOptions>> = {
  usage: "approve <id>",
  summary: "approve a proposal as the person whose key this is, after seeing it",
  options: [confirmOption(), new Option("--comment <text>", "for the requester and the audit record")],
  notes: "You decide as the person whose key this is; there is no way to decide for anybody else.",
  schema: approveOptions,
  run: (invocation) =>
    decideTyped(invocation, {
      decision: "approve",
      verb: "approve",
      told: (proposal, decider) =>
        `You approve as ${decider}: ${proposal.action} for ${proposal.requester}, ${costText(proposal)}.`,
    }),
};

/** `approvals break-glass`: the same for one who stands in for approvers that are missing. */
export const breakGlass: CommandSpec<z.infer<typeof breakGlassOptions>> = {
  usage: "break-glass <id>",
  summary: "stand in for missing approvers, where the policy gives you that role",
  options: [
    confirmOption(),
    new Option("--comment <text>", "why it cannot wait; everybody passed over gets it").makeOptionMandatory(),
  ],
  notes:
    "It replaces missing approvers and nothing else: freeze, policy and budget stay in force. Everybody who was passed over is told, it has a kind of its own in the audit record, and somebody else has to review it.",
  schema: breakGlassOptions,
  run: (invocation) =>
    decideTyped(invocation, {
      decision: "break-glass",
      verb: "break the glass",
      told: (proposal, decider) =>
        `You break the glass as ${decider}, with ${proposal.given} of ${proposal.needed} approvals: ${proposal.action} for ${proposal.requester}, ${costText(proposal)}. This is recorded and has to be reviewed.`,
    }),
};

type Typed = {
  readonly decision: "approve" | "break-glass";
  readonly verb: string;
  readonly told: (proposal: Proposal, decider: string) => string;
};
type Options = { readonly confirm?: string | undefined; readonly comment?: string | undefined };

const whoami = z.object({ principal: z.string() });

async function decideTyped(invocation: Invocation<Options>, typed: Typed): Promise<ReturnType<typeof decidedOutcome>> {
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
  const confirmed = await confirm(invocation, typed, proposal.value, decider.value.principal);
  if (!confirmed.ok) return confirmed;
  const { comment: given } = invocation.options;
  const body: JsonObject = {
    decision: typed.decision,
    // The gate compares it with the proposal as it is then: what was seen is what is decided.
    confirm: confirmed.value,
    ...(given === undefined ? {} : { comment: given }),
  };
  return decidedOutcome(await client.value.call({ method: "POST", path: `${path}/decisions`, body }));
}

/** What the person typed, once it is the name of what will change. */
async function confirm(
  invocation: Invocation<Options>,
  { verb, told }: Typed,
  proposal: Proposal,
  decider: string,
): Promise<Result<string, Failure>> {
  const { options, terminal, show } = invocation;
  const expected = confirmationOf(proposal);
  show(proposalBlocks(proposal, terminal.now()));
  if (options.confirm !== undefined)
    return options.confirm === expected ? ok(expected) : err(otherText(options.confirm, expected));
  if (!terminal.inIsTty) {
    return err(
      usage("nobody can be asked: stdin is not a terminal", "Give --confirm TEXT with the name of what will change."),
    );
  }
  show([text(told(proposal, decider))]);
  const typed = await terminal.ask(`Type ${inert(expected)} to ${verb}, anything else to stop: `);
  return typed?.trim() === expected ? ok(expected) : err(otherText(typed ?? "", expected));
}

const otherText = (typed: string, expected: string): Failure =>
  failed(
    "Not confirmed: nothing was decided",
    `Expected ${expected}, got ${typed.trim() === "" ? "nothing" : typed.trim()}.`,
  );
