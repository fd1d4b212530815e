import { Option } from "commander";
import { z } from "zod";
import { isJsonObject, type JsonObject, type JsonValue } from "../../platform/json.ts";
import { formatUsd } from "../../platform/money.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { openClient, readAs } from "../client.ts";
import type { CommandSpec } from "../command.ts";
import { EXIT, failed, money, valueText, type Failure } from "../failure.ts";
import { fields, table, text, type Block, type Cell } from "../print.ts";

const sums = z.object({ held_micros: z.int(), settled_micros: z.int() });
const jsonObject: z.ZodType<JsonObject> = z.record(z.string(), z.json());
const answerSchema = z.object({
  month: z.string(),
  books: z.object({
    windows: sums,
    reservations: sums,
    entries: sums,
    usage: jsonObject,
    unresolved: jsonObject,
    overrun_micros: z.int(),
  }),
  audit: jsonObject,
  drift: jsonObject,
  explanation: z.string(),
});
type Reconciliation = z.infer<typeof answerSchema>;

const reconcileOptions = z.object({
  month: z
    .string()
    .regex(/^\d{4}-\d{2}$/, "a month such as 2026-11 is required")
    .optional(),
});

/** `budget reconcile`: one month's money as every book has it. Fails when they differ: made for a nightly job. */
export const reconcile: CommandSpec<z.infer<typeof reconcileOptions>> = {
  usage: "reconcile",
  summary: "compare ledger, usage reports and audit; fails when they differ",
  options: [new Option("--month <month>", "such as 2026-11 (default: this month)")],
  notes: "Exit code 1 when the drift is not zero, or not known.",
  schema: reconcileOptions,
  run: async (invocation) => {
    const client = openClient(invocation);
    if (!client.ok) return client;
    const query = { month: invocation.options.month };
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/budget/reconciliation", query });
    if (!answer.ok) return answer;
    const view = readAs(answerSchema, answer.value);
    if (!view.ok) return view;
    const drift = driftOf(view.value.drift);
    if (!drift.ok) return drift;
    return ok({
      json: answer.value,
      human: reconciliationBlocks(view.value, drift.value),
      exitCode: drift.value === "none" ? EXIT.done : EXIT.failed,
    });
  },
};

type Drift = "none" | "some" | "unknown";

/** Whether anything differs. An answer without a figure says nothing, and does not pass for agreement. */
function driftOf(drift: JsonObject): Result<Drift, Failure> {
  const figures = leavesOf(drift).filter(([, value]) => typeof value === "number" || value === null);
  if (figures.length === 0)
    return err(failed("The answer has another form than expected", "At /drift: no figure.", "--json prints it."));
  if (figures.some(([, value]) => typeof value === "number" && value !== 0)) return ok("some");
  return ok(figures.some(([, value]) => value === null) ? "unknown" : "none");
}

/** Every value that is not an object, by its path in words. */
const leavesOf = (object: JsonObject, path = ""): readonly (readonly [string, JsonValue])[] =>
  Object.entries(object).flatMap(([name, value]) => {
    const words = `${path}${name}`;
    return isJsonObject(value) ? leavesOf(value, `${words} `) : [[words, value] as const];
  });

function reconciliationBlocks(
  { month, books, audit, drift, explanation }: Reconciliation,
  found: Drift,
): readonly Block[] {
  const rows = [
    ["running sums", books.windows],
    ["reservations", books.reservations],
    ["entries", books.entries],
  ] as const;
  return [
    text({ text: `Books of ${month}, USD`, style: "strong" }),
    table(
      [{ title: "ledger" }, { title: "held", align: "right" }, { title: "settled", align: "right" }],
      rows.map(([name, sum]): readonly Cell[] => [name, formatUsd(sum.held_micros), formatUsd(sum.settled_micros)]),
    ),
    fields([
      ...figureRows("usage", books.usage),
      ...figureRows("unresolved", books.unresolved),
      ["overrun", formatUsd(books.overrun_micros)],
      ...figureRows("audit", audit),
      ...figureRows("drift", drift, found === "none" ? "good" : "bad"),
    ]),
    text({ text: TOLD[found], style: found === "none" ? "good" : "bad" }),
    text(explanation),
  ];
}

const TOLD: Readonly<Record<Drift, string>> = {
  none: "No drift: all books agree.",
  some: "The books differ.",
  unknown: "Not every book could be compared.",
};

/** `usage reported  120.00`. Amounts stand once, from their exact form. */
const figureRows = (label: string, object: JsonObject, style?: "good" | "bad"): readonly (readonly [string, Cell])[] =>
  leavesOf(object)
    .filter(([name]) => !name.endsWith("_usd"))
    .map(([name, value]) => {
      const words = `${label} ${name.replace(/_micros$/, "").replaceAll("_", " ")}`;
      const shown = name.endsWith("_micros") ? money(value) : valueText(value);
      return [words, style === undefined ? shown : { text: shown, style }];
    });
