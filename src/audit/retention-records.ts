import { newId } from "../platform/ids.ts";
import { integerOf } from "../platform/sql-row.ts";
import type { Digest, EpochMs } from "../vocabulary.ts";
import { appendEntry, type Place } from "./journal.ts";
import { blankEntry } from "./record.ts";
import { keepPlace, retentionPlace, type RetentionPlace } from "./retention-state.ts";
import { AUDIT_LOGS } from "./tree-port.ts";

/** Under what a tenant's records go: days of retention, the time before which they are older than that, the policy that says so. */
export type RetentionTerms = { readonly days: number; readonly bound: EpochMs; readonly policy: Digest };

/** `reason_code` of the record that says how far the texts of each log go. The verifier has its own copy. */
export const RETENTION_CODE = "audit-retention";

/**
 * Puts on record how far the texts of each log go, and under which retention. From then on they may go. Joins the caller's
 * transaction: the record and what rests on it are stored together.
 *
 * It says so of every log, also of those from which nothing new goes: so the newest of these records is all that is needed to know
 * what retention has deleted, and the ones before it may go themselves.
 */
export function stateRetention(
  sql: SqlStorage,
  place: Place,
  { days, bound, policy }: RetentionTerms,
  now: EpochMs,
): void {
  const places = AUDIT_LOGS.map((log) => retentionPlace(sql, log)).map((one): RetentionPlace => {
    if (one.checkedUntil >= bound) return one;
    return { ...one, stated: one.checked, statedDigest: one.checkedDigest, statedDays: days, hasOthers: false };
  });
  const begun = places.filter(({ stated }) => stated > 0);
  const records = begun.reduce((sum, { stated, deleted }) => sum + stated - deleted, 0);
  const olderThan = new Date(bound).toISOString();
  const requestId = newId("req");
  appendEntry(
    sql,
    place,
    `${requestId}/${RETENTION_CODE}`,
    {
      ...blankEntry("admin", requestId, now),
      principal: "retention",
      principal_class: "gate",
      decision: "allow",
      reason_code: RETENTION_CODE,
      detail: `the texts of ${records} records older than ${olderThan} go: ${begun.map(({ log, stated }) => `${log} up to ${stated}`).join(", ")}`,
      policy_digest: policy,
      facts: {
        retain_days: days,
        older_than: olderThan,
        records,
        logs: begun.map(({ log, stated, statedDigest }) => `${log} ${stated} ${statedDigest}`),
      },
    },
    now,
  );
  const statedBy = integerOf(sql.exec("SELECT max(sequence) AS newest FROM journal").one(), "newest");
  for (const one of begun) keepPlace(sql, { ...one, statedBy, statedAt: now });
}

/** Puts on record that so many uploads of evidence go, which nothing has named since `before`. */
export function recordUploads(
  sql: SqlStorage,
  place: Place,
  { days, policy }: RetentionTerms,
  uploads: number,
  before: EpochMs,
  now: EpochMs,
): void {
  const requestId = newId("req");
  appendEntry(
    sql,
    place,
    `${requestId}/evidence-retention`,
    {
      ...blankEntry("admin", requestId, now),
      principal: "retention",
      principal_class: "gate",
      decision: "allow",
      reason_code: "evidence-retention",
      detail: `${uploads} uploads of evidence go, which no request has named since ${new Date(before).toISOString()}`,
      policy_digest: policy,
      facts: { retain_days: days, uploads },
    },
    now,
  );
}
