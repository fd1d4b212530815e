import { constraintTarget, impliesConstraints, type Constraints } from "../../catalogue/constraints.ts";
import type { ActionSpec } from "../../catalogue/types.ts";
import type { DocumentProblem } from "../../platform/document.ts";
import type { ParsedDocument } from "../../platform/yaml-document.ts";
import { isWrite } from "../../vocabulary.ts";
import type { Guard } from "../guards.ts";
import { warningAt } from "./lint.ts";
import type { PolicyDocument } from "../policy-schema.ts";
import type { Rule } from "../rules.ts";

type Document = ParsedDocument<PolicyDocument>;

/** Warnings about what stands in an entry and can never matter, because something else decides before it does. */
export function lintShadowed(
  document: Document,
  rules: readonly Rule[],
  guards: readonly Guard[],
): readonly DocumentProblem[] {
  return [
    ...rules.flatMap((rule) => redundant(document, rule)),
    ...[...Map.groupBy(rules, ({ action }) => action).values()].flatMap((own) =>
      own.flatMap((rule, index) => takenValues(document, rule, own.slice(0, index))),
    ),
    ...rules.flatMap((rule) => refusedByGuard(document, rule, guards)),
  ];
}

/** A constraint that holds whenever another one of the same entry does. */
function redundant(document: Document, { action, constraints, path }: Rule): readonly DocumentProblem[] {
  const all = Object.entries(constraints);
  return all.flatMap(([name, limit]) => {
    const stricter = all.find(
      ([other, its]) => other !== name && impliesConstraints({ [other]: its }, { [name]: limit }),
    );
    if (stricter === undefined) return [];
    const message = `never matters: ${stricter[0]} of ${JSON.stringify(stricter[1])} stands beside it`;
    return [warningAt(document, [...path, action, name], message, "key")];
  });
}

/** Values of a list for which an entry before this one always decides; all of them together: the whole entry. */
function takenValues(document: Document, rule: Rule, earlier: readonly Rule[]): readonly DocumentProblem[] {
  const covering = (constraints: Constraints): Rule | undefined =>
    earlier.find((one) => impliesConstraints(constraints, one.constraints));
  // That one entry covers it is told elsewhere.
  if (covering(rule.constraints) !== undefined) return [];
  return Object.entries(rule.constraints).flatMap(([name, limit]) => {
    const { kind, fact } = constraintTarget(name, limit);
    // Of a fact that is a list itself several may come together.
    if (kind !== "one-of" || typeof limit !== "object" || rule.spec.factNames.get(fact) !== "string") return [];
    const taken = limit.flatMap((value, index) => {
      const by = covering({ ...rule.constraints, [name]: value });
      return by === undefined ? [] : [{ value, index, by }];
    });
    if (taken.length < limit.length)
      return taken.map(({ value, index, by }) =>
        warningAt(
          document,
          [...rule.path, rule.action, name, index],
          `${value} never decides here: ${by.label} covers it`,
        ),
      );
    const labels = [...new Set(taken.map(({ by }) => by.label))].join(" and ");
    return [warningAt(document, rule.path, `never decides: ${labels} cover all of it`)];
  });
}

/** An entry all of whose requests a guard refuses at any time. */
function refusedByGuard(document: Document, rule: Rule, guards: readonly Guard[]): readonly DocumentProblem[] {
  if (!isWrite(rule.tier) || document.value.mode === "shadow") return [];
  const refusing = guards.find(
    (guard) =>
      !guard.isShadow && guard.windows === null && guard.covers(rule.spec) && isAlwaysIn(document, guard, rule),
  );
  return refusing === undefined
    ? []
    : [warningAt(document, rule.path, `never decides: ${refusing.label} refuses all that it allows`)];
}

/** Whether every request of the entry is possibly in an environment of the guard. False where it cannot be told. */
export function isAlwaysIn({ value }: Document, guard: Guard, { constraints, spec }: Rule): boolean {
  if (guard.environments === null) return true;
  const named = Object.entries(value.environments ?? {}).map(([name, any]) => ({
    name,
    any: Array.isArray(any) ? any : [any],
  }));
  const own = named.filter(({ name }) => guard.environments?.includes(name) === true);
  if (own.length === named.length) return true;
  if (own.some(({ any }) => any.some((environment) => impliesConstraints(constraints, environment)))) return true;
  // A request that can be in none of them counts as being in all.
  return named.every(({ any }) => any.every((environment) => cannotHold(environment, spec)));
}

const cannotHold = (environment: Constraints, spec: ActionSpec): boolean =>
  Object.entries(environment).some(([name, limit]) => !spec.factNames.has(constraintTarget(name, limit).fact));
