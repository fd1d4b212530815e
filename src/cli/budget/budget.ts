import { Option, type Command } from "commander";
import { z } from "zod";
import { ok } from "../../platform/result.ts";
import { reconcile } from "./budget-books.ts";
import { budgetBlocks, budgetSchema } from "./budget-caps.ts";
import { request, requests, set, withdraw } from "./budget-changes.ts";
import { decide } from "./budget-decide.ts";
import { budgetExport } from "./budget-export.ts";
import { forecast, history, holds, unresolved } from "./budget-use.ts";
import { openClient, readAs } from "../client.ts";
import { addCommand, type CommandSpec, type Session } from "../command.ts";
import { text, verbatim } from "../print.ts";

const none = z.object({});

/** `budget …`: what may be spent, what is, and why; and how finance changes it. */
export function addBudgetCommands(program: Command, session: Session): void {
  const group = program.command("budget").description("the tenant's money");
  addCommand(group, session, show);
  addCommand(group, session, set);
  addCommand(group, session, request);
  addCommand(group, session, requests);
  addCommand(group, session, decide);
  addCommand(group, session, withdraw);
  addCommand(group, session, history);
  addCommand(group, session, holds);
  addCommand(group, session, unresolved);
  addCommand(group, session, forecast);
  addCommand(group, session, budgetExport);
  addCommand(group, session, reconcile);
  addCommand(group, session, freeze);
  addCommand(group, session, unfreeze);
}

const show: CommandSpec<z.infer<typeof none>> = {
  usage: "show",
  summary: "show caps, spent, held and remaining in US dollars",
  schema: none,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/budget" });
    if (!answer.ok) return answer;
    const view = readAs(budgetSchema, answer.value);
    if (!view.ok) return view;
    return ok({ json: answer.value, human: budgetBlocks(view.value, invocation.terminal.now()) });
  },
};

/** The freeze by which finance stops what costs money, and nothing else. */
const SPENDING = "spending";
const freezeOptions = z.object({ reason: z.string().min(1).max(1_024) });

const freeze: CommandSpec<z.infer<typeof freezeOptions>> = {
  usage: "freeze",
  summary: "stop everything that costs money, from the next request on (role finance)",
  options: [new Option("--reason <text>", "why; everybody who is refused gets it").makeOptionMandatory()],
  notes: "What runs already is not touched, and what costs nothing still passes.",
  schema: freezeOptions,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const body = { reason: invocation.options.reason, scope: SPENDING };
    const answer = await client.value.call({ method: "POST", path: "/_gate/v1/freeze", body });
    if (!answer.ok) return answer;
    return ok({
      json: answer.value,
      human: [
        text({ text: "Spending is frozen; what runs is not touched. To lift it:", style: "warn" }),
        verbatim(["portcullis budget unfreeze"]),
      ],
    });
  },
};

const unfreeze: CommandSpec<z.infer<typeof none>> = {
  usage: "unfreeze",
  summary: "let spending go on",
  schema: none,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const query = { scope: SPENDING };
    const answer = await client.value.call({ method: "DELETE", path: "/_gate/v1/freeze", query });
    if (!answer.ok) return answer;
    return ok({ json: answer.value, human: [text({ text: "Spending goes on.", style: "good" })] });
  },
};
