import { channelStore, readSlack, type SlackSettings } from "../notify/channels.ts";
import { DONE, type AlertCall, type Channel, type Delivery, type DeliveryCall } from "../notify/delivery.ts";
import { unreachable } from "../platform/assert.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { CompiledPolicy } from "../policy/types.ts";
import { alertChannel, alertMessage } from "./alerts.ts";
import type { SlackMessage } from "./blocks.ts";
import { slackClient, type SlackClient } from "./client.ts";
import { proposalMessage } from "./message.ts";
import { escalation, glassBroken, outcomeLine, refusedExecution, reminder, type ExecutionOutcome } from "./notices.ts";
import { readPosting, type Posting } from "./posted.ts";
import type { SlackCallFailure } from "./web-api.ts";

/**
 * Deadline of one call. Nobody but this lane waits for it: 20 jobs of two calls each are 200 s at worst. Not shorter, because
 * a message that was posted although its answer came too late stays in the channel, dead.
 */
const DELIVERY_TIMEOUT_MS = 5_000;

/** Error codes of Slack's own trouble (https://docs.slack.dev/reference/methods/chat.postMessage#errors); all others last. */
const PASSING: ReadonlySet<string> = new Set([
  "ratelimited",
  "rate_limited",
  "message_limit_exceeded",
  "internal_error",
  "fatal_error",
  "service_unavailable",
  "request_timeout",
  "team_added_to_org",
]);

/**
 * Tells people in Slack. An alert about money is one message. Each notice of a proposal brings the proposal's message up to date as it stands now, whatever happened in between;
 * some also say a line in its thread or in the escalation channel. Bears repetition: a message that was posted although its
 * answer was lost is posted again, and only the remembered one has buttons that count (`matchPosted`).
 */
export const slackChannel: Channel = { name: "slack", deliver, tell };

async function tell(call: AlertCall): Promise<Delivery> {
  const workspace = await openWorkspace(call);
  if (!workspace.ok) return workspace.error;
  const channel = alertChannel(call.alert.kind, call.tenant.policy);
  const { slack, settings } = workspace.value;
  const { app_id, team_id } = settings;
  const subject = threadOf(call.alert);
  const known = subject === null ? null : readPosting(call.postings.get(subject));
  const thread = known?.app_id === app_id && known.team_id === team_id ? known : null;
  const message = alertMessage(call.alert, call.tenant.tenant, thread !== null);
  if (channel === null || message === null) return DONE;
  if (thread !== null) {
    const said = await slack.postMessage(thread.channel_id, message, thread.message_ts);
    if (said.ok) return DONE;
    if (!isDeleted(said.error)) return deliveryOf(said.error, "thread");
  }
  const posted = await slack.postMessage(channel, message);
  if (!posted.ok) return deliveryOf(posted.error, "post");
  if (subject !== null) {
    const { channelId: channel_id, messageTs: message_ts } = posted.value;
    call.postings.put(subject, { app_id, team_id, channel_id, message_ts, told: [] });
  }
  return DONE;
}

/** What the first message about a thing is remembered by: what comes after it goes into its thread. Null: each stands alone. */
function threadOf(alert: AlertCall["alert"]): string | null {
  if (alert.kind === "escalation") return alert.id;
  return alert.kind === "incident" ? `incident/${alert.key}/${alert.claim}` : null;
}

async function deliver(call: DeliveryCall): Promise<Delivery> {
  const workspace = await openWorkspace(call);
  if (!workspace.ok) return workspace.error;
  const { slack, settings } = workspace.value;
  const shown = await showProposal(call, slack, settings);
  if (shown.delivery.kind === "retry") return shown.delivery;
  const said = await say(call, slack, shown.posting);
  return said.kind === "done" ? shown.delivery : said;
}

type Workspace = { readonly slack: SlackClient; readonly settings: SlackSettings };

/** The tenant's workspace, or what becomes of the try without one. */
async function openWorkspace({
  gate,
  tenant,
}: Pick<AlertCall, "gate" | "tenant">): Promise<Result<Workspace, Delivery>> {
  const settings = await readSlack(channelStore(gate), tenant.tenant);
  if (!settings.ok) return err({ kind: "retry", afterMs: null, reason: `settings: ${settings.error}` });
  if (settings.value === null) return err(DONE);
  const { bot_token: token } = settings.value;
  const slack = slackClient({ token, baseUrl: gate.config.slackApiUrl, timeoutMs: DELIVERY_TIMEOUT_MS });
  return ok({ slack, settings: settings.value });
}

type Shown = { readonly posting: Posting | null; readonly delivery: Delivery };

/** Updates the proposal's message, or posts it where there is none (any more). */
async function showProposal(
  { tenant: { policy }, view, postings, now }: DeliveryCall,
  slack: SlackClient,
  { app_id, team_id }: SlackSettings,
): Promise<Shown> {
  const message = proposalMessage(view, { now, escalationChannel: policy.channels.escalation });
  const known = readPosting(postings.get(view.id));
  // A message of an earlier installation is out of the present token's reach, and its buttons are dead.
  if (known !== null && known.app_id === app_id && known.team_id === team_id) {
    const updated = await slack.updateMessage(placeOf(known), message);
    if (updated.ok) return { posting: known, delivery: DONE };
    if (!isDeleted(updated.error)) return { posting: known, delivery: deliveryOf(updated.error, "update") };
  }
  const channel = channelOf(view.tier, policy.channels);
  if (channel === null) return { posting: null, delivery: DONE };
  const posted = await slack.postMessage(channel, message);
  if (!posted.ok) return { posting: null, delivery: deliveryOf(posted.error, "post") };
  const { channelId: channel_id, messageTs: message_ts } = posted.value;
  const posting = { app_id, team_id, channel_id, message_ts, told: [...(known?.told ?? [])] };
  postings.put(view.id, posting);
  return { posting, delivery: DONE };
}

/** A tier without a channel of its own is announced in the other's: membership of a channel confers nothing. */
const channelOf = (tier: number, { tier3, tier4 }: CompiledPolicy["channels"]): string | null =>
  tier >= 4 ? (tier4 ?? tier3) : (tier3 ?? tier4);

/** One more thing to say, once; into the thread unless a channel is named. */
type Saying = { readonly key: string; readonly message: SlackMessage; readonly channel: string | null };

async function say(call: DeliveryCall, slack: SlackClient, posting: Posting | null): Promise<Delivery> {
  const saying = await sayingOf(call);
  if (saying === null || posting?.told.includes(saying.key) === true) return DONE;
  if (saying.channel === null && posting === null) return DONE;
  const said =
    saying.channel === null && posting !== null
      ? await slack.postMessage(posting.channel_id, saying.message, posting.message_ts)
      : await slack.postMessage(saying.channel ?? "", saying.message);
  if (!said.ok) return deliveryOf(said.error, saying.channel === null ? "thread" : "escalation");
  if (posting !== null) call.postings.put(call.view.id, { ...posting, told: [...posting.told, saying.key] });
  return DONE;
}

async function sayingOf({ notice, found, view, ledger, tenant, now }: DeliveryCall): Promise<Saying | null> {
  const { id: key, requestId } = notice;
  switch (notice.kind) {
    case "reminder":
      return view.state === "pending" ? { key, message: reminder(view, { now }), channel: null } : null;
    case "expired": {
      // A grant that was not used in time had been decided: nobody has to hear of that.
      const { escalation: channel } = tenant.policy.channels;
      return found.approval.grantJti !== null || channel === null ? null : { key, message: escalation(view), channel };
    }
    case "break-glass":
      return { key, message: glassBroken(view), channel: tenant.policy.channels.escalation };
    case "executed": {
      const operation = requestId === null ? null : await ledger.operation(requestId);
      const outcome = OUTCOMES.find((known) => known === operation?.state);
      if (operation === null || outcome === undefined) return null;
      const { upstreamStatus } = operation;
      const message = outcomeLine(view, { kind: outcome, upstreamStatus, requestId: operation.requestId });
      // Named by what is so now: a late notice of `unknown` does not repeat the outcome that was told since.
      return { key: `executed/${operation.requestId}/${outcome}`, message, channel: null };
    }
    case "execution-refused":
      return { key, message: refusedExecution(view, notice.detail ?? "", requestId ?? "", { now }), channel: null };
    default:
      return null;
  }
}

const OUTCOMES: readonly ExecutionOutcome["kind"][] = ["succeeded", "failed", "unknown", "not-sent"];

const placeOf = ({ channel_id, message_ts }: Posting) => ({ channelId: channel_id, messageTs: message_ts });

const isDeleted = (failure: SlackCallFailure): boolean =>
  failure.kind === "refused" && (failure.error === "message_not_found" || failure.error === "thread_not_found");

function deliveryOf(failure: SlackCallFailure, what: string): Delivery {
  switch (failure.kind) {
    case "rate-limited":
      return { kind: "retry", afterMs: failure.retryAfterS * 1_000, reason: `${what}: rate-limited` };
    case "no-answer":
      return { kind: "retry", afterMs: null, reason: `${what}: ${failure.reason}` };
    case "refused":
      return PASSING.has(failure.error)
        ? { kind: "retry", afterMs: null, reason: `${what}: ${failure.error}` }
        : { kind: "failed", reason: `${what}: ${failure.error}` };
    default:
      return unreachable(failure);
  }
}
