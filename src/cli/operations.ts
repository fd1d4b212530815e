import { Option, type Command } from "commander";
import { z } from "zod";
import { formatUsd } from "../platform/money.ts";
import { err, ok } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import { addCommand, usdAmount, type CommandSpec, type Session } from "./command.ts";
import { usage } from "./failure.ts";
import { isId } from "./ids.ts";
import { fields, text } from "./print.ts";

/** `operations show|resolve`: what became of a request that was sent on. */
export function addOperationCommands(program: Command, session: Session): void {
  const group = program.command("operations").description("what became of requests that were sent on");
  addCommand(group, session, show);
  addCommand(group, session, resolve);
}

const none = z.object({});
const operationSchema = z.object({
  request_id: z.string(),
  principal: z.string(),
  action: z.string(),
  state: z.string(),
  resource: z.string().nullable(),
  upstream_status: z.number().nullable(),
  reservation: z.object({ state: z.string(), ceiling_micros: z.int(), settled_micros: z.int().nullable() }).nullable(),
  admitted_at: z.string(),
  completed_at: z.string().nullable(),
});

const show: CommandSpec<z.infer<typeof none>> = {
  usage: "show <request-id>",
  summary: "show one request's outcome and the money held for it",
  schema: none,
  run: async (invocation) => {
    const [id = ""] = invocation.args;
    if (!isId(id)) return err(usage("that is not a request id"));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: `/_gate/v1/operations/${id}` });
    if (!answer.ok) return answer;
    const view = readAs(operationSchema, answer.value);
    if (!view.ok) return view;
    const { reservation, ...one } = view.value;
    const rows = fields([
      ["request", one.request_id],
      ["action", one.action],
      ["state", one.state],
      ["resource", one.resource],
      ["upstream answered", one.upstream_status === null ? null : String(one.upstream_status)],
      ["money", reservation === null ? "none held" : moneyText(reservation)],
      ["principal", one.principal],
      ["admitted", one.admitted_at],
      ["completed", one.completed_at],
    ]);
    return ok({ json: answer.value, human: [rows] });
  },
};

function moneyText(reservation: NonNullable<z.infer<typeof operationSchema>["reservation"]>): string {
  const settled = reservation.settled_micros === null ? "" : `, settled ${formatUsd(reservation.settled_micros)} USD`;
  return `${reservation.state}: ceiling ${formatUsd(reservation.ceiling_micros)} USD${settled}`;
}

const resolveOptions = z.object({
  outcome: z.enum(["succeeded", "failed"]),
  actualUsd: usdAmount.optional(),
  evidence: z.string().min(1).max(8_192),
});
const resolution = z.object({ state: z.enum(["pending", "resolved"]), given: z.array(z.string()) });

const resolve: CommandSpec<z.infer<typeof resolveOptions>> = {
  usage: "resolve <request-id>",
  summary: "say what became of a request whose outcome the gate never saw",
  options: [
    new Option("--outcome <word>", "succeeded or failed").makeOptionMandatory(),
    new Option("--actual-usd <usd>", "what it really cost, if it succeeded (default: what ran to its ceiling)"),
    new Option("--evidence <text>", "how you know").makeOptionMandatory(),
  ],
  notes:
    "Two people, one operator and one of finance, who say the same outcome and cost. Until both have, its money stays held.",
  schema: resolveOptions,
  run: async (invocation) => {
    const [id = ""] = invocation.args;
    if (!isId(id)) return err(usage("that is not a request id", "portcullis budget unresolved shows them."));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const { outcome, actualUsd, evidence } = invocation.options;
    const body = { outcome, evidence, ...(actualUsd === undefined ? {} : { actual_usd: actualUsd }) };
    const answer = await client.value.call({ method: "POST", path: `/_gate/v1/operations/${id}/resolve`, body });
    if (!answer.ok) return answer;
    const view = readAs(resolution, answer.value);
    if (!view.ok) return view;
    const said = `${id} is said to have ${outcome}, by ${view.value.given.join(" and ")}.`;
    return ok({
      json: answer.value,
      human: [
        view.value.state === "resolved"
          ? text({ text: `${said} It is resolved.`, style: "good" })
          : text({ text: `${said} The other of operator and finance has to say the same.`, style: "warn" }),
      ],
    });
  },
};
