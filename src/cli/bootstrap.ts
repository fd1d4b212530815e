import { Option, type Command } from "commander";
import { z } from "zod";
import { err, ok, type Result } from "../platform/result.ts";
import { TENANT_ID } from "../vocabulary.ts";
import { clientWith, readAs } from "./client.ts";
import { addCommand, type CommandSpec, type Invocation, type Session } from "./command.ts";
import { usage, type Failure } from "./failure.ts";
import { readSecret, readText } from "./files.ts";
import { fields, text } from "./print.ts";
import { abandoned, deliver, openSecretPlace } from "./secret-output.ts";

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
  demo: z.boolean().default(false),
  out: z.string().optional(),
});
type Options = z.infer<typeof schema>;

const fileOption = (name: string, what: string): Option => new Option(`--${name} <file>`, what).makeOptionMandatory();

const bootstrap: CommandSpec<Options> = {
  usage: "bootstrap",
  summary: "create a tenant: documents, upstream credential, first operator; once per tenant",
  options: [
    new Option("--tenant <id>", "the new tenant").makeOptionMandatory(),
    fileOption("policy", "policy document"),
    fileOption("people", "people document"),
    fileOption("catalogue", "catalogue"),
    fileOption("prices", "price table"),
    fileOption("upstream-credential", 'JSON object of what the gate presents upstream, such as {"token":"…"}'),
    new Option("--operator <id>", "subject of the first operator: person:olga").makeOptionMandatory(),
    new Option("--demo", "make the operator's key a demonstration key"),
    new Option("--out <file>", "write the operator's key to this new file, mode 0600, instead of the screen"),
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
    const place = openSecretPlace(invocation, invocation.options.out);
    if (!place.ok) return place;
    invocation.note(`creating tenant ${invocation.options.tenant} at ${client.value.origin} …`);
    const answer = await client.value.call({ method: "POST", path: "/_gate/v1/bootstrap", body: body.value });
    if (!answer.ok) return abandoned(place.value, answer.error);
    const made = readAs(answerSchema, answer.value);
    if (!made.ok) return abandoned(place.value, made.error);
    const { operator, tenant, warnings } = made.value;
    return deliver(place.value, {
      key: operator.key,
      keyId: operator.key_id,
      answer: answer.value,
      withoutKey: { ...answer.value, operator: { key_id: operator.key_id } },
      human: [
        text({ text: `Tenant ${tenant} exists.`, style: "good" }),
        fields([
          ["operator", invocation.options.operator],
          ["key id", operator.key_id],
          ...warnings.map(({ message }) => ["warning", message] as const),
        ]),
        text(
          "Remove BOOTSTRAP_SECRET from the deployment once every tenant has its operator; portcullis doctor looks.",
        ),
      ],
    });
  },
};

/** `bootstrap`: the first call that a new tenant ever sees. */
export function addBootstrapCommand(program: Command, session: Session): void {
  addCommand(program, session, bootstrap);
}

const answerSchema = z.object({
  tenant: z.string(),
  operator: z.object({ key: z.string(), key_id: z.string() }),
  warnings: z.array(z.object({ message: z.string() })),
});

const DOCUMENTS = ["policy", "people", "catalogue", "prices"] as const;
const credentialSchema = z.record(z.string(), z.string());

type Body = {
  readonly tenant: string;
  readonly documents: Readonly<Record<string, string>>;
  readonly upstream_credential: Readonly<Record<string, string>>;
  readonly operator: { readonly subject: string };
  readonly demo: boolean;
};

function readBody({ options, terminal, note }: Invocation<Options>): Result<Body, Failure> {
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
  const { tenant, operator, demo } = options;
  return ok({ tenant, documents, upstream_credential: parsed, operator: { subject: operator }, demo });
}

function credentialOf(source: string): Readonly<Record<string, string>> | null {
  try {
    const parsed = credentialSchema.safeParse(JSON.parse(source));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}
