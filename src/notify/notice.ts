import type { EpochMs } from "../vocabulary.ts";
import type { Alert } from "./alert.ts";

/**
 * What people are told about a proposal. `decided`: one more decision; `break-glass`: somebody stood in for approvers, all of whom are told; `approved` to `consumed`: its new state; `executed`:
 * the outcome of the one execution is known (or known to be unknown); `execution-refused`: the gate tried to run the stored
 * request and something said no.
 */
export const NOTICE_KINDS = [
  "opened",
  "reminder",
  "decided",
  "break-glass",
  "approved",
  "denied",
  "expired",
  "withdrawn",
  "invalidated",
  "consumed",
  "executed",
  "execution-refused",
] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

/**
 * Something happened to a proposal and people should know. It says what and when, not how things stand: whoever delivers it
 * asks the ledger for the proposal as it is then, so a late or repeated notice shows nothing stale.
 */
export type Notice = {
  /** Equal for equal events: a notice that is handed over twice is delivered once. */
  readonly id: string;
  readonly kind: NoticeKind;
  readonly approvalId: string;
  /** The execution that it is about, for `consumed`, `executed` and `execution-refused`. */
  readonly requestId: string | null;
  /** The problem slug of an `execution-refused`. */
  readonly detail: string | null;
  readonly at: EpochMs;
};

/**
 * Something happened to the tenant's money or audit logs and people should know. Figures are those of the event; a change of a
 * cap, and where all logs stand, are read when people are told.
 */
export type AlertNotice = {
  /** Equal for equal events, as above. */
  readonly id: string;
  readonly alert: Alert;
  readonly at: EpochMs;
};
