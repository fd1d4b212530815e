import type { MoneyAlert } from "../ledger/money/finance-port.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { ActivityAlert } from "./activity.ts";
import type { EscalationAlert, IncidentAlert } from "./incident-alert.ts";
import type { SignalAlert } from "./signal.ts";

/** A checkpoint as people keep it: whoever has it can show that the log was rewritten later (docs/audit.md). */
export type AnchoredCheckpoint = {
  readonly log: string;
  readonly size: number;
  /** Base64. */
  readonly root: string;
  readonly note: string;
  readonly verifierKey: string;
  readonly signedAt: EpochMs;
};

/**
 * What goes outside about the audit logs. `audit-checkpoint`: one was signed. `audit-anchor`: where they all stand, once in a while,
 * for channels that people read; which checkpoints those are is looked up when they are told.
 */
export type AuditAlert =
  | ({ readonly kind: "audit-checkpoint" } & AnchoredCheckpoint)
  | { readonly kind: "audit-anchor" };

/** Everything that people are told of besides proposals. */
export type Alert = MoneyAlert | AuditAlert | IncidentAlert | EscalationAlert | SignalAlert | ActivityAlert;
