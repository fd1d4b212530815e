import { SINK_SCHEMA } from "../audit/copy-cursor.ts";
import { JOURNAL_SCHEMA } from "../audit/journal.ts";
import { TREE_SCHEMA } from "../audit/log-tree.ts";
import { RETENTION_SCHEMA } from "../audit/retention-state.ts";
import { LIFECYCLE_SCHEMA } from "./lifecycle/activations.ts";
import { AGGREGATE_SCHEMA } from "./aggregates/aggregate-parts.ts";
import { ACTIVITY_BATCH_SCHEMA, ACTIVITY_SCHEMA } from "./activity.ts";
import { INCIDENT_SCHEMA } from "./incidents/incident-rows.ts";
import { FREEZE_SCHEMA } from "./freezes.ts";
import { REGISTRATION_SCHEMA } from "./lifecycle/registrations.ts";
import { SIGNAL_SCHEMA } from "./signals.ts";

/**
 * SQLite of the TenantLedger, in append-only steps (see docs/storage.md for owner, writer and lifetime of each table).
 * CHECKs are a second line of defence: the transaction's own checks must never let them fire.
 *
 * Narrow tables are WITHOUT ROWID: their key costs no second row. Wide ones (`operations`, `approvals`, `journal`) are not:
 * a row beyond a quarter of a page would lie in overflow pages, which SQLite reads whole at every comparison of keys.
 */
export const LEDGER_SCHEMA: readonly string[] = [
  `
  CREATE TABLE authority (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    tenant TEXT NOT NULL, version INTEGER NOT NULL,
    policy TEXT NOT NULL, people TEXT NOT NULL, catalogue TEXT NOT NULL, prices TEXT NOT NULL,
    daily_cap_micros INTEGER NOT NULL, monthly_cap_micros INTEGER NOT NULL,
    credential_epoch INTEGER NOT NULL
  );
  CREATE TABLE versions (
    version INTEGER PRIMARY KEY, policy TEXT NOT NULL, people TEXT NOT NULL, catalogue TEXT NOT NULL, prices TEXT NOT NULL,
    daily_cap_micros INTEGER NOT NULL, monthly_cap_micros INTEGER NOT NULL,
    author TEXT NOT NULL, reason TEXT NOT NULL, git_commit TEXT, created_at INTEGER NOT NULL,
    activated_by TEXT, activated_at INTEGER
  );
  CREATE TABLE credentials (
    credential_id TEXT PRIMARY KEY, subject TEXT NOT NULL, record TEXT NOT NULL,
    expires_at INTEGER NOT NULL, created_at INTEGER NOT NULL, revoked_at INTEGER, revoked_by TEXT
  ) WITHOUT ROWID;
  CREATE TABLE freezes (scope TEXT PRIMARY KEY, reason TEXT NOT NULL, frozen_by TEXT NOT NULL, role TEXT NOT NULL, since INTEGER NOT NULL) WITHOUT ROWID;
  CREATE TABLE windows (
    window TEXT PRIMARY KEY, held_micros INTEGER NOT NULL CHECK (held_micros >= 0),
    settled_micros INTEGER NOT NULL CHECK (settled_micros >= 0)
  ) WITHOUT ROWID;
  CREATE TABLE reservations (
    id TEXT PRIMARY KEY, state TEXT NOT NULL CHECK (state IN ('held','dispatching','committed','unknown','settled','released')),
    principal TEXT NOT NULL, action TEXT NOT NULL, daily_window TEXT NOT NULL, monthly_window TEXT NOT NULL,
    ceiling_micros INTEGER NOT NULL CHECK (ceiling_micros >= 0), settled_micros INTEGER, basis TEXT,
    created_at INTEGER NOT NULL, resolved_at INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX reservations_open ON reservations (ceiling_micros)
    WHERE state IN ('held','dispatching','committed','unknown');
  CREATE INDEX reservations_held ON reservations (daily_window, principal) WHERE state = 'held';
  CREATE TABLE operations (
    request_id TEXT NOT NULL PRIMARY KEY, principal TEXT NOT NULL, request_digest TEXT NOT NULL, sent TEXT,
    catalogue TEXT NOT NULL, resource TEXT, state TEXT NOT NULL CHECK (state IN ('dispatching','succeeded','failed','unknown','not-sent')),
    duration_ms INTEGER, entry TEXT NOT NULL, admitted_at INTEGER NOT NULL, completed_at INTEGER,
    upstream_status INTEGER, response TEXT, absent_since INTEGER, look_ups INTEGER NOT NULL DEFAULT 0
  );
  CREATE TABLE busy_resources (resource TEXT PRIMARY KEY, request_id TEXT NOT NULL) WITHOUT ROWID;
  CREATE TABLE idempotency (
    handle TEXT PRIMARY KEY, request_id TEXT NOT NULL, request_digest TEXT NOT NULL, created_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE receipts (
    receipt TEXT PRIMARY KEY, principal TEXT NOT NULL, request_digest TEXT NOT NULL, expires_at INTEGER NOT NULL, consumed_by TEXT
  ) WITHOUT ROWID;
  CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('draft','pending','approved','denied','expired','withdrawn','invalidated','consumed')),
    principal TEXT NOT NULL, owner TEXT NOT NULL, issuer TEXT NOT NULL, delegation TEXT NOT NULL,
    request_digest TEXT NOT NULL, approval_digest TEXT NOT NULL,
    tier INTEGER NOT NULL, needed INTEGER NOT NULL, terms TEXT NOT NULL, shown TEXT NOT NULL, entry TEXT NOT NULL,
    action TEXT NOT NULL, stored TEXT,
    ceiling_micros INTEGER NOT NULL, timeout_ms INTEGER NOT NULL, opened_at INTEGER NOT NULL, expires_at INTEGER NOT NULL,
    grant_jti TEXT UNIQUE, decided_at INTEGER, consumed_by TEXT
  );
  CREATE INDEX approvals_by_request ON approvals (principal, request_digest, opened_at);
  CREATE INDEX approvals_by_state ON approvals (state, opened_at);
  CREATE INDEX approvals_by_action ON approvals (principal, action, decided_at);
  CREATE TABLE attempts (
    approval_id TEXT NOT NULL, subject TEXT NOT NULL, decision TEXT NOT NULL, reason TEXT NOT NULL, attempted_at INTEGER NOT NULL,
    PRIMARY KEY (approval_id, subject)
  ) WITHOUT ROWID;
  CREATE TABLE reviews (
    approval_id TEXT PRIMARY KEY, broken_by TEXT NOT NULL, broken_at INTEGER NOT NULL,
    reviewed_by TEXT, comment TEXT, reviewed_at INTEGER
  ) WITHOUT ROWID;
  CREATE TABLE notices (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL, approval_id TEXT NOT NULL, request_id TEXT, at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE decisions (
    approval_id TEXT NOT NULL, subject TEXT NOT NULL, decision TEXT NOT NULL CHECK (decision IN ('approve','deny','break-glass')),
    comment TEXT, credential_id TEXT NOT NULL, demo INTEGER NOT NULL, decided_at INTEGER NOT NULL,
    PRIMARY KEY (approval_id, subject)
  ) WITHOUT ROWID;
  CREATE TABLE due (at INTEGER NOT NULL, job TEXT NOT NULL, ref TEXT NOT NULL, PRIMARY KEY (at, job, ref)) WITHOUT ROWID;
  ${JOURNAL_SCHEMA}
  `,
  `
  CREATE TABLE signed_decisions (
    issuer TEXT NOT NULL, jti TEXT NOT NULL, approval_id TEXT NOT NULL, subject TEXT NOT NULL, counted_at INTEGER NOT NULL,
    PRIMARY KEY (issuer, jti)
  ) WITHOUT ROWID;
  CREATE TABLE standing_approvals (
    id TEXT PRIMARY KEY, owner TEXT NOT NULL, action TEXT NOT NULL, pins TEXT NOT NULL,
    uses INTEGER NOT NULL CHECK (uses > 0), cap_micros INTEGER NOT NULL CHECK (cap_micros >= 0), ends_at INTEGER NOT NULL,
    used INTEGER NOT NULL DEFAULT 0 CHECK (used BETWEEN 0 AND uses),
    used_micros INTEGER NOT NULL DEFAULT 0 CHECK (used_micros BETWEEN 0 AND cap_micros)
  ) WITHOUT ROWID;
  CREATE INDEX standing_by_owner ON standing_approvals (owner, action, ends_at);
  CREATE TABLE standing_uses (
    request_id TEXT PRIMARY KEY, approval_id TEXT NOT NULL, micros INTEGER NOT NULL, used_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  `,
  `
  ALTER TABLE windows ADD COLUMN gross_micros INTEGER NOT NULL DEFAULT 0 CHECK (gross_micros >= 0);
  ALTER TABLE reservations ADD COLUMN team TEXT;
  ALTER TABLE reservations ADD COLUMN price_version TEXT;
  ALTER TABLE reservations ADD COLUMN resource TEXT;
  ALTER TABLE reservations ADD COLUMN settled_by TEXT
    CHECK (settled_by IN ('price','response','status','ceiling','usage','people'));
  ALTER TABLE reservations ADD COLUMN ended_at INTEGER;
  CREATE INDEX reservations_running ON reservations (resource) WHERE state = 'committed' AND resource IS NOT NULL;
  CREATE INDEX reservations_unresolved ON reservations (resolved_at) WHERE settled_by = 'ceiling';
  ALTER TABLE operations ADD COLUMN route TEXT;
  ALTER TABLE operations ADD COLUMN result_micros INTEGER;
  CREATE TABLE entries (
    monthly_window TEXT NOT NULL, number INTEGER NOT NULL, daily_window TEXT NOT NULL, at INTEGER NOT NULL,
    reservation TEXT NOT NULL, kind TEXT NOT NULL CHECK (kind IN ('hold','release','settle','adjust')),
    principal TEXT NOT NULL, team TEXT, action TEXT NOT NULL,
    held_micros INTEGER NOT NULL, settled_micros INTEGER NOT NULL, gross_micros INTEGER NOT NULL,
    basis TEXT NOT NULL, price_version TEXT,
    PRIMARY KEY (monthly_window, number)
  ) WITHOUT ROWID;
  INSERT INTO entries (monthly_window, number, daily_window, at, reservation, kind, principal, action,
      held_micros, settled_micros, gross_micros, basis)
    SELECT monthly_window, row_number() OVER (PARTITION BY monthly_window ORDER BY created_at, id), daily_window,
      created_at, id, 'hold', principal, action,
      CASE WHEN state = 'settled' THEN 0 ELSE ceiling_micros END, coalesce(settled_micros, 0),
      CASE WHEN state = 'held' THEN 0 ELSE ceiling_micros END, 'carried over'
    FROM reservations WHERE state <> 'released' AND ceiling_micros > 0;
  UPDATE windows SET gross_micros = coalesce((SELECT sum(gross_micros) FROM entries
    WHERE entries.daily_window = windows.window OR entries.monthly_window = windows.window), 0);
  CREATE TABLE calendar (
    period TEXT PRIMARY KEY CHECK (period IN ('daily','monthly')), window TEXT NOT NULL, timezone TEXT NOT NULL,
    ends_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE TABLE budget_changes (
    id TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('lower','raise','request')),
    state TEXT NOT NULL CHECK (state IN ('pending','approved','denied','withdrawn','expired')),
    period TEXT NOT NULL CHECK (period IN ('daily','monthly')),
    cap_micros INTEGER NOT NULL CHECK (cap_micros >= 0), from_micros INTEGER NOT NULL,
    asked_by TEXT NOT NULL, owner TEXT NOT NULL, issuer TEXT NOT NULL, reason TEXT NOT NULL, incident TEXT,
    needed INTEGER NOT NULL, effective_at INTEGER NOT NULL, ends_at INTEGER,
    asked_at INTEGER NOT NULL, expires_at INTEGER NOT NULL
  );
  CREATE INDEX budget_changes_by_state ON budget_changes (state, effective_at);
  CREATE TABLE budget_decisions (
    change_id TEXT NOT NULL, subject TEXT NOT NULL, decision TEXT NOT NULL CHECK (decision IN ('approve','deny')),
    comment TEXT, decided_at INTEGER NOT NULL, PRIMARY KEY (change_id, subject)
  ) WITHOUT ROWID;
  CREATE TABLE usage_reports (
    request_id TEXT NOT NULL, evidence TEXT NOT NULL, actual_micros INTEGER NOT NULL CHECK (actual_micros >= 0),
    ended_at INTEGER, reported_by TEXT NOT NULL, reported_at INTEGER NOT NULL, confirmed_by TEXT,
    state TEXT NOT NULL CHECK (state IN ('waiting','applied')), PRIMARY KEY (request_id, evidence)
  ) WITHOUT ROWID;
  CREATE TABLE resolutions (
    request_id TEXT NOT NULL, subject TEXT NOT NULL, roles TEXT NOT NULL, outcome TEXT NOT NULL CHECK (outcome IN ('succeeded','failed')),
    actual_micros INTEGER, evidence TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (request_id, subject)
  ) WITHOUT ROWID;
  `,
  `
  ALTER TABLE notices ADD COLUMN alert TEXT;
  CREATE TABLE alerts (id TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
  `,
  `
  ALTER TABLE authority ADD COLUMN money TEXT;
  ALTER TABLE versions ADD COLUMN money TEXT;
  `,
  `
  ALTER TABLE reservations ADD COLUMN spent_micros INTEGER NOT NULL DEFAULT 0 CHECK (spent_micros >= 0);
  ALTER TABLE reservations ADD COLUMN spent_at INTEGER;
  ALTER TABLE usage_reports ADD COLUMN owner TEXT;
  ALTER TABLE usage_reports ADD COLUMN issuer TEXT;
  `,
  TREE_SCHEMA,
  SIGNAL_SCHEMA,
  SINK_SCHEMA,
  LIFECYCLE_SCHEMA,
  RETENTION_SCHEMA,
  `${ACTIVITY_SCHEMA}
   ${ACTIVITY_BATCH_SCHEMA}`,
  INCIDENT_SCHEMA,
  AGGREGATE_SCHEMA,
  FREEZE_SCHEMA,
  REGISTRATION_SCHEMA,
];
