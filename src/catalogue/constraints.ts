import { unreachable } from "../platform/assert.ts";
import type { Violation } from "../refusal.ts";
import type { Fact, Facts } from "../vocabulary.ts";

/** Named limits over facts, as a policy entry or a floor row writes them: `max_gpus: 4`, `job_type: [elastic]`. */
export type Constraints = Readonly<Record<string, Fact>>;

/** What a constraint demands of which fact: at most, at least, equal to, or one of. */
export type ConstraintTarget = { readonly kind: "max" | "min" | "equal" | "one-of"; readonly fact: string };

/** Whether a request's facts meet one constraint. A fact that is absent never holds: it is `missing`, not zero. */
export type ConstraintCheck =
  | { readonly kind: "holds" }
  | { readonly kind: "broken"; readonly violation: Violation }
  | { readonly kind: "missing"; readonly fact: string };

const HOLDS: ConstraintCheck = { kind: "holds" };

/**
 * Resolves a constraint's name and limit: `max_X` and `min_X` bound the number X, any other name is the fact itself
 * (list: one of, scalar: equal). A fact whose own name begins with `max_` cannot be constrained: catalogues refuse one.
 */
export function constraintTarget(name: string, limit: Fact): ConstraintTarget {
  if (name.startsWith("max_")) return { kind: "max", fact: name.slice("max_".length) };
  if (name.startsWith("min_")) return { kind: "min", fact: name.slice("min_".length) };
  return { kind: Array.isArray(limit) ? "one-of" : "equal", fact: name };
}

/** Checks one constraint. A fact of another type than the limit is broken, never converted. */
export function checkConstraint(name: string, limit: Fact, facts: Facts): ConstraintCheck {
  const { kind, fact } = constraintTarget(name, limit);
  const actual = Object.hasOwn(facts, fact) ? facts[fact] : undefined;
  if (actual === undefined) return { kind: "missing", fact };
  return meets(kind, limit, actual) ? HOLDS : { kind: "broken", violation: { constraint: name, limit, actual } };
}

/** Checks all constraints of an entry; every one that does not hold is reported. */
export function checkConstraints(
  constraints: Constraints,
  facts: Facts,
): { readonly holds: boolean; readonly violations: readonly Violation[]; readonly missing: readonly string[] } {
  const violations: Violation[] = [];
  const missing: string[] = [];
  for (const [name, limit] of Object.entries(constraints)) {
    const check = checkConstraint(name, limit, facts);
    if (check.kind === "broken") violations.push(check.violation);
    if (check.kind === "missing") missing.push(check.fact);
  }
  return { holds: violations.length === 0 && missing.length === 0, violations, missing };
}

function meets(kind: ConstraintTarget["kind"], limit: Fact, actual: Fact): boolean {
  switch (kind) {
    case "max":
      return typeof limit === "number" && typeof actual === "number" && actual <= limit;
    case "min":
      return typeof limit === "number" && typeof actual === "number" && actual >= limit;
    case "one-of":
      return isOneOf(limit, actual);
    case "equal":
      return limit === actual;
    default:
      return unreachable(kind);
  }
}

/** A list-valued fact (ids, several partitions) is one of the limit when it is not empty and each member is. */
function isOneOf(limit: Fact, actual: Fact): boolean {
  if (!isList(limit)) return false;
  if (isList(actual)) return actual.length > 0 && actual.every((member) => limit.includes(member));
  return limit.some((allowed) => allowed === actual);
}

const isList = (fact: Fact): fact is readonly string[] => Array.isArray(fact);

/**
 * Whether every request that meets `entry` also meets `floorWhen`: only then may the entry stand at that floor's tier.
 * Decided per constraint of the floor from the entry's constraints on the same fact; "cannot tell" is false.
 * A null floor condition is met by everything.
 */
export function impliesConstraints(entry: Constraints, floorWhen: Constraints | null): boolean {
  if (floorWhen === null) return true;
  return Object.entries(floorWhen).every(([name, limit]) =>
    Object.entries(entry).some(([entryName, entryLimit]) => implies(entryName, entryLimit, name, limit)),
  );
}

function implies(entryName: string, entryLimit: Fact, floorName: string, floorLimit: Fact): boolean {
  const entry = constraintTarget(entryName, entryLimit);
  const floor = constraintTarget(floorName, floorLimit);
  if (entry.fact !== floor.fact) return false;
  if (entry.kind === "max" || entry.kind === "min") {
    if (entry.kind !== floor.kind || typeof entryLimit !== "number" || typeof floorLimit !== "number") return false;
    return entry.kind === "max" ? entryLimit <= floorLimit : entryLimit >= floorLimit;
  }
  const allowed: readonly Fact[] = isList(entryLimit) ? entryLimit : [entryLimit];
  return allowed.length > 0 && allowed.every((value) => meets(floor.kind, floorLimit, value));
}
