import type { ProposalView } from "../approval/proposal-view.ts";
import type { Gate } from "../gateway/gate.ts";
import type { TenantContext } from "../gateway/tenant-context.ts";
import type { ApprovalWithDecisions } from "../ledger/approvals/approval-with-decisions.ts";
import type { BudgetChange } from "../ledger/money/finance-port.ts";
import type { LedgerPort } from "../ledger/ledger-port.ts";
import type { JsonObject } from "../platform/json.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { Alert, AnchoredCheckpoint } from "./alert.ts";
import type { Notice } from "./notice.ts";

/** What became of one try. `retry` names the wait that the other side asked for, null for the outbox's own back-off. */
export type Delivery =
  | { readonly kind: "done" }
  | { readonly kind: "retry"; readonly afterMs: number | null; readonly reason: string }
  /** Trying again cannot help: the settings are wrong, or the other side refused. */
  | { readonly kind: "failed"; readonly reason: string };

export const DONE: Delivery = { kind: "done" };

/** What a channel remembers per proposal, incident or escalation: where its message is. Durable, in the outbox. */
export type PostingStore = {
  readonly get: (approvalId: string) => JsonObject | null;
  readonly put: (approvalId: string, posting: JsonObject) => void;
};

/** A notice with the proposal as it is at this moment. */
export type DeliveryCall = {
  readonly gate: Gate;
  readonly tenant: TenantContext;
  readonly ledger: LedgerPort;
  readonly notice: Notice;
  readonly found: ApprovalWithDecisions;
  readonly view: ProposalView;
  readonly postings: PostingStore;
  readonly now: EpochMs;
};

/** An alert as people are told it: a change of a cap and where the logs stand as at this moment, the others as they happened. */
export type ShownAlert =
  | Exclude<Alert, { kind: "budget-change" | "audit-anchor" }>
  | (Pick<Extract<Alert, { kind: "budget-change" }>, "kind" | "event"> & { readonly change: BudgetChange })
  | { readonly kind: "audit-anchor"; readonly checkpoints: readonly AnchoredCheckpoint[] };

/** An alert about the tenant's money or audit logs. */
export type AlertCall = {
  readonly gate: Gate;
  readonly tenant: TenantContext;
  /** Equal at every try. */
  readonly id: string;
  readonly at: EpochMs;
  readonly alert: ShownAlert;
  readonly postings: PostingStore;
  readonly now: EpochMs;
};

/**
 * One way to tell people: about a proposal (`deliver`), or about the tenant's money and audit logs (`tell`). Tried until it is `done` or gives
 * up, possibly twice for one notice (a crash between the call and the note that it was made): what it does must bear repetition.
 * Never throws for what the other side does.
 */
export type Channel = {
  readonly name: string;
  readonly deliver: (call: DeliveryCall) => Promise<Delivery>;
  readonly tell: (call: AlertCall) => Promise<Delivery>;
};
