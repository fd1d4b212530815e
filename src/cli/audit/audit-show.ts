import { z } from "zod";
import type { JsonObject } from "../../platform/json.ts";
import { formatUsd } from "../../platform/money.ts";
import { err, ok, type Result } from "../../platform/result.ts";
import { exactTime, readLines, resultCell, tierCell, type AuditLine, type AuditLines } from "./audit-records.ts";
import { openClient, type GateClient } from "../client.ts";
import type { CommandSpec } from "../command.ts";
import { failed, usage, type Failure } from "../failure.ts";
import { isId } from "../ids.ts";
import { fields, quote, table, text, type Block, type Cell } from "../print.ts";

/** Most records of one answer; no request and no proposal has as many. */
const LIMIT = 500;

/** What a proposal's own records are, whoever asked. Uses of a standing approval by other requests are not. */
const OF_PROPOSALS: ReadonlySet<string> = new Set(["proposal", "decision", "break-glass"]);

const none = z.object({});

/** `audit show`: everything about one request, in the order in which it happened. */
export const auditShow: CommandSpec<z.infer<typeof none>> = {
  usage: "show <request-id>",
  summary: "everything about one request in order: who asked, who decided, what came of it (role security)",
  notes:
    "With what was decided about its proposal, whoever's request that was. --json prints the records whole, in the same order.",
  schema: none,
  run: async (invocation) => {
    const [id = ""] = invocation.args;
    if (!isId(id)) return err(usage("that is not a request id"));
    const client = openClient(invocation);
    if (!client.ok) return client;
    const own = await recordsOf(client.value, { request_id: id });
    if (!own.ok) return own;
    if (own.value.lines.length === 0)
      return err(
        failed(
          "No record of this request",
          `Nothing is known of ${id}.`,
          "Records appear a moment after they are made; what retention has deleted is not shown any more.",
        ),
      );
    const found = new Map<string, Found>();
    addTo(found, own.value, () => true);
    const proposals = new Set(own.value.lines.flatMap(({ approval_id: approval }) => approval ?? []));
    for (const approval of proposals) {
      const decided = await recordsOf(client.value, { approval_id: approval });
      if (!decided.ok) return decided;
      addTo(found, decided.value, ({ kind }) => OF_PROPOSALS.has(kind));
    }
    const inOrder = [...found.values()].toSorted((a, b) => compare(a.line, b.line));
    const lines = inOrder.map(({ line }) => line);
    return ok({ json: { records: inOrder.map(({ raw }) => raw) }, human: blocksOf(id, lines) });
  },
};

type Found = { readonly raw: JsonObject; readonly line: AuditLine };

async function recordsOf(
  client: GateClient,
  query: Readonly<Record<string, string>>,
): Promise<Result<AuditLines, Failure>> {
  const answer = await client.call({ method: "GET", path: "/_gate/v1/audit", query: { ...query, limit: LIMIT } });
  return answer.ok ? readLines(answer.value) : answer;
}

function addTo(found: Map<string, Found>, { raw, lines }: AuditLines, wanted: (line: AuditLine) => boolean): void {
  for (const [index, line] of lines.entries()) {
    const whole = raw[index];
    if (whole !== undefined && wanted(line)) found.set(`${line.log}:${line.sequence}`, { raw: whole, line });
  }
}

/** Of one moment, reads and refusals come before what the ledger made of them, and within a log its own order decides. */
const compare = (a: AuditLine, b: AuditLine): number =>
  a.time.localeCompare(b.time) || b.log.localeCompare(a.log) || a.sequence - b.sequence;

function blocksOf(id: string, lines: readonly AuditLine[]): readonly Block[] {
  const asked = lines.filter(({ request_id: request }) => request === id);
  const known = <T>(of: (line: AuditLine) => T | null | undefined): T | null =>
    asked.map(of).find((value) => value !== null && value !== undefined) ?? null;
  const by = known(({ principal }) => principal);
  const owner = known((line) => line.owner);
  const [method, path] = [known((line) => line.method), known((line) => line.path)];
  const tier = known((line) => line.tier);
  const facts = known((line) => line.facts);
  const cost = known(({ cost_micros: micros }) => micros);
  const texts = [
    ["Reason", known(({ reason }) => reason)],
    ["Evidence", known(({ evidence }) => evidence)],
    ["Back-out", known(({ back_out: backOut }) => backOut)],
  ] as const;
  return [
    fields([
      ["request", id],
      ["by", by === null ? null : owner === null || owner === by ? by : `${by}, for ${owner}`],
      ["with", known(({ credential_id: credential }) => credential)],
      ["asked", path === null ? null : `${method ?? ""} ${path}`.trim()],
      ["action", known(({ action }) => action)],
      ["tier", tier === null ? null : String(tier)],
      ["rule", known(({ rule }) => rule)],
      ["facts", facts === null || Object.keys(facts).length === 0 ? null : factsText(facts)],
      ["ceiling", cost === null ? null : `${formatUsd(cost)} USD`],
      ["proposal", known(({ approval_id: approval }) => approval)],
      ["approved by", known(({ approvers }) => ((approvers ?? []).length === 0 ? null : approvers?.join(", ")))],
      ["incident", known(({ incident }) => incident)],
    ]),
    ...texts.flatMap(([label, value]) => (value === null ? [] : [quote(label, value)])),
    table([{ title: "time", keep: true }, { title: "what" }, { title: "by" }, { title: "result" }], lines.map(step)),
    text(`${lines.length} records.`),
  ];
}

const factsText = (facts: NonNullable<AuditLine["facts"]>): string =>
  Object.entries(facts)
    .map(([name, value]) => `${name} ${typeof value === "string" ? value : JSON.stringify(value)}`)
    .join(", ");

function step(line: AuditLine): readonly Cell[] {
  const result = resultCell(line);
  const parts = [
    typeof result === "string" ? result : result.text,
    line.upstream_status === null || line.upstream_status === undefined ? "" : `upstream ${line.upstream_status}`,
    moneyText(line.reservation),
    line.detail ?? "",
  ];
  const told = parts.filter((part) => part !== "").join("; ");
  const what = line.kind === "request" || line.kind === "plan" ? `${line.kind}, tier ${tierCell(line)}` : line.kind;
  return [
    exactTime(line.time),
    what,
    line.principal ?? "–",
    typeof result === "string" ? told : { ...result, text: told },
  ];
}

function moneyText(reservation: AuditLine["reservation"]): string {
  if (reservation === null || reservation === undefined) return "";
  const { held_micros: held, settled_micros: settled } = reservation;
  if (settled !== null && settled !== undefined) return `settled ${formatUsd(settled)} USD`;
  return held === null || held === undefined || held === 0 ? "" : `holds ${formatUsd(held)} USD`;
}
