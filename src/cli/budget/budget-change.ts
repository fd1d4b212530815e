import { z } from "zod";
import type { JsonObject } from "../../platform/json.ts";
import { formatUsd } from "../../platform/money.ts";
import { ok, type Result } from "../../platform/result.ts";
import { readAs } from "../client.ts";
import type { Outcome } from "../command.ts";
import type { Failure } from "../failure.ts";
import { isId } from "../ids.ts";
import { fields, quote, table, text, verbatim, type Block, type Cell, type Column } from "../print.ts";
import { stateCell } from "../proposal.ts";
import { fromNow, shortTime } from "../times.ts";

/** What a person sees of a change of finance's caps (wire contract, section 7). */
export const changeSchema = z.object({
  id: z.string(),
  kind: z.string(),
  state: z.string(),
  period: z.string(),
  cap_micros: z.int(),
  from_micros: z.int(),
  asked_by: z.string(),
  reason: z.string(),
  incident: z.string().nullish(),
  effective_at: z.string(),
  ends_at: z.string().nullable(),
  asked_at: z.string(),
  expires_at: z.string(),
  needed: z.int(),
  given: z.int(),
  decisions: z.array(
    z.object({ subject: z.string(), decision: z.string(), comment: z.string().nullish(), decided_at: z.string() }),
  ),
  url: z.string().nullish(),
});
export type Change = z.infer<typeof changeSchema>;

/** Whether this can be the id of a change; proposals, which are decided elsewhere, have others. */
export const isChangeId = (id: string): boolean => isId(id) && id.startsWith("bud_");

/** `daily 500.00 → 700.00`. */
const stepText = ({ period, from_micros: from, cap_micros: cap }: Change): string =>
  `${period} ${formatUsd(from)} → ${formatUsd(cap)}`;

/**
 * A change as those who decide it see it. What the asker wrote is quoted and comes first; what the gate knows stands last,
 * next to the question that follows.
 */
export function changeBlocks(change: Change, now: number): readonly Block[] {
  const { id, period, asked_by: askedBy, reason, incident, given, needed, state, url } = change;
  return [
    text({ text: `Change ${id} of the ${period} cap`, style: "strong" }),
    ...(url?.startsWith("http") === true ? [verbatim([url])] : []),
    quote(`Reason, as ${askedBy} wrote it`, reason),
    ...(change.decisions.length === 0 ? [] : [decisionTable(change)]),
    fields([
      ["cap", `${formatUsd(change.cap_micros)} USD, ${period}; ${formatUsd(change.from_micros)} when it was asked for`],
      ["kind", KINDS.get(change.kind) ?? change.kind],
      ["from", shortTime(change.effective_at)],
      ["until", change.ends_at === null ? null : `${shortTime(change.ends_at)}; then the cap before it holds again`],
      ["incident", incident ?? null],
      ["asked by", `${askedBy}, ${shortTime(change.asked_at)}`],
      ["decided", `${given} of ${needed} of finance`],
      ["state", stateCell(state)],
      ["expires", state === "pending" ? `${shortTime(change.expires_at)} (${fromNow(change.expires_at, now)})` : null],
    ]),
  ];
}

const KINDS: ReadonlyMap<string, string> = new Map([
  ["lower", "a lower cap: in force without a second person"],
  ["raise", "a raise that finance asks for: one more person of finance decides"],
  ["request", "a request: two people of finance decide"],
]);

const decisionTable = ({ decisions }: Change): Block =>
  table(
    ["decision", "by", "when", "comment"].map((title) => ({ title })),
    decisions.map((one): readonly Cell[] => [
      { text: one.decision, style: one.decision === "deny" ? "bad" : "good" },
      one.subject,
      shortTime(one.decided_at),
      one.comment ?? "–",
    ]),
  );

const COLUMNS: readonly Column[] = [
  { title: "id", keep: true },
  ...["change, USD", "asked by", "given", "state"].map((title) => ({ title })),
  { title: "reason", wide: true },
];

/** Several changes, one per row. */
export const changeTable = (changes: readonly Change[], now: number): Block =>
  table(
    COLUMNS,
    changes.map((one): readonly Cell[] => [
      one.id,
      stepText(one) + (one.ends_at === null ? "" : ` until ${shortTime(one.ends_at)}`),
      one.asked_by,
      `${one.given}/${one.needed}`,
      one.state === "pending" ? `ends ${fromNow(one.expires_at, now)}` : standing(one, now),
      one.reason,
    ]),
  );

function standing(change: Change, now: number): Cell {
  if (change.state !== "approved") return stateCell(change.state);
  if (change.ends_at !== null && Date.parse(change.ends_at) <= now) return { text: "approved, over", style: "dim" };
  if (isInForce(change, now)) return stateCell(change.state);
  return { text: `approved, from ${shortTime(change.effective_at)}`, style: "good" };
}

/** By the gate's own times where they say so: this machine's clock may be behind. */
const isInForce = ({ effective_at: from, asked_at: asked, decisions }: Change, now: number): boolean =>
  Date.parse(from) <= Math.max(now, Date.parse(asked), ...decisions.map((one) => Date.parse(one.decided_at)));

/** What has become of a change: whether it holds, from when, and who still has to say something. */
export function changeTold(change: Change, now: number): readonly Block[] {
  const { id, period, state, needed, given, ends_at: ends } = change;
  const cap = `${formatUsd(change.cap_micros)} USD`;
  if (state === "approved") {
    const when = isInForce(change, now)
      ? "is in force now"
      : `will be in force from ${shortTime(change.effective_at)} on`;
    const end = ends === null ? "" : `, until ${shortTime(ends)}; then the cap before it holds again`;
    return [text({ text: `Finance's ${period} cap of ${cap} ${when}${end}.`, style: "good" })];
  }
  if (state !== "pending") return [text(`Change ${id} (${stepText(change)} USD) is ${state}.`)];
  const left = needed - given;
  const who = change.kind === "raise" && left === 1 ? "a second person" : `${left} ${left === 1 ? "person" : "people"}`;
  const waits = `Not in force: ${stepText(change)} USD waits for ${who} of finance until ${shortTime(change.expires_at)}.`;
  return [
    text({ text: `${waits} To confirm it, they run:`, style: "warn" }),
    verbatim([`portcullis budget decide ${id} approve`]),
  ];
}

/** The outcome of a call that answers with one change. */
export function changeOutcome(answer: Result<JsonObject, Failure>, now: number): Result<Outcome, Failure> {
  if (!answer.ok) return answer;
  const view = readAs(changeSchema, answer.value);
  return view.ok ? ok({ json: answer.value, human: changeTold(view.value, now) }) : view;
}
