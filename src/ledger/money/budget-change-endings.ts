import { appendEntry } from "../../audit/journal.ts";
import { blankEntry } from "../../audit/record.ts";
import type { EpochMs } from "../../vocabulary.ts";
import { financeCaps } from "./budget.ts";
import { changed, describe, ended, refused, tell, type ChangeScope } from "./budget-change-record.ts";
import { changesOf, findChange, moveChange, type ChangeRow } from "./budget-change-rows.ts";
import { plan } from "../due.ts";
import type { ChangeOutcome, MoneyActor } from "./finance-port.ts";
import { noteAlert } from "../notices.ts";

/** Every change: none may be overlooked where a cap is compared with what it would be. */
const ALL = Number.MAX_SAFE_INTEGER;

/** Whether the actor is a person who holds the purse. */
export const actsForFinance = ({ class: actorClass, roles }: MoneyActor): boolean =>
  actorClass === "person" && roles.includes("finance");

/**
 * Takes a change back that waits or is yet to begin, or ends a temporary one at once: by whoever asked, or by finance, for which
 * it never widens anything. A lasting change in force is undone by another change. Run inside `transactionSync`.
 */
export function withdrawBudgetChange(
  scope: ChangeScope,
  actor: MoneyActor,
  requestId: string,
  id: string,
): ChangeOutcome {
  const { sql, now } = scope;
  const row = findChange(sql, id);
  if (row === null || (row.askedBy !== actor.subject && !actsForFinance(actor)))
    return { kind: "refused", refusal: { kind: "not-found" } };
  const open = row.state === "pending" || (row.state === "approved" && row.effectiveAt > now);
  const isTemporary = row.state === "approved" && row.endsAt !== null && row.endsAt > now;
  if (!open && !isTemporary) return ended(sql, row);
  if (endingWidens(sql, row, now)) return refused("ending it would raise the cap: ask for the higher cap instead");
  moveChange(sql, id, "withdrawn", row.effectiveAt);
  tell(scope, actor, requestId, row, "withdrawn", null);
  return changed(sql, id);
}

/**
 * Whether some moment to come would have a higher cap without this change: that needs a second person like any raise. Another
 * change may hide it for a time, so every moment at which one begins or ends is looked at.
 */
function endingWidens(sql: SqlStorage, row: ChangeRow, now: EpochMs): boolean {
  if (row.state !== "approved") return false;
  const capAt = (at: EpochMs, without: string | null): number =>
    financeCaps(sql, at, without)[row.period] ?? Number.MAX_SAFE_INTEGER;
  const edges = changesOf(sql, "approved", ALL).flatMap(({ effectiveAt, endsAt }) => [effectiveAt, endsAt ?? now]);
  return [now, ...edges].some((at) => at >= now && capAt(at, row.id) > capAt(at, null));
}

/** Ends a change that nobody confirmed in time. */
export function expireBudgetChange(scope: ChangeScope, id: string): void {
  const row = findChange(scope.sql, id);
  if (row?.state !== "pending") return;
  // Its job comes early when the clock has stepped back: then it must come again.
  if (row.expiresAt > scope.now) return plan(scope.sql, "budget-change-expiry", id, row.expiresAt);
  moveChange(scope.sql, id, "expired", row.effectiveAt);
  noteAlert(scope.sql, { kind: "budget-change", id, event: "expired" }, scope.now);
  appendEntry(
    scope.sql,
    scope.place,
    `${id}/expired`,
    { ...blankEntry("admin", id, scope.now), reason_code: "budget-expired", detail: describe(row) },
    scope.now,
  );
}
