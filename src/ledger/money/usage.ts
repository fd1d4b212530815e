import type { Place } from "../../audit/journal.ts";
import { integerOf, textOf, type SqlRow } from "../../platform/sql-row.ts";
import type { EpochMs, Micros } from "../../vocabulary.ts";
import { plan } from "../due.ts";
import type { MoneyActor, UsageReport, UsageResult } from "./finance-port.ts";
import { minterOf } from "./money-actor.ts";
import { noteAlert } from "../notices.ts";
import { findReservation, settle, type Reservation } from "./reservations.ts";
import { recordSettlement } from "./settlement-record.ts";
import { sumsOf } from "./windows.ts";

/**
 * Books one line of a usage report, once per request and evidence. What is reported at or above the ceiling is booked (above:
 * as an overrun, and alarmed). Less than the ceiling is booked where the control plane was seen to report an end, or when a
 * second person of finance reports the same; until then it waits. A report that contradicts an earlier one is journaled and
 * changes nothing. `callId` tells calls apart in the journal. Run inside `transactionSync`.
 */
export function reportUsage(
  sql: SqlStorage,
  place: Place,
  actor: MoneyActor,
  report: UsageReport,
  callId: string,
  now: EpochMs,
): UsageResult {
  const found = findReservation(sql, report.requestId);
  const isOperation =
    sql.exec("SELECT 1 FROM operations WHERE request_id = ?", report.requestId).toArray().length === 1;
  if (found === null || !isOperation) return rejected(report, null, "no operation has this request id");
  const reject = (reason: string): UsageResult => {
    const detail = `${texts(report)}: ${reason}`;
    recordSettlement(
      sql,
      place,
      found.id,
      { id: `rejected/${callId}`, code: "usage-rejected", detail, by: actor },
      now,
    );
    return rejected(report, found, reason);
  };
  const known = sql
    .exec(
      "SELECT actual_micros, reported_by, owner, issuer, state FROM usage_reports WHERE request_id = ? AND evidence = ?",
      report.requestId,
      report.evidence,
    )
    .toArray()[0];
  if (known !== undefined && integerOf(known, "actual_micros") !== report.actualMicros)
    return reject("this evidence was reported before with another amount");
  if (known !== undefined && (textOf(known, "state") !== "waiting" || !mayConfirm(actor, known)))
    return result(report, found, "duplicate", null);
  const fault = unbookable(sql, found, report.actualMicros);
  if (fault !== null) return reject(fault);
  if (known !== undefined) return apply(sql, place, actor, report, found, actor.subject, now);
  sql.exec(
    `INSERT INTO usage_reports (request_id, evidence, actual_micros, ended_at, reported_by, owner, issuer, reported_at, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'waiting')`,
    report.requestId,
    report.evidence,
    report.actualMicros,
    report.endedAt,
    actor.subject,
    actor.owner,
    minterOf(actor),
    now,
  );
  const less = report.actualMicros < (found.settledMicros ?? found.ceilingMicros);
  if (!less || found.endedAt !== null) return apply(sql, place, actor, report, found, null, now);
  plan(sql, "status-check", found.id, now);
  recordSettlement(
    sql,
    place,
    found.id,
    { id: `waiting/${report.evidence}`, code: "usage-waiting", detail: texts(report), by: actor },
    now,
  );
  return result(
    report,
    found,
    "waiting",
    "below what is held: waits for an end reported by the control plane, or for a second person of finance",
  );
}

/** Books the newest report that waits for this operation's end, now that it has come. Returns its amount, null where none waits. */
export function applyWaitingReport(sql: SqlStorage, place: Place, id: string, now: EpochMs): Micros | null {
  const row = sql
    .exec(
      "SELECT evidence, actual_micros, ended_at FROM usage_reports WHERE request_id = ? AND state = 'waiting' ORDER BY reported_at DESC, evidence LIMIT 1",
      id,
    )
    .toArray()[0];
  const found = findReservation(sql, id);
  if (row === undefined || found === null) return null;
  const report = {
    requestId: id,
    evidence: textOf(row, "evidence"),
    actualMicros: integerOf(row, "actual_micros"),
    endedAt: null,
  };
  apply(sql, place, null, report, found, null, now);
  return report.actualMicros;
}

function apply(
  sql: SqlStorage,
  place: Place,
  actor: MoneyActor | null,
  report: UsageReport,
  found: Reservation,
  confirmedBy: string | null,
  now: EpochMs,
): UsageResult {
  const { actualMicros } = report;
  sql.exec(
    "UPDATE usage_reports SET state = 'applied', confirmed_by = ? WHERE request_id = ? AND evidence = ?",
    confirmedBy,
    report.requestId,
    report.evidence,
  );
  settle(sql, found.id, actualMicros, "usage", `usage ${report.evidence}`, now);
  const bought: Micros = found.state === "released" ? 0 : found.ceilingMicros;
  const isOverrun = actualMicros > bought;
  if (isOverrun) noteAlert(sql, { kind: "budget-overrun", requestId: found.id, heldMicros: bought, actualMicros }, now);
  const code = isOverrun ? "overrun" : "usage";
  recordSettlement(
    sql,
    place,
    found.id,
    { id: `usage/${report.evidence}`, code, detail: texts(report), by: actor },
    now,
  );
  return {
    ...result(report, found, isOverrun ? "overrun" : "settled", null),
    heldMicros: bought,
    settledMicros: actualMicros,
  };
}

/** Why nothing can be booked for it now, null where something can. */
function unbookable(sql: SqlStorage, found: Reservation, actualMicros: Micros): string | null {
  const { state, settledBy, dailyWindow, monthlyWindow } = found;
  if (state === "dispatching") return "its outcome is still awaited: report it again later";
  if (state === "unknown")
    return "its outcome is unknown: it is looked up, or resolved by two people, before it is settled";
  if (settledBy === "usage" || settledBy === "people")
    return `it was settled by ${settledBy === "usage" ? "an earlier usage report" : "two people"} already`;
  const sums = [...sumsOf(sql, [dailyWindow, monthlyWindow]).values()];
  return sums.every(({ settledMicros }) => Number.isSafeInteger(settledMicros + actualMicros))
    ? null
    : "the books of its month cannot hold so much";
}

/**
 * A second person of finance, speaking for itself: neither who reported it, nor owner or issuer of the credential that did.
 * Whoever only reports usage confirms nothing.
 */
const mayConfirm = (actor: MoneyActor, known: SqlRow): boolean =>
  actor.class === "person" &&
  actor.roles.includes("finance") &&
  actor.fault === null &&
  ![known["reported_by"], known["owner"], known["issuer"]].includes(actor.subject);

const texts = ({ evidence, actualMicros }: UsageReport): string => `evidence ${evidence}: ${actualMicros} micro-USD`;

const result = (
  { requestId, evidence }: UsageReport,
  found: Reservation | null,
  state: UsageResult["state"],
  reason: string | null,
): UsageResult => ({
  requestId,
  evidence,
  state,
  reason,
  heldMicros: found?.ceilingMicros ?? null,
  settledMicros: found?.settledMicros ?? null,
});

const rejected = (report: UsageReport, found: Reservation | null, reason: string): UsageResult =>
  result(report, found, "rejected", reason);
