import type { Refusal } from "../refusal.ts";
import type { EpochMs } from "../vocabulary.ts";
import type { ActivityBatch } from "./activity.ts";
import type { ScopeCount } from "./aggregates/aggregate-report.ts";
import type { ApprovalWithDecisions } from "./approvals/approval-with-decisions.ts";
import type { StandingAsk } from "./approvals/ask-standing-approval.ts";
import type { Decider, DecisionOutcome, DecisionRequest } from "./approvals/decisions.ts";
import type { VersionTerms } from "./authority.ts";
import type { FinancePort } from "./money/finance-port.ts";
import type { Followed } from "./freezes.ts";
import type {
  AdmissionOutcome,
  AdmissionRequest,
  Approver,
  Authority,
  BudgetTerms,
  Conclusion,
  DeploymentFreeze,
  Freeze,
  LedgerSnapshot,
  PlanOutcome,
  ProposalBounds,
  RequestContext,
  SignedDecision,
} from "./contract.ts";
import type { LifecyclePort } from "./lifecycle/lifecycle-port.ts";
import type { IncidentPort } from "./incidents/incident-port.ts";
import type { OpenOperations } from "./open-operations.ts";
import type { LogReport } from "./signals.ts";
import type { Aggregate, ContextField } from "../policy/types.ts";

export type CredentialRow = {
  readonly credentialId: string;
  readonly subject: string;
  readonly record: string;
  readonly createdAt: EpochMs;
  readonly expiresAt: EpochMs;
  readonly revokedAt: EpochMs | null;
};

export type OperationView = {
  readonly requestId: string;
  readonly principal: string;
  readonly action: string | null;
  readonly state: string;
  readonly resource: string | null;
  readonly reservation: {
    readonly state: string;
    readonly ceilingMicros: number;
    readonly settledMicros: number | null;
  } | null;
  readonly admittedAt: EpochMs;
  readonly completedAt: EpochMs | null;
  readonly upstreamStatus: number | null;
};

export type Refused = { readonly kind: "refused"; readonly refusal: Refusal };
export type Stale = { readonly kind: "stale" };

/** Who did an administrative act, for its journal record. */
export type Actor = {
  readonly subject: string;
  readonly class: string;
  readonly credentialId: string;
  readonly demo: boolean;
  readonly roles: readonly string[];
};

/** Everything that can be asked of a tenant's ledger. The Durable Object implements it; nothing else holds this state. */
export interface LedgerPort extends FinancePort, LifecyclePort, IncidentPort {
  snapshot(): Promise<LedgerSnapshot | null>;
  admit(request: AdmissionRequest): Promise<AdmissionOutcome>;
  plan(request: AdmissionRequest, issue: boolean): Promise<PlanOutcome>;
  conclude(conclusion: Conclusion): Promise<void>;
  reconcile(finding: {
    requestId: string;
    verdict: "happened" | "absent" | "unknown";
    resource: string | null;
  }): Promise<void>;
  operation(requestId: string): Promise<OperationView | null>;
  approvals(state: string | null, limit: number): Promise<readonly ApprovalWithDecisions[]>;
  approval(id: string): Promise<ApprovalWithDecisions | null>;
  /** The sealed request of an approved proposal that the gate runs itself, null where there is none (any more). */
  storedRequest(id: string): Promise<string | null>;
  decide(authority: Authority, request: DecisionRequest): Promise<DecisionOutcome | Stale>;
  review(request: {
    requestId: string;
    approvalId: string;
    by: Decider;
    comment: string;
    reviewers: readonly Approver[];
  }): Promise<DecisionOutcome>;
  /** The same for a decision that an approval authority has signed. */
  decideSigned(
    authority: Authority,
    request: { requestId: string; decision: SignedDecision } & Pick<DecisionRequest, "approvers" | "groups">,
  ): Promise<DecisionOutcome | Stale>;
  /** Puts a standing approval before people, or finds the one that waits or stands already. */
  askStandingApproval(authority: Authority, ask: StandingAsk): Promise<DecisionOutcome | Stale>;
  standingApprovals(state: string | null, limit: number): Promise<readonly ApprovalWithDecisions[]>;
  endStandingApproval(request: {
    requestId: string;
    approvalId: string;
    by: Decider;
    approvers: readonly Approver[];
    isSecurity: boolean;
  }): Promise<DecisionOutcome>;
  withdraw(request: { requestId: string; approvalId: string; by: Decider }): Promise<DecisionOutcome>;
  completeDraft(
    authority: Authority,
    request: {
      requestId: string;
      approvalId: string;
      by: Decider;
      context: RequestContext;
      required: readonly ContextField[];
      budget: BudgetTerms;
      bounds: ProposalBounds;
      claimMs: number;
    },
  ): Promise<DecisionOutcome | Stale>;
  bootstrap(request: {
    tenant: string;
    requestId: string;
    terms: VersionTerms;
    founders: readonly { credentialId: string; subject: string; record: string; expiresAt: EpochMs }[];
    /** What the deployment says about all tenants, and so about this one from its first moment on. */
    deployment?: { readonly actor: Actor; readonly order: DeploymentFreeze } | null;
  }): Promise<{ kind: "done" } | Refused>;
  addCredential(
    actor: Actor,
    requestId: string,
    credential: { credentialId: string; subject: string; record: string; expiresAt: EpochMs },
  ): Promise<void>;
  credentials(): Promise<readonly CredentialRow[]>;
  /** Why a credential does not stand at this moment, null when it does. */
  credentialFault(credential: { credentialId: string; subject: string; listed: boolean }): Promise<string | null>;
  revokeCredential(actor: Actor, requestId: string, credentialId: string): Promise<boolean>;
  freeze(actor: Actor, requestId: string, freeze: Omit<Freeze, "frozenBy" | "since" | "role">): Promise<void>;
  unfreeze(actor: Actor, requestId: string, scope: string): Promise<{ kind: "done" } | Refused>;
  /** Follows what the deployment says about all tenants. An older order, or the same again, changes nothing. */
  followDeployment(actor: Actor, requestId: string, order: DeploymentFreeze): Promise<Followed>;
  /** A freeze of this scope kept the gate from running an approved request: it is run when the freeze is lifted. */
  awaitLift(approvalId: string, scope: string): Promise<void>;
  /** Journals an administrative act whose effect lies outside the ledger. */
  recordAct(actor: Actor, requestId: string, code: string, detail: string): Promise<void>;
  /**
   * Takes in what a log of requests has counted, and what of it people are to be told. Only that log's own object calls it; the
   * same report again changes nothing.
   */
  noteLog(report: LogReport, activity?: ActivityBatch | null): Promise<void>;
  openOperations(limit: number): Promise<OpenOperations>;
  /** What is counted of each of these, in their order; of principals only `own`, null: of all. */
  aggregateReport(aggregates: readonly Aggregate[], own: string | null): Promise<readonly (readonly ScopeCount[])[]>;
}

/** The ledger of one tenant. The object's name is the tenant id, which comes from the credential alone. */
export function ledgerOf(namespace: DurableObjectNamespace, tenant: string): LedgerPort {
  // The one place where the untyped RPC stub gets its type: tenant-ledger.do.ts `implements LedgerPort`.
  return namespace.getByName(tenant) as unknown as LedgerPort;
}
