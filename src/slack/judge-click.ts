import { decideProposal } from "../approval/decide-proposal.ts";
import { confirmTextOf, proposalView, type ProposalView } from "../approval/proposal-view.ts";
import type { Gate } from "../gateway/gate.ts";
import { areShownLines } from "../gateway/shown-text.ts";
import type { TenantContext } from "../gateway/tenant-context.ts";
import { ledgerOf, type LedgerPort } from "../ledger/ledger-port.ts";
import { describeError } from "../platform/describe-error.ts";
import type { JsonObject } from "../platform/json.ts";
import type { Person } from "../policy/people.ts";
import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";
import { slackClient, type SlackClient } from "./client.ts";
import type { SlackInteraction } from "./interaction.ts";
import { locateProposal } from "./locate.ts";
import { COMMENT_MAX, confirmModal, nameToType, typedMismatchAnswer, unshownCommentAnswer } from "./modal.ts";
import { refusedSubmission } from "./notices.ts";
import { matchPosted, type PostedMismatch } from "./posted.ts";
import { NOT_OURS } from "./receive.ts";
import { standingFault } from "./standing.ts";

type WaitUntil = (work: Promise<unknown>) => void;

/** What a click came to. `tenant`, `subject` and `slack` are null where it was refused before they were known. */
export type JudgedClick = {
  readonly tenant: string | null;
  /** The person of the tenant's people document. */
  readonly subject: string | null;
  /** Speaks to the person who clicked; null where nothing is to be said to them. */
  readonly slack: SlackClient | null;
  readonly ending:
    | { readonly kind: "done" }
    | {
        readonly kind: "refused";
        readonly refusal: Refusal;
        /** More than the wire shows, for the record. */
        readonly cause: string | null;
        /** What a modal is answered with, so that it stays open and says why; null where the refusal itself is the answer. */
        readonly modal: JsonObject | null;
      };
};

type Click = {
  readonly gate: Gate;
  readonly interaction: SlackInteraction;
  readonly requestId: string;
  readonly now: EpochMs;
  readonly waitUntil: WaitUntil;
};

/**
 * Judges and carries out a verified interaction: whose message, which person, of what standing, then the act. Never throws.
 * Every decision is the ledger's, so the same click twice counts once.
 */
export async function judgeClick(click: Click): Promise<JudgedClick> {
  try {
    return await judge(click);
  } catch (error) {
    return { ...NOBODY, ending: refused({ kind: "unavailable", dependency: "gate", cause: describeError(error) }) };
  }
}

const NOBODY = { tenant: null, subject: null, slack: null } as const;

async function judge(click: Click): Promise<JudgedClick> {
  const { gate, interaction, now, waitUntil } = click;
  // Slack follows the link by itself, and only wants to know that the click was heard.
  if (interaction.kind === "open-page") return { ...NOBODY, ending: DONE };
  const located = await locateProposal(gate, interaction);
  if (!located.ok) return { ...NOBODY, ending: refused(located.error) };
  if (located.value === null) return { ...NOBODY, ending: refused(NOT_OURS, "no tenant of this workspace posted it") };
  const { tenant, settings, posting } = located.value;
  const slack = slackClient({ token: settings.bot_token, baseUrl: gate.config.slackApiUrl });
  // As on the gate's own API: judged by the ledger as it is now, not by a cached snapshot.
  gate.tenants.forget(tenant);
  const context = await gate.tenants.get(tenant, now, waitUntil);
  if (!context.ok) return { tenant, subject: null, slack, ending: refused(context.error) };
  const ledger = ledgerOf(gate.env.LEDGER, tenant);
  const found = await ledger.approval(interaction.approvalId);
  if (found === null)
    return { tenant, subject: null, slack, ending: refused(NOT_OURS, "the ledger has no such proposal") };
  const fit = matchPosted(interaction, {
    appId: posting.app_id,
    teamId: posting.team_id,
    channelId: posting.channel_id,
    messageTs: posting.message_ts,
    approvalId: found.approval.id,
    approvalDigest: found.approval.approvalDigest,
  });
  if (!fit.ok) {
    const hears = STALE.has(fit.error) ? slack : null;
    return { tenant, subject: null, slack: hears, ending: refused(NOT_OURS, fit.error) };
  }
  const { policy, people } = context.value;
  const person = people.bySlack(interaction.teamId, interaction.userId);
  if (person === null) return { tenant, subject: null, slack, ending: refused(UNKNOWN_PERSON) };
  const view = proposalView(found, { tenant, policy, people, publicUrl: gate.config.publicUrl });
  const known = { tenant, subject: person.subject, slack };
  const standing = await slack.standing(interaction.userId, interaction.teamId);
  const fault = standingFault(standing);
  if (fault !== null) return { ...known, ending: refused(fault) };
  return { ...known, ending: await act(click, { context: context.value, ledger, person, view, slack }) };
}

/** What a person of the workspace can meet without having done anything wrong: a message that another has replaced. */
const STALE: ReadonlySet<PostedMismatch> = new Set(["wrong-digest", "wrong-channel", "wrong-message"]);

const UNKNOWN_PERSON: Refusal = {
  kind: "not-eligible",
  reason: "The tenant's people document names nobody with your Slack account.",
};

type Acting = {
  readonly context: TenantContext;
  readonly ledger: LedgerPort;
  readonly person: Person;
  readonly view: ProposalView;
  readonly slack: SlackClient;
};

async function act(click: Click, acting: Acting): Promise<JudgedClick["ending"]> {
  const { interaction } = click;
  const { view } = acting;
  // The policy may ask for the name since the message was posted; its next update has the other button.
  const asksForName =
    interaction.kind === "open-confirm" || (interaction.kind === "approve" && confirmTextOf(view) !== null);
  if (asksForName) return view.state === "pending" ? openModal(click, acting) : refused(endedAlready(view));
  if (interaction.kind === "confirm-submitted") {
    if (interaction.typed !== nameToType(view))
      return mistyped("confirm: another name than that of what will change", typedMismatchAnswer());
    if (interaction.comment !== null && !isComment(interaction.comment))
      return mistyped("comment: too long, or text that cannot be shown", unshownCommentAnswer());
  }
  return decide(click, acting);
}

async function openModal({ interaction, now }: Click, { view, slack }: Acting): Promise<JudgedClick["ending"]> {
  const { triggerId, channelId, messageTs } = interaction;
  const opened = await slack.openView(triggerId, confirmModal(view, { channelId, messageTs }, { now }));
  if (opened.ok) return DONE;
  // The same click came before, and its modal is open.
  if (opened.error.kind === "refused" && opened.error.error === "exchanged_trigger_id") return DONE;
  const cause = `views.open: ${opened.error.kind === "refused" ? opened.error.error : opened.error.kind}`;
  return refused({ kind: "unavailable", dependency: "slack", cause });
}

async function decide(
  { gate, interaction, requestId, now }: Click,
  { context, ledger, person }: Acting,
): Promise<JudgedClick["ending"]> {
  const { teamId, userId, approvalId, kind, typed } = interaction;
  const outcome = await decideProposal(
    { gate, context, ledger },
    {
      subject: person.subject,
      class: "person",
      credentialId: slackCredential(teamId, userId),
      demo: false,
      channel: "slack",
      authenticatedAt: null,
      fault: null,
    },
    {
      requestId,
      approvalId,
      decision: kind === "deny" ? "deny" : "approve",
      comment: isBlank(interaction.comment) ? null : interaction.comment,
      confirm: typed,
    },
    now,
  );
  if (outcome.kind !== "refused") return DONE;
  const refusal = withHandles(outcome.refusal, context);
  return refused(refusal, null, kind === "confirm-submitted" ? refusedSubmission(refusal) : null);
}

/** What stands in a record for a person whose click Slack has signed. */
export const slackCredential = (teamId: string, userId: string): string => `slack:${teamId}:${userId}`;

const DONE = { kind: "done" } as const;

const refused = (refusal: Refusal, cause: string | null = null, modal: JsonObject | null = null) =>
  ({ kind: "refused", refusal, cause, modal }) as const;

const mistyped = (reason: string, modal: JsonObject) => refused({ kind: "malformed-request", reason }, null, modal);

const isBlank = (text: string | null): boolean => text === null || text.trim() === "";
const isComment = (text: string): boolean => isBlank(text) || (text.length <= COMMENT_MAX && areShownLines(text));

const endedAlready = ({ state, decisions }: ProposalView): Refusal => ({
  kind: "already-decided",
  state,
  decided_by: decisions.map(({ handle, subject }) => handle ?? subject),
});

/** People read handles; the ledger knows subjects. */
const withHandles = (refusal: Refusal, { people }: TenantContext): Refusal =>
  refusal.kind === "already-decided"
    ? { ...refusal, decided_by: refusal.decided_by.map((subject) => people.bySubject(subject)?.handle ?? subject) }
    : refusal;
