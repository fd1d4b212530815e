import type { ActionSpec } from "../../catalogue/types.ts";
import { classOfSubject } from "../../identity/subject-class.ts";
import type { DocumentProblem } from "../../platform/document.ts";
import { formatUsd } from "../../platform/money.ts";
import type { ParsedDocument } from "../../platform/yaml-document.ts";
import { warningAt } from "./lint.ts";
import type { PolicyDocument } from "../policy-schema.ts";
import type { Rule } from "../rules.ts";
import { EACH, type WrittenCap } from "../scope-caps.ts";
import type { CompiledPolicy } from "../types.ts";

type Document = ParsedDocument<PolicyDocument>;

/** Both limits of a cap: the key in the document, and the member of what was compiled from it. */
const LIMITS = [
  ["daily_limit_usd", "dailyCapMicros"],
  ["monthly_limit_usd", "monthlyCapMicros"],
] as const;

/** Warnings about caps that can never be the reason for a refusal, because something else always is before. Each names its place. */
export function lintBudget(
  document: Document,
  rules: readonly Rule[],
  actions: ReadonlyMap<string, ActionSpec>,
  budget: CompiledPolicy["budget"],
  caps: readonly WrittenCap[],
): readonly DocumentProblem[] {
  const allowed: ReadonlySet<string> = new Set(rules.map((rule) => rule.action));
  return [
    ...lowGross(document, budget),
    ...caps.flatMap((cap) => aboveTenant(document, budget, cap)),
    ...caps.flatMap((cap) => spentByNobody(document, allowed, actions, cap)),
  ];
}

/** Whatever is settled or held was submitted before, so a lower bound of submissions is the only one of the day. */
function lowGross(document: Document, budget: CompiledPolicy["budget"]): readonly DocumentProblem[] {
  if (budget.grossDailyCapMicros === null || budget.grossDailyCapMicros >= budget.dailyCapMicros) return [];
  const message = `lower than daily_limit_usd of ${formatUsd(budget.dailyCapMicros)}, which can then never be reached`;
  return [warningAt(document, ["budget", "gross_daily_limit_usd"], message)];
}

function aboveTenant(
  document: Document,
  budget: CompiledPolicy["budget"],
  cap: WrittenCap,
): readonly DocumentProblem[] {
  return LIMITS.flatMap(([key, member]) => {
    if ((cap[member] ?? 0) <= budget[member]) return [];
    const message = `higher than the tenant's own ${key} of ${formatUsd(budget[member])}: it can never bind`;
    return [warningAt(document, ["budget", "per", cap.kind, cap.name, key], message)];
  });
}

function spentByNobody(
  document: Document,
  allowed: ReadonlySet<string>,
  actions: ReadonlyMap<string, ActionSpec>,
  cap: WrittenCap,
): readonly DocumentProblem[] {
  const reason = reasonOf(allowed, actions, cap);
  return reason === null ? [] : [warningAt(document, ["budget", "per", cap.kind, cap.name], reason, "key")];
}

function reasonOf(
  allowed: ReadonlySet<string>,
  actions: ReadonlyMap<string, ActionSpec>,
  { kind, name }: WrittenCap,
): string | null {
  if (kind === "action") {
    if (actions.get(name)?.free === true) return `${name} costs nothing: this cap can never bind`;
    return allowed.has(name) ? null : `no tier of allowed_tools allows ${name}: this cap can never bind`;
  }
  // Class is readable from the subject, and people make no requests of the control plane themselves.
  if (kind === "principal" && name !== EACH && classOfSubject(name) === "person")
    return `${name} is a person and spends nothing: a team that names a person reaches the agents that the person owns`;
  return null;
}
