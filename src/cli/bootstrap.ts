import { join } from "node:path";
import { Option, type Command } from "commander";
import { z } from "zod";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { TENANT_ID } from "../vocabulary.ts";
import { clientWith, readAs } from "./client.ts";
import { addCommand, type CommandSpec, type Invocation, type Session } from "./command.ts";
import { usage, type Failure } from "./failure.ts";
import { readSecret, readText } from "./files.ts";
import { fields, text } from "./print.ts";
import { abandoned, deliver, openSecretPlace, type Made } from "./secret-output.ts";

const SECRET_VARIABLE = "PORTCULLIS_BOOTSTRAP_SECRET";

const schema = z.object({
  tenant: z
    .string()
    .regex(TENANT_ID, { error: "a tenant is lower-case letters, digits and -, beginning with a letter" }),
  policy: z.string(),
  people: z.string(),
  catalogue: z.string(),
  prices: z.string(),
  upstreamCredential: z.string(),
  operator: z.string().max(128),
  security: z.string().max(128),
  finance: z.string().max(128),
  demo: z.boolean().default(false),
  out: z.string().optional(),
});
type Options = z.infer<typeof schema>;

const fileOption = (name: string, what: string): Option => new Option(`--${name} <file>`, what).makeOptionMandatory();

const bootstrap: CommandSpec<Options> = {
  usage: "bootstrap",
  summary: "create a tenant: documents, upstream credential, first three people; once per tenant",
  options: [
    new Option("--tenant <id>", "the new tenant").makeOptionMandatory(),
    fileOption("policy", "policy document"),
    fileOption("people", "people document"),
    fileOption("catalogue", "catalogue"),
    fileOption("prices", "price table"),
    fileOption("upstream-credential", 'JSON object of what the gate presents upstream, such as {"token":"…"}'),
    new Option("--operator <id>", "subject of the first operator: person:olga").makeOptionMandatory(),
    new Option("--security <id>", "subject of the first security person").makeOptionMandatory(),
    new Option("--finance <id>", "subject of the first finance person").makeOptionMandatory(),
    new Option("--demo", "make their keys demonstration keys"),
    new Option("--out <folder>", "write each key to a new file there, mode 0600, instead of the screen"),
  ],
  notes: `The deployment's bootstrap secret is read from ${SECRET_VARIABLE}. Remove BOOTSTRAP_SECRET from the deployment afterwards.`,
  schema,
  run: async (invocation) => {
    const secret = (invocation.terminal.env[SECRET_VARIABLE] ?? "").trim();
    if (secret === "")
      return err(usage(`${SECRET_VARIABLE} is not set`, "Set it to the deployment's BOOTSTRAP_SECRET."));
    const body = readBody(invocation);
    if (!body.ok) return body;
    const client = clientWith(invocation, secret);
    if (!client.ok) return client;
    const place = openSecretPlace(invocation, filesFor(invocation.options));
    if (!place.ok) return place;
    invocation.note(`creating tenant ${invocation.options.tenant} at ${client.value.origin} …`);
    const answer = await client.value.call({ method: "POST", path: "/_gate/v1/bootstrap", body: body.value });
    if (!answer.ok) return abandoned(place.value, answer.error);
    const made = readAs(answerSchema, answer.value);
    if (!made.ok) return abandoned(place.value, made.error);
    return deliver(place.value, madeKeys(invocation.options, answer.value, made.value));
  },
};

/** `bootstrap`: the first call that a new tenant ever sees. */
export function addBootstrapCommand(program: Command, session: Session): void {
  addCommand(program, session, bootstrap);
}

/** Three people: what one of them changes, another has to agree to. */
const FOUNDERS = ["operator", "security", "finance"] as const;
const founder = z.object({ key: z.string(), key_id: z.string() });
const answerSchema = z.object({
  tenant: z.string(),
  operator: founder,
  security: founder,
  finance: founder,
  warnings: z.array(z.object({ message: z.string() })),
});

/** `<tenant>-operator.key` and its two like in the folder that was named; null for the screen. */
const filesFor = ({ out, tenant }: Options): readonly string[] | null =>
  out === undefined ? null : FOUNDERS.map((role) => join(out, `${tenant}-${role}.key`));

function madeKeys(options: Options, answer: JsonObject, made: z.infer<typeof answerSchema>): Made {
  const rows = FOUNDERS.map((role) => [role, `${options[role]} (${made[role].key_id})`] as const);
  return {
    keys: FOUNDERS.map((role) => ({
      holder: options[role],
      called: `Key of ${options[role]}`,
      key: made[role].key,
    })),
    ifLost: `revoke ${FOUNDERS.map((role) => made[role].key_id).join(", ")} and make others.`,
    answer,
    withoutKeys: { ...answer, ...Object.fromEntries(FOUNDERS.map((role) => [role, { key_id: made[role].key_id }])) },
    human: [
      text({ text: `Tenant ${made.tenant} exists.`, style: "good" }),
      fields([...rows, ...made.warnings.map(({ message }) => ["warning", message] as const)]),
      text("Remove BOOTSTRAP_SECRET from the deployment once every tenant exists; portcullis doctor looks."),
    ],
  };
}

const DOCUMENTS = ["policy", "people", "catalogue", "prices"] as const;
const credentialSchema = z.record(z.string(), z.string());

function readBody({ options, terminal, note }: Invocation<Options>): Result<JsonObject, Failure> {
  const documents: Record<string, string> = {};
  for (const name of DOCUMENTS) {
    const document = readText(terminal, options[name]);
    if (!document.ok) return document;
    documents[name] = document.value;
  }
  const credential = readSecret(terminal, options.upstreamCredential, note);
  if (!credential.ok) return credential;
  const parsed = credentialOf(credential.value);
  // The text is a secret: only its form is said to be wrong.
  if (parsed === null) return err(usage(`${options.upstreamCredential} is not a JSON object of strings`));
  const founders = Object.fromEntries(FOUNDERS.map((role) => [role, { subject: options[role] }]));
  return ok({ tenant: options.tenant, documents, upstream_credential: parsed, ...founders, demo: options.demo });
}

function credentialOf(source: string): Readonly<Record<string, string>> | null {
  try {
    const parsed = credentialSchema.safeParse(JSON.parse(source));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
