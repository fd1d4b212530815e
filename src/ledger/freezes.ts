import { appendEntry } from "../audit/journal.ts";
import { blankEntry } from "../audit/record.ts";
import { newId } from "../platform/ids.ts";
import { integerOf, textOf } from "../platform/sql-row.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { AdmissionScope } from "./admission.ts";
import { EVERYTHING, SPENDING } from "./authority.ts";
import type { DeploymentFreeze, Freeze } from "./contract.ts";
import type { Actor, Refused } from "./ledger-port.ts";
import { note } from "./notices.ts";
import { tell } from "./signals.ts";

/**
 * A step of the ledger's schema. `waits_for`: the scope of the freeze that kept the gate from running this approved request.
 * `deployment_freeze`: the newest word of the deployment that this ledger has heard.
 */
export const FREEZE_SCHEMA = `
  ALTER TABLE approvals ADD COLUMN waits_for TEXT;
  CREATE TABLE deployment_freeze (only INTEGER PRIMARY KEY CHECK (only = 1), generation INTEGER NOT NULL);
`;

/** The role of the deployment's own freeze: no credential of a tenant has it. */
const DEPLOYMENT_ROLE = "deployment";

/**
 * Sets a freeze; one per scope, the newest reason wins. Effective for the next admission of this tenant. What security
 * froze stays security's to lift, and what another role froze that role's: nobody takes a freeze over by freezing it again, but
 * security. People are told when the scope was not frozen before.
 */
export function setFreeze(sql: SqlStorage, freeze: Freeze): void {
  const isFrozen = sql.exec("SELECT 1 FROM freezes WHERE scope = ?", freeze.scope).toArray().length > 0;
  writeFreeze(sql, freeze);
  const { scope, reason, frozenBy: by, since } = freeze;
  if (!isFrozen) tell(sql, { signal: "frozen", scope, by, reason, since }, since);
}

/** Which of the roles of whoever freezes may lift it again: the one that takes least for granted. */
export function freezingRole(scope: string, roles: readonly string[]): string {
  if (roles.includes("security")) return "security";
  if (scope === SPENDING && roles.includes("finance")) return "finance";
  return roles.includes("operator") ? "operator" : (roles[0] ?? "operator");
}

function writeFreeze(sql: SqlStorage, freeze: Freeze): void {
  sql.exec(
    `INSERT INTO freezes (scope, reason, frozen_by, role, since) VALUES (?, ?, ?, ?, ?)
     ON CONFLICT (scope) DO UPDATE SET reason = excluded.reason, frozen_by = excluded.frozen_by, 
       role = CASE WHEN excluded.role = 'security' THEN excluded.role ELSE freezes.role END, since = excluded.since`,
    freeze.scope,
    freeze.reason,
    freeze.frozenBy,
    freeze.role,
    freeze.since,
  );
}

/**
 * Lifts a freeze. Needs the role that set it, or security: an operator cannot undo what security stopped, and nobody of the tenant
 * what the deployment stopped. People are told, and what the gate was to run and could not because of it is run now.
 */
export function liftFreeze(
  sql: SqlStorage,
  scope: string,
  { subject, roles }: { readonly subject: string; readonly roles: readonly string[] },
  now: EpochMs,
): { kind: "done" } | Refused {
  const row = sql.exec("SELECT role FROM freezes WHERE scope = ?", scope).toArray()[0];
  if (row === undefined) return { kind: "refused", refusal: { kind: "not-found" } };
  const role = textOf(row, "role");
  if (role === DEPLOYMENT_ROLE) return notEligible("Only the owner of the deployment lifts this freeze.");
  if (!roles.includes(role) && !roles.includes("security"))
    return notEligible(`Only role ${role} or security lifts this freeze.`);
  dropFreeze(sql, scope, subject, now);
  return { kind: "done" };
}

const notEligible = (reason: string): Refused => ({ kind: "refused", refusal: { kind: "not-eligible", reason } });

function dropFreeze(sql: SqlStorage, scope: string, by: string, now: EpochMs): void {
  sql.exec("DELETE FROM freezes WHERE scope = ?", scope);
  tell(sql, { signal: "unfrozen", scope, by, since: now }, now);
  const stopped = sql
    .exec("SELECT id FROM approvals INDEXED BY approvals_by_state WHERE state = 'approved' AND waits_for = ?", scope)
    .toArray();
  for (const row of stopped) runOnceMore(sql, textOf(row, "id"), now);
}

/**
 * Notes that the gate was about to run an approved request and that a freeze of this scope said no. It is run once more when that
 * freeze is lifted, if the approval still stands then; at once, if it has been lifted already. Nothing for an approval that has
 * ended. Run inside `transactionSync`.
 */
export function awaitLift(sql: SqlStorage, approvalId: string, scope: string, now: EpochMs): void {
  const waits = sql
    .exec(
      "UPDATE approvals SET waits_for = ? WHERE id = ? AND state = 'approved' AND stored IS NOT NULL RETURNING 1",
      scope,
      approvalId,
    )
    .toArray();
  const stands = sql.exec("SELECT 1 FROM freezes WHERE scope = ?", scope).toArray().length > 0;
  if (waits.length > 0 && !stands) runOnceMore(sql, approvalId, now);
}

/** Another order than any before it: the outbox takes each over once. */
function runOnceMore(sql: SqlStorage, approvalId: string, now: EpochMs): void {
  sql.exec("UPDATE approvals SET waits_for = NULL WHERE id = ?", approvalId);
  note(sql, "execute", approvalId, null, now, newId("lift"));
}

/** What became of an order: `overtaken`, a newer one had been heard, and that one holds; `unchanged`, it held before. */
export type Followed = "changed" | "unchanged" | "overtaken";

/**
 * Follows what the deployment says about all tenants, if that is newer than what this ledger has heard: an order that was overtaken
 * on its way changes nothing. Also in a ledger whose tenant is not bootstrapped yet; there nobody is told and nothing is journaled.
 * Run inside `transactionSync`.
 */
export function followDeployment(
  { sql, place, now }: Pick<AdmissionScope, "sql" | "place" | "now">,
  actor: Actor,
  requestId: string,
  { generation, frozen, reason }: DeploymentFreeze,
): Followed {
  const heard = heardOf(sql);
  if (generation <= heard) return generation < heard ? "overtaken" : "unchanged";
  sql.exec(
    `INSERT INTO deployment_freeze (only, generation) VALUES (1, ?)
     ON CONFLICT (only) DO UPDATE SET generation = excluded.generation`,
    generation,
  );
  const isFrozen = sql.exec("SELECT 1 FROM freezes WHERE scope = ?", EVERYTHING).toArray().length > 0;
  if (!frozen && !isFrozen) return "unchanged";
  const freeze = { scope: EVERYTHING, reason, frozenBy: actor.subject, role: DEPLOYMENT_ROLE, since: now };
  if (place.tenant === "") {
    if (frozen) writeFreeze(sql, freeze);
    else sql.exec("DELETE FROM freezes WHERE scope = ?", EVERYTHING);
    return "changed";
  }
  if (frozen) setFreeze(sql, freeze);
  else dropFreeze(sql, EVERYTHING, actor.subject, now);
  const code = frozen ? "frozen" : "unfrozen";
  appendEntry(
    sql,
    place,
    `${requestId}/${code}`,
    {
      ...blankEntry("admin", requestId, now),
      principal: actor.subject,
      principal_class: actor.class,
      credential_id: actor.credentialId,
      decision: "allow",
      reason_code: code,
      detail: frozen ? `${EVERYTHING}: ${reason}` : EVERYTHING,
    },
    now,
  );
  return "changed";
}

/** 0: nothing yet. */
function heardOf(sql: SqlStorage): number {
  const row = sql.exec("SELECT generation FROM deployment_freeze").toArray()[0];
  return row === undefined ? 0 : integerOf(row, "generation");
}
