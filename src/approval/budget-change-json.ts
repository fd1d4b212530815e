import type { BudgetChange } from "../ledger/money/finance-port.ts";
import type { JsonObject } from "../platform/json.ts";
import { usd } from "../platform/money.ts";
import type { EpochMs } from "../vocabulary.ts";

/**
 * A change of a cap as JSON, the same for the gate's API and for webhooks. `_micros` are exact integers, `_usd` the same
 * amounts for people. It is read and decided where everything that people decide is.
 */
export const budgetChangeJson = (change: BudgetChange): JsonObject => ({
  id: change.id,
  url: `/_gate/v1/approvals/${change.id}`,
  kind: change.kind,
  state: change.state,
  period: change.period,
  cap_usd: usd(change.capMicros),
  cap_micros: change.capMicros,
  from_usd: usd(change.fromMicros),
  from_micros: change.fromMicros,
  asked_by: change.askedBy,
  reason: change.reason,
  incident: change.incident,
  effective_at: iso(change.effectiveAt),
  ends_at: change.endsAt === null ? null : iso(change.endsAt),
  asked_at: iso(change.askedAt),
  expires_at: iso(change.expiresAt),
  needed: change.needed,
  given: change.decisions.filter(({ decision }) => decision === "approve").length,
  decisions: change.decisions.map(({ subject, decision, comment, decidedAt }) => ({
    subject,
    decision,
    comment,
    decided_at: iso(decidedAt),
  })),
});

const iso = (at: EpochMs): string => new Date(at).toISOString();
