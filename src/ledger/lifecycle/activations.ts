import { integerOf, integerOrNull, textOf, textOrNull } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";

/**
 * When which version came in force, and what is to come in force by itself; a step of the ledger's schema. Versions that were in
 * force before this was kept are carried over with the newest time of each: earlier ones were not recorded.
 */
export const LIFECYCLE_SCHEMA = `
  CREATE TABLE activations (
    number INTEGER PRIMARY KEY, version INTEGER NOT NULL, previous INTEGER, by TEXT NOT NULL, at INTEGER NOT NULL,
    how TEXT NOT NULL CHECK (how IN ('founding','at-once','scheduled')), reason TEXT
  );
  INSERT INTO activations (version, previous, by, at, how)
    SELECT version, lag(version) OVER (ORDER BY activated_at, version), activated_by, activated_at,
      CASE WHEN version = 1 THEN 'founding' ELSE 'at-once' END
    FROM versions WHERE activated_at IS NOT NULL ORDER BY activated_at, version;
  CREATE TABLE schedules (
    version INTEGER PRIMARY KEY, at INTEGER NOT NULL, subject TEXT NOT NULL, class TEXT NOT NULL, credential_id TEXT NOT NULL,
    demo INTEGER NOT NULL, roles TEXT NOT NULL, people TEXT NOT NULL, reason TEXT, made_at INTEGER NOT NULL,
    request_id TEXT NOT NULL
  );
`;

/** How a version came in force: with its tenant, by a call, or at its time. */
export const WAYS_IN_FORCE = ["founding", "at-once", "scheduled"] as const;
export type WayInForce = (typeof WAYS_IN_FORCE)[number];

/** One time that a version came in force. `previous`: the one that was until then. */
export type Activation = {
  readonly version: number;
  readonly previous: number | null;
  readonly by: string;
  readonly at: EpochMs;
  readonly how: WayInForce;
  readonly reason: string | null;
};

/** Records that a version is in force from now on. Joins the transaction that puts it there. */
export function recordActivation(sql: SqlStorage, one: Activation): void {
  sql.exec(
    "INSERT INTO activations (version, previous, by, at, how, reason) VALUES (?, ?, ?, ?, ?, ?)",
    one.version,
    one.previous,
    one.by,
    one.at,
    one.how,
    one.reason,
  );
}

/** Activations, newest first: the first is the version in force. */
export function listActivations(sql: SqlStorage, limit: number): readonly Activation[] {
  return sql
    .exec("SELECT * FROM activations ORDER BY number DESC LIMIT ?", limit)
    .toArray()
    .map((row) => ({
      version: integerOf(row, "version"),
      previous: integerOrNull(row, "previous"),
      by: textOf(row, "by"),
      at: integerOf(row, "at"),
      how: WAYS_IN_FORCE.find((known) => known === row["how"]) ?? "at-once",
      reason: textOrNull(row, "reason"),
    }));
}
