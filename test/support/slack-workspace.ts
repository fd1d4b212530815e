import type { IncomingMessage, ServerResponse } from "node:http";
import { STANDIN_APP, STANDIN_SIGNING_SECRET } from "./slack-names.ts";
import { blocksProblem, viewProblem } from "./slack-payload-rules.ts";
import { payloadForm, signedForm } from "./slack-signing.ts";
import type { Signing, SlackRequest } from "./slack-signing.ts";

/** How the stand-in misbehaves, for one call each. `hang` never answers; `drop-after-post` does its work and cuts the connection. */
export type SlackFault =
  | { readonly kind: "rate-limit"; readonly retryAfter: string | null }
  | { readonly kind: "error"; readonly error: string }
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "body"; readonly body: string }
  | { readonly kind: "redirect"; readonly location: string }
  | { readonly kind: "hang" }
  | { readonly kind: "drop-after-post" };

export type SlackMember = { readonly id: string; readonly team_id: string } & Readonly<Record<string, unknown>>;
export type Parameters = Readonly<Record<string, unknown>>;
export type Message = { readonly text: string; readonly blocks: readonly unknown[]; readonly threadTs: string | null };

export type Person = { readonly id: string; readonly name?: string; readonly teamId?: string };
export type Click = {
  readonly user: Person;
  readonly channelId: string;
  readonly messageTs: string;
  readonly actionId: string;
  /** Merged over the payload, to make it wrong in one place. */
  readonly overrides?: Parameters;
};
export type Submission = {
  readonly user: Person;
  /** Block id → action id → what was typed. */
  readonly values: Readonly<Record<string, Readonly<Record<string, string | null>>>>;
  readonly overrides?: Parameters;
};

/** Public channels by name, as `chat.postMessage` accepts them. */
const CHANNELS: ReadonlyMap<string, string> = new Map([
  ["#ml-ops-approvals", "C0APPROVALS"],
  ["#ml-ops-escalation", "C0ESCALATION"],
]);

type Answer = Parameters & { readonly ok: boolean };
const refused = (error: string, messages: readonly string[] = []): Answer =>
  messages.length === 0 ? { ok: false, error } : { ok: false, error, response_metadata: { messages } };

/** One workspace with the gate's app in it: its messages, its people, and the clicks that they make. */
export class Workspace {
  readonly #token: string;
  readonly #teamId: string;
  readonly calls: { method: string; parameters: Parameters; authorization: string | undefined }[] = [];
  readonly messages = new Map<string, Message>();
  readonly views: Parameters[] = [];
  readonly members = new Map<string, SlackMember>();
  readonly faults: { readonly method: string; readonly fault: SlackFault }[] = [];
  /** Unspent triggers. */
  readonly triggers = new Set<string>();
  #sequence = 0;

  constructor({ token, teamId }: { readonly token: string; readonly teamId: string }) {
    this.#token = token;
    this.#teamId = teamId;
  }

  async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const method = (request.url ?? "").replace(/^\/api\//, "");
    const parameters = await readParameters(request);
    this.calls.push({ method, parameters, authorization: request.headers.authorization });
    const index = this.faults.findIndex((planned) => planned.method === method);
    const fault = this.faults.splice(index, index === -1 ? 0 : 1)[0]?.fault;
    if (fault !== undefined && fault.kind !== "drop-after-post") return misbehave(fault, response);
    const answer =
      request.headers.authorization === `Bearer ${this.#token}`
        ? this.#call(method, parameters)
        : refused("invalid_auth");
    if (fault !== undefined) return void response.destroy();
    response.writeHead(200, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(answer));
  }

  #call(method: string, parameters: Parameters): Answer {
    switch (method) {
      case "chat.postMessage":
        return this.#post(parameters);
      case "chat.update":
        return this.#update(parameters);
      case "chat.postEphemeral":
        return this.#postEphemeral(parameters);
      case "views.open":
        return this.#open(parameters);
      case "users.info": {
        const user = this.members.get(String(parameters["user"]));
        return user === undefined ? refused("user_not_found") : { ok: true, user };
      }
      default:
        return refused("unknown_method");
    }
  }

  #post(parameters: Parameters): Answer {
    const channel = channelOf(parameters["channel"]);
    if (channel === null) return refused("channel_not_found");
    const threadTs = typeof parameters["thread_ts"] === "string" ? parameters["thread_ts"] : null;
    if (threadTs !== null && !this.messages.has(`${channel} ${threadTs}`)) return refused("thread_not_found");
    const message = readMessage(parameters);
    if ("ok" in message) return message;
    const ts = this.#time();
    this.messages.set(`${channel} ${ts}`, { ...message, threadTs });
    return {
      ok: true,
      channel,
      ts,
      message: { type: "message", ts, text: message.text, app_id: STANDIN_APP, bot_id: "B0STANDIN" },
    };
  }

  #update(parameters: Parameters): Answer {
    const key = `${String(parameters["channel"])} ${String(parameters["ts"])}`;
    const existing = this.messages.get(key);
    if (existing === undefined) return refused("message_not_found");
    const message = readMessage(parameters);
    if ("ok" in message) return message;
    this.messages.set(key, { ...message, threadTs: existing.threadTs });
    return { ok: true, channel: parameters["channel"], ts: parameters["ts"], text: message.text };
  }

  #postEphemeral(parameters: Parameters): Answer {
    if (channelOf(parameters["channel"]) === null) return refused("channel_not_found");
    if (!/^[UW][A-Z0-9]+$/.test(String(parameters["user"]))) return refused("user_not_in_channel");
    const message = readMessage(parameters);
    return "ok" in message ? message : { ok: true, message_ts: this.#time() };
  }

  #open(parameters: Parameters): Answer {
    const { trigger_id: trigger, view } = parameters;
    if (typeof trigger !== "string" || !/^\d+\.\d+\.[0-9a-f]+$/.test(trigger)) return refused("invalid_trigger_id");
    if (!this.triggers.delete(trigger)) return refused("exchanged_trigger_id");
    const problem = viewProblem(view);
    if (problem !== null || !isParameters(view))
      return refused(problem?.error ?? "invalid_arguments", problem?.messages);
    this.views.push(view);
    return { ok: true, view: { ...view, id: `V${this.views.length}` } };
  }

  click({ user, channelId, messageTs, actionId, overrides = {} }: Click, signing: Partial<Signing> = {}): SlackRequest {
    const message = this.messages.get(`${channelId} ${messageTs}`);
    if (message === undefined) throw new Error(`no message ${messageTs} in ${channelId}`);
    const found = buttonsOf(message.blocks).find(({ button }) => button["action_id"] === actionId);
    if (found === undefined) throw new Error(`the message has no button ${actionId}`);
    const payload = {
      type: "block_actions",
      ...this.#actor(user),
      container: { type: "message", message_ts: messageTs, channel_id: channelId, is_ephemeral: false },
      channel: { id: channelId, name: "approvals" },
      message: {
        type: "message",
        app_id: STANDIN_APP,
        bot_id: "B0STANDIN",
        ts: messageTs,
        text: message.text,
        team: this.#teamId,
        blocks: message.blocks,
      },
      state: { values: {} },
      response_url: `https://hooks.slack.com/actions/${this.#teamId}/1/x`,
      actions: [{ ...found.button, block_id: found.blockId, action_ts: this.#time() }],
      ...overrides,
    };
    return this.#signed(payload, signing);
  }

  submit({ user, values, overrides = {} }: Submission, signing: Partial<Signing> = {}): SlackRequest {
    const view = this.views.at(-1);
    if (view === undefined) throw new Error("no modal was opened");
    const typed = Object.entries(values).map(([block, actions]) => [
      block,
      Object.fromEntries(
        Object.entries(actions).map(([action, value]) => [action, { type: "plain_text_input", value }]),
      ),
    ]);
    const payload = {
      type: "view_submission",
      ...this.#actor(user),
      view: {
        ...view,
        id: `V${this.views.length}`,
        team_id: this.#teamId,
        app_id: STANDIN_APP,
        hash: "1.a",
        state: { values: Object.fromEntries(typed) },
      },
      response_urls: [],
      ...overrides,
    };
    return this.#signed(payload, signing);
  }

  #actor({ id, name = "somebody", teamId = this.#teamId }: Person): Parameters {
    const trigger = `${++this.#sequence}.${this.#sequence}.${"0123456789abcdef".repeat(2)}`;
    this.triggers.add(trigger);
    return {
      api_app_id: STANDIN_APP,
      token: "deprecated",
      team: { id: this.#teamId, domain: "standin" },
      enterprise: null,
      is_enterprise_install: false,
      user: { id, username: name, name, team_id: teamId },
      trigger_id: trigger,
    };
  }

  #signed(
    payload: unknown,
    { secret = STANDIN_SIGNING_SECRET, timestampS = Math.floor(Date.now() / 1_000) }: Partial<Signing>,
  ) {
    return signedForm(payloadForm(payload), { secret, timestampS });
  }

  /** Slack's message times: unique per channel, increasing. */
  #time(): string {
    return `1763600000.${String(++this.#sequence).padStart(6, "0")}`;
  }
}

function buttonsOf(blocks: readonly unknown[]): readonly { readonly blockId: unknown; readonly button: Parameters }[] {
  return blocks.flatMap((block) => {
    if (!isParameters(block) || block["type"] !== "actions" || !Array.isArray(block["elements"])) return [];
    const elements: readonly unknown[] = block["elements"];
    return elements.filter(isParameters).map((button) => ({ blockId: block["block_id"] ?? "generated", button }));
  });
}

function readMessage({ text, blocks }: Parameters): Omit<Message, "threadTs"> | Answer {
  if (typeof text !== "string" || text === "") return refused("no_text");
  if (text.length > 4_000) return refused("msg_too_long");
  const problem = blocksProblem(blocks ?? []);
  if (problem !== null) return refused(problem.error, problem.messages);
  return { text, blocks: Array.isArray(blocks) ? blocks : [] };
}

function channelOf(channel: unknown): string | null {
  if (typeof channel !== "string") return null;
  if (/^[CGD][A-Z0-9]{2,20}$/.test(channel)) return channel;
  return CHANNELS.get(channel) ?? null;
}

async function readParameters(request: IncomingMessage): Promise<Parameters> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const text = Buffer.concat(chunks).toString("utf8");
  if (!(request.headers["content-type"] ?? "").startsWith("application/json")) {
    return Object.fromEntries([...new URLSearchParams(text)].map(([name, value]) => [name, maybeJson(value)]));
  }
  const value: unknown = JSON.parse(text);
  return isParameters(value) ? value : {};
}

function misbehave(fault: Exclude<SlackFault, { kind: "drop-after-post" }>, response: ServerResponse): void {
  switch (fault.kind) {
    case "rate-limit":
      response.writeHead(429, fault.retryAfter === null ? {} : { "retry-after": fault.retryAfter });
      response.end(JSON.stringify(refused("ratelimited")));
      break;
    case "error":
      response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(refused(fault.error)));
      break;
    case "status":
      response.writeHead(fault.status).end("not Slack's JSON");
      break;
    case "body":
      response.writeHead(200, { "content-type": "application/json" }).end(fault.body);
      break;
    case "redirect":
      response.writeHead(307, { location: fault.location }).end();
      break;
    case "hang":
      break;
    default:
      throw new Error("unknown fault");
  }
}

/** Forms carry blocks and views as JSON text. */
function maybeJson(value: string): unknown {
  return /^[[{]/.test(value) ? JSON.parse(value) : value;
}

const isParameters = (value: unknown): value is Parameters =>
  typeof value === "object" && value !== null && !Array.isArray(value);
