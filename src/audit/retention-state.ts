import { integerOf, textOf } from "../platform/sql-row.ts";
import { digestOf } from "../platform/digest.ts";
import type { Digest, EpochMs } from "../vocabulary.ts";
import { GENESIS } from "./journal.ts";

/**
 * How far retention has come in each of a tenant's logs, in its ledger; a step of the ledger's schema. It deletes a log from its
 * beginning on, so each of these is one number, and `deleted <= stated <= checked`:
 * `checked`: up to here D1 has what the log's tree has, nothing of it younger than `checked_until`. `stated`: up to here an audit
 * record says that the texts go. `deleted`: up to here they are gone.
 */
export const RETENTION_SCHEMA = `
  ALTER TABLE authority ADD COLUMN retention TEXT;
  ALTER TABLE versions ADD COLUMN retention TEXT;
  CREATE TABLE retention (
    log TEXT PRIMARY KEY, deleted INTEGER NOT NULL, stated INTEGER NOT NULL, stated_digest TEXT NOT NULL,
    stated_days INTEGER NOT NULL, stated_by INTEGER NOT NULL, stated_at INTEGER NOT NULL, checked INTEGER NOT NULL, checked_digest TEXT NOT NULL, checked_until INTEGER NOT NULL,
    others INTEGER NOT NULL,
    CHECK (deleted <= stated AND stated <= checked)
  ) WITHOUT ROWID;
  INSERT OR IGNORE INTO due (at, job, ref) SELECT 0, 'audit-retention', 'all' FROM authority;
`;

/** Where retention stands in one log. Digests are over what is left of all records up to there (`remainsDigest`). */
export type RetentionPlace = {
  readonly log: string;
  readonly deleted: number;
  readonly stated: number;
  readonly statedDigest: Digest;
  /** Under how many days of retention that was. */
  readonly statedDays: number;
  /** The record that says so: its sequence in the ledger's log, and its time. */
  readonly statedBy: number;
  readonly statedAt: EpochMs;
  readonly checked: number;
  readonly checkedDigest: Digest;
  /** Time of the youngest record up to `checked`. */
  readonly checkedUntil: EpochMs;
  /** Whether there is anything between `stated` and `checked` but retention's own records: for those alone it makes no new one. */
  readonly hasOthers: boolean;
};

/** What is left of a deleted record. `leaf`: of the log's tree, base64. */
export type Remains = { readonly sequence: number; readonly hash: string; readonly leaf: string };

const REMAINS_DOMAIN = "portcullis/audit-deleted/v1";

/** The digest over what is left of a log's records, one record further. Before the first: that of `GENESIS`. */
export const remainsDigest = (before: Digest, { sequence, hash, leaf }: Remains): Digest =>
  digestOf(REMAINS_DOMAIN, `${before}\n${sequence} ${hash} ${leaf}`);

/** Where retention stands in this log; at its beginning where it never came there. */
export function retentionPlace(sql: SqlStorage, log: string): RetentionPlace {
  const row = sql.exec("SELECT * FROM retention WHERE log = ?", log).toArray()[0];
  if (row === undefined)
    return {
      log,
      deleted: 0,
      stated: 0,
      statedDigest: GENESIS,
      statedDays: 0,
      statedBy: 0,
      statedAt: 0,
      checked: 0,
      checkedDigest: GENESIS,
      checkedUntil: 0,
      hasOthers: false,
    };
  return {
    log,
    deleted: integerOf(row, "deleted"),
    stated: integerOf(row, "stated"),
    statedDigest: digestIn(textOf(row, "stated_digest")),
    statedDays: integerOf(row, "stated_days"),
    statedBy: integerOf(row, "stated_by"),
    statedAt: integerOf(row, "stated_at"),
    checked: integerOf(row, "checked"),
    checkedDigest: digestIn(textOf(row, "checked_digest")),
    checkedUntil: integerOf(row, "checked_until"),
    hasOthers: row["others"] === 1,
  };
}

/** Stores where retention stands in a log. Joins the caller's transaction. */
export function keepPlace(sql: SqlStorage, place: RetentionPlace): void {
  sql.exec(
    `INSERT OR REPLACE INTO retention
       (log, deleted, stated, stated_digest, stated_days, stated_by, stated_at, checked, checked_digest, checked_until, others)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    place.log,
    place.deleted,
    place.stated,
    place.statedDigest,
    place.statedDays,
    place.statedBy,
    place.statedAt,
    place.checked,
    place.checkedDigest,
    place.checkedUntil,
    place.hasOthers ? 1 : 0,
  );
}

/** Written by `keepPlace`. */
const digestIn = (text: string): Digest => `sha256:${text.slice("sha256:".length)}`;
