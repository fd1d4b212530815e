import { formatUsd } from "../platform/money.ts";
import { requiredContext } from "../policy/incidents.ts";
import { tellAfterMs } from "../policy/notify.ts";
import type { DECISIONS, Expectation } from "../policy/policy-tests-schema.ts";
import type { CompiledPolicy } from "../policy/types.ts";
import type { Fact } from "../vocabulary.ts";
import type { OfflineDecision } from "./policy/decide-offline.ts";

/** A decision in the words of a table of tests: every member that a case may state. */
export type DecisionView = { readonly [K in keyof Expectation]-?: NonNullable<Expectation[K]> | null };

type Decision = (typeof DECISIONS)[number];

/** Says a decision in those words. Null: it has no such thing. */
export function viewOf(decided: OfflineDecision, policy: CompiledPolicy): DecisionView {
  const { trail, operation, refusal, judgement, tier, money, requirement, explained } = decided;
  const action = operation?.action ?? null;
  const people = peopleOf(decided);
  const runs = refusal === null && tier !== null && action !== null;
  return {
    decision: decisionOf(decided),
    reason_code: refusal?.kind ?? null,
    detail: refusal === null ? null : detailOf(refusal),
    action,
    tier,
    floor: operation === null ? null : operation.floor(trail.facts ?? {}),
    rule: refusal !== null && "rule" in refusal ? refusal.rule : trail.rule,
    facts: trail.facts === null ? null : mutable(trail.facts),
    context: runs ? [...requiredContext(policy, tier, action)] : null,
    incident: judgement === null ? null : (judgement.incident ?? "none"),
    needed: requirement?.kind === "approval" ? requirement.needed : null,
    approvers: requirement?.kind === "approval" ? people : null,
    cost_usd: judgement === null ? null : judgement.cost.kind === "priced" ? formatUsd(money.askedMicros) : "none",
    team: teamOf(decided, policy),
    caps: money.caps.map(({ name }) => name),
    too_dear_for: money.short.map(({ name }) => name),
    aggregates: Object.fromEntries(decided.aggregates.map(({ name, amount }) => [name, amount])),
    violations: violationsOf(refusal),
    nearest: nearestOf(refusal),
    missing: refusal !== null && "missing" in refusal ? [...refusal.missing] : null,
    environments: explained?.steps.flatMap((step) => (step.kind === "environments" ? step.possible : [])) ?? null,
    window: judgement?.open?.name ?? null,
    closes_at: judgement?.open === null || judgement === null ? null : toSecond(judgement.open.closesAt),
    opens_at: refusal?.kind === "outside-window" && refusal.opens_at !== null ? toSecond(refusal.opens_at) : null,
    runbook: refusal?.kind === "not-allowed" ? (refusal.runbook ?? null) : null,
    shadow: [...trail.shadow],
    told: runs ? tellAfterMs(policy.notify, action, tier) !== null : null,
  };
}

function decisionOf({ refusal, requirement }: OfflineDecision): Decision {
  if (refusal !== null || requirement === null) return "refuse";
  if (requirement.kind === "receipt") return "dry-run";
  return requirement.kind === "approval" ? "approval" : "allow";
}

/** Handles of those who may approve it: nobody approves what they are accountable for. */
function peopleOf({ requirement, trail: { principal } }: OfflineDecision): string[] {
  if (requirement?.kind !== "approval") return [];
  const barred = new Set([principal?.subject, principal?.owner, principal?.issuer]);
  return requirement.approvers.filter(({ subject }) => !barred.has(subject)).map(({ handle }) => handle);
}

function teamOf({ trail: { principal }, operation }: OfflineDecision, policy: CompiledPolicy): string | null {
  if (principal === null || operation === null) return null;
  return policy.spending(principal, operation.action).team ?? "none";
}

type Refused = NonNullable<OfflineDecision["refusal"]>;

function detailOf(refusal: Refused): string {
  if ("reason" in refusal) return refusal.reason;
  if ("missing" in refusal) return refusal.missing.join("; ");
  if ("required_scope" in refusal) return refusal.required_scope;
  if ("rule" in refusal) return refusal.rule;
  return refusal.kind;
}

const violationsOf = (refusal: Refused | null): NonNullable<Expectation["violations"]> | null =>
  refusal?.kind === "constraint-exceeded"
    ? Object.fromEntries(
        refusal.violations.map(({ constraint, limit, actual }) => [
          constraint,
          { limit: mutableFact(limit), actual: actual === null ? null : mutableFact(actual) },
        ]),
      )
    : null;

const nearestOf = (refusal: Refused | null): NonNullable<Expectation["nearest"]> | null =>
  refusal?.kind === "constraint-exceeded" && refusal.nearest !== null
    ? { tier: refusal.nearest.tier, facts: mutable(refusal.nearest.facts) }
    : null;

type Written = NonNullable<Expectation["facts"]>;
const mutableFact = (fact: Fact): Written[string] => (typeof fact === "object" ? [...fact] : fact);
const mutable = (facts: Readonly<Record<string, Fact>>): Written =>
  Object.fromEntries(Object.entries(facts).map(([name, fact]) => [name, mutableFact(fact)]));

/** Windows open and close on whole seconds; tables write them so. */
const toSecond = (moment: string | number): string => new Date(moment).toISOString().replace(".000Z", "Z");
