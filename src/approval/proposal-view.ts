import type { JsonObject } from "../platform/json.ts";
import type { Facts, Micros } from "../vocabulary.ts";

/**
 * A proposal as people see it on every channel (API, CLI, page, Slack, webhook): rendered by the gate from the bound
 * request, secrets already redacted. Texts written by agents (`reason`, `evidence`, `backOut`, names inside `facts`) are
 * untrusted: a channel shows them inert.
 */
export type ProposalView = {
  readonly id: string;
  readonly tenant: string;
  readonly state: "draft" | "pending" | "approved" | "denied" | "expired" | "withdrawn" | "invalidated" | "consumed";
  readonly action: string;
  readonly tier: number;
  readonly rule: string | null;
  /** Id of the one resource that is changed, null for creations. */
  readonly resource: string | null;
  readonly facts: Facts;
  readonly request: {
    readonly method: string;
    readonly path: string;
    readonly query: JsonObject;
    readonly body: JsonObject | null;
  };
  readonly ceilingMicros: Micros;
  readonly blastRadius: string | null;
  readonly reversible: boolean | null;
  /** What would be affected, e.g. the running workloads of an allocation; null when the catalogue declares no look-up. */
  readonly affected: { readonly count: number; readonly items: readonly string[] } | null;
  readonly reason: string | null;
  readonly evidence: string | null;
  readonly backOut: string | null;
  readonly incident: string | null;
  readonly requester: string;
  readonly owner: string;
  readonly needed: number;
  readonly given: number;
  /** Handles of the people who may decide it. */
  readonly approvers: readonly string[];
  readonly decisions: readonly {
    readonly handle: string | null;
    readonly subject: string;
    readonly decision: "approve" | "deny" | "break-glass";
    readonly comment: string | null;
    /** ISO 8601, UTC. */
    readonly decidedAt: string;
  }[];
  readonly openedAt: string;
  readonly expiresAt: string;
  readonly requestDigest: string;
  readonly approvalDigest: string;
  /** Text that the approver has to type, where the policy asks for it; null where a click is enough. */
  readonly confirm: string | null;
  /** Where a person can see and decide it, an absolute URL. */
  readonly url: string;
};
