import { checkConstraint, checkConstraints, constraintTarget } from "../catalogue/constraints.ts";
import { floorOf } from "../catalogue/floors.ts";
import type { Nearest, Violation } from "../refusal.ts";
import type { Fact, Facts, Tier } from "../vocabulary.ts";
import type { Rule } from "./rules.ts";

/** The rule that a refused request came closest to, what it breaks there, and the request that would have passed. */
export type Closest = {
  readonly rule: Rule;
  readonly violations: readonly Violation[];
  readonly nearest: Nearest | null;
};

type Changes = { readonly facts: Readonly<Record<string, Fact>>; readonly count: number; readonly size: number };
type Candidate = { readonly rule: Rule; readonly changes: Changes | null };

/**
 * The rule that the facts need the fewest changes to meet, then the smallest, then the lowest tier (`rules` come in that
 * order). Null where every rule's constraints hold already. `floor` is the catalogue's for the request as it was sent.
 */
export function closestRule(rules: readonly Rule[], facts: Facts, floor: Tier): Closest | null {
  const candidates: Candidate[] = rules
    .filter((rule) => !checkConstraints(rule.constraints, facts).holds)
    .map((rule) => ({ rule, changes: changesFor(rule, facts) }));
  const [best] = candidates.toSorted(byChanges);
  if (best === undefined) return null;
  return {
    rule: best.rule,
    violations: violationsOf(best.rule, facts),
    nearest: best.changes === null ? null : verified(rules, facts, best.changes, floor),
  };
}

function byChanges(a: Candidate, b: Candidate): number {
  if (a.changes === null || b.changes === null) return Number(a.changes === null) - Number(b.changes === null);
  return a.changes.count - b.changes.count || a.changes.size - b.changes.size;
}

/** Every constraint that does not hold; a missing fact shows as null. */
function violationsOf(rule: Rule, facts: Facts): readonly Violation[] {
  return Object.entries(rule.constraints).flatMap(([constraint, limit]) => {
    const check = checkConstraint(constraint, limit, facts);
    if (check.kind === "holds") return [];
    return [check.kind === "broken" ? check.violation : { constraint, limit, actual: null }];
  });
}

/** The smallest change per fact that meets all constraints on it; null where the rule contradicts itself. */
function changesFor(rule: Rule, facts: Facts): Changes | null {
  const constrained = new Set(
    Object.entries(rule.constraints).map(([name, limit]) => constraintTarget(name, limit).fact),
  );
  const changed: Record<string, Fact> = {};
  let size = 0;
  for (const fact of constrained) {
    const own = Object.entries(rule.constraints).filter(([name, limit]) => constraintTarget(name, limit).fact === fact);
    const passes = (value: Fact): boolean =>
      own.every(([name, limit]) => checkConstraint(name, limit, { [fact]: value }).kind === "holds");
    const actual = Object.hasOwn(facts, fact) ? facts[fact] : undefined;
    if (actual !== undefined && passes(actual)) continue;
    const options = own
      .flatMap(([, limit]) => valuesNear(limit, actual, rule.spec.factNames.get(fact) === "strings"))
      .filter(passes)
      .map((value) => ({ value, distance: distance(actual, value) }));
    const [closest] = options.toSorted((a, b) => a.distance - b.distance);
    if (closest === undefined) return null;
    changed[fact] = closest.value;
    size += closest.distance;
  }
  return { facts: changed, count: Object.keys(changed).length, size };
}

/** Values that a limit itself suggests: a bound is its own nearest value, a list offers its members. */
function valuesNear(limit: Fact, actual: Fact | undefined, listValued: boolean): readonly Fact[] {
  if (typeof limit !== "object") return [limit];
  if (!listValued) return limit;
  const kept = typeof actual === "object" ? actual.filter((member) => limit.includes(member)) : [];
  return [...(kept.length > 0 ? [kept] : []), ...limit.map((member) => [member])];
}

/** How far two values lie apart, 0 to 1: numbers in proportion, anything else wholly. */
function distance(from: Fact | undefined, to: Fact): number {
  if (typeof from !== "number" || typeof to !== "number") return 1;
  return Math.min(1, Math.abs(from - to) / Math.max(Math.abs(from), Math.abs(to), 1));
}

/**
 * Judges the changed request again, at the floor that its changed facts have: only a request that would pass is named.
 * A floor that this one route put above the action's own stays.
 */
function verified(rules: readonly Rule[], facts: Facts, changes: Changes, floor: Tier): Nearest | null {
  const [first] = rules;
  if (first === undefined) return null;
  const changed = { ...facts, ...changes.facts };
  const routeFloor = floor > floorOf(first.spec.floors, facts) ? floor : 0;
  const least = Math.max(routeFloor, floorOf(first.spec.floors, changed));
  const passing = rules.find((rule) => rule.tier >= least && checkConstraints(rule.constraints, changed).holds);
  return passing === undefined ? null : { tier: passing.tier, facts: changes.facts };
}
