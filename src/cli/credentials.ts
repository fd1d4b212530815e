import { Option, type Command } from "commander";
import { z } from "zod";
import { ROLES } from "../identity/principal.ts";
import type { JsonObject } from "../platform/json.ts";
import { err, ok } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import { addCommand, commaList, wholeNumber, type CommandSpec, type Session } from "./command.ts";
import { usage } from "./failure.ts";
import { isId } from "./ids.ts";
import { fields, table, text, type Cell } from "./print.ts";
import { abandoned, deliver, openSecretPlace } from "./secret-output.ts";
import { fromNow, shortTime } from "./times.ts";

const none = z.object({});
const createOptions = z.object({
  subject: z.string().min(1).max(128),
  class: z.enum(["agent", "service", "person"]),
  owner: z.string().max(128).optional(),
  actions: commaList.optional(),
  maxTier: wholeNumber(0, 4).optional(),
  role: z.array(z.enum(ROLES)).optional(),
  expiresInDays: wholeNumber(1, 366).optional(),
  demo: z.boolean().optional(),
  out: z.string().optional(),
});
type CreateOptions = z.infer<typeof createOptions>;

/** `credentials create|list|revoke`. */
export function addCredentialCommands(program: Command, session: Session): void {
  const group = program.command("credentials").description("API keys of the tenant");
  addCommand(group, session, create);
  addCommand(group, session, list);
  addCommand(group, session, revoke);
}

const eachOne = (value: string, earlier: readonly string[] | undefined): readonly string[] => [
  ...(earlier ?? []),
  value,
];
const issued = z.object({ key_id: z.string(), key: z.string(), expires_at: z.string() });

const create: CommandSpec<CreateOptions> = {
  usage: "create",
  summary: "mint a key; it is shown once",
  options: [
    new Option("--subject <id>", "whom the key stands for: agent:trainer, person:alice").makeOptionMandatory(),
    new Option("--class <class>", "what that is").choices(["agent", "service", "person"]).makeOptionMandatory(),
    new Option("--owner <id>", "person accountable for an agent or service; approves nothing that it asks for"),
    new Option("--actions <list>", "scopes: exact actions, groups or all: workloads.submit,gpus.*"),
    new Option("--max-tier <n>", "highest tier that the key reaches, 0 to 4 (default: 0)"),
    new Option("--role <role>", `role of a person: ${ROLES.join(", ")}; may be repeated`).argParser(eachOne),
    new Option("--expires-in-days <n>", "1 to 366 (default: 90)"),
    new Option("--demo", "a demonstration key, which live deployments neither mint nor accept"),
    new Option("--out <file>", "write the key to this new file, mode 0600, instead of the screen"),
  ],
  notes: "Without --out the key goes to stdout, which then has to be a terminal or have --json.",
  schema: createOptions,
  run: async (invocation) => {
    const { options, terminal } = invocation;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const place = openSecretPlace(invocation, options.out === undefined ? null : [options.out]);
    if (!place.ok) return place;
    const answer = await client.value.call({ method: "POST", path: "/_gate/v1/credentials", body: bodyOf(options) });
    if (!answer.ok) return abandoned(place.value, answer.error);
    const made = readAs(issued, answer.value);
    if (!made.ok) return abandoned(place.value, made.error);
    const { key, key_id: keyId, expires_at: expires } = made.value;
    const { key: _key, ...withoutKeys } = answer.value;
    return deliver(place.value, {
      keys: [{ holder: options.subject, called: `Key of ${options.subject}`, key }],
      ifLost: `revoke ${keyId} and make another.`,
      answer: answer.value,
      withoutKeys,
      human: [
        fields([
          ["key id", keyId],
          ["subject", options.subject],
          ["expires", `${shortTime(expires)} (${fromNow(expires, terminal.now())})`],
        ]),
      ],
    });
  },
};

/** Only what was given: the defaults are the gate's. */
const bodyOf = ({
  subject,
  class: kind,
  owner,
  actions,
  maxTier,
  role,
  expiresInDays,
  demo,
}: CreateOptions): JsonObject => ({
  subject,
  class: kind,
  ...(owner === undefined ? {} : { owner }),
  ...(actions === undefined ? {} : { actions }),
  ...(maxTier === undefined ? {} : { max_tier: maxTier }),
  ...(role === undefined ? {} : { roles: role }),
  ...(expiresInDays === undefined ? {} : { expires_in_days: expiresInDays }),
  ...(demo === undefined ? {} : { demo }),
});

const credentialList = z.object({
  records: z.array(
    z.object({
      key_id: z.string(),
      subject: z.string(),
      owner: z.string().nullable(),
      scopes: z.object({ actions: z.array(z.string()), max_tier: z.number() }).nullable(),
      roles: z.array(z.string()),
      expires_at: z.string(),
      revoked_at: z.string().nullable(),
    }),
  ),
});
type Credential = z.infer<typeof credentialList>["records"][number];

const list: CommandSpec<z.infer<typeof none>> = {
  usage: "list",
  summary: "list the keys, newest first; no secret is kept that could be shown",
  schema: none,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/credentials" });
    if (!answer.ok) return answer;
    const view = readAs(credentialList, answer.value);
    if (!view.ok) return view;
    const rows = view.value.records.map((one): readonly Cell[] => [
      one.key_id,
      one.subject,
      reachOf(one),
      stateOf(one, invocation.terminal.now()),
    ]);
    const columns = [
      { title: "key id", keep: true },
      { title: "subject" },
      { title: "may" },
      { title: "state" },
    ] as const;
    return ok({ json: answer.value, human: [table(columns, rows)] });
  },
};

function reachOf({ scopes, roles }: Credential): string {
  const actions =
    scopes === null || scopes.actions.length === 0 ? [] : [`${scopes.actions.join(" ")} to tier ${scopes.max_tier}`];
  const all = [...roles, ...actions];
  return all.length === 0 ? "–" : all.join("; ");
}

function stateOf({ expires_at: expires, revoked_at: revoked }: Credential, now: number): Cell {
  if (revoked !== null) return { text: `revoked ${shortTime(revoked)}`, style: "bad" };
  if (Date.parse(expires) <= now) return { text: "expired", style: "dim" };
  return { text: `ends ${fromNow(expires, now)}`, style: "good" };
}

const revoke: CommandSpec<z.infer<typeof none>> = {
  usage: "revoke <key-id>",
  summary: "revoke a key: at once for writes, within 30 s for reads",
  schema: none,
  run: async (invocation) => {
    const [keyId = ""] = invocation.args;
    if (!isId(keyId)) return err(usage("that is not a key id", "portcullis credentials list shows the ids."));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "DELETE", path: `/_gate/v1/credentials/${keyId}` });
    if (!answer.ok) return answer;
    return ok({ json: answer.value, human: [text({ text: `${keyId} is revoked.`, style: "good" })] });
  },
};
