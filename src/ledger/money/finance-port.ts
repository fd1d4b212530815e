import type { PrincipalClass } from "../../identity/principal.ts";
import type { Refusal, WindowShortage } from "../../refusal.ts";
import type { Digest, EpochMs, Micros } from "../../vocabulary.ts";
import type { BudgetWindowView } from "../contract.ts";

/**
 * What finance asks of a tenant's ledger, and what billing reports to it. Plain data: it crosses Durable Object RPC. The
 * policy's figures come with the call (`TenantTerms`), finance's own lie in the ledger; the cap in force is the lower.
 */

/** The policy's figures for the tenant as a whole. `grossDailyCapMicros` null: twice the daily cap in force. */
export type TenantTerms = {
  readonly timezone: string;
  readonly dailyCapMicros: Micros;
  readonly monthlyCapMicros: Micros;
  readonly grossDailyCapMicros: Micros | null;
  /** Shares of a window's cap, in percent and ascending, at which people are told, once per window. */
  readonly thresholdsPercent: readonly number[];
};

/** A cap inside the tenant's: of one principal, team or action. Null: the policy states none for that period. */
export type ScopeCap = {
  /** `principal:<subject>`, `team:<name>` or `action:<action>`. */
  readonly scope: string;
  readonly dailyCapMicros: Micros | null;
  readonly monthlyCapMicros: Micros | null;
};

export type BudgetPeriod = "daily" | "monthly";

/** Who acts on the tenant's money, as authenticated. */
export type MoneyActor = {
  readonly subject: string;
  readonly class: PrincipalClass;
  readonly owner: string;
  /** Who minted the credential, or which issuer signed it: never the second person to what it asks. */
  readonly issuer: string;
  readonly credentialId: string;
  readonly demo: boolean;
  readonly roles: readonly string[];
  /** Why the credential does not speak for a person when money is widened (an API key minted by an operator), else null. */
  readonly fault: string | null;
};

/** One window of a cap: the tenant's, or one inside it. `cap` is the one in force. */
export type CapView = BudgetWindowView & {
  /** `tenant`, `gross`, `principal:…`, `team:…` or `action:…`. Of `gross`, `held` is what was submitted and `settled` is 0. */
  readonly scope: string;
  readonly period: BudgetPeriod;
};

export type BudgetReport = {
  readonly timezone: string;
  readonly daily: TenantCapView;
  readonly monthly: TenantCapView;
  readonly gross: CapView;
  /** Caps inside the tenant's that the policy states and that have a window open, plus those of the asking principal. */
  readonly scopes: readonly CapView[];
  readonly pending: readonly BudgetChange[];
  /** Set while spending is frozen. */
  readonly spendingFrozen: { readonly by: string; readonly reason: string; readonly since: EpochMs } | null;
};
export type TenantCapView = CapView & {
  readonly policyCapMicros: Micros;
  /** Null where finance has set none. */
  readonly financeCapMicros: Micros | null;
  /** What makes up `held`. */
  readonly heldByState: Readonly<Record<"held" | "dispatching" | "committed" | "unknown", Micros>>;
};

/**
 * One change of a cap of finance's. A lowering is in force when it is made; a raise (or a request for one) waits for people
 * of finance. `raise`: asked by finance, needs one more; `request`: asked by anybody else, needs two.
 */
export type BudgetChange = {
  readonly id: string;
  readonly kind: "lower" | "raise" | "request";
  readonly state: "pending" | "approved" | "denied" | "withdrawn" | "expired";
  readonly period: BudgetPeriod;
  readonly capMicros: Micros;
  /** The cap in force when it was asked for. */
  readonly fromMicros: Micros;
  readonly askedBy: string;
  readonly reason: string;
  readonly incident: string | null;
  readonly effectiveAt: EpochMs;
  /** When a temporary cap ends and the one before it holds again; null for a lasting one. */
  readonly endsAt: EpochMs | null;
  readonly askedAt: EpochMs;
  /** When a pending one expires. */
  readonly expiresAt: EpochMs;
  readonly needed: number;
  readonly decisions: readonly {
    readonly subject: string;
    readonly decision: "approve" | "deny";
    readonly comment: string | null;
    readonly decidedAt: EpochMs;
  }[];
};

export type ChangeAsk = {
  readonly requestId: string;
  readonly period: BudgetPeriod;
  readonly capMicros: Micros;
  readonly reason: string;
  readonly incident: string | null;
  /** Null: now. */
  readonly effectiveAt: EpochMs | null;
  readonly endsAt: EpochMs | null;
};

export type ChangeOutcome =
  | { readonly kind: "changed"; readonly change: BudgetChange }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** One reservation that counts in a window, or (with `unresolved`) one that settled at its ceiling with nothing heard. */
export type HoldRow = {
  readonly id: string;
  readonly state: string;
  readonly principal: string;
  readonly team: string | null;
  readonly action: string;
  readonly dailyWindow: string;
  readonly monthlyWindow: string;
  readonly ceilingMicros: Micros;
  readonly settledMicros: Micros | null;
  readonly priceVersion: string | null;
  readonly basis: string | null;
  readonly since: EpochMs;
  /** When a running one settles at its ceiling if nothing is heard; null for the others. */
  readonly until: EpochMs | null;
  readonly resource: string | null;
};

/** One line of the append-only book. Amounts are changes: a release has a negative `heldMicros`. */
export type EntryRow = {
  readonly monthlyWindow: string;
  readonly number: number;
  readonly dailyWindow: string;
  readonly at: EpochMs;
  readonly reservation: string;
  readonly kind: "hold" | "release" | "settle" | "adjust";
  readonly principal: string;
  readonly team: string | null;
  readonly action: string;
  readonly heldMicros: Micros;
  readonly settledMicros: Micros;
  readonly basis: string;
  readonly priceVersion: string | null;
};

/** Use of one day's or month's window of the tenant, as far as there was any. */
export type WindowUse = {
  readonly window: string;
  readonly heldMicros: Micros;
  readonly settledMicros: Micros;
  readonly grossMicros: Micros;
};

/** One line of a usage report. `evidence` is the biller's own id (an invoice line): a repeated one is the same report. */
export type UsageReport = {
  readonly requestId: string;
  readonly actualMicros: Micros;
  readonly endedAt: EpochMs | null;
  readonly evidence: string;
};
export type UsageResult = {
  readonly requestId: string;
  readonly evidence: string;
  /**
   * `settled`: booked. `waiting`: below the ceiling, and neither has the control plane reported an end nor a second person of
   * finance confirmed it. `overrun`: booked, above what was held, and alarmed. `duplicate`: reported before, nothing changed.
   * `rejected`: see `reason`.
   */
  readonly state: "settled" | "waiting" | "overrun" | "duplicate" | "rejected";
  readonly reason: string | null;
  readonly heldMicros: Micros | null;
  readonly settledMicros: Micros | null;
};

/** What people say of an outcome that the gate could not see. */
export type Resolution = {
  readonly requestId: string;
  readonly operation: string;
  readonly outcome: "succeeded" | "failed";
  readonly actualMicros: Micros | null;
  readonly evidence: string;
};
export type ResolutionOutcome =
  | { readonly kind: "recorded"; readonly state: "pending" | "resolved"; readonly given: readonly string[] }
  | { readonly kind: "refused"; readonly refusal: Refusal };

/** What a status read said of a committed resource. */
export type StatusFinding = {
  readonly requestId: string;
  readonly verdict: "running" | "ended" | "unknown";
  /** What the control plane says it cost, null where it does not say. */
  readonly actualMicros: Micros | null;
  /** For how long it ran, null where it does not say: then the time since admission is the upper bound. */
  readonly ranMs: number | null;
};

/** The ledger's own figures of one month, three times over; all differences are drift, and zero is what is expected. */
export type BooksReport = {
  readonly window: string;
  /** Running sums, the sum of all reservations, and the sum of all entries. */
  readonly windows: { readonly heldMicros: Micros; readonly settledMicros: Micros };
  readonly reservations: { readonly heldMicros: Micros; readonly settledMicros: Micros };
  readonly entries: { readonly heldMicros: Micros; readonly settledMicros: Micros };
  /** What billing has reported for reservations of this window, what those settled at, and how many there are. */
  readonly usage: { readonly reports: number; readonly reportedMicros: Micros; readonly settledMicros: Micros };
  readonly unresolved: { readonly count: number; readonly settledMicros: Micros };
  readonly overrunMicros: Micros;
};

export interface FinancePort {
  budgetReport(terms: TenantTerms, caps: readonly ScopeCap[]): Promise<BudgetReport>;
  /**
   * Asks for another cap. Lower than the one in force: done, for anybody of finance. Higher: pending; the same ask by a
   * second person of finance confirms the one that waits. Journaled.
   */
  changeBudget(actor: MoneyActor, terms: TenantTerms, ask: ChangeAsk): Promise<ChangeOutcome>;
  decideBudgetChange(
    actor: MoneyActor,
    decision: {
      readonly requestId: string;
      readonly id: string;
      readonly decision: "approve" | "deny";
      readonly comment: string | null;
    },
  ): Promise<ChangeOutcome>;
  /** Takes a pending or scheduled change back, or ends a temporary raise now. */
  withdrawBudgetChange(actor: MoneyActor, requestId: string, id: string): Promise<ChangeOutcome>;
  budgetChange(id: string): Promise<BudgetChange | null>;
  /** Newest first. */
  budgetChanges(state: BudgetChange["state"] | null, limit: number): Promise<readonly BudgetChange[]>;
  /** Every hold that counts now, largest first; `window` a day's or month's id, null for all. */
  budgetHolds(window: string | null, limit: number): Promise<readonly HoldRow[]>;
  /** Settled at the ceiling with nothing heard, and outcomes still unknown; oldest first. */
  unresolvedHolds(limit: number): Promise<readonly HoldRow[]>;
  /** Lines of one month's book after `after`, in order. */
  budgetEntries(month: string, after: number, limit: number): Promise<readonly EntryRow[]>;
  /** Days and months of the tenant that had any use, newest first. */
  windowUse(period: BudgetPeriod, limit: number): Promise<readonly WindowUse[]>;
  /** Reports real costs; each line stands alone. Journaled. */
  reportUsage(actor: MoneyActor, requestId: string, reports: readonly UsageReport[]): Promise<readonly UsageResult[]>;
  /** One of the two people (operator and finance) who settle an unknown outcome. */
  resolveOperation(actor: MoneyActor, resolution: Resolution): Promise<ResolutionOutcome>;
  /** Books what a status read found. Only the outbox calls it. */
  settleByStatus(finding: StatusFinding): Promise<void>;
  booksOf(month: string): Promise<BooksReport>;
}

/** What the outbox needs to read the status of a committed resource. */
export type StatusCheck = {
  readonly requestId: string;
  readonly catalogue: Digest;
  readonly route: string;
  readonly resource: string;
};

/** What people are told of the tenant's money; `facts` are shown as they are. */
export type MoneyAlert =
  | {
      readonly kind: "budget-threshold";
      readonly window: string;
      readonly percent: number;
      readonly usedMicros: Micros;
      readonly capMicros: Micros;
    }
  | {
      readonly kind: "budget-refused";
      readonly principal: string;
      readonly action: string;
      readonly windows: readonly WindowShortage[];
    }
  | {
      readonly kind: "budget-overrun";
      readonly requestId: string;
      readonly heldMicros: Micros;
      readonly actualMicros: Micros;
    }
  | {
      readonly kind: "budget-change";
      readonly id: string;
      readonly event: "asked" | "approved" | "denied" | "withdrawn" | "expired" | "lowered";
    };
