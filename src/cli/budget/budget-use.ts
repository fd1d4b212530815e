import { Option } from "commander";
import { z } from "zod";
import { formatUsd } from "../../platform/money.ts";
import { ok, type Result } from "../../platform/result.ts";
import { changeSchema, changeTable } from "./budget-change.ts";
import { openClient, readAs } from "../client.ts";
import { wholeNumber, type CommandSpec, type Invocation, type Outcome } from "../command.ts";
import type { Failure } from "../failure.ts";
import { fields, table, text, verbatim, type Block, type Cell, type Column } from "../print.ts";
import { shortTime } from "../times.ts";

const none = z.object({});
const limit = wholeNumber(1, 500).optional();
const limitOption = (): Option => new Option("--limit <n>", "at most so many, 1 to 500");

/** One read of the gate, shown by `blocks`. */
async function read<T>(
  invocation: Invocation<unknown>,
  path: string,
  query: Readonly<Record<string, string | number | undefined>>,
  schema: z.ZodType<T>,
  blocks: (view: T) => readonly Block[],
): Promise<Result<Outcome, Failure>> {
  const client = openClient(invocation);
  if (!client.ok) return client;
  const answer = await client.value.call({ method: "GET", path: `/_gate/v1/budget/${path}`, query });
  if (!answer.ok) return answer;
  const view = readAs(schema, answer.value);
  return view.ok ? ok({ json: answer.value, human: blocks(view.value) }) : view;
}

const use = z.object({
  window: z.string(),
  settled_micros: z.int(),
  held_micros: z.int(),
  gross_micros: z.int(),
});
const historyAnswer = z.object({
  changes: z.array(changeSchema),
  windows: z.object({ daily: z.array(use), monthly: z.array(use) }),
});
const historyOptions = z.object({ limit });

/** `budget history`: what finance changed, and what each day and month came to. */
export const history: CommandSpec<z.infer<typeof historyOptions>> = {
  usage: "history",
  summary: "show the changes of caps and what each window came to",
  options: [limitOption()],
  schema: historyOptions,
  run: (invocation) =>
    read(invocation, "history", { limit: invocation.options.limit }, historyAnswer, ({ changes, windows }) => [
      changes.length === 0 ? text("Finance has changed no cap.") : changeTable(changes, invocation.terminal.now()),
      useTable([...windows.monthly, ...windows.daily]),
      text("USD. Submitted: every ceiling that was ever held in the window, cancelled or not."),
    ]),
};

const useTable = (windows: readonly z.infer<typeof use>[]): Block => {
  const amounts = ["settled", "held", "submitted"].map((title): Column => ({ title, align: "right" }));
  if (windows.length === 0) return text("Nothing was spent or held yet.");
  return table(
    [{ title: "window" }, ...amounts],
    windows.map((one) => [
      one.window,
      formatUsd(one.settled_micros),
      formatUsd(one.held_micros),
      formatUsd(one.gross_micros),
    ]),
  );
};

const hold = z.object({
  id: z.string(),
  state: z.string(),
  principal: z.string(),
  team: z.string().nullish(),
  action: z.string(),
  daily_window: z.string(),
  ceiling_micros: z.int(),
  settled_micros: z.int().nullable(),
  basis: z.string().nullish(),
  since: z.string(),
  until: z.string().nullish(),
  resource: z.string().nullish(),
});
type Hold = z.infer<typeof hold>;
const holdsAnswer = z.object({ records: z.array(hold) });

const WINDOW = /^\d{4}-\d{2}(?:-\d{2})?$/;
const holdsOptions = z.object({
  window: z.string().regex(WINDOW, "a day (2026-11-20) or a month (2026-11) is required").optional(),
  limit,
});

/** `budget holds`: every hold that counts now, largest first. */
export const holds: CommandSpec<z.infer<typeof holdsOptions>> = {
  usage: "holds",
  summary: "list what is held, largest first (role finance)",
  options: [new Option("--window <window>", "one day (2026-11-20) or month (2026-11)"), limitOption()],
  notes: "Terminals of 110 columns get resource and end too; --json has everything.",
  schema: holdsOptions,
  run: (invocation) =>
    read(invocation, "holds", { ...invocation.options }, holdsAnswer, ({ records }) =>
      records.length === 0
        ? [text("Nothing is held.")]
        : [
            holdTable(records, "held", (one) => one.ceiling_micros),
            text(`${countOf(records)}, ${sumText(records)} USD at the ceilings.`),
          ],
    ),
};

/** `budget unresolved`: what nobody has told the gate the end of. */
export const unresolved: CommandSpec<z.infer<typeof holdsOptions>> = {
  usage: "unresolved",
  summary: "list what was charged at its ceiling, or whose outcome is unknown",
  options: [limitOption()],
  schema: holdsOptions,
  run: (invocation) =>
    read(invocation, "unresolved", { limit: invocation.options.limit }, holdsAnswer, ({ records }) =>
      records.length === 0
        ? [text({ text: "Nothing is unresolved.", style: "good" })]
        : [
            holdTable(records, "charged", (one) => one.settled_micros ?? one.ceiling_micros),
            text("What was charged at its ceiling is corrected by a usage report; an unknown outcome by two people:"),
            verbatim([
              "portcullis usage report FILE",
              "portcullis operations resolve ID --outcome succeeded --evidence TEXT",
            ]),
          ],
    ),
};

const countOf = (records: readonly Hold[]): string => `${records.length} ${records.length === 1 ? "hold" : "holds"}`;
const sumText = (records: readonly Hold[]): string =>
  formatUsd(records.reduce((sum, one) => sum + one.ceiling_micros, 0));

const holdTable = (records: readonly Hold[], title: string, amount: (one: Hold) => number): Block =>
  table(
    [
      { title: "id", keep: true },
      { title, align: "right" },
      ...["state", "what"].map((name) => ({ title: name })),
      { title: "since", wide: true },
      { title: "resource", wide: true },
      { title: "until", wide: true },
    ],
    records.map((one): readonly Cell[] => [
      one.id,
      formatUsd(amount(one)),
      one.state === "unknown" ? { text: one.state, style: "warn" } : one.state,
      `${one.action} by ${one.principal}${one.team ? ` (${one.team})` : ""}`,
      shortTime(one.since),
      one.resource ?? "–",
      one.until ? shortTime(one.until) : "–",
    ]),
  );

const outlook = z.object({
  window: z.string(),
  used_micros: z.int(),
  cap_micros: z.int(),
  rate_micros_per_day: z.number().nullable(),
  projected_micros: z.number().nullable(),
  cap_reached_at: z.string().nullable(),
  basis: z.string(),
});
type Outlook = z.infer<typeof outlook>;

/** `budget forecast`: when the cap is reached at today's pace. */
export const forecast: CommandSpec<z.infer<typeof none>> = {
  usage: "forecast",
  summary: "show when the caps would be reached at the present pace",
  schema: none,
  run: (invocation) =>
    read(invocation, "forecast", {}, z.object({ daily: outlook, monthly: outlook }), ({ daily, monthly }) => [
      table(
        [
          { title: "window" },
          ...["used", "cap", "per day", "at its end"].map((title): Column => ({ title, align: "right" })),
          { title: "cap reached" },
        ],
        [daily, monthly].map(outlookRow),
      ),
      fields([
        [`basis of ${daily.window}`, daily.basis],
        [`basis of ${monthly.window}`, monthly.basis],
      ]),
    ]),
};

const outlookRow = (one: Outlook): readonly Cell[] => [
  one.window,
  formatUsd(one.used_micros),
  formatUsd(one.cap_micros),
  estimate(one.rate_micros_per_day),
  estimate(one.projected_micros),
  one.cap_reached_at === null
    ? { text: "not in this window", style: "good" }
    : { text: shortTime(one.cap_reached_at), style: "warn" },
];

/** An estimate to the cent: more digits would claim more than anybody knows. */
function estimate(micros: number | null): string {
  const MICROS_PER_CENT = 10_000;
  return micros === null ? "–" : formatUsd(Math.round(micros / MICROS_PER_CENT) * MICROS_PER_CENT);
}
