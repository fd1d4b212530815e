import { newId } from "../../platform/ids.ts";
import { integerOf } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { financeCaps } from "./budget.ts";
import { actsForFinance, expireBudgetChange } from "./budget-change-endings.ts";
import { changed, ended, refused, tell, type ChangeScope } from "./budget-change-record.ts";
import {
  changesOf,
  decisionsOnChange,
  findChange,
  insertChange,
  moveChange,
  type ChangeRow,
} from "./budget-change-rows.ts";
import { plan } from "../due.ts";
import type { ChangeAsk, ChangeOutcome, MoneyActor, TenantTerms } from "./finance-port.ts";
import { minterOf } from "./money-actor.ts";

/** An ask that nobody decided within a week is over: budgets move on. */
const ASK_LIFETIME_MS = 7 * 24 * 3_600_000;

/** Asks of one principal that wait, or that it took back in the last hour. More than finance reads about one asker. */
const ASKS_MAX = 10;
const RECENT_MS = 3_600_000;

/** How many people of finance a higher cap needs, its asker included where that is one of them. */
const PEOPLE_FOR_A_RAISE = 2;

/**
 * Asks for another cap of a period. Finance lowers at once; whatever is higher than the cap of finance's in force (the policy's
 * where finance has set none), now or at its time, waits: for one more person of finance, or for two where the asker is not one.
 * The same ask by a second person of finance confirms the one that waits. Journaled. Run inside `transactionSync`.
 */
export function changeBudget(scope: ChangeScope, actor: MoneyActor, terms: TenantTerms, ask: ChangeAsk): ChangeOutcome {
  const { sql, now } = scope;
  const effectiveAt = ask.effectiveAt ?? now;
  if (effectiveAt < now) return refused("effective_at lies in the past");
  if (ask.endsAt !== null && ask.endsAt <= effectiveAt) return refused("it would end before it begins");
  const isFinance = actsForFinance(actor);
  const inForce = capBefore(sql, terms, ask, now);
  const isRaise = ask.capMicros > inForce;
  if (!isRaise && !isFinance) return refused("the cap in force is not lower than that");
  // A lowering is never mistaken for a word on something that waits: it would wait with it.
  const same = isRaise ? changesOf(sql, "pending").filter((one) => isSameAsk(one, ask, now)) : [];
  const own = same.find((one) => one.askedBy === actor.subject);
  if (own !== undefined) return changed(sql, own.id);
  const waiting = same.find((one) => whyNot(actor, one) === null);
  if (waiting !== undefined) {
    const { requestId, reason: comment } = ask;
    return decideBudgetChange(scope, actor, { requestId, id: waiting.id, decision: "approve", comment });
  }
  if (isRaise && asksOf(sql, actor.subject, now) >= ASKS_MAX) {
    const limit = `${ASKS_MAX} budget requests of one principal that wait, or were taken back within the hour`;
    return { kind: "refused", refusal: { kind: "rate-limited", limit, retry_after_s: RECENT_MS / 1_000 } };
  }
  const lowers = isFinance && !isRaise;
  // A key that somebody minted in a person's name asks like anybody else: it is not one of the two.
  const isOne = isFinance && actor.fault === null;
  const row: ChangeRow = {
    id: newId("bud"),
    kind: lowers ? "lower" : isOne ? "raise" : "request",
    state: lowers ? "approved" : "pending",
    period: ask.period,
    capMicros: ask.capMicros,
    fromMicros: inForce,
    askedBy: actor.subject,
    owner: actor.owner,
    issuer: minterOf(actor),
    reason: ask.reason,
    incident: ask.incident,
    needed: lowers ? 0 : isOne ? PEOPLE_FOR_A_RAISE - 1 : PEOPLE_FOR_A_RAISE,
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

/** Whether a change that waits is what is asked for: the same cap, from the same time on (what is due begins when confirmed). */
const isSameAsk = (one: ChangeRow, { period, capMicros, effectiveAt, endsAt }: ChangeAsk, now: EpochMs): boolean =>
  one.period === period &&
  one.capMicros === capMicros &&
  one.endsAt === endsAt &&
  Math.max(one.effectiveAt, now) === (effectiveAt ?? now);

/** How often this principal has lately had finance look at an ask that it did not decide. */
function asksOf(sql: SqlStorage, subject: string, now: EpochMs): number {
  const row = sql
    .exec(
      `SELECT count(*) AS count FROM budget_changes INDEXED BY budget_changes_by_state
       WHERE asked_by = ? AND (state = 'pending' OR (state = 'withdrawn' AND asked_at > ?))`,
      subject,
      now - RECENT_MS,
    )
    .one();
  return integerOf(row, "count");
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
  scope: ChangeScope,
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
    tell(scope, actor, word.requestId, row, "refused", why);
    return { kind: "refused", refusal: { kind: "not-eligible", reason: why } };
  }
  const given = decisionsOnChange(sql, row.id);
  const repeated = given.some((one) => one.subject === actor.subject && one.decision === word.decision);
  if (repeated) return changed(sql, row.id);
  if (row.state !== "pending") return ended(sql, row);
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
  tell(scope, actor, word.requestId, row, done ? "approved" : "word", word.comment);
  return changed(sql, row.id);
}

function whyNot(actor: MoneyActor, row: ChangeRow): string | null {
  if (!actsForFinance(actor)) return "Only people of finance decide about caps.";
  if (actor.fault !== null) return actor.fault;
  if (actor.subject === row.askedBy) return "Whoever asks for a cap cannot confirm it.";
  if (actor.subject === row.owner) return "The owner of the credential that asked cannot decide.";
  if (actor.subject === row.issuer) return "The issuer of the credential that asked cannot decide.";
  return null;
}
