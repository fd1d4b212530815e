import { z } from "zod";
import type { JsonObject, JsonValue } from "../platform/json.ts";
import { formatUsd } from "../platform/money.ts";
import { ok, type Result } from "../platform/result.ts";
import { readAs } from "./client.ts";
import type { Outcome } from "./command.ts";
import { valueText, type Failure } from "./failure.ts";
import { inert } from "./inert.ts";
import { fields, quote, table, text, verbatim, type Block, type Cell } from "./print.ts";
import { fromNow, shortTime } from "./times.ts";

const jsonValue: z.ZodType<JsonValue> = z.json();

/** What a person sees of a proposal (wire contract, section 7). */
export const proposalSchema = z.object({
  id: z.string(),
  state: z.string(),
  action: z.string(),
  tier: z.number(),
  rule: z.string().nullish(),
  resource: z.string().nullish(),
  facts: z.record(z.string(), jsonValue).default({}),
  request: z
    .object({
      method: z.string(),
      path: z.string(),
      query: z.record(z.string(), z.string()).default({}),
      body: jsonValue.nullish(),
    })
    .nullish(),
  cost: z.object({ ceiling_micros: z.int() }),
  affected: z.object({ count: z.int(), items: z.array(z.string()) }).nullish(),
  blast_radius: z.string().nullish(),
  reversible: z.boolean().nullish(),
  window: z.object({ name: z.string(), closes_at: z.string() }).nullish(),
  shadow: z.array(z.object({ rule: z.string(), verdict: z.string() })).default([]),
  reason: z.string().nullish(),
  evidence: z.string().nullish(),
  back_out: z.string().nullish(),
  incident: z.string().nullish(),
  requester: z.string(),
  owner: z.string(),
  needed: z.int(),
  given: z.int(),
  approvers: z.array(z.string()),
  decisions: z.array(
    z.object({
      subject: z.string(),
      handle: z.string().nullish(),
      decision: z.string(),
      comment: z.string().nullish(),
      demo: z.boolean().default(false),
      decided_at: z.string(),
    }),
  ),
  expires_at: z.string(),
  confirm: z.string().nullish(),
  page_url: z.string().nullish(),
  consumed_by: z.string().nullish(),
  token: z.string().nullish(),
});
export type Proposal = z.infer<typeof proposalSchema>;

/** What a person types to confirm: what the gate asks for, else the resource that will change, or the action of a creation. */
export const confirmationOf = ({ confirm, resource, action }: Proposal): string => confirm ?? resource ?? action;

export const costText = ({ cost }: Proposal): string =>
  cost.ceiling_micros === 0 ? "no cost" : `at most ${formatUsd(cost.ceiling_micros)} USD`;

/**
 * A proposal as approvers see it. What the requester wrote comes first and marked as a quotation; what the gate knows
 * comes last, next to the question that follows, where no length of text can push it away.
 */
export function proposalBlocks(proposal: Proposal, now: number): readonly Block[] {
  const { request, affected, page_url: page } = proposal;
  return [
    text({ text: `Proposal ${proposal.id}`, style: "strong" }),
    // Whole, so that it can be clicked or copied. Without a host it is no address.
    ...(page?.startsWith("http") === true ? [verbatim([page])] : []),
    ...(request === null || request === undefined ? [] : [quote("Request as it will be sent", requestText(request))]),
    quote(`Reason, as ${proposal.requester} wrote it`, proposal.reason ?? "(none given)"),
    quote("Evidence", proposal.evidence ?? "(none given)"),
    quote("Back-out plan", proposal.back_out ?? "(none given)"),
    ...(affected?.items.length ? [quote(affectedLabel(affected), affected.items.map(inert).join("\n"))] : []),
    ...(proposal.decisions.length === 0 ? [] : [decisionTable(proposal)]),
    fields([
      ["action", `${proposal.action} (tier ${proposal.tier}${proposal.rule ? `, ${proposal.rule}` : ""})`],
      ["resource", proposal.resource ?? "a new one"],
      ["facts", factsText(proposal.facts)],
      ["cost", costText(proposal)],
      ["affected", affected ? (affected.count === 0 ? "nothing" : `${affected.count}, listed above`) : null],
      ["reach", reachText(proposal)],
      ["window", windowText(proposal, now)],
      ["in shadow", shadowText(proposal)],
      ["incident", proposal.incident ?? null],
      ["requester", `${proposal.requester} (owner ${proposal.owner})`],
      ["approvals", approvalsText(proposal)],
      ["state", stateCell(proposal.state)],
      ["expires", `${shortTime(proposal.expires_at)} (${fromNow(proposal.expires_at, now)})`],
      ["used by", proposal.consumed_by ?? null],
    ]),
  ];
}

/** Names of what is affected are other people's texts: they stand in a quotation, their number is the gate's. */
const affectedLabel = ({ count, items }: NonNullable<Proposal["affected"]>): string =>
  items.length === count ? "What it affects" : `What it affects, ${items.length} of ${count}`;

/** `allocation; cannot be undone`. */
function reachText({ blast_radius: radius, reversible }: Proposal): string | null {
  const undo = typeof reversible === "boolean" ? [reversible ? "can be undone" : "cannot be undone"] : [];
  const parts = [...(typeof radius === "string" ? [radius] : []), ...undo];
  return parts.length === 0 ? null : parts.join("; ");
}

/** `nightly, closes 04:00 (in 20 minutes)`. */
const windowText = ({ window }: Proposal, now: number): string | null =>
  window ? `${window.name}, closes ${shortTime(window.closes_at)} (${fromNow(window.closes_at, now)})` : null;

/** `not-allowed by reversible[0], not enforced`. */
const shadowText = ({ shadow }: Proposal): string | null =>
  shadow.length === 0 ? null : `${shadow.map(({ rule, verdict }) => `${verdict} by ${rule}`).join("; ")}; not enforced`;

/** `1 of 2; may decide: @alice, @bob`. */
const approvalsText = ({ given, needed, approvers }: Proposal): string =>
  `${given} of ${needed}; may decide: ${approvers.length === 0 ? "nobody" : approvers.join(", ")}`;

const STATE_STYLES = { approved: "good", pending: "warn", draft: "dim", denied: "bad" } as const;

/** The state of a proposal, coloured. */
export function stateCell(state: string): Cell {
  const style = Object.entries(STATE_STYLES).find(([name]) => name === state)?.[1] ?? "dim";
  return { text: state, style };
}

const factsText = (facts: Proposal["facts"]): string => {
  const shown = Object.entries(facts).map(([name, value]) => `${name} = ${valueText(value)}`);
  return shown.length === 0 ? "–" : shown.join(", ");
};

function requestText({ method, path, query, body }: NonNullable<Proposal["request"]>): string {
  const pairs = Object.entries(query).map(([name, value]) => `${name}=${value}`);
  const target = `${method} ${path}${pairs.length === 0 ? "" : `?${pairs.join("&")}`}`;
  return body === null || body === undefined ? target : `${target}\n${JSON.stringify(body, null, 2)}`;
}

const decisionTable = ({ decisions }: Proposal): Block =>
  table(
    [{ title: "decision" }, { title: "by" }, { title: "when" }, { title: "comment" }],
    decisions.map((one): readonly Cell[] => [
      { text: one.decision, style: one.decision === "deny" ? "bad" : "good" },
      `${one.handle ?? one.subject}${one.demo ? " (demo key)" : ""}`,
      shortTime(one.decided_at),
      one.comment ?? "–",
    ]),
  );

/** What became of the proposal, in one sentence. */
export function decidedOutcome(answer: Result<JsonObject, Failure>): Result<Outcome, Failure> {
  if (!answer.ok) return answer;
  const view = readAs(proposalSchema, answer.value);
  if (!view.ok) return view;
  const { id, state, given, needed } = view.value;
  const approved = state === "approved" ? " The requester's next identical request runs." : "";
  return ok({
    json: answer.value,
    human: [text(`Proposal ${id} is ${state}: ${given} of ${needed} approvals.${approved}`)],
  });
}
