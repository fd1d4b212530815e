import { Option } from "commander";
import { z } from "zod";
import type { JsonValue } from "../../platform/json.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { openClient, type GateClient, type MediaType } from "../client.ts";
import { ENDED, type CommandSpec } from "../command.ts";
import { usage, type Failure } from "../failure.ts";
import { absolute, firstExisting, writeText } from "../files.ts";
import { inertLines } from "../inert.ts";
import { text } from "../print.ts";
import type { Terminal } from "../terminal.ts";

const exportOptions = z.object({
  month: z.string().regex(/^\d{4}-\d{2}$/, "a month such as 2026-11 is required"),
  format: z.enum(["csv", "json"]).default("csv"),
  output: z.string().min(1).optional(),
  force: z.boolean().default(false),
});
type Options = z.infer<typeof exportOptions>;

const TYPES: Readonly<Record<Options["format"], MediaType>> = { csv: "text/csv", json: "application/json" };

/** `budget export`: every line of one month's book, for a spreadsheet or another program. */
export const budgetExport: CommandSpec<Options> = {
  usage: "export",
  summary: "write every entry of one month, as CSV or JSON (role finance)",
  options: [
    new Option("--month <month>", "such as 2026-11").makeOptionMandatory(),
    new Option("--format <format>", "csv or json").default("csv"),
    new Option("--output <file>", "write to this new file instead of stdout"),
    new Option("--force", "replace the file if it exists"),
  ],
  notes: "A spreadsheet opens the CSV as it is: text that could pass for a formula is marked as text.",
  schema: exportOptions,
  run: async (invocation) => {
    const { options, globals, terminal } = invocation;
    const { month, format, output, force } = options;
    if (globals.json && output === undefined && format === "csv")
      return err(usage("--json prints JSON and --format csv does not", "Give --format json, or --output FILE."));
    // Before the gate is asked: an export is on the record, and this one would go nowhere.
    if (output !== undefined && !force && firstExisting([absolute(terminal, output)]) !== null)
      return err(usage(`${output} exists already`, "--force replaces it."));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const entries = await download(client.value, month, format);
    if (!entries.ok) return entries;
    if (output === undefined) {
      print(terminal, entries.value);
      return ok(ENDED);
    }
    const written = writeText(terminal, output, entries.value, force);
    if (!written.ok) return written;
    const json: JsonValue = { month, format, file: output, bytes: new TextEncoder().encode(entries.value).length };
    return ok({ json, human: [text(`The entries of ${month} are in ${output}.`)] });
  },
};

const download = (client: GateClient, month: string, format: Options["format"]): Promise<Result<string, Failure>> =>
  client.download({ method: "GET", path: "/_gate/v1/budget/export", query: { month, format } }, TYPES[format]);

/** Byte for byte into a file or pipe; at a terminal, where nothing may act, as inert lines. */
function print({ out, outIsTty }: Pick<Terminal, "out" | "outIsTty">, entries: string): void {
  if (!outIsTty) return out(entries);
  const lines = inertLines(entries.replace(/^\u{feff}/u, "").replaceAll("\r\n", "\n"));
  out(`${lines.join("\n").trimEnd()}\n`);
}
