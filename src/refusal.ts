import type { Fact, Tier } from "./vocabulary.ts";

/**
 * Every way the gate says no, as plain data. Rooms return these; only `problem.ts` turns one into a status code and
 * RFC 9457 text. `kind` is the problem slug of the wire contract.
 */
export type Refusal =
  | { readonly kind: "malformed-request"; readonly reason: string }
  | { readonly kind: "request-timeout" }
  | { readonly kind: "payload-too-large"; readonly limit_bytes: number }
  | { readonly kind: "uri-too-long"; readonly limit_bytes: number }
  | { readonly kind: "headers-too-large"; readonly limit_bytes: number }
  | { readonly kind: "unsupported-media-type"; readonly reason: string; readonly accepted: readonly string[] }
  | { readonly kind: "expectation-failed" }
  | { readonly kind: "upgrade-refused" }
  | { readonly kind: "method-not-allowed"; readonly allow: readonly string[] }
  /** `cause` is for the audit record only: the wire shows one body for every cause. */
  | { readonly kind: "unauthenticated"; readonly cause: string }
  | { readonly kind: "unknown-operation"; readonly method: string; readonly path: string }
  | { readonly kind: "out-of-scope"; readonly required_scope: string }
  | { readonly kind: "prohibited"; readonly rule: string }
  | { readonly kind: "rate-limited"; readonly limit: string; readonly retry_after_s: number }
  | {
      readonly kind: "frozen";
      /** What is stopped: `everything`, `tenant`, `spending`, `action:<action>` or `principal:<subject>`. */
      readonly scope: string;
      readonly frozen_by: string;
      readonly reason: string;
      readonly since: string;
    }
  /** `runbook`: how people do by hand what a guard lets no agent do. */
  | { readonly kind: "not-allowed"; readonly rule: string; readonly runbook?: string }
  | {
      readonly kind: "constraint-exceeded";
      readonly rule: string;
      readonly violations: readonly Violation[];
      readonly nearest: Nearest | null;
    }
  | {
      readonly kind: "outside-window";
      readonly rule: string;
      readonly windows: readonly string[];
      readonly opens_at: string | null;
    }
  | { readonly kind: "unsized"; readonly missing: readonly string[] }
  | { readonly kind: "unpriced"; readonly missing: readonly string[] }
  | { readonly kind: "reason-required"; readonly missing: readonly string[] }
  | { readonly kind: "dry-run-required"; readonly how: string; readonly reason: string }
  | { readonly kind: "idempotency-key-required" }
  | { readonly kind: "idempotency-in-progress"; readonly operation_url: string }
  | { readonly kind: "idempotency-key-reused" }
  | { readonly kind: "resource-busy"; readonly resource: string; readonly operation_url: string }
  | { readonly kind: "incident-in-progress"; readonly incident: IncidentSummary }
  | { readonly kind: "resource-changed"; readonly differences: readonly string[] }
  | {
      readonly kind: "budget-exceeded";
      readonly windows: readonly WindowShortage[];
      /** What makes up `held`: the largest, and the sum of the others. */
      readonly holds: readonly HoldView[];
      readonly other_holds: { readonly count: number; readonly held_usd: number; readonly held_micros: number };
      readonly nearest: Nearest | null;
    }
  | {
      readonly kind: "aggregate-exceeded";
      /** The aggregate's name in the policy, what it counts (`gpus`), whose (`tenant`, `principal:agent:a`) and in what time. */
      readonly aggregate: string;
      readonly of: string;
      readonly scope: string;
      readonly within: "hour" | "day" | "running";
      readonly limit: number;
      readonly current: number;
      readonly requested: number;
      readonly nearest: Nearest | null;
    }
  | { readonly kind: "approval-required"; readonly approval: ApprovalSummary }
  | { readonly kind: "approval-invalid"; readonly reason: string }
  | { readonly kind: "approval-expired"; readonly reason: string }
  | { readonly kind: "approval-consumed"; readonly operation_url: string }
  | { readonly kind: "approval-denied"; readonly decided_by: readonly string[] }
  | { readonly kind: "not-eligible"; readonly reason: string }
  | { readonly kind: "already-decided"; readonly state: string; readonly decided_by: readonly string[] }
  | { readonly kind: "not-found" }
  | {
      readonly kind: "policy-invalid";
      readonly reason: string;
      readonly line: number | null;
      readonly column: number | null;
      readonly path: string;
    }
  | { readonly kind: "upstream-failed"; readonly reason: string }
  | { readonly kind: "upstream-timeout" }
  | { readonly kind: "outcome-unknown"; readonly operation_url: string }
  /** `cause` is for the audit record only. */
  | { readonly kind: "unavailable"; readonly dependency: string; readonly cause: string };

export type RefusalKind = Refusal["kind"];

/** One constraint of the policy that the request's facts break. `actual` is null where the fact could not be extracted. */
export type Violation = { readonly constraint: string; readonly limit: Fact; readonly actual: Fact | null };

/** The closest request that would pass: the facts to change, and the tier it would then have. */
export type Nearest = { readonly tier: Tier; readonly facts: Readonly<Record<string, Fact>> };

/** One budget window that a request does not fit in. `_micros` are exact integers, `_usd` the same amounts for people. */
export type WindowShortage = {
  /** The window's id in the tenant's time zone: `2026-11-20` or `2026-11`. */
  readonly window: string;
  readonly period: "daily" | "monthly";
  /**
   * What the cap is one of. `window`: the whole window. `gross`: all that was submitted in it, ended or not. A cap inside the
   * tenant's: `principal:<subject>`, `team:<name>`, `action:<action>`. `pending-of-principal`, `pending-of-tenant`: the share
   * that proposals of one principal (of all together) may hold while they wait; settled money counts in the others only.
   */
  readonly scope: string;
  readonly cap_usd: number;
  readonly settled_usd: number;
  readonly held_usd: number;
  readonly requested_usd: number;
  readonly short_usd: number;
  readonly resets_at: string;
  readonly cap_micros: number;
  readonly settled_micros: number;
  readonly held_micros: number;
  readonly requested_micros: number;
  readonly short_micros: number;
};

/** One hold in a window without room: whose it is, for what, and since when. */
export type HoldView = {
  /** The operation's request id, or the proposal's id. */
  readonly id: string;
  readonly state: string;
  readonly principal: string;
  readonly action: string;
  readonly held_usd: number;
  readonly held_micros: number;
  readonly since: string;
};

/** Who works on an incident, and where to follow it. `request_id`: of the request that claimed it. */
export type IncidentSummary = {
  readonly key: string;
  readonly owner: string;
  readonly request_id: string;
  readonly started_at: string;
  readonly url: string;
};

/** What an `approval-required` problem shows of the proposal. */
export type ApprovalSummary = {
  readonly id: string | null;
  readonly url: string | null;
  readonly state: "draft" | "pending" | null;
  readonly needed: number;
  readonly given: number;
  readonly eligible: number;
  readonly approvers: readonly string[];
  readonly expires_at: string | null;
  readonly request_digest: string;
  readonly missing: readonly string[];
};
