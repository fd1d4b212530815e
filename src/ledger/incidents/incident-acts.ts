import { textOf, textOrNull } from "../../platform/sql-row.ts";
import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { AdmissionScope } from "../admission.ts";
import { plan } from "../due.ts";
import type { Incident, IncidentPort, IncidentResult } from "./incident-port.ts";
import { crowdedGifts } from "./incident-bounds.ts";
import { actedBy, isDerived, recordIncident, tellIncident } from "./incident-record.ts";
import { findIncident } from "./incident-rows.ts";
import { endClaim } from "./incident-endings.ts";
import type { Actor } from "../ledger-port.ts";

type Scope = Pick<AdmissionScope, "sql" | "place" | "now">;

/** Ends a claim by somebody's word. What was put before people under it stays there, and claims anew if it is run. */
export function resolveIncident(
  { sql, place, now }: Scope,
  actor: Actor,
  { requestId, key, outcome, note }: Parameters<IncidentPort["resolveIncident"]>[1],
): IncidentResult {
  const found = held(sql, actor, key);
  if (found.kind === "refused") return found;
  const entry = actedBy(actor, requestId, now);
  const end = { state: "resolved", outcome, note, by: actor.subject, entry } as const;
  return { kind: "done", incident: endClaim(sql, place, found.incident, end, now) };
}

/**
 * Gives a claim to somebody else, whether they have done anything on it or not. Proposals of the former owner stay before people,
 * and are not run while another has the claim; what is in flight goes on.
 */
export function handOverIncident(
  { sql, place, now }: Scope,
  actor: Actor,
  { requestId, key, to, isPerson, note }: Parameters<IncidentPort["handOverIncident"]>[1],
): IncidentResult {
  const found = held(sql, actor, key);
  if (found.kind === "refused") return found;
  const { incident } = found;
  if (incident.owner === to) return found;
  const known = isPerson ? { person: to } : knownPrincipal(sql, to, now);
  if (known === null) {
    return refused({ kind: "not-eligible", reason: "The tenant has nobody of this name: no person, no credential." });
  }
  const crowded = isDerived(key) ? null : crowdedGifts(sql, to, now);
  if (crowded !== null) return refused(crowded);
  const expiresAt = now + incident.claimMs;
  sql.exec(
    "UPDATE incidents SET owner = ?, person = ?, expires_at = ?, kept = 1 WHERE key = ?",
    to,
    known.person,
    expiresAt,
    key,
  );
  sql.exec(
    "DELETE FROM incident_work WHERE key = ? AND NOT EXISTS (SELECT 1 FROM operations WHERE operations.request_id = ref)",
    key,
  );
  plan(sql, "incident-expiry", key, expiresAt);
  const handed = findIncident(sql, key) ?? incident;
  const detail = [`from ${incident.owner} to ${to}`, note].filter((part) => part !== null).join(": ");
  recordIncident(sql, place, handed, "handed-over", { entry: actedBy(actor, requestId, now), detail }, now);
  tellIncident(sql, { ...handed, note }, "handed-over", actor.subject, now);
  return { kind: "done", incident: handed };
}

/** The claim that stands on this key, where the actor may end it or give it away. */
function held(sql: SqlStorage, actor: Actor, key: string): IncidentResult {
  const incident = findIncident(sql, key);
  if (incident === null) return refused({ kind: "not-found" });
  if (!mayAct(incident, actor)) {
    return refused({
      kind: "not-eligible",
      reason: `Only ${incident.owner}, the person behind it, or an operator says what becomes of its incident.`,
    });
  }
  if (incident.state === "claimed") return { kind: "done", incident };
  const { state, endedBy } = incident;
  return refused({ kind: "already-decided", state, decided_by: endedBy === null ? [] : [endedBy] });
}

const mayAct = ({ owner, person }: Incident, actor: Actor): boolean =>
  actor.subject === owner ||
  (actor.class === "person" && (actor.subject === person || actor.roles.includes("operator")));

/**
 * A principal with a credential that stands, or one of an issuer that has put something before people; and who answers for it. Nobody
 * whose keys are all over: nobody would be there.
 */
function knownPrincipal(sql: SqlStorage, subject: string, now: EpochMs): { readonly person: string | null } | null {
  const listed = sql
    .exec(
      `SELECT json_extract(record, '$.owner') AS owner, revoked_at IS NULL AND expires_at > ? AS stands FROM credentials
       WHERE subject = ? ORDER BY stands DESC, created_at DESC LIMIT 1`,
      now,
      subject,
    )
    .toArray()[0];
  if (listed !== undefined) return listed["stands"] === 1 ? { person: textOrNull(listed, "owner") } : null;
  const asked = sql
    .exec("SELECT owner FROM approvals WHERE principal = ? ORDER BY opened_at DESC LIMIT 1", subject)
    .toArray()[0];
  return asked === undefined ? null : { person: textOf(asked, "owner") };
}

const refused = (refusal: Refusal): IncidentResult & { readonly kind: "refused" } => ({ kind: "refused", refusal });
