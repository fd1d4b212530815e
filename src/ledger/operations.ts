import { appendEntry, type Place } from "../audit/journal.ts";
import type { AuditEntry } from "../audit/record.ts";
import type { LookUpJob } from "../outbox/port.ts";
import type { EpochMs } from "../vocabulary.ts";
import { concludeCounted } from "./aggregates/aggregate-endings.ts";
import {
  commitRunning,
  findReservation,
  holdUnknown,
  release,
  runningOf,
  settle,
  shrink,
} from "./money/reservations.ts";
import type { Conclusion } from "./contract.ts";
import { done, plan } from "./due.ts";
import { endWork } from "./incidents/incident-endings.ts";
import { note, noteAlert } from "./notices.ts";
import { usedSoFar } from "./money/run-time.ts";
import { recordSettlement, reservationMember } from "./money/settlement-record.ts";
import { planFirstPoll, pollNow } from "./money/status-polls.ts";
import { STANDING_USE } from "./approvals/use-standing-approval.ts";
import { textOf, integerOf, textOrNull, integerOrNull } from "../platform/sql-row.ts";

/** Waits between look-ups of an unknown outcome: double from one grace period to an hour. */
const LOOK_UP_MAX_WAIT_MS = 3_600_000;

/** How long look-ups may take before people are told that an outcome is unknown. */
const UNKNOWN_TOLD_AFTER_MS = 3_600_000;

/**
 * Longest answer that is kept for replays, as JSON in UTF-8: a Durable Object takes no row above 2 MB, and an outcome must
 * be booked whatever its answer is. After a longer one a replay says what became of the request, not what was answered.
 */
const STORED_RESPONSE_BYTES = 1_000_000;

/** Milliseconds: until a silent dispatch becomes `unknown`, and between two look-ups that may prove absence. */
export type Timings = { readonly dispatchDeadlineMs: number; readonly graceMs: number };

type Stored = {
  readonly state: string;
  readonly resource: string | null;
  readonly durationMs: number | null;
  /** What a change of something that runs makes it cost as a whole; null where the operation is no such change. */
  readonly resultMicros: number | null;
  readonly route: string | null;
  readonly entry: AuditEntry;
  readonly admittedAt: EpochMs;
  readonly absentSince: EpochMs | null;
};

function load(sql: SqlStorage, requestId: string): Stored | null {
  // Named columns: the stored answer beside them may be large, and nobody here reads it.
  const row = sql
    .exec(
      "SELECT state, resource, route, duration_ms, result_micros, entry, admitted_at, absent_since FROM operations WHERE request_id = ?",
      requestId,
    )
    .toArray()[0];
  if (row === undefined) return null;
  return {
    state: textOf(row, "state"),
    resource: textOrNull(row, "resource"),
    durationMs: integerOrNull(row, "duration_ms"),
    resultMicros: integerOrNull(row, "result_micros"),
    route: textOrNull(row, "route"),
    // Serialised by admission.ts itself.
    entry: JSON.parse(textOf(row, "entry")),
    admittedAt: integerOf(row, "admitted_at"),
    absentSince: integerOrNull(row, "absent_since"),
  };
}

/** How an operation ended, and which two people say so where nobody saw it. */
type Concluded = Conclusion & { readonly resolvedBy?: string };

/**
 * Books how a dispatch ended, once: outcome, hold and audit record in one transaction (run inside `transactionSync`).
 * A second conclusion changes nothing. `unknown` keeps the hold and plans the first look-up; a definite failure or a
 * request never sent releases it; success commits the ceiling for as long as the resource may run.
 *
 * A crash before this leaves `dispatching`, which the dispatch deadline turns into `unknown`.
 */
export function conclude(sql: SqlStorage, place: Place, conclusion: Concluded, timings: Timings, now: EpochMs): void {
  const operation = load(sql, conclusion.requestId);
  if (operation === null || (operation.state !== "dispatching" && operation.state !== "unknown")) return;
  if (operation.state === "unknown" && conclusion.outcome === "unknown") return;
  const completed = conclusion.outcome !== "unknown";
  sql.exec(
    `UPDATE operations SET state = ?, completed_at = ?, upstream_status = ?, response = coalesce(?, response),
       resource = coalesce(?, resource), sent = CASE WHEN ? THEN NULL ELSE sent END WHERE request_id = ?`,
    conclusion.outcome,
    completed ? now : null,
    conclusion.upstreamStatus,
    storableResponse(conclusion.response),
    conclusion.resource,
    completed ? 1 : 0,
    conclusion.requestId,
  );
  concludeCounted(sql, conclusion);
  settleHold(sql, place, operation, conclusion, now);
  if (operation.state === "dispatching") {
    // Heard in time: the deadline has nothing left to do. Should it stand at another time, it comes due and finds so.
    const at = operation.admittedAt + timings.dispatchDeadlineMs;
    done(sql, { at, job: "dispatch-deadline", ref: conclusion.requestId });
  }
  if (!completed) {
    plan(sql, "reconcile", conclusion.requestId, now + timings.graceMs);
    plan(sql, "outcome-unknown", conclusion.requestId, now + UNKNOWN_TOLD_AFTER_MS);
  }
  // Only an operation that named its resource at admission keeps it busy.
  else if (operation.resource !== null)
    sql.exec("DELETE FROM busy_resources WHERE request_id = ?", conclusion.requestId);
  if (operation.entry.approval_id !== null && operation.entry.reason_code !== STANDING_USE)
    note(sql, "executed", operation.entry.approval_id, conclusion.requestId, now, conclusion.outcome);
  appendEntry(
    sql,
    place,
    `${conclusion.requestId}/${completed ? "outcome" : "unknown"}`,
    {
      ...operation.entry,
      kind: completed ? "outcome" : "unknown",
      time: new Date(now).toISOString(),
      outcome: conclusion.outcome,
      detail: conclusion.detail,
      upstream_status: conclusion.upstreamStatus,
      reservation: reservationMember(sql, conclusion.requestId),
      duration_ms: now - operation.admittedAt,
    },
    now,
  );
  if (conclusion.outcome !== "unknown")
    endWork(sql, place, conclusion.requestId, conclusion.outcome, operation.entry, now);
}

function storableResponse(response: Conclusion["response"]): string | null {
  if (response === null) return null;
  const text = JSON.stringify(response);
  return new TextEncoder().encode(text).byteLength > STORED_RESPONSE_BYTES ? null : text;
}

function settleHold(sql: SqlStorage, place: Place, operation: Stored, conclusion: Concluded, now: EpochMs): void {
  const id = conclusion.requestId;
  switch (conclusion.outcome) {
    case "unknown":
      return holdUnknown(sql, id);
    case "failed":
      return void release(sql, id, "refused by the control plane", now);
    case "not-sent":
      return void release(sql, id, "never sent", now);
    case "succeeded":
      return settleSuccess(sql, place, operation, conclusion, now);
  }
}

/**
 * What a success costs. Something that runs keeps its ceiling until its run time is over or an end is heard of; what people
 * say it cost, and what ends at once, is settled. A change that leaves less than is paid for gives back what it may.
 */
function settleSuccess(sql: SqlStorage, place: Place, operation: Stored, conclusion: Concluded, now: EpochMs): void {
  const { requestId: id, actualMicros, resolvedBy } = conclusion;
  const ceiling = findReservation(sql, id)?.ceilingMicros ?? 0;
  const resource = operation.resource ?? conclusion.resource;
  const runs = operation.durationMs !== null && ceiling > 0;
  if (operation.resultMicros !== null && resource !== null)
    giveBack(sql, place, { resource, resultMicros: operation.resultMicros, by: id }, now);
  if (resolvedBy !== undefined && actualMicros !== null) {
    settle(sql, id, actualMicros, "people", resolvedBy, now);
  } else if (!runs) {
    settle(
      sql,
      id,
      actualMicros ?? ceiling,
      actualMicros === null ? "price" : "response",
      ceiling === 0 ? "free" : "ceiling",
      now,
    );
  } else {
    commitRunning(sql, id, resource);
    plan(sql, "ceiling", id, now + (operation.durationMs ?? 0));
    if (operation.route !== null && resource !== null) planFirstPoll(sql, id, operation.durationMs ?? 0, now);
  }
  if (actualMicros !== null && actualMicros > ceiling) {
    noteAlert(sql, { kind: "budget-overrun", requestId: id, heldMicros: ceiling, actualMicros }, now);
  }
  // A change that ends what runs is confirmed by what runs, not by the answer.
  if (operation.resource !== null) pollNow(sql, operation.resource, now);
}

/**
 * A change of something that runs leaves it cheaper than is committed: what is not needed any more returns to its windows, the
 * newest commitments first. What has run so far was at the old price, so of each its share of time stays. Each that is made
 * smaller is on record. `by`: the change.
 */
function giveBack(
  sql: SqlStorage,
  place: Place,
  { resource, resultMicros, by }: { readonly resource: string; readonly resultMicros: number; readonly by: string },
  now: EpochMs,
): void {
  const running = runningOf(sql, resource).map((one) => ({ one, spentMicros: usedSoFar(sql, one, now) }));
  const committed = running.reduce((sum, { one }) => sum + one.ceilingMicros, 0);
  const spent = running.reduce((sum, { spentMicros }) => sum + spentMicros, 0);
  let rest = committed - (spent + resultMicros);
  for (const { one, spentMicros } of running.toReversed()) {
    const part = Math.min(rest, one.ceilingMicros - spentMicros);
    if (part <= 0) continue;
    shrink(sql, one, { ceilingMicros: one.ceilingMicros - part, spentMicros }, now);
    const detail = `made smaller by ${by}`;
    recordSettlement(sql, place, one.id, { id: `made-smaller/${by}`, code: "made-smaller", detail, by: null }, now);
    rest -= part;
  }
}

/** A dispatch whose deadline passed in silence: nobody can know whether it was sent, so it is unknown. */
export function dispatchDeadline(
  sql: SqlStorage,
  place: Place,
  requestId: string,
  timings: Timings,
  now: EpochMs,
): void {
  const row = sql.exec("SELECT state FROM operations WHERE request_id = ?", requestId).toArray()[0];
  if (row?.["state"] !== "dispatching") return;
  conclude(
    sql,
    place,
    {
      requestId,
      outcome: "unknown",
      upstreamStatus: null,
      resource: null,
      actualMicros: null,
      response: null,
      detail: "no outcome was reported in time",
    },
    timings,
    now,
  );
}

/** A committed hold whose run time is over, with nothing heard of its real cost: settled at the ceiling, and flagged. */
export function settleAtCeiling(sql: SqlStorage, place: Place, requestId: string, now: EpochMs): void {
  const reservation = findReservation(sql, requestId);
  if (reservation?.state !== "committed") return;
  settle(sql, requestId, reservation.ceilingMicros, "ceiling", "run time over, nothing heard", now);
  const detail = "its run time is over and nothing was heard of its cost";
  recordSettlement(sql, place, requestId, { id: "ceiling", code: "ceiling-unresolved", detail, by: null }, now);
}

/** What the outbox needs to look an unknown outcome up; null when it is resolved, or when upstream has no way to ask. */
export function unknownOperation(sql: SqlStorage, requestId: string): Pick<LookUpJob, "catalogue" | "sent"> | null {
  const row = sql
    .exec("SELECT sent, catalogue FROM operations WHERE request_id = ? AND state = 'unknown'", requestId)
    .toArray()[0];
  const sent = row === undefined ? null : textOrNull(row, "sent");
  if (row === undefined || sent === null) return null;
  return { catalogue: `sha256:${textOf(row, "catalogue").slice("sha256:".length)}`, sent };
}

/** Plans the next look-up, backing off; called before the look-up, so that a lost one is not the last. */
export function planNextLookUp(sql: SqlStorage, requestId: string, graceMs: number, now: EpochMs): void {
  const row = sql
    .exec("UPDATE operations SET look_ups = look_ups + 1 WHERE request_id = ? RETURNING look_ups", requestId)
    .toArray()[0];
  const lookUps = row === undefined ? 0 : integerOf(row, "look_ups") - 1;
  // The second look must come a whole grace period after the first, so the back-off starts only after it.
  const wait = Math.min(LOOK_UP_MAX_WAIT_MS, graceMs * 2 ** Math.max(0, Math.min(lookUps - 1, 12)));
  plan(sql, "reconcile", requestId, now + wait);
}

/**
 * Books what a look-up proved. `happened`: the operation succeeded. `absent`: releases the hold only when a look-up at
 * least a grace period earlier said so too (upstream may list late). `unknown` forgets an earlier absence.
 */
export function reconcile(
  sql: SqlStorage,
  place: Place,
  finding: {
    readonly requestId: string;
    readonly verdict: "happened" | "absent" | "unknown";
    readonly resource: string | null;
  },
  timings: Timings,
  now: EpochMs,
): void {
  const { requestId, verdict } = finding;
  const operation = load(sql, requestId);
  if (operation === null || operation.state !== "unknown") return;
  const base = { requestId, upstreamStatus: null, resource: finding.resource, actualMicros: null, response: null };
  if (verdict === "happened") {
    conclude(sql, place, { ...base, outcome: "succeeded", detail: "found by look-up" }, timings, now);
  } else if (verdict === "unknown") {
    sql.exec("UPDATE operations SET absent_since = NULL WHERE request_id = ?", requestId);
  } else if (operation.absentSince === null) {
    sql.exec("UPDATE operations SET absent_since = ? WHERE request_id = ?", now, requestId);
  } else if (now - operation.absentSince >= timings.graceMs) {
    conclude(
      sql,
      place,
      { ...base, outcome: "failed", detail: "absent in two look-ups a grace period apart" },
      timings,
      now,
    );
  }
}
