import type { ModalView } from "slack-web-api-client";
import type { Result } from "../platform/result.ts";
import { err, ok } from "../platform/result.ts";
import type { SlackMessage } from "./blocks.ts";
import type { SlackStanding } from "./standing.ts";
import { standingOf } from "./standing.ts";
import type { SlackCallFailure } from "./web-api.ts";
import { attempted, SlackWebApi } from "./web-api.ts";

/** A person waits three seconds for a modal; everything else is sent by the outbox, which can wait. */
export const SLACK_TIMEOUT_MS = 2_500;

export type SlackSettings = {
  /** The bot token of the tenant's workspace. */
  readonly token: string;
  /** From `slackBaseUrl`. */
  readonly baseUrl: string;
  /** Deadline of each call, connection and body together. */
  readonly timeoutMs?: number;
};

/** Where a message is: what `update` and the thread's messages name. */
export type MessagePlace = { readonly channelId: string; readonly messageTs: string };

type Answered<T> = Promise<Result<T, SlackCallFailure>>;

/** The calls to Slack that the gate makes. None retries, follows a redirect or throws. */
export type SlackClient = {
  /** Posts into a channel (id, or `#name` as a policy writes it), or into the thread of `threadTs`; the answer's place has the id. */
  readonly postMessage: (channel: string, message: SlackMessage, threadTs?: string) => Answered<MessagePlace>;
  /** Replaces a message's text and blocks. */
  readonly updateMessage: (place: MessagePlace, message: SlackMessage) => Answered<void>;
  /** Shows a message to one person only. */
  readonly postEphemeral: (
    place: Pick<MessagePlace, "channelId">,
    userId: string,
    message: SlackMessage,
  ) => Answered<void>;
  /** Opens a modal; the trigger is good for one use within three seconds of the click. */
  readonly openView: (triggerId: string, view: ModalView) => Answered<void>;
  /** Whether a person is a full, active member of the workspace (scope `users:read`). */
  readonly standing: (userId: string, teamId: string) => Answered<SlackStanding>;
};

/** A client for one workspace. */
export function slackClient({ token, baseUrl, timeoutMs = SLACK_TIMEOUT_MS }: SlackSettings): SlackClient {
  const api = new SlackWebApi({ token, baseUrl, timeoutMs });
  const post = api.chat.postMessage;
  return {
    postMessage: async (channel, message, threadTs) => {
      const thread = threadTs === undefined ? {} : { thread_ts: threadTs };
      const posted = await attempted(() =>
        post({
          channel,
          ...content(message),
          ...thread,
          mrkdwn: false,
          unfurl_links: false,
          unfurl_media: false,
        }),
      );
      if (!posted.ok) return posted;
      const { channel: channelId, ts: messageTs } = posted.value;
      return channelId === undefined || messageTs === undefined
        ? err({ kind: "no-answer", reason: "the answer names no message" })
        : ok({ channelId, messageTs });
    },
    updateMessage: ({ channelId, messageTs }, message) =>
      done(() => api.chat.update({ channel: channelId, ts: messageTs, ...content(message) })),
    postEphemeral: ({ channelId }, userId, message) =>
      done(() => api.chat.postEphemeral({ channel: channelId, user: userId, ...content(message) })),
    openView: (triggerId, view) => done(() => api.views.open({ trigger_id: triggerId, view })),
    standing: async (userId, teamId) => {
      const answer = await attempted(() => api.users.info({ user: userId }));
      return answer.ok ? ok(standingOf(answer.value.user, userId, teamId)) : answer;
    },
  };
}

/** Everything that a client of Slack's would turn into a mention or a link is switched off, on top of the inert texts. */
const content = ({ text, blocks }: SlackMessage) => ({
  text,
  blocks: [...blocks],
  parse: "none" as const,
  link_names: false,
});

async function done(call: () => Promise<unknown>): Answered<void> {
  const answer = await attempted(call);
  return answer.ok ? ok(undefined) : answer;
}
