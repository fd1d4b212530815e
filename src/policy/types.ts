import type { Digest, EpochMs, Facts, Micros, Tier, ShadowVerdict } from "../vocabulary.ts";
import type { Refusal } from "../refusal.ts";
import type { AuditRetention } from "./audit-retention.ts";
import type { PolicyExplanation } from "./explanation.ts";
import type { Notify } from "./notify.ts";
import type { PolicyParts } from "./parts.ts";
import type { SignalBounds } from "./signals.ts";

/** A tenant's policy, compiled to closures under its digest and against one catalogue. Pure. */
export type CompiledPolicy = {
  /** SHA-256 of the document's text. */
  readonly digest: Digest;
  /** The people document that handles were resolved with; another one means compiling again. */
  readonly peopleDigest: Digest;
  /** The catalogue that actions, facts and floors were checked against; another one means compiling again. */
  readonly catalogueDigest: Digest;
  readonly version: string;
  /** `shadow`: entries, guards and added context are judged and recorded; the catalogue's floors alone decide. */
  readonly mode: "enforce" | "shadow";
  /** IANA zone in which budget days and months are counted. */
  readonly timezone: string;
  /** Caps in micro-USD. A cap that the document does not state is 0: nothing that costs money is allowed. */
  readonly budget: {
    readonly dailyCapMicros: Micros;
    readonly monthlyCapMicros: Micros;
    /** Most that may be submitted in a day, ended or not. Null: twice the daily cap in force. */
    readonly grossDailyCapMicros: Micros | null;
    /** Shares of a window's cap, in percent and ascending, at which people are told, once per window. */
    readonly thresholdsPercent: readonly number[];
  };
  /**
   * Team of a requester, and the caps inside the tenant's (`budget.per`) that apply to its requests of an action: of the
   * principal, its team and the action, in this order. A subject's own team goes before its owner's.
   */
  readonly spending: (requester: { readonly subject: string; readonly owner: string }, action: string) => Spending;
  /** Caps inside the tenant's that name their scope: all but the one that every other principal has for itself (`each`). */
  readonly scopeCaps: readonly ScopeCap[];
  /** SHA-256 over everything that the policy says of money but the tenant's two caps. Another one is finance's to activate. */
  readonly moneyDigest: Digest;
  /** How much many requests may add up to, in order of writing. */
  readonly aggregates: readonly Aggregate[];
  /** Those of them that count a request of this action, and what they count then is no read. */
  readonly aggregatesOf: (action: string) => readonly Aggregate[];
  /** At which figures people are told of what the audit logs show. */
  readonly signals: SignalBounds;
  /** How long audit records keep their text. */
  readonly retention: AuditRetention;
  /** Which requests people are told of after they were let through. */
  readonly notify: Notify;
  readonly rateLimits: { readonly readsPerMinute: number; readonly writesPerMinute: number };
  readonly dryRun: "receipt" | "inline";
  readonly idempotency: "optional" | "required" | "derived";
  readonly approvalTimeoutMs: number;
  readonly execute: "resend" | "stored";
  readonly proposalBounds: {
    readonly principalPercent: number;
    readonly tenantPercent: number;
    readonly deniedCoolDownMs: number;
    readonly withdrawnCoolDownMs: number;
  };
  /** Whether approving a proposal of this tier and blast radius asks to type the name of what will change. */
  readonly confirms: (tier: Tier, blastRadius: string | null) => boolean;
  /** Subjects of the people who may stand in for missing approvers, and the most that may be at stake. */
  readonly breakGlass: readonly string[];
  readonly breakGlassMaxMicros: Micros;
  /** Where proposals are announced, as written. Membership of a channel confers nothing. */
  readonly channels: {
    readonly tier3: string | null;
    readonly tier4: string | null;
    readonly escalation: string | null;
  };
  /** Whether any tier names the action, tier 5 included: then `evaluate` has more to say than `not-allowed`. */
  readonly names: (action: string) => boolean;
  /** The rule by which this policy prohibits the action, whatever the facts; null where it does not. */
  readonly prohibits: (action: string) => string | null;
  /**
   * Decides one request. The lowest tier ≥ `floor` whose entry's constraints all hold wins; no entry → `not-allowed`,
   * none holds → `constraint-exceeded` with the nearest passing values, or `unsized` where only missing facts stand in the way.
   */
  readonly evaluate: (request: PolicyRequest) => PolicyOutcome;
  /** The same decision, with every rule that was looked at. */
  readonly explain: (request: PolicyRequest) => PolicyExplanation;
  /** Context of the tier that the policy asks for and does not enforce (`mode: shadow`). */
  readonly requiresInShadow: (tier: Tier) => readonly ContextField[];
  /**
   * Whether a write of this action has to name the incident that it works on, where the catalogue derives none; and how long a
   * claim lasts without activity. In `mode: shadow` that is recorded and not required.
   */
  readonly incidents: {
    readonly requires: (action: string) => boolean;
    readonly requiresInShadow: (action: string) => boolean;
    readonly claimMs: number;
  };
  /** Which of reason, evidence, back_out and incident the tier requires. */
  readonly requires: (tier: Tier) => readonly ContextField[];
  /** The highest tier at which people approve some request of this action; null where no entry of tier 3 or 4 names it. */
  readonly approvalTier: (action: string) => Tier | null;
  /** Who decides a request of this tier; `needed` distinct people out of `approvers`. */
  readonly approvers: (tier: Tier) => ApproverRule;
  /** SHA-256 over everything in the policy that decides this action at this tier: entries, approvers, timeouts. */
  readonly ruleDigest: (action: string, tier: Tier) => Digest;
  /** What it was compiled from, for whoever compares two policies. Decisions are made with the members above. */
  readonly parts: PolicyParts;
};

export type Spending = { readonly team: string | null; readonly per: readonly ScopeCap[] };

/** A cap inside the tenant's. Null: the policy states none for that period; never both. */
export type ScopeCap = {
  /** `principal:<subject>`, `team:<name>` or `action:<action>`. */
  readonly scope: string;
  readonly dailyCapMicros: Micros | null;
  readonly monthlyCapMicros: Micros | null;
};

/** What many requests together are measured by. */
export type Measure = {
  /** A numeric fact; `submissions`: each request counts 1; `resources`: each different thing that is changed or made counts 1. */
  readonly of: string;
  /** Whose requests count together; `fact`: those with the same value of this text fact. */
  readonly per: "tenant" | "principal" | { readonly fact: string };
  /** What the last hour or day began, or what has not ended. */
  readonly within: "hour" | "day" | "running";
  /** Sorted; null: every write that has what is measured. */
  readonly actions: readonly string[] | null;
};

/** One limit of a measure. `over`: what becomes of a request beyond it; `approve`: people decide about it, as at tier 3. */
export type Aggregate = {
  readonly name: string;
  /** Under what it is counted: the same for every limit of the same measure. */
  readonly key: string;
  readonly measure: Measure;
  readonly max: number;
  readonly over: "refuse" | "approve";
  /** Judged and recorded, not enforced. */
  readonly isShadow: boolean;
};

export type ContextField = "reason" | "evidence" | "back_out" | "incident";

/** What a guard says against a request. */
export type GuardRefusal = Extract<Refusal, { kind: "not-allowed" | "outside-window" }>;

/** The maintenance window that lets a request through, for as long as it is open. */
export type OpenWindow = {
  readonly rule: string;
  readonly name: string;
  /** Exclusive. Admission looks at it again, with its own clock. */
  readonly closesAt: EpochMs;
  /** What is answered from then on. */
  readonly after: GuardRefusal;
};

export type PolicyRequest = {
  readonly action: string;
  readonly facts: Facts;
  readonly missing: readonly { readonly fact: string; readonly reason: string }[];
  readonly floor: Tier;
  /** When it is judged: maintenance windows open and close. */
  readonly now: EpochMs;
};

export type PolicyOutcome =
  | {
      readonly kind: "matched";
      readonly tier: Tier;
      readonly rule: string;
      /** Where it may run inside a maintenance window only: the one among them that closes first. */
      readonly open: OpenWindow | null;
      readonly shadow: readonly ShadowVerdict[];
    }
  | (Extract<Refusal, { kind: "not-allowed" | "constraint-exceeded" | "outside-window" | "prohibited" | "unsized" }> & {
      /** Entries in shadow that would have allowed it; absent where there are none. */
      readonly shadow?: readonly ShadowVerdict[];
    });

/**
 * Approvers of one tier: `needed` distinct people, so many of them from each group. `people` is everybody in any group. A
 * handle or role that `people` does not resolve cannot decide and is listed in `unresolved`.
 */
export type ApproverRule = {
  readonly needed: number;
  readonly groups: readonly ApproverGroup[];
  readonly people: readonly { readonly handle: string; readonly subject: string }[];
  readonly unresolved: readonly string[];
};

/** One group of an approver rule: `needed` of these subjects. `name` is for people: a role, or `approvers`. */
export type ApproverGroup = { readonly name: string; readonly needed: number; readonly subjects: readonly string[] };
