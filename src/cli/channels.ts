import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { Option, type Command } from "commander";
import { z } from "zod";
import { isJsonObject, type JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { parseStrictJson } from "../platform/strict-json.ts";
import { openClient, readAs, type GateClient } from "./client.ts";
import { addCommand, type CommandSpec, type Invocation, type Outcome, type Session } from "./command.ts";
import { usage, type Failure } from "./failure.ts";
import { readSecret } from "./files.ts";
import { fields, table, text, type Cell } from "./print.ts";
import { abandoned, deliver, openSecretPlace } from "./secret-output.ts";
import { shortTime } from "./times.ts";

const none = z.object({});
const CHANNELS: readonly string[] = ["slack", "webhook", "audit-webhook"];

/** Standard Webhooks asks for 24 to 64 bytes. */
const SECRET_BYTES = 32;

/** `channels list|set-slack|set-webhook|set-audit-webhook|remove`. Settings come from a file or a pipe: they hold secrets. */
export function addChannelCommands(program: Command, session: Session): void {
  const group = program.command("channels").description("how people are told, and where audit records are sent");
  addCommand(group, session, list);
  addCommand(group, session, setSlack);
  addCommand(group, session, setWebhook);
  addCommand(group, session, setAuditWebhook);
  addCommand(group, session, remove);
}

const channelList = z.object({ records: z.array(z.object({ name: z.string(), set_at: z.string() })) });

const list: CommandSpec<z.infer<typeof none>> = {
  usage: "list",
  summary: "list the channels that are set up; their secrets are never shown",
  schema: none,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/channels" });
    if (!answer.ok) return answer;
    const view = readAs(channelList, answer.value);
    if (!view.ok) return view;
    const rows = view.value.records.map((one): readonly Cell[] => [one.name, shortTime(one.set_at)]);
    const columns = [{ title: "channel" }, { title: "set" }];
    return ok({
      json: answer.value,
      human: [rows.length === 0 ? text("No channel is set up: nobody is told.") : table(columns, rows)],
    });
  },
};

const slackAnswer = z.object({ team_id: z.string() });

const setSlack: CommandSpec<z.infer<typeof none>> = {
  usage: "set-slack <file>",
  summary: "set the Slack workspace from a JSON file, or - for stdin (role operator)",
  notes: 'The settings: {"app_id": "A…", "team_id": "T…", "bot_token": "xoxb-…"}.',
  schema: none,
  run: async (invocation) => {
    const opened = await openSettings(invocation);
    if (!opened.ok) return opened;
    const { client, settings } = opened.value;
    const answer = await client.call({ method: "PUT", path: "/_gate/v1/channels/slack", body: settings });
    if (!answer.ok) return answer;
    const view = readAs(slackAnswer, answer.value);
    if (!view.ok) return view;
    const told = `Proposals are posted in the Slack workspace ${view.value.team_id}.`;
    return ok({ json: answer.value, human: [text({ text: told, style: "good" })] });
  },
};

const webhookOptions = z.object({ out: z.string().optional() });
const webhookAnswer = z.object({ origin: z.string() });

type WebhookOptions = z.infer<typeof webhookOptions>;

/** Which webhook is set, and what is said of it. */
type WebhookName = "webhook" | "audit-webhook";

const webhookCommand = (name: WebhookName, summary: string): CommandSpec<WebhookOptions> => ({
  usage: `set-${name} <file>`,
  summary,
  options: [new Option("--out <file>", "write the secret that is made to this new file, mode 0600")],
  notes:
    'The settings: {"url": "https://…", "secret": "whsec_…"}. Without a secret one is made and shown once: to --out, or to stdout, which then has to be a terminal or have --json.',
  schema: webhookOptions,
  run: async (invocation) => {
    const opened = await openSettings(invocation);
    if (!opened.ok) return opened;
    const { client, settings } = opened.value;
    if (!("secret" in settings)) return setWithMadeSecret(invocation, name, opened.value);
    if (invocation.options.out !== undefined)
      return err(usage("--out: the settings have a secret, so none is made that could be written"));
    const answer = await putWebhook(client, name, settings);
    if (!answer.ok) return answer;
    return ok({ json: answer.value.body, human: [text({ text: answer.value.told, style: "good" })] });
  },
});

const setWebhook = webhookCommand("webhook", "set the webhook from a JSON file, or - for stdin (role operator)");
const setAuditWebhook = webhookCommand(
  "audit-webhook",
  "have every audit record sent to a webhook from a JSON file, or - for stdin (role security)",
);

async function setWithMadeSecret(
  invocation: Invocation<WebhookOptions>,
  name: WebhookName,
  { client, settings }: Opened,
): Promise<Result<Outcome, Failure>> {
  const { out } = invocation.options;
  const place = openSecretPlace(invocation, out === undefined ? null : [out]);
  if (!place.ok) return place;
  const secret = `whsec_${Buffer.from(randomBytes(SECRET_BYTES)).toString("base64")}`;
  const answer = await putWebhook(client, name, { ...settings, secret });
  if (!answer.ok) return abandoned(place.value, answer.error);
  const { body, told } = answer.value;
  return deliver(place.value, {
    keys: [{ holder: "secret", called: "Signing secret, for the receiver", key: secret }],
    ifLost: "set the webhook again.",
    answer: { ...body, secret },
    withoutKeys: body,
    human: [text({ text: told, style: "good" })],
  });
}

async function putWebhook(
  client: GateClient,
  name: WebhookName,
  settings: JsonObject,
): Promise<Result<{ readonly body: JsonObject; readonly told: string }, Failure>> {
  const answer = await client.call({ method: "PUT", path: `/_gate/v1/channels/${name}`, body: settings });
  if (!answer.ok) return answer;
  const view = readAs(webhookAnswer, answer.value);
  if (!view.ok) return view;
  const what = name === "webhook" ? "Signed events go" : "Every audit record from now on goes, signed,";
  return ok({ body: answer.value, told: `${what} to ${view.value.origin}.` });
}

const remove: CommandSpec<z.infer<typeof none>> = {
  usage: "remove <channel>",
  summary: "forget the settings of slack or webhook (role operator), or of audit-webhook (role security)",
  schema: none,
  run: async (invocation) => {
    const [name = ""] = invocation.args;
    if (!CHANNELS.includes(name)) return err(usage(`a channel is one of ${CHANNELS.join(", ")}`));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "DELETE", path: `/_gate/v1/channels/${name}` });
    if (!answer.ok) return answer;
    const told =
      name === "audit-webhook" ? "removed: nothing is sent there any more" : "removed: nobody is told there any more";
    return ok({ json: answer.value, human: [fields([[name, told]])] });
  },
};

type Opened = { readonly client: GateClient; readonly settings: JsonObject };

/** The settings and the client to send them with. Of the text, which holds secrets, nothing is ever repeated. */
async function openSettings(invocation: Invocation<unknown>): Promise<Result<Opened, Failure>> {
  const { args, terminal, note } = invocation;
  const [file = "-"] = args;
  const source = file === "-" ? ok(await terminal.input()) : readSecret(terminal, file, note);
  if (!source.ok) return source;
  const settings = parseStrictJson(source.value);
  if (!settings.ok || !isJsonObject(settings.value))
    return err(usage(`${file === "-" ? "stdin" : file} does not hold one JSON object`));
  const client = openClient(invocation);
  return client.ok ? ok({ client: client.value, settings: { ...settings.value } }) : client;
}
