import { integerOf, textOf } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { countIneligible } from "../signals.ts";

/** Somebody whose word on a proposal does not count tried to decide it. */
export type Attempt = {
  readonly subject: string;
  readonly decision: string;
  readonly reason: string;
  readonly attemptedAt: EpochMs;
};

/** Attempts kept per proposal, one per person: what more come to stands in the journal, as these do. */
const ATTEMPTS_MAX = 20;

/** Notes an attempt, the last of each person, and counts it. Everybody who may see the proposal sees it. */
export function noteAttempt(sql: SqlStorage, approvalId: string, attempt: Attempt): void {
  sql.exec(
    `INSERT INTO attempts (approval_id, subject, decision, reason, attempted_at)
     SELECT ?1, ?2, ?3, ?4, ?5
     WHERE (SELECT count(*) FROM attempts WHERE approval_id = ?1 AND subject <> ?2) < ?6
     ON CONFLICT (approval_id, subject) DO UPDATE SET decision = excluded.decision, reason = excluded.reason,
       attempted_at = excluded.attempted_at`,
    approvalId,
    attempt.subject,
    attempt.decision,
    attempt.reason,
    attempt.attemptedAt,
    ATTEMPTS_MAX,
  );
  countIneligible(sql, attempt.subject, attempt.attemptedAt);
}

/** Attempts at a proposal by people whose word does not count, first to last. */
export const attemptsOf = (sql: SqlStorage, approvalId: string): readonly Attempt[] =>
  sql
    .exec("SELECT * FROM attempts WHERE approval_id = ? ORDER BY attempted_at, subject", approvalId)
    .toArray()
    .map((row) => ({
      subject: textOf(row, "subject"),
      decision: textOf(row, "decision"),
      reason: textOf(row, "reason"),
      attemptedAt: integerOf(row, "attempted_at"),
    }));
