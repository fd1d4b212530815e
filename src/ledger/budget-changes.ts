import { appendEntry } from "../audit/journal.ts";
import { blankEntry } from "../audit/record.ts";
import { assert } from "../platform/assert.ts";
import { newId } from "../platform/ids.ts";
import { formatUsd } from "../platform/money.ts";
import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { AdmissionScope } from "./admission.ts";
import { financeCaps } from "./budget.ts";
import {
  changesOf,
  decisionsOnChange,
  findChange,
  insertChange,
  moveChange,
  type ChangeRow,
} from "./budget-change-rows.ts";
import { plan } from "./due.ts";
import type { BudgetChange, ChangeAsk, ChangeOutcome, MoneyActor, TenantTerms } from "./finance-port.ts";
import { noteAlert } from "./notices.ts";
import { actorOf } from "./settlement-record.ts";

type Scope = Pick<AdmissionScope, "sql" | "place" | "now">;

/** An ask that nobody decided within a week is over: budgets move on. */
const ASK_LIFETIME_MS = 7 * 24 * 3_600_000;

/** Asks of one principal that may wait at once. More than finance reads about one asker. */
const PENDING_MAX = 10;

/** How many people of finance a higher cap needs, its asker included where that is one of them. */
const PEOPLE_FOR_A_RAISE = 2;

/**
 * Asks for another cap of a period. Finance lowers at once; whatever is higher than the cap of finance's in force (the policy's
 * where finance has set none), now or at its time, waits: for one more person of finance, or for two where the asker is not one.
 * The same ask by a second person of finance confirms the one that waits. Journaled. Run inside `transactionSync`.
 */
export function changeBudget(scope: Scope, actor: MoneyActor, terms: TenantTerms, ask: ChangeAsk): ChangeOutcome {
  const { sql, now } = scope;
  const effectiveAt = ask.effectiveAt ?? now;
  if (effectiveAt < now) return refused("effective_at lies in the past");
  if (ask.endsAt !== null && ask.endsAt <= effectiveAt) return refused("it would end before it begins");
  const isFinance = actsForFinance(actor);
  const inForce = capBefore(sql, terms, ask, now);
  const isRaise = ask.capMicros > inForce;
  if (!isRaise && !isFinance) return refused("the cap in force is not lower than that");
  const waiting = changesOf(sql, "pending").find(
    (one) => one.period === ask.period && one.capMicros === ask.capMicros && one.endsAt === ask.endsAt,
  );
  if (waiting !== undefined && isFinance && waiting.askedBy !== actor.subject)
    return decideBudgetChange(scope, actor, {
      requestId: ask.requestId,
      id: waiting.id,
      decision: "approve",
      comment: ask.reason,
    });
  if (waiting !== undefined && waiting.askedBy === actor.subject) return changed(sql, waiting.id);
  if (changesOf(sql, "pending").filter((one) => one.askedBy === actor.subject).length >= PENDING_MAX) {
    return {
      kind: "refused",
      refusal: {
        kind: "rate-limited",
        limit: `${PENDING_MAX} budget requests of one principal that wait`,
        retry_after_s: 3_600,
      },
    };
  }
  const lowers = isFinance && !isRaise;
  const row: ChangeRow = {
    id: newId("bud"),
    kind: lowers ? "lower" : isFinance ? "raise" : "request",
    state: lowers ? "approved" : "pending",
    period: ask.period,
    capMicros: ask.capMicros,
    fromMicros: inForce,
    askedBy: actor.subject,
    owner: actor.owner,
    issuer: actor.issuer,
    reason: ask.reason,
    incident: ask.incident,
    needed: lowers ? 0 : isFinance ? PEOPLE_FOR_A_RAISE - 1 : PEOPLE_FOR_A_RAISE,
    effectiveAt,
    endsAt: ask.endsAt,
    askedAt: now,
    expiresAt: now + ASK_LIFETIME_MS,
  };
  insertChange(sql, row);
  if (!lowers) plan(sql, "budget-change-expiry", row.id, row.expiresAt);
  tell(scope, actor, ask.requestId, row, lowers ? "lowered" : "asked", ask.reason);
  return changed(sql, row.id);
}

/** The cap that the change is measured against: finance's own, else the policy's, at the time it is to begin. */
function capBefore(sql: SqlStorage, terms: TenantTerms, { period, effectiveAt }: ChangeAsk, now: EpochMs): number {
  const policy = period === "daily" ? terms.dailyCapMicros : terms.monthlyCapMicros;
  const caps = [now, effectiveAt ?? now].map((at) => financeCaps(sql, at)[period] ?? policy);
  // A temporary raise that ends before then must not make a raise look like a lowering.
  return Math.min(...caps);
}

/**
 * One person of finance's word on a change that waits: a denial ends it, enough approvals put it in force. Nobody counts who
 * asked for it, owns or issued the credential that did, or does not speak for himself. Run inside `transactionSync`.
 */
export function decideBudgetChange(
  scope: Scope,
  actor: MoneyActor,
  word: {
    readonly requestId: string;
    readonly id: string;
    readonly decision: "approve" | "deny";
    readonly comment: string | null;
  },
): ChangeOutcome {
  const { sql, now } = scope;
  const row = findChange(sql, word.id);
  if (row === null) return { kind: "refused", refusal: { kind: "not-found" } };
  const why = whyNot(actor, row);
  if (why !== null) {
    tell(scope, actor, word.requestId, row, null, why);
    return { kind: "refused", refusal: { kind: "not-eligible", reason: why } };
  }
  const given = decisionsOnChange(sql, row.id);
  const repeated = given.some((one) => one.subject === actor.subject && one.decision === word.decision);
  if (repeated) return changed(sql, row.id);
  if (row.state !== "pending")
    return ended(
      row,
      given.map(({ subject }) => subject),
    );
  if (row.expiresAt <= now) {
    expireBudgetChange(scope, row.id);
    return { kind: "refused", refusal: { kind: "approval-expired", reason: "The request was not decided in time." } };
  }
  sql.exec(
    `INSERT INTO budget_decisions (change_id, subject, decision, comment, decided_at) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (change_id, subject) DO UPDATE SET decision = excluded.decision, comment = excluded.comment, decided_at = excluded.decided_at`,
    row.id,
    actor.subject,
    word.decision,
    word.comment,
    now,
  );
  if (word.decision === "deny") {
    moveChange(sql, row.id, "denied", row.effectiveAt);
    tell(scope, actor, word.requestId, row, "denied", word.comment);
    return changed(sql, row.id);
  }
  const approvals = decisionsOnChange(sql, row.id).filter(({ decision }) => decision === "approve").length;
  const done = approvals >= row.needed;
  // What was asked for at once begins when it is confirmed, not before: else an older lowering would lose to it.
  if (done) moveChange(sql, row.id, "approved", Math.max(row.effectiveAt, now));
  tell(scope, actor, word.requestId, row, done ? "approved" : null, word.comment);
  return changed(sql, row.id);
}

/** Whether the actor is a person who holds the purse. */
const actsForFinance = ({ class: actorClass, roles }: MoneyActor): boolean =>
  actorClass === "person" && roles.includes("finance");

function whyNot(actor: MoneyActor, row: ChangeRow): string | null {
  if (!actsForFinance(actor)) return "Only people of finance decide about caps.";
  if (actor.fault !== null) return actor.fault;
  if (actor.subject === row.askedBy) return "Whoever asks for a cap cannot confirm it.";
  if (actor.subject === row.owner) return "The owner of the credential that asked cannot decide.";
  if (actor.subject === row.issuer) return "The issuer of the credential that asked cannot decide.";
  return null;
}

/**
 * Takes a change back that waits or is yet to begin, or ends a temporary one at once: by whoever asked, or by finance, for which
 * it never widens anything. A lasting change in force is undone by another change. Run inside `transactionSync`.
 */
export function withdrawBudgetChange(scope: Scope, actor: MoneyActor, requestId: string, id: string): ChangeOutcome {
  const { sql, now } = scope;
  const row = findChange(sql, id);
  if (row === null || (row.askedBy !== actor.subject && !actsForFinance(actor)))
    return { kind: "refused", refusal: { kind: "not-found" } };
  const open = row.state === "pending" || (row.state === "approved" && row.effectiveAt > now);
  const isTemporary = row.state === "approved" && row.endsAt !== null && row.endsAt > now;
  if (!open && !isTemporary)
    return ended(
      row,
      decisionsOnChange(sql, id).map(({ subject }) => subject),
    );
  if (endingWidens(sql, row, now)) return refused("ending it would raise the cap: ask for the higher cap instead");
  moveChange(sql, id, "withdrawn", row.effectiveAt);
  tell(scope, actor, requestId, row, "withdrawn", null);
  return changed(sql, id);
}

/** Taking back a lowering (in force for a time, or yet to come) would widen: that needs a second person like any raise. */
function endingWidens(sql: SqlStorage, row: ChangeRow, now: EpochMs): boolean {
  if (row.state !== "approved") return false;
  const at = Math.max(now, row.effectiveAt);
  const capAt = (without: string | null): number =>
    financeCaps(sql, at, without)[row.period] ?? Number.MAX_SAFE_INTEGER;
  return capAt(row.id) > capAt(null);
}

/** Ends a change that nobody confirmed in time. */
export function expireBudgetChange(scope: Scope, id: string): void {
  const row = findChange(scope.sql, id);
  if (row?.state !== "pending") return;
  // Its job comes early when the clock has stepped back: then it must come again.
  if (row.expiresAt > scope.now) return plan(scope.sql, "budget-change-expiry", id, row.expiresAt);
  moveChange(scope.sql, id, "expired", row.effectiveAt);
  noteAlert(scope.sql, { kind: "budget-change", id, event: "expired" }, scope.now);
  appendEntry(
    scope.sql,
    scope.place,
    `${id}/expired`,
    { ...blankEntry("admin", id, scope.now), reason_code: "budget-expired", detail: describe(row) },
    scope.now,
  );
}

/** Journals what somebody did about a cap; where it moved on, people are told. */
function tell(
  { sql, place, now }: Scope,
  actor: MoneyActor,
  requestId: string,
  row: ChangeRow,
  event: "asked" | "lowered" | "approved" | "denied" | "withdrawn" | null,
  comment: string | null,
): void {
  if (event !== null) noteAlert(sql, { kind: "budget-change", id: row.id, event }, now);
  const current = findChange(sql, row.id);
  appendEntry(
    sql,
    place,
    `${row.id}/${requestId}/${event ?? "word"}`,
    {
      ...blankEntry("admin", requestId, now),
      ...actorOf(actor),
      decision: event === null && current?.state === "pending" ? null : "allow",
      reason_code: event === null ? "budget-decision" : `budget-${event}`,
      reason: row.reason,
      incident: row.incident,
      approval_id: row.id,
      cost_micros: row.capMicros,
      detail: [describe(row), comment].filter((part) => part !== null).join(": "),
    },
    now,
  );
}

const describe = ({ period, fromMicros, capMicros, endsAt }: ChangeRow): string =>
  `${period} cap from ${formatUsd(fromMicros)} to ${formatUsd(capMicros)} USD${endsAt === null ? "" : ` until ${new Date(endsAt).toISOString()}`}`;

function changed(sql: SqlStorage, id: string): ChangeOutcome {
  const change = budgetChange(sql, id);
  assert(change !== null, "a change that was just written exists");
  return { kind: "changed", change };
}

/** A change with what people said about it, null where there is none. */
export function budgetChange(sql: SqlStorage, id: string): BudgetChange | null {
  const row = findChange(sql, id);
  if (row === null) return null;
  const { owner: _owner, issuer: _issuer, ...shown } = row;
  return { ...shown, decisions: decisionsOnChange(sql, id) };
}

const ended = (row: ChangeRow, by: readonly string[]): ChangeOutcome => ({
  kind: "refused",
  refusal: { kind: "already-decided", state: row.state, decided_by: [...by] },
});

const refused = (reason: string): ChangeOutcome => {
  const refusal: Refusal = { kind: "malformed-request", reason };
  return { kind: "refused", refusal };
};
