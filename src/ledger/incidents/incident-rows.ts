import { assert } from "../../platform/assert.ts";
import { integerOf, integerOrNull, textOf, textOrNull, type SqlRow } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { INCIDENT_STATES, type Incident } from "./incident-port.ts";

/**
 * Claims and escalations; a step of the ledger's schema. One row per key: the latest claim. `kept`: something was run under it,
 * or it was given to its owner, so that it does not end with its last open proposal. `incident_work`: what is open under it.
 */
export const INCIDENT_SCHEMA = `
  CREATE TABLE incidents (
    key TEXT PRIMARY KEY, serial INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('claimed','resolved','released','expired')),
    owner TEXT NOT NULL, person TEXT, action TEXT, request_id TEXT NOT NULL, approval_id TEXT,
    started_at INTEGER NOT NULL, claim_ms INTEGER NOT NULL, expires_at INTEGER NOT NULL, kept INTEGER NOT NULL DEFAULT 0,
    outcome TEXT, note TEXT, ended_by TEXT, ended_at INTEGER
  );
  CREATE INDEX incidents_by_state ON incidents (state, started_at);
  CREATE INDEX incidents_by_owner ON incidents (owner) WHERE state = 'claimed';
  CREATE TABLE incident_work (ref TEXT PRIMARY KEY, key TEXT NOT NULL) WITHOUT ROWID;
  CREATE INDEX incident_work_by_key ON incident_work (key);
  ALTER TABLE approvals ADD COLUMN derived_incident TEXT;
  CREATE TABLE escalations (
    id TEXT PRIMARY KEY, incident TEXT, state TEXT NOT NULL CHECK (state IN ('open','closed')),
    opened_at INTEGER NOT NULL, closed_by TEXT, closed_at INTEGER, note TEXT
  );
  CREATE UNIQUE INDEX escalations_open ON escalations (incident) WHERE state = 'open' AND incident IS NOT NULL;
  CREATE INDEX escalations_by_state ON escalations (state, opened_at);
  CREATE TABLE escalation_entries (
    escalation_id TEXT NOT NULL, number INTEGER NOT NULL, principal TEXT NOT NULL,
    hypothesis TEXT NOT NULL, evidence TEXT NOT NULL, tried TEXT NOT NULL, at INTEGER NOT NULL,
    PRIMARY KEY (escalation_id, number)
  );
  CREATE INDEX escalation_entries_by_principal ON escalation_entries (principal, at);
`;

/** A quarter of a year. */
const RETENTION_MS = 92 * 24 * 3_600_000;

/** The latest claim on this key, null where there was none. */
export function findIncident(sql: SqlStorage, key: string): Incident | null {
  const row = sql.exec("SELECT * FROM incidents WHERE key = ?", key).toArray()[0];
  return row === undefined ? null : fromRow(sql, row);
}

/** Latest claims in one state (or all), newest first, at most `limit`. */
export function listIncidents(sql: SqlStorage, state: string | null, limit: number): readonly Incident[] {
  const rows =
    state === null
      ? sql.exec("SELECT * FROM incidents ORDER BY started_at DESC, rowid DESC LIMIT ?", limit)
      : sql.exec("SELECT * FROM incidents WHERE state = ? ORDER BY started_at DESC, rowid DESC LIMIT ?", state, limit);
  return rows.toArray().map((row) => fromRow(sql, row));
}

/** Ended claims and closed escalations that nobody asks about any more: what happened stays in the audit log. */
export function pruneIncidents(sql: SqlStorage, now: EpochMs): void {
  const before = now - RETENTION_MS;
  sql.exec("DELETE FROM incidents WHERE state <> 'claimed' AND ended_at < ?", before);
  sql.exec(
    "DELETE FROM escalation_entries WHERE escalation_id IN (SELECT id FROM escalations WHERE state = 'closed' AND closed_at < ?)",
    before,
  );
  sql.exec("DELETE FROM escalations WHERE state = 'closed' AND closed_at < ?", before);
}

function fromRow(sql: SqlStorage, row: SqlRow): Incident {
  const key = textOf(row, "key");
  const state = INCIDENT_STATES.find((known) => known === row["state"]);
  assert(state !== undefined, "an incident has a known state");
  return {
    key,
    serial: integerOf(row, "serial"),
    state,
    owner: textOf(row, "owner"),
    person: textOrNull(row, "person"),
    action: textOrNull(row, "action"),
    requestId: textOf(row, "request_id"),
    approvalId: textOrNull(row, "approval_id"),
    startedAt: integerOf(row, "started_at"),
    claimMs: integerOf(row, "claim_ms"),
    expiresAt: integerOf(row, "expires_at"),
    open: sql
      .exec("SELECT ref FROM incident_work WHERE key = ? ORDER BY ref", key)
      .toArray()
      .map((work) => textOf(work, "ref")),
    outcome: textOrNull(row, "outcome"),
    note: textOrNull(row, "note"),
    endedBy: textOrNull(row, "ended_by"),
    endedAt: integerOrNull(row, "ended_at"),
  };
}
