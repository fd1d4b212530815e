import { appendEntry } from "../../audit/journal.ts";
import { blankEntry } from "../../audit/record.ts";
import { assert } from "../../platform/assert.ts";
import { formatUsd } from "../../platform/money.ts";
import type { Refusal } from "../../refusal.ts";
import type { AdmissionScope } from "../admission.ts";
import { decisionsOnChange, findChange, type ChangeRow } from "./budget-change-rows.ts";
import type { BudgetChange, ChangeOutcome, MoneyActor } from "./finance-port.ts";
import { noteAlert } from "../notices.ts";
import { actorOf } from "./settlement-record.ts";

/** What a change of a cap runs with. */
export type ChangeScope = Pick<AdmissionScope, "sql" | "place" | "now">;

/** Journals what somebody did about a cap; where it moved on, people are told. */
export function tell(
  { sql, place, now }: ChangeScope,
  actor: MoneyActor,
  requestId: string,
  row: ChangeRow,
  event: "asked" | "lowered" | "approved" | "denied" | "withdrawn" | "word" | "refused",
  comment: string | null,
): void {
  const moved = event !== "word" && event !== "refused";
  if (moved) noteAlert(sql, { kind: "budget-change", id: row.id, event }, now);
  appendEntry(
    sql,
    place,
    `${row.id}/${requestId}/${event}`,
    {
      ...blankEntry("admin", requestId, now),
      ...actorOf(actor),
      decision: event === "refused" ? "refuse" : "allow",
      reason_code: moved ? `budget-${event}` : "budget-decision",
      reason: row.reason,
      incident: row.incident,
      approval_id: row.id,
      cost_micros: row.capMicros,
      detail: [describe(row), comment].filter((part) => part !== null).join(": "),
    },
    now,
  );
}

/** A change in one line. */
export const describe = ({ period, fromMicros, capMicros, endsAt }: ChangeRow): string =>
  `${period} cap from ${formatUsd(fromMicros)} to ${formatUsd(capMicros)} USD${endsAt === null ? "" : ` until ${new Date(endsAt).toISOString()}`}`;

/** The answer to whatever has moved a change. */
export function changed(sql: SqlStorage, id: string): ChangeOutcome {
  const change = budgetChange(sql, id);
  assert(change !== null, "a change that was just written exists");
  return { kind: "changed", change };
}

/** A change with what people said about it, null where there is none. */
export function budgetChange(sql: SqlStorage, id: string): BudgetChange | null {
  const row = findChange(sql, id);
  if (row === null) return null;
  const { owner: _owner, issuer: _issuer, ...shown } = row;
  return { ...shown, decisions: decisionsOnChange(sql, id) };
}

/** The refusal of whatever comes after the end. */
export const ended = (sql: SqlStorage, row: ChangeRow): ChangeOutcome => ({
  kind: "refused",
  refusal: {
    kind: "already-decided",
    state: row.state,
    decided_by: decisionsOnChange(sql, row.id).map(({ subject }) => subject),
  },
});

/** The refusal of what makes no sense. */
export const refused = (reason: string): ChangeOutcome => {
  const refusal: Refusal = { kind: "malformed-request", reason };
  return { kind: "refused", refusal };
};
