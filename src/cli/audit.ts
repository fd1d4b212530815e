import { Option, type Command } from "commander";
import { z } from "zod";
import { ok } from "../platform/result.ts";
import { auditVerify } from "./audit-verify.ts";
import { openClient, readAs } from "./client.ts";
import { addCommand, wholeNumber, type CommandSpec, type Session } from "./command.ts";
import { table, text, verbatim, type Cell } from "./print.ts";
import { shortTime, timeBefore } from "./times.ts";

const text500 = z.string().max(500).optional();
const listOptions = z.object({
  since: text500,
  until: text500,
  action: text500,
  tier: wholeNumber(0, 5).optional(),
  decision: text500,
  principal: text500,
  approver: text500,
  incident: text500,
  requestId: text500,
  limit: wholeNumber(1, 500).optional(),
  cursor: text500,
});

const answerSchema = z.object({
  records: z.array(
    z.object({
      request_id: z.string(),
      time: z.string(),
      kind: z.string(),
      principal: z.string().nullish(),
      action: z.string().nullish(),
      tier: z.number().nullish(),
      decision: z.string().nullish(),
      reason_code: z.string().nullish(),
      outcome: z.string().nullish(),
    }),
  ),
  next_cursor: z.string().nullable(),
});
type AuditLine = z.infer<typeof answerSchema>["records"][number];

/** `audit list`: who asked what, and what the gate answered. `audit verify`: whether an export is whole, without any gate. */
export function addAuditCommands(program: Command, session: Session): void {
  const group = program.command("audit").description("what happened, and who decided");
  addCommand(group, session, list);
  addCommand(group, session, auditVerify);
}

const list: CommandSpec<z.infer<typeof listOptions>> = {
  usage: "list",
  summary: "list audit records, newest first (role security)",
  options: [
    new Option("--since <time>", "from this UTC time (2026-11-20T08:00:00Z), or 30m, 2h, 7d ago"),
    new Option("--until <time>", "before this time"),
    new Option("--action <name>", "one action"),
    new Option("--tier <n>", "one tier, 0 to 5"),
    new Option("--decision <word>", "allow, plan or refuse"),
    new Option("--principal <id>", "who asked"),
    new Option("--approver <id>", "who approved"),
    new Option("--incident <key>", "one incident"),
    new Option("--request-id <id>", "everything about one request"),
    new Option("--limit <n>", "at most so many, 1 to 500 (default: 100)"),
    new Option("--cursor <text>", "go on where an earlier list ended"),
  ],
  notes:
    "The table is a digest; --json prints the records whole, as they were hashed. Terminals of 110 columns get the request ids too.",
  schema: listOptions,
  run: async (invocation) => {
    const { options, terminal } = invocation;
    const client = openClient(invocation);
    if (!client.ok) return client;
    const { since, until, requestId, ...same } = options;
    const query = {
      ...same,
      since: since === undefined ? undefined : timeBefore(since, terminal.now()),
      until: until === undefined ? undefined : timeBefore(until, terminal.now()),
      request_id: requestId,
    };
    const answer = await client.value.call({ method: "GET", path: "/_gate/v1/audit", query });
    if (!answer.ok) return answer;
    const view = readAs(answerSchema, answer.value);
    if (!view.ok) return view;
    const { records, next_cursor: cursor } = view.value;
    const columns = ["time", "what", "tier", "by", "result"].map((title) => ({ title }));
    return ok({
      json: answer.value,
      human: [
        records.length === 0
          ? text("No records.")
          : table([...columns, { title: "request", keep: true, wide: true }], records.map(row)),
        ...(cursor === null ? [] : [text("There are more:"), verbatim([`--cursor ${cursor}`])]),
      ],
    });
  },
};

const row = (one: AuditLine): readonly Cell[] => [
  shortTime(one.time),
  one.action ?? one.kind,
  one.tier === null || one.tier === undefined ? "–" : String(one.tier),
  one.principal ?? "–",
  resultCell(one),
  one.request_id,
];

/** `refuse: budget-exceeded`, `allow: succeeded`. */
function resultCell({ decision, reason_code: reason, outcome, kind }: AuditLine): Cell {
  const why = reason ?? outcome;
  const shown = [decision ?? (why ? null : kind), why].filter(Boolean).join(": ");
  if (decision === "refuse") return { text: shown, style: "bad" };
  return decision === "allow" ? { text: shown, style: "good" } : shown;
}
