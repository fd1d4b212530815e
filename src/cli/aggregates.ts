import type { Command } from "commander";
import { z } from "zod";
import { ok } from "../platform/result.ts";
import { openClient, readAs } from "./client.ts";
import { addCommand, type Session } from "./command.ts";
import { table, text, type Block, type Cell } from "./print.ts";

const answerSchema = z.object({
  aggregates: z.array(
    z.object({
      name: z.string(),
      of: z.string(),
      within: z.enum(["hour", "day", "running"]),
      max: z.int(),
      over: z.enum(["refuse", "approve"]),
      mode: z.enum(["enforce", "shadow"]),
      scopes: z.array(z.object({ scope: z.string(), current: z.int(), left: z.int() })),
    }),
  ),
});
type Shown = z.infer<typeof answerSchema>["aggregates"][number];

/** `aggregates`: how much of what many requests may add up to is used. */
export function addAggregatesCommand(program: Command, session: Session): void {
  addCommand(program, session, {
    usage: "aggregates",
    summary: "show what many requests may add up to, and how much of it is used",
    schema: z.object({}),
    run: async (invocation) => {
      const client = openClient(invocation);
      if (!client.ok) return client;
      const answer = await client.value.call({ method: "GET", path: "/_gate/v1/aggregates" });
      if (!answer.ok) return answer;
      const view = readAs(answerSchema, answer.value);
      if (!view.ok) return view;
      return ok({ json: answer.value, human: blocksOf(view.value.aggregates) });
    },
  });
}

const blocksOf = (aggregates: readonly Shown[]): readonly Block[] =>
  aggregates.length === 0
    ? [text("The policy limits no sums of requests.")]
    : [
        table(
          [
            { title: "aggregate" },
            { title: "of" },
            { title: "within" },
            { title: "who" },
            { title: "used", align: "right" },
            { title: "max", align: "right" },
            { title: "beyond it" },
          ],
          aggregates.flatMap(rowsOf),
        ),
      ];

/** A row per scope that has something; one that nobody has anything of is shown all the same. */
function rowsOf({ name, of, within, max, over, mode, scopes }: Shown): readonly (readonly Cell[])[] {
  const beyond = mode === "shadow" ? `${over}, in shadow` : over;
  const row = (who: string, used: number): readonly Cell[] => [
    name,
    of,
    within,
    who,
    { text: String(used), style: used >= max ? "bad" : "good" },
    String(max),
    beyond,
  ];
  return scopes.length === 0 ? [row("nobody", 0)] : scopes.map(({ scope, current }) => row(scope, current));
}
