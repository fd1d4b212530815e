import type { Refusal } from "../../refusal.ts";
import type { EpochMs } from "../../vocabulary.ts";
import type { Actor } from "../ledger-port.ts";

/** What is asked about incidents and escalations of a tenant's ledger. Plain data: it crosses Durable Object RPC. */

export const INCIDENT_STATES = ["claimed", "resolved", "released", "expired"] as const;

/** What people say became of an incident. The gate itself says `succeeded` or `failed` of a derived one's operation. */
export const INCIDENT_OUTCOMES = ["fixed", "not-fixed", "false-alarm"] as const;

/** The latest claim on an incident. */
export type Incident = {
  readonly key: string;
  /** How many claims there have been on this key, this one included, as far as they are remembered. */
  readonly serial: number;
  readonly state: (typeof INCIDENT_STATES)[number];
  /** The principal that works on it. */
  readonly owner: string;
  /** The person who answers for it; null where nobody knows. */
  readonly person: string | null;
  readonly action: string | null;
  /** The request that claimed it. */
  readonly requestId: string;
  /** The proposal by which it was claimed; null where the request ran at once. */
  readonly approvalId: string | null;
  readonly startedAt: EpochMs;
  readonly claimMs: number;
  /** When the claim ends unless something is done; of no account while proposals or operations of it are open. */
  readonly expiresAt: EpochMs;
  /** Proposals and operations that are open under it. */
  readonly open: readonly string[];
  readonly outcome: string | null;
  readonly note: string | null;
  readonly endedBy: string | null;
  readonly endedAt: EpochMs | null;
};

export type IncidentResult =
  | { readonly kind: "done"; readonly incident: Incident }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** One time that something was handed over to people. */
export type EscalationEntry = {
  readonly number: number;
  readonly principal: string;
  readonly hypothesis: string;
  readonly evidence: string;
  readonly tried: string;
  readonly at: EpochMs;
};

export type Escalation = {
  readonly id: string;
  readonly incident: string | null;
  readonly state: "open" | "closed";
  readonly openedAt: EpochMs;
  readonly closedBy: string | null;
  readonly closedAt: EpochMs | null;
  readonly note: string | null;
  /** In order; there is at least one. Of those that were asked for. */
  readonly entries: readonly EscalationEntry[];
};

export type EscalationAsk = Pick<EscalationEntry, "hypothesis" | "evidence" | "tried"> & {
  readonly requestId: string;
  readonly incident: string | null;
};

export type EscalationResult =
  | { readonly kind: "done"; readonly escalation: Escalation }
  | { readonly kind: "refused"; readonly refusal: Refusal };

export interface IncidentPort {
  /** Latest claims in one state (or all), newest first. */
  incidents(state: string | null, limit: number): Promise<readonly Incident[]>;
  incident(key: string): Promise<Incident | null>;
  /** Says what became of it: its owner, the person behind it, an operator. */
  resolveIncident(
    actor: Actor,
    act: { requestId: string; key: string; outcome: (typeof INCIDENT_OUTCOMES)[number]; note: string | null },
  ): Promise<IncidentResult>;
  /** Gives it to somebody else: the same people. `isPerson`: whether the tenant's people have a `to`. */
  handOverIncident(
    actor: Actor,
    act: { requestId: string; key: string; to: string; isPerson: boolean; note: string | null },
  ): Promise<IncidentResult>;
  /** Puts what nobody could diagnose before people, or adds to what is open for the same incident. */
  escalate(actor: Actor, ask: EscalationAsk): Promise<EscalationResult>;
  /** Newest first, each with the first that was said in it. `of`: those in which this principal has said something, its own words. */
  escalations(state: string | null, limit: number, of: string | null): Promise<readonly Escalation[]>;
  /** One with all that was said. `of`: only what this principal has said; null where it has said nothing. */
  escalation(id: string, of: string | null): Promise<Escalation | null>;
  closeEscalation(actor: Actor, act: { requestId: string; id: string; note: string }): Promise<EscalationResult>;
}
