import type { Command } from "commander";
import { z } from "zod";
import { formatUsd } from "../platform/money.ts";
import { err, ok } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import { addCommand, type Session } from "./command.ts";
import { usage } from "./failure.ts";
import { isId } from "./ids.ts";
import { fields } from "./print.ts";

const answerSchema = z.object({
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

/** `operations show`: what became of a request that was sent on. */
export function addOperationCommands(program: Command, session: Session): void {
  const group = program.command("operations").description("what became of requests that were sent on");
  addCommand(group, session, {
    usage: "show <request-id>",
    summary: "show one request's outcome and the money held for it",
    schema: z.object({}),
    run: async (invocation) => {
      const [id = ""] = invocation.args;
      if (!isId(id)) return err(usage("that is not a request id"));
      const client = openClient(invocation);
      if (!client.ok) return client;
      const answer = await client.value.call({ method: "GET", path: `/_gate/v1/operations/${id}` });
      if (!answer.ok) return answer;
      const view = readAs(answerSchema, answer.value);
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
  });
}

function moneyText(reservation: NonNullable<z.infer<typeof answerSchema>["reservation"]>): string {
  const settled = reservation.settled_micros === null ? "" : `, settled ${formatUsd(reservation.settled_micros)} USD`;
  return `${reservation.state}: ceiling ${formatUsd(reservation.ceiling_micros)} USD${settled}`;
}
