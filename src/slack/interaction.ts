import { z } from "zod";
import type { JsonObject } from "../platform/json.ts";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { ActionValue, Origin } from "./action-value.ts";
import {
  ACTION_IDS,
  COMMENT_FIELD,
  CONFIRM_VIEW,
  DECIDE_BLOCK,
  readActionValue,
  readConfirmMetadata,
  TYPED_FIELD,
} from "./action-value.ts";
import { readFormPayload } from "./form-payload.ts";
import { SLACK_LIMITS } from "./limits.ts";

/** What a person did in Slack. `open-confirm` and `open-page` decide nothing. */
export type InteractionKind = "approve" | "deny" | "open-confirm" | "open-page" | "confirm-submitted";

/**
 * A verified interaction with one of the gate's own messages. Who acted is (`teamId`, `userId`) and nothing else: names are
 * editable, and this value has none. Everything here is still a claim about which message it was: `matchPosted` compares it
 * with what was posted.
 */
export type SlackInteraction = {
  readonly kind: InteractionKind;
  readonly appId: string;
  readonly teamId: string;
  readonly enterpriseId: string | null;
  readonly userId: string;
  /** The person's own workspace where Slack tells it; another one than `teamId` is a guest of a shared channel. */
  readonly userTeamId: string | null;
  readonly approvalId: string;
  /** The short digest of the button that was pressed (`shortDigest`). */
  readonly approvalDigest: string;
  readonly channelId: string;
  readonly messageTs: string;
  /** Opens a modal, once, for three seconds. */
  readonly triggerId: string;
  /** Equal in every re-send of one click. Submissions have no time of their own, so it is their trigger id. */
  readonly actionTs: string;
  /** What the person typed to confirm; null for buttons. */
  readonly typed: string | null;
  readonly comment: string | null;
};

/** `malformed`: not an interaction at all (400). `foreign`: a well-formed one that none of the gate's messages can cause (403). */
export type InteractionRefusal = { readonly kind: "malformed" | "foreign"; readonly reason: string };

const text = z.string().min(1).max(SLACK_LIMITS.inputValue);
const teamId = z.string().regex(/^[TE][A-Z0-9]{2,20}$/);
const channelId = z.string().regex(/^[CGD][A-Z0-9]{2,20}$/);
const timestamp = z.string().regex(/^\d{10}\.\d{6}$/);

/** Who acted, common to both payloads. Slack adds members at will, so unknown ones are passed over. */
const actor = {
  api_app_id: z.string().regex(/^A[A-Z0-9]{2,20}$/),
  // Null for an app installed for a whole organisation: such an installation names no workspace and is not supported.
  team: z.object({ id: teamId, enterprise_id: teamId.nullish() }),
  enterprise: z.object({ id: teamId }).nullish(),
  user: z.object({ id: z.string().regex(/^[UW][A-Z0-9]{2,20}$/), team_id: teamId.nullish() }),
  trigger_id: z.string().regex(/^[\w.-]{1,200}$/),
};

const BLOCK_ACTIONS = z.object({
  ...actor,
  container: z.object({
    type: z.literal("message"),
    channel_id: channelId,
    message_ts: timestamp,
    is_ephemeral: z.literal(false).optional(),
  }),
  channel: z.object({ id: channelId }),
  message: z.object({ ts: timestamp }),
  actions: z.tuple([
    z.object({
      type: z.literal("button"),
      block_id: z.string(),
      action_id: z.string(),
      value: z.string(),
      action_ts: timestamp,
    }),
  ]),
});

const field = (value: z.ZodType<string | null>) => z.object({ type: z.literal("plain_text_input"), value });
const VIEW_SUBMISSION = z.object({
  ...actor,
  view: z.object({
    type: z.literal("modal"),
    callback_id: z.string(),
    private_metadata: z.string(),
    state: z.object({
      values: z.object({
        [TYPED_FIELD.block]: z.object({ [TYPED_FIELD.action]: field(text) }),
        [COMMENT_FIELD.block]: z.object({ [COMMENT_FIELD.action]: field(text.nullable()) }),
      }),
    }),
  }),
});

const KINDS: ReadonlyMap<string, InteractionKind> = new Map([
  [ACTION_IDS.approve, "approve"],
  [ACTION_IDS.deny, "deny"],
  [ACTION_IDS.openConfirm, "open-confirm"],
  [ACTION_IDS.openPage, "open-page"],
]);

/**
 * Reads the body of a request to the interactions route whose signature was verified over the same bytes. Only the two
 * payload types that the gate's messages cause are read; `response_url` is not, so no address of the payload is ever called.
 */
export function parseInteraction(
  contentType: string | null,
  rawBody: Uint8Array,
): Result<SlackInteraction, InteractionRefusal> {
  const payload = readFormPayload(contentType, rawBody);
  if (!payload.ok) return malformed(payload.error);
  switch (payload.value["type"]) {
    case "block_actions":
      return readClick(payload.value);
    case "view_submission":
      return readSubmission(payload.value);
    default:
      return foreign("the payload's type is neither block_actions nor view_submission");
  }
}

/**
 * The key under which a click counts once. Slack re-sends an unanswered one up to three times (`X-Slack-Retry-Num`) with the
 * same payload, and a recorded one stays valid for five minutes. JSON, so that no part can run into the next.
 */
export const dedupeKey = ({ teamId: team, userId, approvalId, actionTs }: SlackInteraction): string =>
  JSON.stringify([team, userId, approvalId, actionTs]);

function readClick(payload: JsonObject): Result<SlackInteraction, InteractionRefusal> {
  const parsed = BLOCK_ACTIONS.safeParse(payload);
  if (!parsed.success) return malformed(`block_actions: ${placeOf(parsed.error)}`);
  const { container, channel, message, actions } = parsed.data;
  const [action] = actions;
  const kind = KINDS.get(action.action_id);
  if (kind === undefined || action.block_id !== DECIDE_BLOCK) return foreign("not a button of a proposal");
  const value = readActionValue(action.value);
  if (value === null) return foreign("the button carries no proposal");
  if (channel.id !== container.channel_id || message.ts !== container.message_ts) {
    return malformed("block_actions: container and message differ");
  }
  const origin = { channelId: channel.id, messageTs: message.ts };
  return ok({ kind, ...actorOf(parsed.data), ...placed(value, origin), ...timed(action.action_ts), ...NOT_TYPED });
}

function readSubmission(payload: JsonObject): Result<SlackInteraction, InteractionRefusal> {
  const parsed = VIEW_SUBMISSION.safeParse(payload);
  if (!parsed.success) return malformed(`view_submission: ${placeOf(parsed.error)}`);
  const { view, trigger_id: triggerId } = parsed.data;
  const origin = readConfirmMetadata(view.private_metadata);
  if (view.callback_id !== CONFIRM_VIEW || origin === null) return foreign("not the modal of a proposal");
  const typed = view.state.values[TYPED_FIELD.block][TYPED_FIELD.action].value;
  const comment = view.state.values[COMMENT_FIELD.block][COMMENT_FIELD.action].value;
  return ok({
    kind: "confirm-submitted",
    ...actorOf(parsed.data),
    ...placed(origin, origin),
    ...timed(triggerId),
    typed,
    comment,
  });
}

const NOT_TYPED = { typed: null, comment: null } as const;
const timed = (actionTs: string) => ({ actionTs });
const placed = ({ approvalId, approvalDigest }: ActionValue, { channelId: channel, messageTs }: Origin) => ({
  approvalId,
  approvalDigest,
  channelId: channel,
  messageTs,
});

function actorOf({ api_app_id, team, enterprise, user, trigger_id }: z.infer<z.ZodObject<typeof actor>>) {
  return {
    appId: api_app_id,
    teamId: team.id,
    enterpriseId: enterprise?.id ?? team.enterprise_id ?? null,
    userId: user.id,
    userTeamId: user.team_id ?? null,
    triggerId: trigger_id,
  };
}

/** Where a payload is not as Slack documents it: the place only, since the values are somebody's. */
const placeOf = (error: z.ZodError): string => `unexpected at /${error.issues[0]?.path.join("/") ?? ""}`;

const malformed = (reason: string) => err({ kind: "malformed", reason } as const);
const foreign = (reason: string) => err({ kind: "foreign", reason } as const);
