import type { AuditEntry } from "../audit/record.ts";
import type { JsonObject } from "../platform/json.ts";
import type { PrincipalClass } from "../identity/principal.ts";
import type { Aggregate, ApproverGroup, ContextField } from "../policy/types.ts";
import type { Refusal } from "../refusal.ts";
import type { ScopeCap, TenantTerms } from "./money/finance-port.ts";
import type { Digest, EpochMs, Facts, Micros, Tier, ShadowVerdict } from "../vocabulary.ts";

/**
 * What crosses between Worker and TenantLedger. Plain data only. The version travels with every call: a Worker and an
 * object of different builds either agree on it or the call is refused.
 */
export const LEDGER_RPC_VERSION = 4;

/** Which documents and credentials a decision was made under. The ledger's own values are the authority. */
export type Authority = {
  readonly policy: Digest;
  readonly people: Digest;
  readonly catalogue: Digest;
  readonly prices: Digest;
  readonly credentialEpoch: number;
};

/** What a Worker needs to judge a tenant's requests, besides the documents themselves. */
export type LedgerSnapshot = {
  readonly authority: Authority;
  readonly version: number;
  /** Ids of unexpired revoked credentials: refused on reads within the snapshot's age, on writes at once. */
  readonly revoked: readonly string[];
  /** Ids of issuers of access tokens that were removed: in the same way. */
  readonly removedIssuers: readonly string[];
  readonly freezes: readonly Freeze[];
};

export type Freeze = {
  /**
   * `tenant`, `principal:<subject>`, `action:<action>`, `spending` (whatever costs money), or `everything`: all tenants of the
   * deployment, which its owner alone sets and lifts.
   */
  readonly scope: string;
  readonly reason: string;
  readonly frozenBy: string;
  readonly role: string;
  readonly since: EpochMs;
};

/** What the owner of the deployment says about all tenants. Of two, the one of the higher generation holds. */
export type DeploymentFreeze = {
  readonly generation: number;
  readonly frozen: boolean;
  /** Of the freeze, the last one where none stands. */
  readonly reason: string;
  /** Since when it is frozen, or is not any more. */
  readonly since: EpochMs;
};

export type Requester = {
  readonly subject: string;
  readonly class: PrincipalClass;
  readonly owner: string;
  readonly issuer: string;
  readonly delegation: readonly string[];
  readonly credentialId: string;
  /** Whether the credential must be on the ledger's own list (API keys), or only not on its revoked list (JWTs). */
  readonly listed: boolean;
};

/** The policy's figures that one request has to fit: the tenant's, and the caps inside them that apply to it. */
export type BudgetTerms = TenantTerms & {
  /** Team of the requester under the policy; null where it belongs to none. */
  readonly team: string | null;
  readonly per: readonly ScopeCap[];
};

export type AdmissionCost =
  | { readonly kind: "none" }
  | {
      readonly kind: "priced";
      readonly ceilingMicros: Micros;
      readonly priceVersion: string;
      readonly durationMs: number | null;
      /** For a change of something that runs: what it costs as the control plane has it now. Null: not such a change. */
      readonly currentMicros: Micros | null;
    };

/** What the decided tier still asks for. */
export type Requirement =
  | { readonly kind: "none" }
  | { readonly kind: "receipt" }
  | {
      readonly kind: "approval";
      readonly needed: number;
      /** Who may decide, and how many distinct people each group has to give; together they are `needed`. */
      readonly approvers: readonly Approver[];
      readonly groups: readonly ApproverGroup[];
      readonly missingContext: readonly ContextField[];
      /** People who may, with a reason, stand in for approvers who cannot be reached. */
      readonly breakGlass: readonly string[];
      readonly timeoutMs: number;
      readonly bounds: ProposalBounds;
      /** Whether the gate itself runs the request when the last approval comes in. */
      readonly execute: "resend" | "stored";
      /** Digest of everything that decides this action besides the request itself. */
      readonly ruleDigest: Digest;
      /** The rules by which standing approvals of the action are given now. */
      readonly standing: StandingRules | null;
    };

/** A limit that counts this request, and what the request brings to it. */
export type AskedAggregate = Aggregate & {
  /** With whom it counts; null: it has no label of its own, and so the one that what it changes has, if any. */
  readonly scope: string | null;
  /** What results from the request as a whole, a non-negative integer: the ledger knows how much of it is there already. */
  readonly amount: number;
};

/**
 * What is asked for instead of the tier's own requirement where a limit with `over: approve` is exceeded. `otherwise`: what the
 * Worker refuses the request with where people are not asked, because an approval may bring what it lacks.
 */
export type Lift = {
  readonly requirement: Extract<Requirement, { kind: "approval" }>;
  readonly otherwise: Refusal | null;
};

/** What the aggregates made of a request. `lifted`: people decide about it, by this rule. */
export type Tally = {
  readonly lifted: { readonly tier: 3; readonly rule: string } | null;
  readonly shadow: readonly ShadowVerdict[];
};

/**
 * How a standing approval of an action is decided: like a request of the highest tier that the policy has people approve the action
 * at. A use needs the same rules as when it was given; prices are not among them, because its USD are counted.
 */
export type StandingRules = {
  readonly tier: Tier;
  readonly needed: number;
  readonly approvers: readonly Approver[];
  readonly groups: readonly ApproverGroup[];
  readonly ruleDigest: Digest;
};

/** How much of the tenant's attention and money open proposals may take. */
export type ProposalBounds = {
  /** Share of each window that pending holds of one principal, and of all together, may take before a further one waits. */
  readonly principalPercent: number;
  readonly tenantPercent: number;
  /** How long the same principal cannot propose the same action after a denial, and after taking several proposals back. */
  readonly deniedCoolDownMs: number;
  readonly withdrawnCoolDownMs: number;
};

export type Approver = { readonly handle: string; readonly subject: string };

/** What the control plane said about the resource when the request was judged; each binds an approval. */
export type Observed = {
  /** Digest of what the change would affect (the running workloads of an allocation); null where nothing was looked up. */
  readonly affected: Digest | null;
  /** The resource's version as the control plane states it; null where it has none. */
  readonly version: string | null;
};

export type RequestContext = {
  readonly reason: string | null;
  readonly evidence: string | null;
  readonly evidenceRef: string | null;
  readonly backOut: string | null;
  readonly incident: string | null;
};

/** One of the gate's own approval tokens, whose signature, type and dates the Worker has verified. */
export type PresentedToken = {
  readonly jti: string;
  readonly approvalId: string;
  readonly approvalDigest: string;
  readonly requestDigest: string;
};

/**
 * One person's approval of one proposal, signed by an approval authority of the tenant. The Worker has verified who signed it and
 * that its subject is one of the tenant's people; whether it counts is the ledger's to say.
 */
export type SignedDecision = {
  /** The authority's registration, and its `iss`. */
  readonly authority: string;
  readonly issuer: string;
  readonly jti: string;
  readonly subject: string;
  readonly approvalId: string;
  readonly approvalDigest: string;
  /** Looked at again when it is counted: time may pass in between. */
  readonly expiresAt: EpochMs;
};

export type AdmissionRequest = {
  readonly rpcVersion: number;
  readonly requestId: string;
  readonly authority: Authority;
  readonly requester: Requester;
  readonly action: string;
  /** The catalogue's route, by which the outbox finds how to read the status of what was made; null where it declares none. */
  readonly route: string | null;
  readonly tier: Tier;
  /** What the catalogue extracted from the request: what the pins of a standing approval are held against. */
  readonly facts: Facts;
  readonly requestDigest: Digest;
  /**
   * The request as it will be sent, sealed, kept until its outcome is known: a look-up is made from it. Null: upstream has
   * none.
   */
  readonly sent: string | null;
  /** Request and requester, sealed, for the gate to run once approved; null where the requester sends it again. */
  readonly stored: string | null;
  /** The one resource that the request changes, null for creations: one change in flight per resource. */
  readonly resource: string | null;
  readonly observed: Observed;
  readonly cost: AdmissionCost;
  readonly budget: BudgetTerms;
  readonly context: RequestContext;
  readonly handles: {
    readonly idempotencyKey: string | null;
    /** Replay by request digest within a stated window although no key was sent. */
    readonly byDigest: boolean;
    readonly receipt: string | null;
    readonly tokens: readonly PresentedToken[];
    readonly signed: readonly SignedDecision[];
    /** Why a presented token is no good; it counts where the order of refusals comes to approvals. */
    readonly tokenFault: Refusal | null;
  };
  readonly requirement: Requirement;
  /** The key that the catalogue derives for what the request works on, and how long a claim lasts without activity. */
  readonly incident: { readonly derived: string | null; readonly claimMs: number };
  /** The limits over many requests that count this one. */
  readonly aggregates: readonly AskedAggregate[];
  /** Null where no limit says `over: approve`, or where people decide anyway. */
  readonly lift: Lift | null;
  /** The maintenance window that the judgement rests on, and what is answered once it has closed; null: it rests on none. */
  readonly open: { readonly closesAt: EpochMs; readonly after: Refusal } | null;
  /** Within which time people are told of it, if it is admitted; null where they are not. */
  readonly tellAfterMs: EpochMs | null;
  /** What the Worker has already refused. Replay and freeze come first in the order of refusals, so the ledger is asked. */
  readonly refusal: Refusal | null;
  /** The audit record as known so far, and what approvers are shown (redacted, rendered by the gate). */
  readonly entry: AuditEntry;
  readonly shown: JsonObject;
};

export type BudgetWindowView = {
  readonly window: string;
  readonly cap_usd: number;
  readonly settled_usd: number;
  readonly held_usd: number;
  readonly remaining_usd: number;
  readonly resets_at: string;
  readonly cap_micros: Micros;
  readonly settled_micros: Micros;
  readonly held_micros: Micros;
  readonly remaining_micros: Micros;
};
export type BudgetView = { readonly daily: BudgetWindowView; readonly monthly: BudgetWindowView };

/** A finished operation as it is replayed. */
export type StoredOutcome = {
  readonly requestId: string;
  readonly state: "succeeded" | "failed" | "unknown";
  readonly response: StoredResponse | null;
};
export type StoredResponse = { readonly status: number; readonly contentType: string | null; readonly body: string };

export type AdmissionOutcome =
  | {
      readonly kind: "admitted";
      readonly budget: BudgetView;
      readonly approvalId: string | null;
      readonly approvers: readonly string[];
      readonly context: RequestContext;
      readonly tally: Tally;
    }
  | { readonly kind: "replay"; readonly outcome: StoredOutcome; readonly budget: BudgetView }
  | {
      readonly kind: "refused";
      readonly refusal: Refusal;
      readonly budget: BudgetView | null;
      /** Absent: it did not come to that. */
      readonly tally?: Tally;
    }
  /** The Worker judged under documents that are no longer in force: judge again under the current snapshot. */
  | { readonly kind: "stale" };

export type PlanOutcome =
  | {
      readonly kind: "planned";
      /** What it would hold: for a change of something that runs, what is not paid for yet. */
      readonly addsMicros: Micros;
      readonly before: BudgetView;
      readonly after: BudgetView;
      readonly eligible: number;
      readonly receipt: { readonly receipt: string; readonly expiresAt: EpochMs } | null;
      readonly tally: Tally;
    }
  | {
      readonly kind: "refused";
      readonly refusal: Refusal;
      readonly budget: BudgetView | null;
      readonly tally?: Tally;
    }
  | { readonly kind: "stale" };

/** How a dispatch ended, as the Worker saw it. `not-sent`: `fetch` was provably never called. */
export type Conclusion = {
  readonly requestId: string;
  readonly outcome: "succeeded" | "failed" | "unknown" | "not-sent";
  readonly upstreamStatus: number | null;
  readonly resource: string | null;
  /** What the control plane's answer says it costs, null where it does not say. */
  readonly actualMicros: Micros | null;
  readonly response: StoredResponse | null;
  readonly detail: string | null;
};
