import type { CostOutcome, FactsOutcome, LookedUp, MatchedOperation } from "../catalogue/types.ts";
import { err, ok, type Result } from "../platform/result.ts";
import type { CompiledPolicy, ContextField, OpenWindow } from "../policy/types.ts";
import { requiredContext, shadowContext } from "../policy/incidents.ts";
import type { Refusal } from "../refusal.ts";
import { covers, reaches, requiredScope } from "../identity/scopes.ts";
import { isWrite, type EpochMs, type Facts, type Tier } from "../vocabulary.ts";
import { mayLift, uncounted } from "./aggregated.ts";
import { brokenLimits, callersRule } from "./caller-limits.ts";
import { incidentKey } from "./incident-key.ts";
import { lookUpAll, type LookUps } from "./look-ups.ts";
import { nearestThat } from "./nearest-affordable.ts";
import type { PriceAnswers } from "./price-answers.ts";
import type { TenantContext } from "./tenant-context.ts";
import type { Trail } from "./trail.ts";

/** What the policy made of an operation that it allows in principle. */
export type Judgement = {
  readonly tier: Tier;
  readonly rule: string;
  readonly facts: FactsOutcome;
  readonly cost: Exclude<CostOutcome, { kind: "unpriced" }>;
  /** The maintenance window that lets it run; null where none has to. */
  readonly open: OpenWindow | null;
  /** The key that the catalogue derives for what the request works on. */
  readonly incident: string | null;
  /** Context that the tier requires and the request does not bring. */
  readonly missingContext: readonly ContextField[];
  /** The same at tier 3, for a request that aggregates may lift to it; null where none does, or its credential does not reach it. */
  readonly missingIfLifted: readonly ContextField[] | null;
  /** What sizing looked up. */
  readonly lookedUp: LookedUp;
  /** When upstream was asked for the oldest price in `cost`; null where all are the gate's own. */
  readonly pricesAskedAt: EpochMs | null;
  /** The cost of the same request with other facts, at the same prices. */
  readonly costOf: (facts: Facts) => CostOutcome;
};

/** Scope and prohibition: what can be said before anything is counted or looked up. */
export function gateKeep(
  trail: Trail,
  operation: MatchedOperation,
  context: Pick<TenantContext, "catalogue" | "policy">,
): Refusal | null {
  const { principal } = trail;
  // People decide, agents act: a person's credential on an approver's laptop is no way to run anything.
  if (principal === null || principal.class === "person" || !covers(principal.scopes, operation.action)) {
    return { kind: "out-of-scope", required_scope: requiredScope(operation.action) };
  }
  if (operation.minimumTier === 5) {
    trail.tier = 5;
    return { kind: "prohibited", rule: `catalogue ${context.catalogue.id}: ${operation.action} has floor tier 5` };
  }
  const ban = context.policy.prohibits(operation.action);
  if (ban !== null) {
    trail.tier = 5;
    return { kind: "prohibited", rule: ban };
  }
  if (!reaches(principal.scopes, operation.minimumTier)) {
    return { kind: "out-of-scope", required_scope: requiredScope(operation.action, operation.minimumTier) };
  }
  return null;
}

/**
 * Judges a matched operation: facts (with upstream look-ups where sizing needs the current object, and only after the
 * policy has named the action), policy, scope at the decided tier, price (as of when the request came), the caller's own
 * bounds, required context. Adds what it learns to the trail. The first refusal in the documented order is the answer.
 */
export async function judge(
  trail: Trail,
  operation: MatchedOperation,
  context: TenantContext,
  answers: PriceAnswers,
): Promise<Result<Judgement, Refusal>> {
  const { policy } = context;
  trail.policyDigest = policy.digest;
  // Judged once more under other documents: what the first ones had in shadow says nothing any more.
  trail.shadow = [];
  const unnamed = denyUnnamed(trail, operation, policy);
  if (unnamed !== null) return err(unnamed);
  const lookedUp = await lookUpAll(trail, operation, context, answers);
  return lookedUp.ok ? decide(trail, operation, context, lookedUp.value) : lookedUp;
}

/** Deny by default: of an action that the policy does not name nothing is looked up. */
export function denyUnnamed(
  trail: Trail,
  { action, minimumTier }: MatchedOperation,
  policy: CompiledPolicy,
): Refusal | null {
  if (policy.names(action)) return null;
  trail.tier = minimumTier;
  trail.rule = "deny by default";
  return { kind: "not-allowed", rule: `The policy names no rule for ${action}` };
}

/** The judgement itself, from what is known of the operation: no I/O, so that the command line decides with it as well. */
export function decide(
  trail: Trail,
  operation: MatchedOperation,
  { policy, prices }: Pick<TenantContext, "policy" | "prices">,
  { found, pricesAskedAt, explain }: LookUps,
): Result<Judgement, Refusal> {
  const facts = operation.facts(found);
  trail.facts = facts.facts;
  const floor = operation.floor(facts.facts);
  const verdict = policy.evaluate({
    action: operation.action,
    facts: facts.facts,
    missing: facts.missing,
    floor,
    now: trail.receivedAt,
  });
  if (verdict.kind !== "matched") {
    const { shadow = [], ...refusal } = verdict;
    trail.tier = verdict.kind === "prohibited" ? 5 : floor;
    trail.rule = "rule" in verdict ? verdict.rule : null;
    trail.shadow = shadow;
    return err(refusal);
  }
  trail.tier = verdict.tier;
  trail.rule = verdict.rule;
  trail.shadow = verdict.shadow;
  const { principal, gate } = trail;
  if (principal === null || !reaches(principal.scopes, verdict.tier)) {
    return err({ kind: "out-of-scope", required_scope: requiredScope(operation.action, verdict.tier) });
  }
  const costOf = (changed: Facts): CostOutcome =>
    isWrite(verdict.tier) ? operation.cost(changed, found, prices, trail.receivedAt) : { kind: "none" };
  const cost = costOf(facts.facts);
  if (isWrite(verdict.tier) && facts.missing.length > 0) {
    return err({ kind: "unsized", missing: facts.missing.map((m) => `${m.fact}: ${m.reason}`) });
  }
  const incident = incidentKey(trail, operation, facts.facts, found, verdict.tier);
  if (!incident.ok) return incident;
  const notCounted = isWrite(verdict.tier) ? uncounted(policy, operation.action, facts.facts) : [];
  if (notCounted.length > 0) return err({ kind: "unsized", missing: notCounted });
  if (cost.kind === "unpriced") return err({ kind: "unpriced", missing: explain(cost.missing) });
  trail.costMicros = cost.kind === "priced" ? cost.ceilingMicros : 0;
  trail.priceVersion = cost.kind === "priced" ? cost.priceVersion : null;
  const broken = gate === null ? [] : brokenLimits(gate, cost);
  if (gate !== null && broken.length > 0) {
    trail.rule = callersRule(broken);
    const fits = (other: CostOutcome): boolean => brokenLimits(gate, other).length === 0;
    const nearest = nearestThat(fits, operation, { facts: facts.facts, costOf }, policy, trail.receivedAt);
    return err({ kind: "constraint-exceeded", rule: trail.rule, violations: broken, nearest });
  }
  const given = {
    reason: gate?.reason,
    evidence: gate?.evidence ?? gate?.evidenceRef,
    back_out: gate?.backOut,
    incident: gate?.incident ?? incident.value,
  };
  const isMissing = (field: ContextField): boolean => (given[field] ?? null) === null;
  const unenforced = shadowContext(policy, verdict.tier, operation.action).filter(isMissing);
  if (unenforced.length > 0) {
    trail.shadow = [...trail.shadow, { rule: `require.tier_${verdict.tier}`, verdict: "reason-required" }];
  }
  const lifts = mayLift(policy, operation.action, verdict.tier) && reaches(principal.scopes, 3);
  return ok({
    tier: verdict.tier,
    rule: verdict.rule,
    facts,
    cost,
    open: verdict.open,
    missingContext: requiredContext(policy, verdict.tier, operation.action).filter(isMissing),
    missingIfLifted: lifts ? requiredContext(policy, 3, operation.action).filter(isMissing) : null,
    incident: incident.value,
    lookedUp: found,
    pricesAskedAt: cost.kind === "priced" ? pricesAskedAt : null,
    costOf,
  });
}
