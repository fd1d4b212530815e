import { Option, type Command } from "commander";
import { z } from "zod";
import { isJsonObject, type JsonValue } from "../platform/json.ts";
import { err, ok } from "../platform/result.ts";
import { clientWith, openClient, readAs } from "./client.ts";
import { addCommand, type CommandSpec, type Session } from "./command.ts";
import { usage } from "./failure.ts";
import { readText } from "./files.ts";
import { fields, table, text, type Cell } from "./print.ts";
import { shortTime } from "./times.ts";

const SECRET_VARIABLE = "PORTCULLIS_BOOTSTRAP_SECRET";

/** Where each kind is registered, and the id of one that there is only one of. */
const KINDS = {
  access: { path: "/_gate/v1/issuers", single: null },
  approval: { path: "/_gate/v1/approval-issuers", single: null },
  "sign-in": { path: "/_gate/v1/sign-in", single: "sign-in" },
} as const;
const KIND_NAMES = ["access", "approval", "sign-in"] as const;
type Kind = (typeof KIND_NAMES)[number];

const kindOption = new Option(
  "--kind <kind>",
  "of access tokens, of decisions that are signed elsewhere, or how people sign in",
)
  .choices([...KIND_NAMES])
  .default("access");
const kind = z.enum(KIND_NAMES).default("access");
const kindOnly = z.object({ kind });

/** `issuers list|add|confirm|remove`: who may say who people are. */
export function addIssuerCommands(program: Command, session: Session): void {
  const group = program
    .command("issuers")
    .description("who may say who people are: two people let them, one stops them");
  addCommand(group, session, list);
  addCommand(group, session, add);
  addCommand(group, session, confirm);
  addCommand(group, session, remove);
}

const shown = z.object({
  records: z.array(
    z.object({
      id: z.string(),
      issuer: z.string(),
      state: z.enum(["in-force", "waiting"]),
      digest: z.string().nullable(),
      asked_at: z.string().nullable(),
    }),
  ),
});

const list: CommandSpec<z.infer<typeof kindOnly>> = {
  usage: "list",
  summary: "list those that count, and those that wait for a second person (operator, security)",
  options: [kindOption],
  notes: "--json has each registration whole. Confirm only what you have looked at.",
  schema: kindOnly,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: KINDS[invocation.options.kind].path });
    if (!answer.ok) return answer;
    const view = readAs(shown, answer.value);
    if (!view.ok) return view;
    const rows = view.value.records.map((one): readonly Cell[] => [
      one.id,
      one.state === "in-force" ? { text: "in force", style: "good" } : { text: "waiting", style: "warn" },
      one.issuer,
      one.asked_at === null ? "–" : shortTime(one.asked_at),
      one.digest ?? "–",
    ]);
    const columns = ["id", "state", "issuer", "asked", "digest"].map((title) => ({ title }));
    return ok({
      json: answer.value,
      human: rows.length === 0 ? [text("None is registered, and none waits.")] : [table(columns, rows)],
    });
  },
};

const asked = z.object({ id: z.string(), issuer: z.string(), digest: z.string() });

const add: CommandSpec<z.infer<typeof kindOnly>> = {
  usage: "add <file>",
  summary: "ask for a registration, a JSON file, with the deployment's secret",
  options: [kindOption],
  notes: `The deployment's bootstrap secret is read from ${SECRET_VARIABLE}. It counts once a person of the tenant with role security has confirmed it.`,
  schema: kindOnly,
  run: async (invocation) => {
    const secret = (invocation.terminal.env[SECRET_VARIABLE] ?? "").trim();
    if (secret === "")
      return err(usage(`${SECRET_VARIABLE} is not set`, "Set it to the deployment's BOOTSTRAP_SECRET."));
    const [file = ""] = invocation.args;
    const read = readText(invocation.terminal, file);
    if (!read.ok) return read;
    const body = parseJson(read.value);
    if (!isJsonObject(body)) return err(usage(`${file} is no JSON object`));
    const client = clientWith(invocation, secret);
    if (!client.ok) return client;
    const { kind: of } = invocation.options;
    const answer = await client.value.call({ method: "POST", path: KINDS[of].path, body });
    if (!answer.ok) return answer;
    const view = readAs(asked, answer.value);
    if (!view.ok) return view;
    const { id, issuer, digest } = view.value;
    return ok({
      json: answer.value,
      human: [
        text("It is asked for, and counts for nothing yet. A person with role security looks and confirms:"),
        fields([
          ["id", id],
          ["issuer", issuer],
          ["digest", digest],
        ]),
        text(`portcullis issuers confirm ${id} ${digest}${of === "access" ? "" : ` --kind ${of}`}`),
      ],
    });
  },
};

const confirm: CommandSpec<z.infer<typeof kindOnly>> = {
  usage: "confirm <id> <digest>",
  summary: "confirm what was asked for: what it signs counts from then on (security)",
  options: [kindOption],
  schema: kindOnly,
  run: async (invocation) => {
    const [id = "", digest = ""] = invocation.args;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const path = `${placeOf(invocation.options.kind, id)}/confirm`;
    const answer = await client.value.call({ method: "POST", path, body: { digest } });
    if (!answer.ok) return answer;
    return ok({ json: answer.value, human: [text({ text: `${id} is registered.`, style: "good" })] });
  },
};

const remove: CommandSpec<z.infer<typeof kindOnly>> = {
  usage: "remove <id>",
  summary: "remove one, or take back one that waits (operator, security)",
  options: [kindOption],
  notes: "From the next admission on it vouches for nothing. Removing the way of signing in also ends every session.",
  schema: kindOnly,
  run: async (invocation) => {
    const [id = ""] = invocation.args;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "DELETE", path: placeOf(invocation.options.kind, id) });
    if (!answer.ok) return answer;
    return ok({ json: answer.value, human: [text({ text: `${id} is removed.`, style: "good" })] });
  },
};

function placeOf(of: Kind, id: string): string {
  const { path, single } = KINDS[of];
  return single === null ? `${path}/${encodeURIComponent(id)}` : path;
}

function parseJson(document: string): JsonValue | undefined {
  try {
    const value: JsonValue = JSON.parse(document);
    return value;
  } catch {
    return undefined;
  }
}
