import { checkConstraints } from "../catalogue/constraints.ts";
import type { Facts } from "../vocabulary.ts";
import { closestRule } from "./nearest.ts";
import type { Rule } from "./rules.ts";
import type { PolicyOutcome, PolicyRequest } from "./types.ts";

/** Tier 5: the catalogue's word against any policy. */
const PROHIBITED_FLOOR = 5;

/**
 * Builds the decision function: rules are grouped by action once, so a decision costs the same under 10 rules and
 * 1,000. `rules` come in order of tier. The function is pure and never throws.
 */
export function compileEvaluator(
  rules: readonly Rule[],
  prohibited: ReadonlyMap<string, string>,
): (request: PolicyRequest) => PolicyOutcome {
  const byAction: ReadonlyMap<string, readonly Rule[]> = Map.groupBy(rules, (rule) => rule.action);
  return (request) => {
    const ban = prohibited.get(request.action);
    if (ban !== undefined) return { kind: "prohibited", rule: ban };
    if (request.floor === PROHIBITED_FLOOR) {
      return { kind: "prohibited", rule: `catalogue floor ${PROHIBITED_FLOOR} ${request.action}` };
    }
    const own = byAction.get(request.action);
    if (own === undefined) return { kind: "not-allowed", rule: `allowed_tools does not name ${request.action}` };
    const facts = knownFacts(request);
    for (const rule of own) {
      // Loading has refused entries below the floor; were one to get this far, it still decides nothing.
      if (rule.tier >= request.floor && rule.checks.every((check) => check(facts).kind === "holds"))
        return rule.matched;
    }
    return refusal(own, facts, request);
  };
}

/** A fact that is reported missing is not used, even where a value came with it. */
function knownFacts(request: PolicyRequest): Facts {
  if (request.missing.length === 0) return request.facts;
  const missing = new Set(request.missing.map(({ fact }) => fact));
  return Object.fromEntries(Object.entries(request.facts).filter(([name]) => !missing.has(name)));
}

/** Says why no rule of the action decided. Where one breaks nothing and only lacks facts, those are what to supply. */
function refusal(rules: readonly Rule[], facts: Facts, request: PolicyRequest): PolicyOutcome {
  for (const rule of rules) {
    const { violations, missing } = checkConstraints(rule.constraints, facts);
    if (violations.length === 0 && missing.length > 0) return { kind: "unsized", missing: [...new Set(missing)] };
  }
  const closest = closestRule(rules, facts, request.floor);
  if (closest === null) {
    return {
      kind: "not-allowed",
      rule: `allowed_tools has no entry for ${request.action} at tier ${request.floor} or above`,
    };
  }
  const { rule, violations, nearest } = closest;
  return { kind: "constraint-exceeded", rule: rule.label, violations, nearest };
}
