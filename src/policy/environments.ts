import { checkConstraint, constraintTarget, type Constraints } from "../catalogue/constraints.ts";
import type { ActionSpec } from "../catalogue/types.ts";
import type { JsonPath } from "../platform/json-pointer.ts";
import type { ParsedDocument } from "../platform/yaml-document.ts";
import type { Fact, Facts } from "../vocabulary.ts";
import type { Report } from "./limits.ts";
import type { PolicyDocument } from "./policy-schema.ts";
import { constraintMistake, UNKNOWN_FACT } from "./rules.ts";

/** Environments of one policy, ready to judge by. */
export type Environments = {
  readonly names: ReadonlySet<string>;
  /** What each is recognised by: any of these, each of which holds wholly or not. */
  readonly definitions: ReadonlyMap<string, readonly Constraints[]>;
  /**
   * The environments that a request with these facts may be in. One whose facts are missing counts as possible, and a
   * request that is in none may be in any: what is not known is never the harmless one.
   */
  readonly of: (spec: ActionSpec, facts: Facts) => ReadonlySet<string>;
};

/** Reads `environments` and checks that every fact is one that some action of the catalogue has, with that type. */
export function readEnvironments(
  document: ParsedDocument<PolicyDocument>,
  actions: ReadonlyMap<string, ActionSpec>,
  report: Report,
): Environments {
  const environments: { readonly name: string; readonly any: readonly Constraints[] }[] = [];
  for (const [name, written] of Object.entries(document.value.environments ?? {})) {
    const any: readonly Constraints[] = Array.isArray(written) ? written : [written];
    for (const [index, constraints] of any.entries()) {
      const path: JsonPath = ["environments", name, ...(Array.isArray(written) ? [index] : [])];
      for (const [constraint, limit] of Object.entries(constraints)) {
        const mistakes = [...actions.values()].map((spec) => constraintMistake(constraint, limit, spec));
        if (mistakes.includes(null)) continue;
        // The mistake about an action that has the fact says more than that another one has no such fact.
        const told = mistakes.find((mistake) => mistake?.startsWith(UNKNOWN_FACT) === false) ?? NO_SUCH_FACT;
        report(document.problem([...path, constraint], told, told === NO_SUCH_FACT ? "key" : "value"));
      }
    }
    environments.push({ name, any });
  }
  const names = new Set(environments.map(({ name }) => name));
  return {
    names,
    definitions: new Map(environments.map(({ name, any }) => [name, any])),
    of: (spec, facts) => {
      const possible = environments
        .filter(({ any }) => any.some((constraints) => mayHold(constraints, spec, facts)))
        .map(({ name }) => name);
      return possible.length === 0 ? names : new Set(possible);
    },
  };
}

const NO_SUCH_FACT = "no action of the catalogue has this fact";

/**
 * Whether the constraints hold, or may hold once a fact is known that the action has and this request does not state. A request that
 * names several things is in the environment of each of them: one member of a list is enough, and of an empty one nothing is known.
 */
function mayHold(constraints: Constraints, spec: ActionSpec, facts: Facts): boolean {
  return Object.entries(constraints).every(([name, limit]) => {
    const members = membersOf(constraintTarget(name, limit).fact, facts);
    if (members !== null && Array.isArray(limit))
      return members.length === 0 || members.some((member) => limit.includes(member));
    const check = checkConstraint(name, limit, facts);
    return check.kind === "holds" || (check.kind === "missing" && spec.factNames.has(check.fact));
  });
}

/** The members of a list-valued fact; null where it is none, or not stated. */
function membersOf(fact: string, facts: Facts): readonly string[] | null {
  const actual: Fact | undefined = Object.hasOwn(facts, fact) ? facts[fact] : undefined;
  return typeof actual === "object" ? actual : null;
}
