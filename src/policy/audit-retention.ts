import type { PolicyDocument } from "./policy-schema.ts";

/** How long a tenant's audit records keep their text. */
export type AuditRetention = {
  /** Days from a record's time on. Null: for ever. */
  readonly retainDays: number | null;
  /** While true nothing is deleted, whatever `retainDays` says. */
  readonly legalHold: boolean;
};

/** The retention that a policy document states; for ever where it states none: evidence goes only where somebody said so. */
export const readAuditRetention = ({ audit }: PolicyDocument): AuditRetention => ({
  retainDays: audit?.retain_days ?? null,
  legalHold: audit?.legal_hold ?? false,
});
