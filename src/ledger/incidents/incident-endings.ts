import type { Place } from "../../audit/journal.ts";
import { blankEntry, type AuditEntry } from "../../audit/record.ts";
import { integerOf, textOf } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { plan } from "../due.ts";
import type { Incident } from "./incident-port.ts";
import { isDerived, recordIncident, tellIncident } from "./incident-record.ts";
import { findIncident } from "./incident-rows.ts";

/** Ends a claim for good. `entry` null: nobody did, its time was over. */
export function endClaim(
  sql: SqlStorage,
  place: Place,
  incident: Incident,
  end: {
    readonly state: "resolved" | "released" | "expired";
    readonly outcome?: string;
    readonly note?: string | null;
    readonly by?: string;
    readonly entry: AuditEntry | null;
  },
  now: EpochMs,
): Incident {
  const { state, outcome = null, note = null, by = null } = end;
  sql.exec(
    "UPDATE incidents SET state = ?, outcome = ?, note = ?, ended_by = ?, ended_at = ? WHERE key = ?",
    state,
    outcome,
    note,
    by,
    now,
    incident.key,
  );
  sql.exec("DELETE FROM incident_work WHERE key = ?", incident.key);
  const ended: Incident = { ...incident, state, outcome, note, endedBy: by, endedAt: now, open: [] };
  const entry = end.entry ?? blankEntry("admin", incident.requestId, now);
  const detail = [outcome, note].filter((part) => part !== null).join(": ") || null;
  recordIncident(sql, place, ended, state, { entry, detail }, now);
  tellIncident(sql, ended, state, by, now);
  return ended;
}

/**
 * A proposal ended without being run, or an operation ended. A claim under which nothing was run ends with its last proposal; a
 * derived one with its last operation, because that was the remediation; any other stays for its holder's next step.
 * `invalidated` proposals have a successor, which claims in their place (`releaseIdle`).
 */
export function endWork(
  sql: SqlStorage,
  place: Place,
  ref: string,
  end: "dropped" | "invalidated" | "not-sent" | "succeeded" | "failed",
  entry: AuditEntry,
  now: EpochMs,
): void {
  const row = sql.exec("DELETE FROM incident_work WHERE ref = ? RETURNING key", ref).toArray()[0];
  const incident = row === undefined ? null : findIncident(sql, textOf(row, "key"));
  if (incident === null || incident.state !== "claimed") return;
  const hasRun = end === "succeeded" || end === "failed";
  if (hasRun) sql.exec("UPDATE incidents SET kept = 1 WHERE key = ?", incident.key);
  const said = { ...entry, decision: null };
  if (incident.open.length === 0) {
    if (hasRun && isDerived(incident.key)) {
      endClaim(sql, place, incident, { state: "resolved", outcome: end, entry: said }, now);
      return;
    }
    if ((end === "dropped" || end === "not-sent") && !isKept(sql, incident.key)) {
      endClaim(sql, place, incident, { state: "released", entry: said }, now);
      return;
    }
  }
  const expiresAt = now + incident.claimMs;
  sql.exec("UPDATE incidents SET expires_at = ? WHERE key = ?", expiresAt, incident.key);
  plan(sql, "incident-expiry", incident.key, expiresAt);
}

const isKept = (sql: SqlStorage, key: string): boolean =>
  integerOf(sql.exec("SELECT kept FROM incidents WHERE key = ?", key).one(), "kept") === 1;

/** Releases what this principal claimed for proposals that have no successor after all. */
export function releaseIdle(sql: SqlStorage, place: Place, owner: string, entry: AuditEntry, now: EpochMs): void {
  const idle = sql
    .exec(
      `SELECT key FROM incidents INDEXED BY incidents_by_owner WHERE owner = ? AND state = 'claimed' AND kept = 0
         AND NOT EXISTS (SELECT 1 FROM incident_work WHERE incident_work.key = incidents.key)`,
      owner,
    )
    .toArray();
  for (const row of idle) {
    const incident = findIncident(sql, textOf(row, "key"));
    if (incident !== null)
      endClaim(sql, place, incident, { state: "released", entry: { ...entry, decision: null } }, now);
  }
}

/** Ends a claim whose time is over; one that has something open is asked about again when that ends. */
export function expireIncident(sql: SqlStorage, place: Place, key: string, now: EpochMs): void {
  const incident = findIncident(sql, key);
  if (incident === null || incident.state !== "claimed" || incident.open.length > 0) return;
  // It was used since; or the clock has stepped back.
  if (incident.expiresAt > now) return plan(sql, "incident-expiry", key, incident.expiresAt);
  endClaim(sql, place, incident, { state: "expired", entry: null }, now);
}
