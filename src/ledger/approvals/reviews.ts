import { integerOf, integerOrNull, textOf, textOrNull } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";

/** The review that every breaking of the glass needs afterwards: by somebody else who could have approved. */
export type Review = {
  readonly brokenBy: string;
  readonly brokenAt: EpochMs;
  readonly reviewedBy: string | null;
  readonly comment: string | null;
  readonly reviewedAt: EpochMs | null;
};

/** Asks for the review of a proposal whose glass was just broken. */
export function requireReview(sql: SqlStorage, approvalId: string, brokenBy: string, now: EpochMs): void {
  sql.exec(
    "INSERT OR IGNORE INTO reviews (approval_id, broken_by, broken_at) VALUES (?, ?, ?)",
    approvalId,
    brokenBy,
    now,
  );
}

/** The review that a proposal had or still needs; null where nobody broke the glass. */
export function reviewOf(sql: SqlStorage, approvalId: string): Review | null {
  const row = sql.exec("SELECT * FROM reviews WHERE approval_id = ?", approvalId).toArray()[0];
  if (row === undefined) return null;
  return {
    brokenBy: textOf(row, "broken_by"),
    brokenAt: integerOf(row, "broken_at"),
    reviewedBy: textOrNull(row, "reviewed_by"),
    comment: textOrNull(row, "comment"),
    reviewedAt: integerOrNull(row, "reviewed_at"),
  };
}

/** The proposal for which this person broke the glass and which nobody has reviewed yet; null where there is none. */
export function awaitingReview(sql: SqlStorage, subject: string): string | null {
  const row = sql
    .exec("SELECT approval_id FROM reviews WHERE broken_by = ? AND reviewed_at IS NULL LIMIT 1", subject)
    .toArray()[0];
  return row === undefined ? null : textOf(row, "approval_id");
}
