import { z } from "zod";
import type { UsageReport, UsageResult } from "../ledger/money/finance-port.ts";
import { placedIssues, reticentMessage } from "../platform/zod-problems.ts";
import { jsonPointer } from "../platform/json-pointer.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { Refusal } from "../refusal.ts";
import type { StrictRequest } from "../strict-request.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { instant, lineOf, microsOf, money, moneyActor, usdAmount } from "./money.ts";
import { readUsageCsv, USAGE_COLUMNS } from "./usage-csv.ts";

/** Lines of one batch: a day of a busy tenant, and some seconds of its ledger's time. */
export const USAGE_LINES_MAX = 1_000;
/** 1 MiB: a thousand lines of a kilobyte each. */
const USAGE_BODY_BYTES = 1_048_576;
/** Each line is an element of four members; one member more for `reports`. */
const USAGE_MEMBERS_MAX = USAGE_LINES_MAX * (1 + USAGE_COLUMNS.length) + 1;

/** Request ids and the biller's own ids: short lines of text. */
const ID_CHARS = 200;

const report = z.strictObject({
  request_id: lineOf(ID_CHARS),
  actual_usd: usdAmount,
  ended_at: instant.nullish(),
  evidence: lineOf(ID_CHARS),
});
type Written = z.infer<typeof report>;
const reports = z.array(report).min(1).max(USAGE_LINES_MAX);

/** The body in JSON: `{reports: […]}`, or the array alone. */
export const usageBody = z.union([z.strictObject({ reports }), reports]);

/** Real costs, as billing knows them (wire contract, section 7). */
export const usageRoutes: readonly AdminRoute[] = [
  {
    method: "POST",
    path: "/_gate/v1/usage",
    roles: ["finance", "billing"],
    billing: true,
    bodyBytes: USAGE_BODY_BYTES,
    bodyForms: { arrayRoot: true, members: USAGE_MEMBERS_MAX, textTypes: ["text/csv"] },
    body: usageBody,
    handle: reportUsage,
  },
];

/** Books a batch. A line that cannot be read refuses all of them; a line that can stands alone and has its own result. */
async function reportUsage(call: AdminCall): Promise<AdminAnswer> {
  const written = readReports(call.strict);
  if (!written.ok) return refuse(written.error);
  const secret = written.value.findIndex(({ evidence }) => call.gate.redactor.text(evidence) !== evidence);
  // Redacted, two ids could become one, and the second report be taken for the first.
  if (secret >= 0)
    return refuse({
      kind: "malformed-request",
      reason: `report ${secret + 1}: its evidence looks like a secret; name an invoice line or a meter reading`,
    });
  const results = await call.ledger.reportUsage(moneyActor(call), call.trail.requestId, written.value.map(reportOf));
  return json({ results: results.map(resultJson), counts: countsOf(results) });
}

function readReports(strict: StrictRequest): Result<readonly Written[], Refusal> {
  if (typeof strict.body === "string") return fromCsv(strict.body);
  const isArray = Array.isArray(strict.body);
  const parsed = isArray
    ? reports.safeParse(strict.body, { error: reticentMessage })
    : z.strictObject({ reports }).safeParse(strict.body ?? {}, { error: reticentMessage });
  if (!parsed.success)
    return err(mistake(parsed.error, ({ path, message }) => `body ${jsonPointer(path)}: ${message}`));
  return ok("reports" in parsed.data ? parsed.data.reports : parsed.data);
}

function fromCsv(text: string): Result<readonly Written[], Refusal> {
  const read = readUsageCsv(text, USAGE_LINES_MAX);
  if (!read.ok) return err({ kind: "malformed-request", reason: `body ${read.error}` });
  const parsed = reports.safeParse(
    read.value.map(({ cells }) => cells),
    { error: reticentMessage },
  );
  if (parsed.success) return ok(parsed.data);
  return err(
    mistake(parsed.error, ({ path: [row, column], message }) => {
      const line = typeof row === "number" ? read.value[row]?.line : undefined;
      return `body line ${line ?? 1}${column === undefined ? "" : `, ${column}`}: ${message}`;
    }),
  );
}

type Placed = ReturnType<typeof placedIssues>[number];

function mistake(error: z.ZodError, wording: (issue: Placed) => string): Refusal {
  const [issue] = placedIssues(error.issues);
  return {
    kind: "malformed-request",
    reason: `${issue === undefined ? "body: has another form" : wording(issue)}. None of the reports was booked.`,
  };
}

const reportOf = (written: Written): UsageReport => ({
  requestId: written.request_id,
  actualMicros: microsOf(written.actual_usd),
  endedAt: typeof written.ended_at === "string" ? Date.parse(written.ended_at) : null,
  evidence: written.evidence,
});

const resultJson = (result: UsageResult) => ({
  request_id: result.requestId,
  evidence: result.evidence,
  state: result.state,
  reason: result.reason,
  ...money("held", result.heldMicros),
  ...money("settled", result.settledMicros),
});

/** How many lines ended in each state; every state is named, so that a zero can be read. */
function countsOf(results: readonly UsageResult[]): Readonly<Record<UsageResult["state"], number>> {
  const counts = { settled: 0, waiting: 0, overrun: 0, duplicate: 0, rejected: 0 };
  for (const { state } of results) counts[state] += 1;
  return counts;
}
