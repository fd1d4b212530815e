import type { Place } from "../audit/journal.ts";
import { blankEntry, type AuditEntry } from "../audit/record.ts";
import { assert } from "../platform/assert.ts";
import { incidentUrl } from "./incident-url.ts";
import { integerOf, textOf } from "../platform/sql-row.ts";
import type { Refusal } from "../refusal.ts";
import { isWrite, type EpochMs } from "../vocabulary.ts";
import { latestApproval } from "./approval-rows.ts";
import type { AdmissionRequest, Requester } from "./contract.ts";
import { plan } from "./due.ts";
import type { Incident } from "./incident-port.ts";
import { isDerived, recordIncident, tellIncident } from "./incident-record.ts";
import { findIncident } from "./incident-rows.ts";

/** What a request works on: which key, how long a claim of it lasts, and what its caller calls it. */
export type Claiming = { readonly key: string; readonly claimMs: number; readonly given: string | null };

/**
 * What the request works on: the catalogue's key before the caller's, and where the caller names none, the one under which it was
 * put before people. Null where there is none. Reads only.
 */
export const incidentOf = (sql: SqlStorage, request: AdmissionRequest): Claiming | null =>
  claimingOf(request, request.context.incident ?? inherited(sql, request));

/** The same, where it is known what the caller calls it. */
export function claimingOf({ incident, tier }: AdmissionRequest, given: string | null): Claiming | null {
  const key = incident.derived ?? given;
  // Whoever looks is in nobody's way.
  return key === null || !isWrite(tier) ? null : { key, claimMs: incident.claimMs, given };
}

/** Of the proposal or grant that is open for this very request. */
function inherited(sql: SqlStorage, { requirement, requester, requestDigest }: AdmissionRequest): string | null {
  if (requirement.kind !== "approval") return null;
  const approval = latestApproval(sql, requester.subject, requestDigest);
  return approval?.state === "pending" || approval?.state === "approved" ? approval.terms.incident : null;
}

/** Why somebody else's claim keeps `subject` from working on it, null where none does. Reads only. */
export function claimedByOther(
  sql: SqlStorage,
  claiming: Claiming | null,
  subject: string,
  now: EpochMs,
): { readonly refusal: Refusal; readonly incident: Incident } | null {
  const incident = claiming === null ? null : findIncident(sql, claiming.key);
  if (incident === null || !holds(incident, now) || incident.owner === subject) return null;
  const { key, owner, requestId, startedAt } = incident;
  const shown = {
    key,
    owner,
    request_id: requestId,
    started_at: new Date(startedAt).toISOString(),
    url: incidentUrl(key),
  };
  return { incident, refusal: { kind: "incident-in-progress", incident: shown } };
}

/** The same for an admission: people are told, once per claim, that somebody else wants to work on it. */
export function incidentRefusal(
  sql: SqlStorage,
  claiming: Claiming | null,
  subject: string,
  now: EpochMs,
): Refusal | null {
  const taken = claimedByOther(sql, claiming, subject, now);
  if (taken === null) return null;
  tellIncident(sql, taken.incident, "contended", subject, now);
  return taken.refusal;
}

/** Whether a claim still keeps others off: its end is looked at here, and not only when its job comes. */
const holds = ({ state, open, expiresAt }: Incident, now: EpochMs): boolean =>
  state === "claimed" && (open.length > 0 || expiresAt > now);

/** What is begun under a claim. */
export type Work = {
  readonly requester: Pick<Requester, "subject" | "owner">;
  readonly action: string;
  /** The request's or proposal's record. */
  readonly entry: AuditEntry;
  /** The proposal, or else the operation, that is open from now on. */
  readonly approvalId: string | null;
  /** The proposal that became the operation. */
  readonly instead: string | null;
};

/**
 * Claims the incident for `work`, or goes on with a claim of the same principal. The caller has made sure in this transaction that
 * nobody else's stands. Journaled; people are told of a new one.
 */
export function claimIncident(
  sql: SqlStorage,
  place: Place,
  claiming: Claiming | null,
  work: Work,
  now: EpochMs,
): void {
  const { requester, entry } = work;
  // Before the proposal's place in it goes: it is what may have kept the claim.
  const found = claiming === null ? null : findIncident(sql, claiming.key);
  if (work.instead !== null) sql.exec("DELETE FROM incident_work WHERE ref = ?", work.instead);
  if (claiming === null) return;
  const { key, claimMs } = claiming;
  const isOwn = found !== null && holds(found, now);
  assert(!isOwn || found.owner === requester.subject, "an incident has one owner at a time");
  if (!isOwn) {
    // Its job has not come yet.
    if (found?.state === "claimed") endClaim(sql, place, found, { state: "expired", entry: null }, now);
    insertClaim(sql, claiming, work, now);
  }
  const ref = work.approvalId ?? entry.request_id;
  sql.exec("INSERT OR IGNORE INTO incident_work (ref, key) VALUES (?, ?)", ref, key);
  sql.exec("UPDATE incidents SET claim_ms = ?, expires_at = ? WHERE key = ?", claimMs, now + claimMs, key);
  const incident = findIncident(sql, key);
  assert(incident !== null, "a claim that was just made exists");
  const said = { entry: { ...entry, decision: null, approval_id: work.approvalId ?? entry.approval_id } };
  const called = claiming.given === null || claiming.given === key ? null : `called ${claiming.given}`;
  if (!isOwn) {
    recordIncident(sql, place, incident, "claimed", { ...said, detail: called }, now);
    tellIncident(sql, incident, "claimed", null, now);
  } else if (called !== null) {
    // Whoever looks for the key finds what was done under another name.
    recordIncident(sql, place, incident, "continued", { ...said, detail: called }, now);
  }
}

/** A proposal was opened: it claims. A draft does not, and what the catalogue calls its incident is kept for when it is completed. */
export function claimForProposal(
  sql: SqlStorage,
  place: Place,
  request: AdmissionRequest,
  approvalId: string,
  isDraft: boolean,
  now: EpochMs,
): void {
  const { requester, action, entry, incident } = request;
  if (incident.derived !== null)
    sql.exec("UPDATE approvals SET derived_incident = ? WHERE id = ?", incident.derived, approvalId);
  if (isDraft) return;
  claimIncident(sql, place, incidentOf(sql, request), { requester, action, entry, approvalId, instead: null }, now);
}

function insertClaim(sql: SqlStorage, { key, claimMs }: Claiming, work: Work, now: EpochMs): void {
  const { subject, owner } = work.requester;
  sql.exec(
    `INSERT INTO incidents (key, serial, state, owner, person, action, request_id, approval_id, started_at, claim_ms, expires_at)
     VALUES (?, 1, 'claimed', ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (key) DO UPDATE SET serial = serial + 1, state = excluded.state, owner = excluded.owner,
       person = excluded.person, action = excluded.action, request_id = excluded.request_id,
       approval_id = excluded.approval_id, started_at = excluded.started_at, kept = 0,
       outcome = NULL, note = NULL, ended_by = NULL, ended_at = NULL`,
    key,
    subject,
    owner,
    work.action,
    work.entry.request_id,
    work.approvalId,
    now,
    claimMs,
    now + claimMs,
  );
  plan(sql, "incident-expiry", key, now + claimMs);
}

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
