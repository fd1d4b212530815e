import type { PolicyDocument } from "./policy-schema.ts";

/** At which figures people are told of a tenant's audit logs. 0: never. */
export type SignalBounds = {
  /** Refusals of one principal within 10 minutes, those for its rate not counted. */
  readonly denialsPer10Minutes: number;
  /** Tries of one person within an hour to decide what their word does not count on. */
  readonly ineligibleApprovalsPerHour: number;
  /** Records of one log that wait for D1. */
  readonly auditBacklogRows: number;
  /** Minutes without a record written to a further copy of a log, while records wait for it. */
  readonly auditCopyLateMinutes: number;
};

/**
 * Where the policy states nothing. 50 refusals: five a minute is no person's mistake, and no agent's that reads its answers. Three
 * tries: one is a mistake, two a misunderstanding. 5,000 records: a tenth of the backlog at which writes stop. An hour: a
 * receiver that is being updated is back by then, and a copy is no first one.
 */
export const DEFAULT_SIGNALS: SignalBounds = {
  denialsPer10Minutes: 50,
  ineligibleApprovalsPerHour: 3,
  auditBacklogRows: 5_000,
  auditCopyLateMinutes: 60,
};

/** The bounds of a policy document. */
export const readSignals = ({ signals }: PolicyDocument): SignalBounds => ({
  denialsPer10Minutes: signals?.denials_per_10_minutes ?? DEFAULT_SIGNALS.denialsPer10Minutes,
  ineligibleApprovalsPerHour: signals?.ineligible_approvals_per_hour ?? DEFAULT_SIGNALS.ineligibleApprovalsPerHour,
  auditBacklogRows: signals?.audit_backlog_rows ?? DEFAULT_SIGNALS.auditBacklogRows,
  auditCopyLateMinutes: signals?.audit_copy_late_minutes ?? DEFAULT_SIGNALS.auditCopyLateMinutes,
});
