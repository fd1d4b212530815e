import { constraintTarget, impliesConstraints } from "../../catalogue/constraints.ts";
import type { DocumentProblem } from "../../platform/document.ts";
import type { JsonPath } from "../../platform/json-pointer.ts";
import type { ParsedDocument } from "../../platform/yaml-document.ts";
import type { ReadApprovers } from "../approval-rules.ts";
import type { PolicyDocument } from "../policy-schema.ts";
import type { Rule } from "../rules.ts";

type Document = ParsedDocument<PolicyDocument>;

/** Warnings about a policy that loads and yet cannot mean what it says. Each names its place. */
export function lintPolicy(
  document: Document,
  rules: readonly Rule[],
  approvers: ReadApprovers,
): readonly DocumentProblem[] {
  return [
    ...unreachable(document, rules),
    ...contradictions(document, rules),
    ...approvers.warnings,
    ...understaffed(document, rules, approvers),
  ];
}

/** A warning at `path`, or at the key that leads to it. */
export const warningAt = (
  document: Document,
  path: JsonPath,
  message: string,
  at: "key" | "value" = "value",
): DocumentProblem => ({ ...document.problem(path, message, at), severity: "warning" });

/** Entries that never decide, because one that is judged before them holds whenever they do. */
function unreachable(document: Document, rules: readonly Rule[]): readonly DocumentProblem[] {
  return [...Map.groupBy(rules, (rule) => rule.action).values()].flatMap((own) =>
    own.flatMap((rule, index) => {
      const covering = own.slice(0, index).find((earlier) => impliesConstraints(rule.constraints, earlier.constraints));
      return covering === undefined
        ? []
        : [warningAt(document, rule.path, `never decides: ${covering.label} covers it`)];
    }),
  );
}

/** Entries whose own bounds exclude each other. */
function contradictions(document: Document, rules: readonly Rule[]): readonly DocumentProblem[] {
  return rules.flatMap((rule) =>
    Object.entries(rule.constraints).flatMap(([name, least]) => {
      if (constraintTarget(name, least).kind !== "min" || typeof least !== "number") return [];
      const upper = name.replace(/^min_/, "max_");
      const most = rule.constraints[upper];
      if (typeof most !== "number" || least <= most) return [];
      return [warningAt(document, [...rule.path, rule.action, name], `never holds: ${upper} is ${most}`)];
    }),
  );
}

/** Tiers that some entry uses and that too few people can decide: their requests would be refused every time. */
function understaffed(
  document: Document,
  rules: readonly Rule[],
  approvers: ReadApprovers,
): readonly DocumentProblem[] {
  return ([3, 4] as const).flatMap((tier) => {
    const name = `tier_${tier}` as const;
    const { people, needed } = approvers.approvers(tier);
    if (people.length >= needed || !rules.some((rule) => rule.tier === tier)) return [];
    const place = approvers.places[name] ?? ["allowed_tools", name];
    const message = `tier ${tier} needs ${needed} approver${needed === 1 ? "" : "s"} and ${people.length} can decide: nothing at this tier can be approved`;
    return [warningAt(document, place, message)];
  });
}
