import { constraintTarget } from "../../catalogue/constraints.ts";
import type { ActionSpec } from "../../catalogue/types.ts";
import type { DocumentProblem } from "../../platform/document.ts";
import type { ParsedDocument } from "../../platform/yaml-document.ts";
import { countedBy } from "../aggregates.ts";
import type { ReadApprovers } from "../approval-rules.ts";
import { warningAt } from "./lint.ts";
import type { PolicyDocument } from "../policy-schema.ts";
import type { Rule } from "../rules.ts";
import type { Aggregate } from "../types.ts";

type Document = ParsedDocument<PolicyDocument>;
type Linted = {
  readonly rules: readonly Rule[];
  readonly actions: ReadonlyMap<string, ActionSpec>;
  readonly approvers: ReadApprovers;
};

/** Warnings about aggregates that cannot do what they say. Each names its place. */
export function lintAggregates(
  document: Document,
  aggregates: readonly Aggregate[],
  linted: Linted,
): readonly DocumentProblem[] {
  return aggregates.flatMap((aggregate, index) => {
    const counted = new Set(countedBy(aggregate.measure, linted.actions).map(({ action }) => action));
    const allowing = linted.rules.filter(({ action }) => counted.has(action));
    const at = (keys: readonly string[], message: string): DocumentProblem =>
      warningAt(document, ["aggregates", index, ...keys], message);
    if (allowing.length === 0)
      return [at(["name"], "no tier of allowed_tools allows what it counts: it can never bind")];
    const reason = [
      ...covered(aggregate, aggregates).map((message) => at(["max"], message)),
      ...unable(aggregate, allowing, linted.approvers).map((message) => at(["over"], message)),
      ...chosenFreely(aggregate, allowing).map((message) => at(["per"], message)),
    ];
    return reason;
  });
}

/** A limit of the same measure that always refuses first. */
function covered(aggregate: Aggregate, all: readonly Aggregate[]): readonly string[] {
  const lower = all.find(
    (other) =>
      other !== aggregate &&
      other.key === aggregate.key &&
      other.over === "refuse" &&
      !other.isShadow &&
      other.max < aggregate.max,
  );
  return lower === undefined ? [] : [`never reached: ${lower.name} refuses beyond ${lower.max} already`];
}

/** Lifting to tier 3 needs something below it, and people who can decide there. */
function unable(aggregate: Aggregate, allowing: readonly Rule[], { approvers }: ReadApprovers): readonly string[] {
  if (aggregate.over !== "approve") return [];
  if (allowing.every(({ tier }) => tier >= 3))
    return ["never lifts anything: people decide about all that it counts anyway"];
  const { people, needed } = approvers(3);
  if (people.length >= needed) return [];
  return [
    `tier 3 needs ${needed} approver${needed === 1 ? "" : "s"} and ${people.length} can decide: nothing beyond it can be approved`,
  ];
}

/** Whoever asks chooses the label: of those that the policy does not list, each has the whole limit for itself. */
function chosenFreely({ measure: { per } }: Aggregate, allowing: readonly Rule[]): readonly string[] {
  if (typeof per === "string") return [];
  const isOpen = ({ constraints, spec }: Rule): boolean =>
    spec.factNames.has(per.fact) &&
    !Object.entries(constraints).some(([name, limit]) => constraintTarget(name, limit).fact === per.fact);
  const open = allowing.find(isOpen);
  return open === undefined
    ? []
    : [`${open.label} leaves ${per.fact} to the caller, and each has a count of its own: list the ones allowed`];
}
