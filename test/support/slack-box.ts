import { exports } from "cloudflare:workers";
import { runDurableObjectAlarm } from "cloudflare:test";
import { expect } from "vitest";
import { outboxOf } from "../../src/outbox/port.ts";
import { COMMENT_FIELD, TYPED_FIELD } from "../../src/slack/action-value.ts";
import { readAnswered, verdict, type Answered } from "./answer.ts";
import { ACME_PEOPLE, type BlackBox, type Documents, type Entrance } from "./black-box.ts";
import { STANDIN_APP, teamOf, tokenOf } from "./slack-names.ts";
import type { Signing } from "./slack-signing.ts";
import type { StandinCommand, StandinReport } from "./slack-standin.ts";
import type { Click, Message, SlackFault, SlackMember, Submission } from "./slack-workspace.ts";
import type { Suite } from "./suites.ts";
import { testEnv } from "./test-env.ts";

/** The member ids of acme's people document. */
export const USERS = {
  alice: "U0ACMEALICE",
  bob: "U0ACMEBOB",
  carol: "U0ACMECAROL",
  dana: "U0ACMEDANA",
} as const;
type UserName = keyof typeof USERS;

export const INTERACTIONS = "https://gate.example/_gate/slack/interactions";
export const PATIENCE = { timeout: 20_000 } as const;

/** A message with its place. */
export type Shown = Message & { readonly channelId: string; readonly messageTs: string };
/** A request to the interactions route, not yet sent. */
export type Prepared = { readonly headers: Readonly<Record<string, string>>; readonly body: string | Uint8Array };
type ClickOptions = Partial<Omit<Click, "user">> & {
  readonly user?: Click["user"];
  readonly signing?: Partial<Signing>;
};

/** A workspace of the stand-in, and the gate's interactions route as it calls it. */
export type SlackPlace = {
  readonly teamId: string;
  readonly look: () => Promise<StandinReport>;
  /** Messages in channels, in order, threads and anchors left out. */
  readonly posted: () => Promise<readonly Shown[]>;
  /** Messages about the audit logs' checkpoints: they come whenever their hour has. */
  readonly anchors: () => Promise<readonly Shown[]>;
  /** Texts in the thread of a message, in order. */
  readonly thread: (of: Shown) => Promise<readonly string[]>;
  /** What was shown to one person only: user and text. */
  readonly whispered: () => Promise<readonly (readonly [user: unknown, text: unknown])[]>;
  readonly failNext: (method: string, ...faults: readonly SlackFault[]) => Promise<void>;
  readonly setMember: (user: string, over?: Partial<SlackMember>) => Promise<void>;
  readonly remove: (message: Shown) => Promise<void>;
  readonly prepareClick: (name: UserName, actionId: string, on: Shown, options?: ClickOptions) => Promise<Prepared>;
  readonly click: (name: UserName, actionId: string, on: Shown, options?: ClickOptions) => Promise<Answered>;
  /** Types into the modal that was opened last, and submits it. */
  readonly prepareSubmit: (name: UserName, typed: string, comment?: string | null) => Promise<Prepared>;
  readonly submit: (name: UserName, typed: string, comment?: string | null) => Promise<Answered>;
};

export type SlackBox = { readonly box: BlackBox; readonly slack: SlackPlace };

const entry: Entrance = (request) => exports.default.fetch(request);

/** Sends a request to the interactions route. */
export const sendPrepared = async ({ headers, body }: Prepared, entrance: Entrance = entry): Promise<Answered> =>
  readAnswered(await entrance(new Request(INTERACTIONS, { method: "POST", headers, body })));

/**
 * Opens tenants each with a workspace of its own, whose members are acme's people, set up by its operator as a platform
 * engineer would. `shared`: the name of a workspace that several tenants have.
 */
export function useSlackBox(
  suite: Suite,
  open: (documents?: Documents) => Promise<BlackBox>,
): (documents?: Documents, shared?: string) => Promise<SlackBox> {
  let made = 0;
  return async (documents = {}, shared) => {
    made += 1;
    const name = shared ?? `${suite}-${made}`;
    const people = (documents.people ?? ACME_PEOPLE).replaceAll("T0ACME001", teamOf(name));
    const box = await open({ ...documents, people });
    const slack = slackPlace(name);
    for (const user of Object.values(USERS)) await slack.setMember(user);
    await setUp(box, name);
    return { box, slack };
  };
}

/** Sets a tenant's Slack channel up with the workspace of this name. */
export async function setUp(box: BlackBox, name: string, app: string = STANDIN_APP): Promise<void> {
  const settings = { app_id: app, team_id: teamOf(name), bot_token: tokenOf(name) };
  const answered = await (await box.as("operator")).put("/_gate/v1/channels/slack", settings);
  expect(verdict(answered), answered.text).toBe("200");
}

/** Runs what the ledger and then the outbox have to do by now. For clocks that tests have moved: alarms follow the real one. */
export async function runAlarms(box: BlackBox): Promise<void> {
  // First what has come due, then the hand-over of what people are to be told of it.
  await runDurableObjectAlarm(testEnv.LEDGER.getByName(box.tenant));
  await runDurableObjectAlarm(testEnv.LEDGER.getByName(box.tenant));
  await runDurableObjectAlarm(testEnv.OUTBOX.getByName(box.tenant));
}

/** Where the outbox remembers a proposal's message to be; null where it has posted none. */
export const postingOf = (box: BlackBox, approval: string) => outboxOf(testEnv.OUTBOX, box.tenant).posting(approval);

function prepared({ sent }: StandinReport): Prepared {
  if (sent === null) throw new Error("nothing was clicked");
  return sent;
}

const isAnchor = (text: string): boolean => text.startsWith("Audit logs, as signed");

/** The gate's clock, which tests move; the stand-in has the real one. */
const nowS = (): number => Math.floor(Date.now() / 1_000);

/** The workspace of this name. */
export function slackPlace(name: string): SlackPlace {
  const commands = new URL(`/_standin/${tokenOf(name)}`, testEnv.SLACK_API_URL);
  const tell = async (command: StandinCommand): Promise<StandinReport> => {
    const answered = await fetch(commands, { method: "POST", body: JSON.stringify(command) });
    return answered.json<StandinReport>();
  };
  const look = (): Promise<StandinReport> => tell({ do: "look" });
  const shown = async (): Promise<readonly Shown[]> =>
    (await look()).messages.map(([key, message]) => {
      const [channelId = "", messageTs = ""] = key.split(" ");
      return { ...message, channelId, messageTs };
    });
  const prepareClick: SlackPlace["prepareClick"] = async (who, actionId, on, options = {}) => {
    const { signing = {}, ...rest } = options;
    const { channelId, messageTs } = on;
    const click = { user: { id: USERS[who], name: who }, channelId, messageTs, actionId, ...rest };
    return prepared(await tell({ do: "click", click, signing: { timestampS: nowS(), ...signing } }));
  };
  const prepareSubmit: SlackPlace["prepareSubmit"] = async (who, typed, comment = null) => {
    const submission: Submission = {
      user: { id: USERS[who], name: who },
      values: {
        [TYPED_FIELD.block]: { [TYPED_FIELD.action]: typed },
        [COMMENT_FIELD.block]: { [COMMENT_FIELD.action]: comment },
      },
    };
    return prepared(await tell({ do: "submit", submission, signing: { timestampS: nowS() } }));
  };
  return {
    teamId: teamOf(name),
    look,
    posted: async () => (await shown()).filter(({ threadTs, text }) => threadTs === null && !isAnchor(text)),
    anchors: async () => (await shown()).filter(({ text }) => isAnchor(text)),
    thread: async (of) =>
      (await shown())
        .filter(({ channelId, threadTs }) => channelId === of.channelId && threadTs === of.messageTs)
        .map(({ text }) => text),
    whispered: async () =>
      (await look()).calls
        .filter(({ method }) => method === "chat.postEphemeral")
        .map(({ parameters }) => [parameters["user"], parameters["text"]] as const),
    failNext: async (method, ...faults) => {
      for (const fault of faults) await tell({ do: "fault", method, fault });
    },
    setMember: async (id, over = {}) => {
      const member = { ...MEMBER, id, team_id: teamOf(name), ...over };
      await tell({ do: "member", member });
    },
    remove: async ({ channelId, messageTs }) => void (await tell({ do: "delete", channelId, messageTs })),
    prepareClick,
    click: async (...given) => sendPrepared(await prepareClick(...given)),
    prepareSubmit,
    submit: async (...given) => sendPrepared(await prepareSubmit(...given)),
  };
}

/** A full, active member as `users.info` shows one. */
const MEMBER = {
  deleted: false,
  is_bot: false,
  is_app_user: false,
  is_restricted: false,
  is_ultra_restricted: false,
};
