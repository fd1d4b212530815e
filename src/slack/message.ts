import type { AnyMessageBlock, Button } from "slack-web-api-client";
import { confirmTextOf, type ProposalView } from "../approval/proposal-view.ts";
import { unreachable } from "../platform/assert.ts";
import { ACTION_IDS, actionValue, DECIDE_BLOCK, shortDigest } from "./action-value.ts";
import type { Row, SlackMessage } from "./blocks.ts";
import { button, context, divider, header, heading, rowSections, section } from "./blocks.ts";
import { inertLine, quotation } from "./inert-text.ts";
import { SLACK_LIMITS } from "./limits.ts";
import type { Occasion } from "./wording.ts";
import { cost, dateTimeOf, expiry, handles, headline, name, pageUrl, progress, timeOf } from "./wording.ts";

/** Shares of `MESSAGE_JSON_MAX`, in rendered characters: together about 6,000, and as much again for Slack's syntax. */
const REASON = { max: 500, lines: 6 };
const EVIDENCE = { max: 1_000, lines: 12 };
const BACK_OUT = { max: 500, lines: 6 };
const REQUEST_BODY_MAX = 1_000;
const FACTS_SHOWN = 12;
const FACT_MAX = 70;
const AFFECTED_SHOWN = 6;
const AFFECTED_MAX = 60;
const SHADOWS_SHOWN = 3;
const SHADOW_MAX = 60;
const DECISIONS_SHOWN = 6;
const ATTEMPTS_SHOWN = 3;
const COMMENT_MAX = 100;
/** A request line is a method, at most 1 KiB of path and a query; this much shows which object it means. */
const PATH_MAX = 200;
const QUERY_MAX = 150;

/**
 * A proposal's message, for its first posting and for every update: a pure function of the proposal as it is now. Its buttons
 * are there exactly while it is pending.
 *
 * What the gate knows comes first, then the buttons, then what the requester wrote: no text of an agent stands above the
 * buttons except single names of bounded length, so none can push them out of sight or speak for the gate.
 */
export function proposalMessage(view: ProposalView, occasion: Occasion): SlackMessage {
  const summary = summaryOf(view, occasion);
  const title = stateTitle(view);
  return {
    text: `${title}: ${summary}`,
    blocks: [
      header(title),
      section(summary),
      ...rowSections(rowsOf(view)),
      heading("Request as it will be sent"),
      section(requestText(view)),
      ...decisionBlocks(view),
      ...buttons(view),
      divider,
      heading("Written by the requester, not checked by the gate"),
      section(`Reason\n${said(view.reason, REASON)}`),
      section(`Evidence\n${said(view.evidence, EVIDENCE)}`),
      section(`How to undo it\n${said(view.backOut, BACK_OUT)}`),
      context(`Proposal ${name(view.id)} · tenant ${name(view.tenant)} · digest ${shortDigest(view.approvalDigest)}`),
    ],
  };
}

const TITLES: Readonly<Record<ProposalView["state"], string>> = {
  draft: "Draft: ",
  pending: "",
  approved: "Approved: ",
  denied: "Denied: ",
  expired: "Expired: ",
  withdrawn: "Withdrawn: ",
  invalidated: "No longer valid: ",
  consumed: "Approved and used: ",
};
const stateTitle = (view: ProposalView): string => TITLES[view.state] + headline(view);

function summaryOf(view: ProposalView, { now, escalationChannel }: Occasion): string {
  switch (view.state) {
    case "draft":
      return "It waits for its requester to say why. Nobody can decide it yet, and it holds no money.";
    case "pending":
      return [
        `Tier ${view.tier}, ${progress(view)}. Who may decide: ${handles(view.approvers)}. One denial refuses it.`,
        expiry(view.expiresAt, now),
        escalationChannel === null
          ? "If nobody decides in time, nothing runs."
          : `If nobody decides in time, nothing runs and it is escalated to ${name(escalationChannel)}.`,
      ].join("\n");
    case "approved":
      return `${view.given} of ${view.needed} approvals. The requester may now run exactly this request, once. ${expiry(view.expiresAt, now)}`;
    case "denied":
      return "It will not run. Its money is no longer held.";
    case "expired":
      return `Its time is over (${view.given} of ${view.needed} approvals). Nothing ran, and its money is no longer held.`;
    case "withdrawn":
      return "Its requester took it back. Nothing ran, and its money is no longer held.";
    case "invalidated":
      return "The rule, the price or the resource changed since. Nothing ran, and its money is no longer held.";
    case "consumed":
      return `${view.given} of ${view.needed} approvals. The approval was used and cannot be used again.`;
    default:
      return unreachable(view.state);
  }
}

function rowsOf(view: ProposalView): readonly Row[] {
  const { affected } = view;
  const rows: readonly (readonly [Row[0], string | null])[] = [
    ["Action", name(view.action)],
    ["Tier", view.rule === null ? `${view.tier}` : `${view.tier} (${name(view.rule)})`],
    ["Resource", view.resource === null ? "a new one" : name(view.resource)],
    ["Cost", cost(view.ceilingMicros)],
    ["Blast radius", view.blastRadius === null ? "not declared" : name(view.blastRadius)],
    ["Reversible", view.reversible === null ? "not declared" : view.reversible ? "yes" : "no"],
    ["Affected", affected === null ? null : affectedText(affected)],
    ["Maintenance window", view.window === null ? null : windowText(view.window)],
    ["In shadow, not enforced", view.shadow.length === 0 ? null : shadowText(view)],
    ["Incident", view.incident === null ? null : name(view.incident)],
    ["Requested by", `${name(view.requester)}, owned by ${name(view.owner)}`],
    ["Facts", factsText(view)],
  ];
  return rows.flatMap(([label, value]) => (value === null ? [] : [[label, value] as const]));
}

const windowText = ({ name: window, closesAt }: NonNullable<ProposalView["window"]>): string =>
  `${name(window)}, closes at ${dateTimeOf(closesAt)}`;

function shadowText({ shadow }: ProposalView): string {
  const shown = shadow
    .slice(0, SHADOWS_SHOWN)
    .map(({ rule, verdict }) => `${inertLine(verdict, SHADOW_MAX)} by ${inertLine(rule, SHADOW_MAX)}`);
  const more = shadow.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}

function affectedText({ count, items }: NonNullable<ProposalView["affected"]>): string {
  const shown = items.slice(0, AFFECTED_SHOWN).map((item) => inertLine(item, AFFECTED_MAX));
  const more = Math.max(count, items.length) - shown.length;
  return [`${count}`, ...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}

function factsText({ facts }: ProposalView): string {
  const all = Object.entries(facts);
  const shown = all.slice(0, FACTS_SHOWN).map(([fact, value]) => {
    const text = typeof value === "object" ? value.join(", ") : String(value);
    return inertLine(`${fact}: ${text}`, FACT_MAX);
  });
  const more = all.length - shown.length;
  return [...(shown.length === 0 ? ["none"] : shown), ...(more > 0 ? [`and ${more} more`] : [])].join("\n");
}

/** The bound request itself. Cut only at the end, and then it says so: the page has all of it. */
function requestText({ request }: ProposalView): string {
  const query =
    Object.keys(request.query).length === 0 ? "" : ` ?${inertLine(JSON.stringify(request.query), QUERY_MAX)}`;
  const line = `${inertLine(request.method, 10)} ${inertLine(request.path, PATH_MAX)}${query}`;
  if (request.body === null) return `${line}\n(no body)`;
  const body = JSON.stringify(request.body);
  const shown = inertLine(body, REQUEST_BODY_MAX);
  return shown.endsWith("…") && !body.endsWith("…")
    ? `${line}\n${shown}\nThis is only the beginning of the body: read all of it on the proposal's page.`
    : `${line}\n${shown}`;
}

const DECIDED = { approve: "Approved", deny: "Denied", "break-glass": "Break-glass, in place of missing approvers," };

function decisionBlocks({ decisions, attempts }: ProposalView): readonly AnyMessageBlock[] {
  const given = decisions.slice(0, DECISIONS_SHOWN).map(({ handle, subject, decision, comment, decidedAt }) => {
    const said = comment === null ? "" : `: ${inertLine(comment, COMMENT_MAX)}`;
    return `${DECIDED[decision]} by ${whoOf(handle, subject)} at ${timeOf(decidedAt)}${said}`;
  });
  const tried = attempts.slice(0, ATTEMPTS_SHOWN).map(({ handle, subject, reason, attemptedAt }) => {
    const why = inertLine(reason, COMMENT_MAX);
    return `Not counted: ${whoOf(handle, subject)} at ${timeOf(attemptedAt)}: ${why}`;
  });
  const more = decisions.length - given.length + attempts.length - tried.length;
  const lines = [...given, ...tried, ...(more > 0 ? [`and ${more} more`] : [])];
  return lines.length === 0 ? [] : [heading("Decisions"), section(lines.join("\n"))];
}

const whoOf = (handle: string | null, subject: string): string => (handle === null ? name(subject) : handles([handle]));

function buttons(view: ProposalView): readonly AnyMessageBlock[] {
  if (view.state !== "pending") return [];
  const value = actionValue(view.id, view.approvalDigest);
  const elements: Button[] = [
    confirmTextOf(view) === null
      ? button("Approve", ACTION_IDS.approve, { style: "primary", value })
      : button("Approve…", ACTION_IDS.openConfirm, { style: "primary", value }),
    button("Deny", ACTION_IDS.deny, { style: "danger", value }),
    ...pageButton(view),
  ];
  return [{ type: "actions", block_id: DECIDE_BLOCK, elements }];
}

/** The link to the proposal's page, which is the gate's own; none where the address is not usable as a link. */
export function pageButton(view: ProposalView): readonly Button[] {
  const url = pageUrl(view.url, SLACK_LIMITS.buttonUrl);
  const value = actionValue(view.id, view.approvalDigest);
  return url === null ? [] : [button("Open the proposal", ACTION_IDS.openPage, { url, value })];
}

const said = (text: string | null, { max, lines }: { readonly max: number; readonly lines: number }): string =>
  text === null || text === "" ? "(none given)" : quotation(text, max, lines);
