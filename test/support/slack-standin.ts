import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Signing, SlackRequest } from "./slack-signing.ts";
import { STANDIN_APP, STANDIN_SIGNING_SECRET, teamOf, tokenOf } from "./slack-names.ts";
import { Workspace } from "./slack-workspace.ts";
import type { Click, Message, Parameters, SlackFault, SlackMember, Submission } from "./slack-workspace.ts";

export type SlackStandin = {
  /** For `slackBaseUrl`: ends in `/api/`. */
  readonly url: string;
  readonly token: string;
  readonly signingSecret: string;
  readonly appId: string;
  readonly teamId: string;
  /** Every call that arrived, in order, refused ones included. */
  readonly calls: readonly {
    readonly method: string;
    readonly parameters: Parameters;
    readonly authorization: string | undefined;
  }[];
  /** What people see now, by `channel ts`. */
  readonly messages: ReadonlyMap<string, Message>;
  /** Modals that are open, in order. */
  readonly views: readonly Parameters[];
  /** The next call of `method` fails so; several queue up. */
  readonly failNext: (method: string, fault: SlackFault) => void;
  readonly setMember: (member: SlackMember) => void;
  /** The request that a click on a posted message's button causes. Each click has its own trigger and time. */
  readonly click: (click: Click, signing?: Partial<Signing>) => SlackRequest;
  /** The request that submitting the last opened modal causes. */
  readonly submit: (submission: Submission, signing?: Partial<Signing>) => SlackRequest;
  readonly stop: () => Promise<void>;
};

const TOKEN = "xoxb-standin";
const TEAM = "T0STANDIN";
const OTHERS = tokenOf("");

/** What a test in another process tells a workspace to do: `POST /_standin/<bot token>`, which answers `StandinReport`. */
export type StandinCommand =
  | { readonly do: "fault"; readonly method: string; readonly fault: SlackFault }
  | { readonly do: "member"; readonly member: SlackMember }
  | { readonly do: "delete"; readonly channelId: string; readonly messageTs: string }
  | { readonly do: "click"; readonly click: Click; readonly signing: Partial<Signing> }
  | { readonly do: "submit"; readonly submission: Submission; readonly signing: Partial<Signing> }
  | { readonly do: "look" };

/** How a workspace stands after a command; `sent` is the request that a click or submission causes. */
export type StandinReport = {
  readonly calls: SlackStandin["calls"];
  readonly messages: readonly (readonly [string, Message])[];
  readonly views: readonly Parameters[];
  readonly sent: { readonly headers: SlackRequest["headers"]; readonly body: string } | null;
};

/**
 * Slack's Web API as far as the gate uses it, in memory: checks every payload by the published rules and answers as Slack does
 * (`{ok: false, error: "invalid_blocks", response_metadata}`), keeps messages and modals, and makes the signed requests that
 * people's clicks cause. One workspace is at hand here; others, each with a bot token of its own (`slack-names.ts`), come into
 * being when they are first talked to, and take commands by HTTP.
 */
export async function startSlackStandin(options: { readonly port?: number } = {}): Promise<SlackStandin> {
  const slack = new Workspace({ token: TOKEN, teamId: TEAM });
  const others = new Map<string, Workspace>();
  const workspaceOf = (token: string): Workspace => {
    if (!token.startsWith(OTHERS)) return slack;
    const known = others.get(token) ?? new Workspace({ token, teamId: teamOf(token.slice(OTHERS.length)) });
    others.set(token, known);
    return known;
  };
  const server = createServer((request, response) => {
    const [, place, token = ""] = (request.url ?? "").split("/");
    const answered =
      place === "_standin"
        ? obey(workspaceOf(token), request, response)
        : workspaceOf(request.headers.authorization?.replace("Bearer ", "") ?? "").answer(request, response);
    void answered.catch(() => response.destroy());
  });
  await new Promise<void>((resolve) => server.listen(options.port ?? 0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the stand-in has no port");
  return {
    url: `http://127.0.0.1:${address.port}/api/`,
    token: TOKEN,
    signingSecret: STANDIN_SIGNING_SECRET,
    appId: STANDIN_APP,
    teamId: TEAM,
    calls: slack.calls,
    messages: slack.messages,
    views: slack.views,
    failNext: (method, fault) => slack.faults.push({ method, fault }),
    setMember: (member) => void slack.members.set(member.id, member),
    click: (click, signing) => slack.click(click, signing),
    submit: (submission, signing) => slack.submit(submission, signing),
    stop: async () => {
      // Takes no more first: whoever tries again meanwhile would hold it open.
      const ended = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await ended;
    },
  };
}

async function obey(slack: Workspace, request: IncomingMessage, response: ServerResponse): Promise<void> {
  let text = "";
  for await (const chunk of request.setEncoding("utf8")) text += String(chunk);
  const sent = carryOut(slack, JSON.parse(text));
  const report: StandinReport = {
    calls: slack.calls,
    messages: [...slack.messages],
    views: slack.views,
    sent: sent === null ? null : { headers: sent.headers, body: Buffer.from(sent.body).toString("utf8") },
  };
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(report));
}

function carryOut(slack: Workspace, command: StandinCommand): SlackRequest | null {
  switch (command.do) {
    case "click":
      return slack.click(command.click, command.signing);
    case "submit":
      return slack.submit(command.submission, command.signing);
    case "fault":
      slack.faults.push({ method: command.method, fault: command.fault });
      return null;
    case "member":
      slack.members.set(command.member.id, command.member);
      return null;
    case "delete":
      slack.messages.delete(`${command.channelId} ${command.messageTs}`);
      return null;
    case "look":
      return null;
    default:
      throw new Error("unknown command");
  }
}
