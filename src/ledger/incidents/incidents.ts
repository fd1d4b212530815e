import type { Place } from "../../audit/journal.ts";
import type { AuditEntry } from "../../audit/record.ts";
import { assert } from "../../platform/assert.ts";
import { incidentUrl } from "./incident-url.ts";
import type { Refusal } from "../../refusal.ts";
import { isWrite, type EpochMs } from "../../vocabulary.ts";
import { latestApproval } from "../approvals/approval-rows.ts";
import type { AdmissionRequest, Requester } from "../contract.ts";
import { plan } from "../due.ts";
import { crowdedClaims } from "./incident-bounds.ts";
import { endClaim } from "./incident-endings.ts";
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
  if (taken === null) return tooManyClaims(sql, claiming, subject, now);
  tellIncident(sql, taken.incident, "contended", subject, now);
  return taken.refusal;
}

/** Why this principal claims nothing further, null where it may, claims nothing, or goes on with what it has. Reads only. */
export function tooManyClaims(
  sql: SqlStorage,
  claiming: Claiming | null,
  subject: string,
  now: EpochMs,
): Refusal | null {
  if (claiming === null || isDerived(claiming.key)) return null;
  const own = findIncident(sql, claiming.key);
  return own !== null && holds(own, now) ? null : crowdedClaims(sql, subject, now);
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
