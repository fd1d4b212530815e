import type { Command } from "commander";
import { z } from "zod";
import { formatUsd } from "../platform/money.ts";
import { ok } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import { addCommand, type Session } from "./command.ts";
import { table, text, type Cell } from "./print.ts";
import { shortTime } from "./times.ts";

const windowSchema = z.object({
  window: z.string(),
  cap_micros: z.int(),
  settled_micros: z.int(),
  held_micros: z.int(),
  remaining_micros: z.int(),
  resets_at: z.string(),
});
const answerSchema = z.object({ timezone: z.string(), daily: windowSchema, monthly: windowSchema });

/** Below this share of the cap, what remains is shown as a warning. */
const LITTLE = 0.1;

/** `budget show`: caps, what is spent, what is held and what remains. */
export function addBudgetCommands(program: Command, session: Session): void {
  const group = program.command("budget").description("the tenant's money");
  addCommand(group, session, {
    usage: "show",
    summary: "show caps, spent, held and remaining in US dollars",
    schema: z.object({}),
    run: async (invocation) => {
      const client = openClient(invocation);
      if (!client.ok) return client;
      const answer = await client.value.call({ method: "GET", path: "/_gate/v1/budget" });
      if (!answer.ok) return answer;
      const view = readAs(answerSchema, answer.value);
      if (!view.ok) return view;
      const { daily, monthly, timezone } = view.value;
      const amounts = ["cap", "settled", "held", "remaining"].map((title) => ({ title, align: "right" }) as const);
      return ok({
        json: answer.value,
        human: [
          table([{ title: "window" }, ...amounts, { title: "resets" }], [daily, monthly].map(row)),
          text(`USD; days and months of ${timezone}. Held: proposals, running and unknown outcomes.`),
        ],
      });
    },
  });
}

const row = (one: z.infer<typeof windowSchema>): readonly Cell[] => [
  one.window,
  formatUsd(one.cap_micros),
  formatUsd(one.settled_micros),
  formatUsd(one.held_micros),
  {
    text: formatUsd(one.remaining_micros),
    style: one.remaining_micros <= 0 ? "bad" : one.remaining_micros < one.cap_micros * LITTLE ? "warn" : "good",
  },
  shortTime(one.resets_at),
];
