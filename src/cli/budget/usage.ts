import type { Command } from "commander";
import { z } from "zod";
import { formatUsd } from "../../platform/money.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { openClient, readAs, type MediaType } from "../client.ts";
import { addCommand, type CommandSpec, type Invocation, type Session } from "../command.ts";
import { EXIT, usage, type Failure } from "../failure.ts";
import { readText } from "../files.ts";
import { fields, table, type Block, type Cell, type Style } from "../print.ts";
import { INPUT_CHARS_MAX } from "../terminal.ts";

const none = z.object({});

/** `usage report`: what things really cost, from whoever bills for them. */
export function addUsageCommands(program: Command, session: Session): void {
  const group = program.command("usage").description("what things really cost");
  addCommand(group, session, report);
}

const resultSchema = z.object({
  request_id: z.string(),
  evidence: z.string(),
  state: z.string(),
  reason: z.string().nullable(),
  held_micros: z.int().nullable(),
  settled_micros: z.int().nullable(),
});
const answerSchema = z.object({ results: z.array(resultSchema) });
type Line = z.infer<typeof resultSchema>;

const report: CommandSpec<z.infer<typeof none>> = {
  usage: "report <file>",
  summary: "report real costs from a CSV or JSON file, or - for stdin (role finance or billing)",
  notes:
    "CSV with the header request_id,actual_usd,ended_at,evidence, or a JSON array of objects with these members; at most 1000 lines. Each line stands alone; evidence is your own id of it (an invoice line), so that repeating a report changes nothing. Exit code 1 when a line is rejected.",
  schema: none,
  run: async (invocation) => {
    const file = await reportFile(invocation);
    if (!file.ok) return file;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const answer = await client.value.call({ method: "POST", path: "/_gate/v1/usage", file: file.value });
    if (!answer.ok) return answer;
    const view = readAs(answerSchema, answer.value);
    if (!view.ok) return view;
    const { results } = view.value;
    return ok({
      json: answer.value,
      human: resultBlocks(results),
      exitCode: results.some(({ state }) => state === "rejected") ? EXIT.failed : EXIT.done,
    });
  },
};

/** The file as it will be sent: the gate's strict parsers see what the biller wrote. */
async function reportFile({
  args,
  terminal,
}: Invocation<unknown>): Promise<Result<{ readonly type: MediaType; readonly text: string }, Failure>> {
  const [name = "-"] = args;
  const source = name === "-" ? ok(await terminal.input()) : readText(terminal, name);
  if (!source.ok) return source;
  const shown = name === "-" ? "stdin" : name;
  // Half a report would be taken for a whole one.
  if (name === "-" && source.value.length >= INPUT_CHARS_MAX)
    return err(usage(`stdin holds more than ${INPUT_CHARS_MAX} characters`, "Report in several parts."));
  // Spreadsheets begin UTF-8 with a byte order mark, which is no part of the report.
  const content = source.value.replace(/^\u{feff}/u, "");
  const start = content.trimStart().slice(0, 1);
  if (start === "") return err(usage(`${shown} is empty`));
  return ok({ type: start === "[" || start === "{" ? "application/json" : "text/csv", text: content });
}

const STYLES: ReadonlyMap<string, Style> = new Map<string, Style>([
  ["settled", "good"],
  ["waiting", "warn"],
  ["overrun", "bad"],
  ["duplicate", "dim"],
  ["rejected", "bad"],
]);

const MEANINGS: ReadonlyMap<string, string> = new Map([
  ["settled", "booked"],
  ["waiting", "not booked yet: see the reason"],
  ["overrun", "booked, above what was held"],
  ["duplicate", "reported before: nothing changed"],
  ["rejected", "not booked"],
]);

function resultBlocks(results: readonly Line[]): readonly Block[] {
  const counts = new Map<string, number>();
  for (const { state } of results) counts.set(state, (counts.get(state) ?? 0) + 1);
  return [
    table(
      [
        { title: "request", keep: true },
        { title: "evidence" },
        { title: "held", align: "right" },
        { title: "settled", align: "right" },
        { title: "result" },
      ],
      results.map(resultRow),
    ),
    fields(
      [...counts].map(([state, count]) => [
        state,
        { text: `${count}, ${MEANINGS.get(state) ?? "see the reason"}`, style: STYLES.get(state) ?? "dim" },
      ]),
    ),
  ];
}

const amount = (micros: number | null): string => (micros === null ? "–" : formatUsd(micros));

const resultRow = (one: Line): readonly Cell[] => [
  one.request_id,
  one.evidence,
  amount(one.held_micros),
  amount(one.settled_micros),
  { text: one.reason === null ? one.state : `${one.state}: ${one.reason}`, style: STYLES.get(one.state) ?? "dim" },
];
