import { appendEntry, type Place } from "../../audit/journal.ts";
import { blankEntry, type AuditEntry } from "../../audit/record.ts";
import { CATALOGUE_INCIDENT } from "../../catalogue/incident-key.ts";
import type { IncidentEvent } from "../../notify/incident-alert.ts";
import { integerOf } from "../../platform/sql-row.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { Incident } from "./incident-port.ts";
import type { Actor } from "../ledger-port.ts";
import { noteAlert } from "../notices.ts";

/** Whether a key is the catalogue's own: callers' keys cannot begin so. */
export const isDerived = (key: string): boolean => key.startsWith(CATALOGUE_INCIDENT);

/** Tells two claims on one key apart, also after the first was forgotten. */
const claimOf = ({ startedAt, serial }: Incident): string => `${startedAt}-${serial}`;

/** The part of a record that says who did it. */
export const actedBy = (actor: Actor, requestId: string, now: EpochMs): AuditEntry => ({
  ...blankEntry("admin", requestId, now),
  principal: actor.subject,
  principal_class: actor.class,
  credential_id: actor.credentialId,
  demo: actor.demo,
  decision: "allow",
});

/** Journals what became of a claim, under its key: `incident-<event>`. */
export function recordIncident(
  sql: SqlStorage,
  place: Place,
  incident: Incident,
  event: Exclude<IncidentEvent, "contended"> | "continued",
  said: { readonly entry: AuditEntry; readonly detail: string | null },
  now: EpochMs,
): void {
  appendEntry(
    sql,
    place,
    // What a request or a person does happens once; an end happens once per claim.
    `incident/${incident.key}/${claimOf(incident)}/${event}/${said.entry.request_id}`,
    {
      ...said.entry,
      kind: "admin",
      // What was asked for stands in the record of the request itself.
      facts: null,
      cost_micros: null,
      price_version: null,
      reason: null,
      evidence: null,
      back_out: null,
      approvers: [],
      reservation: null,
      upstream_status: null,
      duration_ms: null,
      time: new Date(now).toISOString(),
      action: said.entry.action ?? incident.action,
      reason_code: `incident-${event}`,
      detail: said.detail,
      incident: incident.key,
      outcome: incident.outcome,
    },
    now,
  );
}

/**
 * Has people told, once per event. Of keys that callers name, so many claims of one principal within an hour, and of each so many
 * hand-overs: who claims and resolves in a circle, or gives to and fro, fills no channel. What becomes of a claim that was told is told.
 */
export function tellIncident(
  sql: SqlStorage,
  incident: Incident,
  event: IncidentEvent,
  by: string | null,
  now: EpochMs,
): void {
  const { key, owner, action, requestId, startedAt, outcome, note } = incident;
  if (!isDerived(key) && !isWorthTelling(sql, incident, event, now)) return;
  noteAlert(
    sql,
    {
      kind: "incident",
      event,
      key,
      claim: claimOf(incident),
      isDerived: isDerived(key),
      owner,
      action,
      requestId,
      startedAt,
      by,
      outcome,
      note,
      at: now,
    },
    now,
  );
}

/** Why a key that begins like a catalogue's is refused. */
export const NOT_THE_CATALOGUES = `incident: keys that begin with ${CATALOGUE_INCIDENT} are the catalogue's own, and it derives another or none for this request`;

/** Claims of one principal that people are told of within an hour, and hand-overs of one claim. More is in the audit log. */
const TOLD_PER_HOUR = 30;
const HAND_OVERS_TOLD = 10;
const HOUR_MS = 3_600_000;

function isWorthTelling(sql: SqlStorage, incident: Incident, event: IncidentEvent, now: EpochMs): boolean {
  const { key, owner } = incident;
  // Rows beside those of the messages themselves: they go with them.
  const told = `incident-told/${key}/${claimOf(incident)}`;
  if (event !== "claimed") {
    const isKnown = countAlerts(sql, told, 0) > 0;
    return isKnown && (event !== "handed-over" || countAlerts(sql, `${handedOverIds(incident)}/`, 0) < HAND_OVERS_TOLD);
  }
  const byOwner = `incident-told-of/${owner}/`;
  if (countAlerts(sql, byOwner, now - HOUR_MS) >= TOLD_PER_HOUR) return false;
  for (const id of [told, `${byOwner}${key}/${claimOf(incident)}`])
    sql.exec("INSERT OR IGNORE INTO alerts (id, at) VALUES (?, ?)", id, now);
  return true;
}

/** What the ids of messages about hand-overs of this claim begin with. */
const handedOverIds = (incident: Incident): string => `incident/${incident.key}/${claimOf(incident)}/handed-over`;

/** Alerts since then whose id begins so. */
function countAlerts(sql: SqlStorage, prefix: string, after: EpochMs): number {
  const row = sql
    .exec("SELECT count(*) AS count FROM alerts WHERE id >= ?1 AND id < ?1 || char(1114111) AND at > ?2", prefix, after)
    .one();
  return integerOf(row, "count");
}
