import { constraintTarget, type Constraints } from "../../catalogue/constraints.ts";
import type { ActionSpec } from "../../catalogue/types.ts";
import type { DocumentProblem } from "../../platform/document.ts";
import type { ParsedDocument } from "../../platform/yaml-document.ts";
import type { Environments } from "../environments.ts";
import type { Guard } from "../guards.ts";
import { warningAt } from "./lint.ts";
import type { PolicyDocument } from "../policy-schema.ts";
import type { Rule } from "../rules.ts";

/**
 * Warnings about guards that cover nothing or cannot see what they are about, and about environments and windows that nothing
 * depends on. One environment that a guard
 * speaks of is enough for all: what is in another one is not in that one.
 */
export function lintGuards(
  document: ParsedDocument<PolicyDocument>,
  guards: readonly Guard[],
  actions: ReadonlyMap<string, ActionSpec>,
  { environments: { definitions }, rules }: { readonly environments: Environments; readonly rules: readonly Rule[] },
): readonly DocumentProblem[] {
  const writes = [...actions.values()].filter(({ floors }) => floors.some(({ tier }) => tier >= 2 && tier <= 4));
  const idle = guards
    .filter((guard) => !writes.some((spec) => guard.covers(spec)))
    .map((guard) => warningAt(document, guard.path, "covers nothing: no write of the catalogue is of this kind"));
  const allowed = writes.filter(({ action }) => rules.some((rule) => rule.action === action));
  const blind = guards.flatMap((guard) => blindSpots(document, guard, allowed, definitions));
  const {
    blast_radius: radius = [],
    reversible = [],
    environments = {},
    maintenance_windows: windows = {},
  } = document.value;
  const named = [...radius, ...reversible];
  const unused = (key: "environments" | "maintenance_windows", names: readonly string[], used: readonly string[]) =>
    names
      .filter((name) => !used.includes(name))
      .map((name) => warningAt(document, [key, name], `no guard speaks of ${name}`, "key"));
  return [
    ...idle,
    ...blind,
    ...unused(
      "environments",
      Object.keys(environments),
      named.some((guard) => guard.environments !== undefined) ? Object.keys(environments) : [],
    ),
    ...unused(
      "maintenance_windows",
      Object.keys(windows),
      named.flatMap((guard) => guard.inside ?? []),
    ),
  ];
}

/**
 * Writes that have the facts of some other environment and none of one that the guard is about: a request that tells the other
 * one is in that one alone, and the guard leaves it alone.
 */
function blindSpots(
  document: ParsedDocument<PolicyDocument>,
  guard: Guard,
  writes: readonly ActionSpec[],
  definitions: Environments["definitions"],
): readonly DocumentProblem[] {
  const { environments } = guard;
  if (environments === null) return [];
  const telling = (spec: ActionSpec): readonly string[] =>
    [...definitions].flatMap(([name, any]) => (any.some((one) => isTold(one, spec)) ? [name] : []));
  return writes.flatMap((spec) => {
    if (!guard.covers(spec)) return [];
    const told = telling(spec);
    const unseen = environments.find((name) => !told.includes(name));
    const other = told.find((name) => !environments.includes(name));
    if (unseen === undefined || other === undefined) return [];
    const message = `${spec.action} has no facts that tell ${unseen}, and some that tell ${other}: a request that is in ${other} by these is not in ${unseen}`;
    return [warningAt(document, [...guard.path, "environments"], message)];
  });
}

const isTold = (constraints: Constraints, spec: ActionSpec): boolean =>
  Object.entries(constraints).every(([name, limit]) => spec.factNames.has(constraintTarget(name, limit).fact));
