import type { Command } from "commander";
import { z } from "zod";
import type { JsonObject } from "../platform/json.ts";
import { err, ok, type Result } from "../platform/result.ts";
import { clientWith, openClient, readAs, type GateClient } from "./client.ts";
import { addCommand, type CommandSpec, type Invocation, type Session } from "./command.ts";
import { EXIT, valueText, type Failure } from "./failure.ts";
import { table, text, type Cell } from "./print.ts";
import { fromNow } from "./times.ts";

/** A key that ends within this is worth a warning. */
const SOON_MS = 7 * 86_400_000;

const readySchema = z.object({
  ready: z.boolean(),
  dependencies: z.record(z.string(), z.string()),
  bootstrap_secret: z.string(),
  // Gates before there was one do not speak of it.
  second_copy: z
    .object({ state: z.string(), logs: z.number(), records: z.number(), since: z.string().nullable() })
    .optional(),
});
const selfSchema = z.object({ principal: z.string(), tenant: z.string(), expires_at: z.string() });

/** One thing looked at. `warning` needs attention and stops nothing. */
type Check = { readonly name: string; readonly state: "ok" | "warning" | "failed"; readonly detail: string };

const doctor: CommandSpec<object> = {
  usage: "doctor",
  summary: "look at a gate: what it depends on, what was left open, and your key if you have one",
  notes:
    "Exit code 1 when something has failed; a warning (BOOTSTRAP_SECRET still set, the second audit copy late) does not count as failed.",
  schema: z.object({}),
  run: async (invocation) => {
    const gate = clientWith(invocation, null);
    if (!gate.ok) return gate;
    const answer = await gate.value.exchange({ method: "GET", path: "/_gate/ready" });
    if (!answer.ok) return answer;
    // A gate without its configuration answers with a problem instead.
    const isReport = "dependencies" in answer.value.body;
    if (!isReport) return err({ kind: "refused", status: answer.value.status, problem: answer.value.body });
    const view = readAs(readySchema, answer.value.body);
    if (!view.ok) return view;
    const checks = [...gateChecks(view.value), ...(await keyChecks(invocation))];
    const failed = checks.some(({ state }) => state === "failed");
    return ok({
      json: { gate: gate.value.origin, ok: !failed, checks: checks.map((check) => ({ ...check })) },
      human: [
        text(`Gate at ${gate.value.origin}`),
        table([{ title: "check" }, { title: "state" }, { title: "detail" }], checks.map(row)),
      ],
      exitCode: failed ? EXIT.failed : EXIT.done,
    });
  },
};

/** `doctor`: is this gate fit for work? */
export function addDoctorCommand(program: Command, session: Session): void {
  addCommand(program, session, doctor);
}

function gateChecks(ready: z.infer<typeof readySchema>): readonly Check[] {
  const { dependencies, bootstrap_secret: secret, second_copy: copy } = ready;
  return [
    ...Object.entries(dependencies).map(([name, state]): Check => ({
      name,
      state: state === "ok" ? "ok" : "failed",
      detail: state === "ok" ? "answers" : `${state}: writes are refused until it answers`,
    })),
    {
      name: "bootstrap secret",
      state: secret === "unset" ? "ok" : "warning",
      detail: secret === "unset" ? "unset" : `BOOTSTRAP_SECRET is ${secret}`,
    },
    ...(copy === undefined ? [] : [copyCheck(copy)]),
  ];
}

type SecondCopy = NonNullable<z.infer<typeof readySchema>["second_copy"]>;

/** Never a failure: nothing waits for the second copy. */
function copyCheck({ state, logs, records, since }: SecondCopy): Check {
  const name = "second audit copy";
  if (state === "off") return { name, state: "ok", detail: "none: AUDIT_BUCKET is not bound" };
  if (state === "in-time") return { name, state: "ok", detail: "in time" };
  if (state !== "late") return { name, state: "warning", detail: "unknown: D1 does not say" };
  return { name, state: "warning", detail: `late since ${since ?? "?"}: ${records} records of ${logs} logs wait` };
}

/** The caller's key, when there is one: nobody needs a key to look at a gate. */
async function keyChecks(invocation: Invocation<object>): Promise<readonly Check[]> {
  const { globals, terminal } = invocation;
  if (globals.keyFile === undefined && (terminal.env["PORTCULLIS_KEY"] ?? "") === "") return [];
  const client = openClient(invocation);
  const self = client.ok ? await whoami(client.value) : client;
  if (!self.ok) return [{ name: "your key", state: "failed", detail: shortly(self.error) }];
  const view = readAs(selfSchema, self.value);
  if (!view.ok) return [{ name: "your key", state: "failed", detail: shortly(view.error) }];
  const { principal, tenant, expires_at: expires } = view.value;
  const soon = Date.parse(expires) - terminal.now() < SOON_MS;
  const detail = `${principal} of ${tenant}, ends ${fromNow(expires, terminal.now())}`;
  return [{ name: "your key", state: soon ? "warning" : "ok", detail }];
}

const whoami = (client: GateClient): Promise<Result<JsonObject, Failure>> =>
  client.call({ method: "GET", path: "/_gate/v1/whoami" });

const shortly = (failure: Failure): string => {
  if (failure.kind === "refused") return valueText(failure.problem["title"]);
  return failure.kind === "usage" ? failure.detail : failure.title;
};

const STYLES = { ok: "good", warning: "warn", failed: "bad" } as const;

const row = ({ name, state, detail }: Check): readonly Cell[] => [name, { text: state, style: STYLES[state] }, detail];
