import { z } from "zod";
import { divergenceReport, type DivergenceResult } from "../../audit/replay/divergence.ts";
import type { JsonObject } from "../../platform/json.ts";
import { ok } from "../../platform/result.ts";
import {
  auditAsked,
  AUDIT_SOURCE,
  AUDIT_SOURCE_OPTIONS,
  readAudit,
  readingRemarks,
  type AuditRead,
} from "../audit/audit-source.ts";
import { openClient } from "../client.ts";
import type { CommandSpec } from "../command.ts";
import { table, text, type Block, type Cell } from "../print.ts";
import { showOne } from "./replay-view.ts";
import { shortTime } from "../times.ts";

const schema = z.object({ ...AUDIT_SOURCE, since: AUDIT_SOURCE.since.default("7d") });
type Options = z.infer<typeof schema>;

/** `policy divergence`: what rules in shadow would have decided otherwise. */
export const policyDivergence: CommandSpec<Options> = {
  usage: "divergence",
  summary: "tell how often rules in shadow would have decided otherwise",
  options: AUDIT_SOURCE_OPTIONS,
  notes: "--since is 7d where it is not stated.",
  schema,
  run: async (invocation) => {
    const { options, terminal } = invocation;
    const client = options.file === undefined ? openClient(invocation) : ok(null);
    if (!client.ok) return client;
    const report = divergenceReport();
    const asked = auditAsked(options, terminal.now());
    const read = await readAudit(invocation, client.value, asked, report.take);
    if (!read.ok) return read;
    const result = report.result();
    return ok({ json: divergenceJson(result, read.value), human: divergenceBlocks(result, read.value) });
  },
};

const divergenceJson = ({ requests, diverging, rules }: DivergenceResult, read: AuditRead): JsonObject => ({
  records: { ...read },
  requests,
  diverging,
  rules: rules.map((row) => ({
    rule: row.rule,
    verdict: row.verdict,
    requests: row.requests,
    actions: Object.fromEntries(row.actions),
    first_at: row.firstAt,
    last_at: row.lastAt,
    examples: [...row.examples],
  })),
});

function divergenceBlocks({ requests, diverging, rules }: DivergenceResult, read: AuditRead): readonly Block[] {
  const columns = [
    { title: "rule" },
    { title: "would have" },
    { title: "requests", align: "right" as const },
    { title: "actions" },
    { title: "last", wide: true as const },
    { title: "example", wide: true as const, keep: true as const },
  ];
  const rows = rules.map((row): readonly Cell[] => [
    row.rule,
    row.verdict,
    String(row.requests),
    [...row.actions].map(([action, count]) => `${action} ${count}`).join(", "),
    shortTime(row.lastAt),
    row.examples[0] ?? "",
  ]);
  return [
    ...(rows.length === 0 ? [] : [table(columns, rows)]),
    text(`Rules in shadow would have decided ${diverging} of ${requests} requests otherwise.`),
    ...showOne(rules[0]?.examples[0]),
    ...readingRemarks(read).map((line) => text({ text: line, style: "dim" })),
  ];
}
