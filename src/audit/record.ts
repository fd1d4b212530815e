import type { JsonObject } from "../platform/json.ts";
import type { Digest, Facts, Micros, ShadowVerdict, Tier } from "../vocabulary.ts";

/**
 * What happened. `request` is the ending of a request that changed nothing upstream (reads and refusals); `plan` a dry
 * run; `intent` is durable before a write is dispatched, and exactly one `outcome` follows it (an `unknown` may stand
 * between). `break-glass`: a decision in place of
 * missing approvers, and its review. The rest are the ledger's own events.
 */
export type AuditKind =
  | "request"
  | "plan"
  | "intent"
  | "unknown"
  | "outcome"
  | "proposal"
  | "decision"
  | "break-glass"
  | "settlement"
  | "admin";

/**
 * One audit record, before the journal gives it its place. Every member is present in every record; null means that the
 * request never got that far. Secrets never enter: free text has passed `audit/redact.ts`.
 */
export type AuditEntry = {
  readonly version: 1;
  readonly kind: AuditKind;
  readonly request_id: string;
  /** ISO 8601, UTC, milliseconds. */
  readonly time: string;
  readonly principal: string | null;
  readonly principal_class: string | null;
  readonly owner: string | null;
  readonly credential_id: string | null;
  /** Whether a credential that `npm start` seeded took part. */
  readonly demo: boolean;
  readonly method: string | null;
  readonly path: string | null;
  readonly action: string | null;
  readonly tier: Tier | null;
  readonly decision: "allow" | "plan" | "refuse" | null;
  /** Problem slug of a refusal, or what a ledger event was about. */
  readonly reason_code: string | null;
  /** More about the reason than the wire shows, e.g. which check of a credential failed. */
  readonly detail: string | null;
  readonly rule: string | null;
  /** Where rules that are judged and not enforced diverge from what was decided; empty where they do not. */
  readonly shadow: readonly ShadowVerdict[];
  readonly policy_digest: Digest | null;
  readonly facts: Facts | null;
  readonly cost_micros: Micros | null;
  readonly price_version: string | null;
  readonly request_digest: Digest | null;
  readonly reason: string | null;
  readonly evidence: string | null;
  readonly back_out: string | null;
  readonly incident: string | null;
  readonly approval_id: string | null;
  readonly approvers: readonly string[];
  readonly reservation: JsonObject | null;
  readonly outcome: string | null;
  readonly upstream_status: number | null;
  readonly duration_ms: number | null;
  /** How many like records this one stands for (summaries of floods), else 1. */
  readonly count: number;
};

/** What becomes known only when the upstream call is over. */
export type Ending = Pick<AuditEntry, "outcome" | "upstream_status" | "duration_ms" | "detail">;

/** An entry in its place: gapless sequence per (tenant, log), chained by hash. */
export type AuditRecord = AuditEntry & {
  readonly tenant: string;
  readonly log: string;
  readonly sequence: number;
  readonly previous_hash: Digest;
  readonly hash: Digest;
};

/** An entry with nothing known; callers overwrite what they know. */
export const blankEntry = (kind: AuditKind, requestId: string, nowMs: number): AuditEntry => ({
  version: 1,
  kind,
  request_id: requestId,
  time: new Date(nowMs).toISOString(),
  principal: null,
  principal_class: null,
  owner: null,
  credential_id: null,
  demo: false,
  method: null,
  path: null,
  action: null,
  tier: null,
  decision: null,
  reason_code: null,
  detail: null,
  rule: null,
  shadow: [],
  policy_digest: null,
  facts: null,
  cost_micros: null,
  price_version: null,
  request_digest: null,
  reason: null,
  evidence: null,
  back_out: null,
  incident: null,
  approval_id: null,
  approvers: [],
  reservation: null,
  outcome: null,
  upstream_status: null,
  duration_ms: null,
  count: 1,
});
