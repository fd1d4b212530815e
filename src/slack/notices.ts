import type { ProposalView } from "../approval/proposal-view.ts";
import { PROBLEMS } from "../problem.ts";
import type { Refusal } from "../refusal.ts";
import { TYPED_FIELD } from "./action-value.ts";
import type { SlackMessage } from "./blocks.ts";
import { header, section } from "./blocks.ts";
import { inertLine } from "./inert-text.ts";
import { pageButton } from "./message.ts";
import { modalErrors } from "./modal.ts";
import type { Occasion } from "./wording.ts";
import { cost, expiry, handles, headline, name, progress } from "./wording.ts";

/** A reason of the gate's for not counting a click; bounded like a sentence. */
const REASON_MAX = 300;

const oneSection = (text: string): SlackMessage => ({ text, blocks: [section(text)] });

/** Posted in the proposal's thread when its time is about to end. Names those who have not decided yet. */
export function reminder(view: ProposalView, { now }: Pick<Occasion, "now">): SlackMessage {
  const decided = new Set(view.decisions.map(({ handle }) => handle));
  const open = view.approvers.filter((handle) => !decided.has(handle));
  return oneSection(
    `Reminder: ${headline(view)} ${progress(view)}. ${expiry(view.expiresAt, now)}\nStill to decide: ${handles(open)}.`,
  );
}

/** Posted in the escalation channel when a proposal expired undecided. */
export function escalation(view: ProposalView): SlackMessage {
  const title = `Nobody decided: ${headline(view)}`;
  const text = [
    `Tier ${view.tier}, ${view.given} of ${view.needed} approvals when its time ended. Nothing ran, and the money that it held (${cost(view.ceilingMicros)}) is free again.`,
    `Who could decide: ${handles(view.approvers)}. Requested by ${name(view.requester)}, owned by ${name(view.owner)}.`,
    "Sending the same request again opens a new proposal.",
  ].join("\n");
  const links = [...pageButton(view)];
  return {
    text: `${title}. ${text}`,
    blocks: [
      header(title),
      section(text),
      ...(links.length === 0 ? [] : [{ type: "actions" as const, elements: links }]),
    ],
  };
}

/** Posted when somebody stood in for missing approvers: those who could have decided hear of it, whatever came of it. */
export function glassBroken(view: ProposalView): SlackMessage {
  const broken = view.decisions.find(({ decision }) => decision === "break-glass");
  const by =
    broken === undefined ? "somebody" : broken.handle === null ? name(broken.subject) : handles([broken.handle]);
  return oneSection(
    [
      `Break-glass: ${headline(view)} was let through by ${by}, with ${view.given} of ${view.needed} approvals.`,
      `Why: ${inertLine(broken?.comment ?? "", REASON_MAX)}`,
      `Who could decide: ${handles(view.approvers)}. One of them, or security, has to review it.`,
    ].join("\n"),
  );
}

/** What became of the one execution that an approval allowed. `upstreamStatus` is null where there was no answer. */
export type ExecutionOutcome = {
  readonly kind: "succeeded" | "failed" | "unknown" | "not-sent";
  readonly upstreamStatus: number | null;
  readonly requestId: string;
};

const OUTCOMES: Readonly<Record<ExecutionOutcome["kind"], string>> = {
  succeeded: "It ran",
  failed: "The control plane refused it; nothing changed",
  unknown: "It was sent, and what became of it is unknown. Its money stays held until that is known",
  "not-sent": "It was never sent; nothing changed",
};

/** The line in the proposal's thread that closes it. */
export function outcomeLine(view: ProposalView, { kind, upstreamStatus, requestId }: ExecutionOutcome): SlackMessage {
  const status = upstreamStatus === null ? "" : ` (the control plane answered ${upstreamStatus})`;
  return oneSection(`${headline(view)}: ${OUTCOMES[kind]}${status}. Request ${name(requestId)}.`);
}

const TITLES: ReadonlyMap<string, string> = new Map(Object.entries(PROBLEMS).map(([slug, { title }]) => [slug, title]));

/** The line in the thread when the gate itself was to run an approved request and something said no: which problem. */
export function refusedExecution(
  view: ProposalView,
  slug: string,
  requestId: string,
  { now }: Pick<Occasion, "now">,
): SlackMessage {
  const what = `${headline(view)}: the gate was about to run it, and something said no: ${TITLES.get(slug) ?? "Refused"} (${name(slug)}).`;
  const next =
    view.state !== "approved"
      ? ""
      : slug === "frozen"
        ? ` The approval still stands: the gate runs it when the freeze is lifted, unless its requester sends it first. ${expiry(view.expiresAt, now)}`
        : ` The approval still stands: its requester may send exactly this request. ${expiry(view.expiresAt, now)}`;
  return oneSection(`${what} Nothing was sent. Request ${name(requestId)}.${next}`);
}

/** Shown to the person who clicked and to nobody else: their click did not count, and why. */
export const refusalNotice = (refusal: Refusal): SlackMessage => oneSection(refusalText(refusal));

/** The same for a modal: it stays open and says so. */
export const refusedSubmission = (refusal: Refusal) => modalErrors(TYPED_FIELD.block, refusalText(refusal));

const refusalText = (refusal: Refusal): string => `Your click was not counted. ${reasonOf(refusal)}`;

function reasonOf(refusal: Refusal): string {
  switch (refusal.kind) {
    case "not-eligible":
    case "malformed-request":
    case "approval-invalid":
      return inertLine(refusal.reason, REASON_MAX);
    case "already-decided":
      return `The proposal is ${name(refusal.state)} already${refusal.decided_by.length === 0 ? "" : `, by ${handles(refusal.decided_by)}`}. Nothing more can be decided about it.`;
    case "approval-expired":
      return "The proposal's time is over. Sending the same request again opens a new one.";
    case "not-found":
      return "There is no such proposal.";
    case "frozen":
      return `Frozen (${name(refusal.scope)}): ${inertLine(refusal.reason, REASON_MAX)}`;
    case "unavailable":
      return "The gate cannot decide right now. Nothing was recorded; try again, or use the proposal's page.";
    default:
      return `${PROBLEMS[refusal.kind].title}.`;
  }
}
