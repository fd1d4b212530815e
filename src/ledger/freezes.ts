import type { Freeze } from "./contract.ts";
import type { Refused } from "./ledger-port.ts";
import type { EpochMs } from "../vocabulary.ts";
import { textOf } from "../platform/sql-row.ts";
import { tell } from "./signals.ts";

/**
 * Sets a freeze; one per scope, the newest reason wins. Effective for the next admission of this tenant. What security
 * froze stays security's to lift, and what another role froze that role's: nobody takes a freeze over by freezing it again, but
 * security. People are told when the scope was not frozen before.
 */
export function setFreeze(sql: SqlStorage, freeze: Freeze): void {
  const isFrozen = sql.exec("SELECT 1 FROM freezes WHERE scope = ?", freeze.scope).toArray().length > 0;
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
  const { scope, reason, frozenBy: by, since } = freeze;
  if (!isFrozen) tell(sql, { signal: "frozen", scope, by, reason, since }, since);
}

/** Lifts a freeze. Needs the role that set it, or security: an operator cannot undo what security stopped. People are told. */
export function liftFreeze(
  sql: SqlStorage,
  scope: string,
  { subject, roles }: { readonly subject: string; readonly roles: readonly string[] },
  now: EpochMs,
): { kind: "done" } | Refused {
  const row = sql.exec("SELECT role FROM freezes WHERE scope = ?", scope).toArray()[0];
  if (row === undefined) return { kind: "refused", refusal: { kind: "not-found" } };
  if (!roles.includes(textOf(row, "role")) && !roles.includes("security")) {
    return {
      kind: "refused",
      refusal: { kind: "not-eligible", reason: `Only role ${textOf(row, "role")} or security lifts this freeze.` },
    };
  }
  sql.exec("DELETE FROM freezes WHERE scope = ?", scope);
  tell(sql, { signal: "unfrozen", scope, by: subject, since: now }, now);
  return { kind: "done" };
}
