import { Option } from "commander";
import { z } from "zod";
import { ok, type Result } from "../../platform/result.ts";
import { filterFlags, filterOptions, filterQuery } from "./audit-filters.ts";
import { readLines, resultCell, tierCell, type AuditLine, type AuditLines } from "./audit-records.ts";
import { openClient, type GateClient } from "../client.ts";
import { wholeNumber, type CommandSpec } from "../command.ts";
import type { Failure } from "../failure.ts";
import { table, text, verbatim, type Cell } from "../print.ts";
import { shortTime, timeBefore } from "../times.ts";

const listOptions = filterOptions.extend({
  until: z.string().max(500).optional(),
  limit: wholeNumber(1, 500).optional(),
  cursor: z.string().max(500).optional(),
});

/** `audit list`: who asked what, and what the gate answered. */
export const auditList: CommandSpec<z.infer<typeof listOptions>> = {
  usage: "list",
  summary: "list audit records, newest first (role security)",
  options: [
    new Option("--since <time>", "from this UTC time (2026-11-20T08:00:00Z), or 30m, 2h, 7d ago"),
    new Option("--until <time>", "before this time"),
    ...filterFlags(),
    new Option("--limit <n>", "at most so many, 1 to 500 (default: 100)"),
    new Option("--cursor <text>", "go on where an earlier list ended"),
  ],
  notes:
    "The table is a digest; --json prints the records whole, as they were hashed. Terminals of 110 columns get the request ids too. " +
    "What is rare is looked for as far back as there are records; --since makes that shorter.",
  schema: listOptions,
  run: async (invocation) => {
    const { options, terminal, note } = invocation;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const { until, limit, cursor, ...filters } = options;
    const query = {
      ...filterQuery(filters, terminal.now()),
      until: until === undefined ? undefined : timeBefore(until, terminal.now()),
    };
    let page = await pageOf(client.value, { ...query, limit, cursor });
    // The gate looks at so many records per answer: one without any is not the end.
    for (; page.ok && page.value.lines.length === 0 && page.value.cursor !== null;) {
      note("looking further back …");
      page = await pageOf(client.value, { ...query, limit, cursor: page.value.cursor });
    }
    if (!page.ok) return page;
    const { lines, raw, cursor: next } = page.value;
    const columns = ["time", "what", "tier", "by", "result"].map((title) => ({ title }));
    return ok({
      json: { records: [...raw], next_cursor: next },
      human: [
        lines.length === 0
          ? text("No records.")
          : table([...columns, { title: "request", keep: true, wide: true }], lines.map(row)),
        ...(next === null ? [] : [text("There are more:"), verbatim([`--cursor ${next}`])]),
      ],
    });
  },
};

async function pageOf(
  client: GateClient,
  query: Readonly<Record<string, string | number | undefined>>,
): Promise<Result<AuditLines, Failure>> {
  const answer = await client.call({ method: "GET", path: "/_gate/v1/audit", query });
  return answer.ok ? readLines(answer.value) : answer;
}

const row = (one: AuditLine): readonly Cell[] => [
  shortTime(one.time),
  one.action ?? one.kind,
  tierCell(one),
  one.principal ?? "–",
  resultCell(one),
  one.request_id,
];
