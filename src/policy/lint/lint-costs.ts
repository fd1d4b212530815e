import type { ActionBounds } from "../../catalogue/bounds.ts";
import type { PriceTable } from "../../catalogue/prices.ts";
import type { DocumentProblem } from "../../platform/document.ts";
import { formatUsd } from "../../platform/money.ts";
import type { ParsedDocument } from "../../platform/yaml-document.ts";
import { isWrite, type Micros } from "../../vocabulary.ts";
import { warningAt } from "./lint.ts";
import type { PolicyDocument } from "../policy-schema.ts";
import type { Rule } from "../rules.ts";
import type { WrittenCap } from "../scope-caps.ts";
import type { CompiledPolicy } from "../types.ts";
import { grossCapOf } from "../static-caps.ts";

type Document = ParsedDocument<PolicyDocument>;
type Priced = {
  readonly budget: CompiledPolicy["budget"];
  readonly caps: readonly WrittenCap[];
  readonly bounds: ReadonlyMap<string, ActionBounds>;
  readonly table: PriceTable;
};
/** An entry whose requests cost something, and what the cheapest of them costs at least. */
type Costed = { readonly rule: Rule; readonly leastMicros: Micros };

/**
 * Warnings about entries whose cheapest request costs more than a cap of the tenant, and about caps that nothing fits that the policy
 * allows. By the prices of one table, and only where the catalogue says what the cheapest is: what cannot be told is not warned of.
 */
export function lintCosts(document: Document, rules: readonly Rule[], priced: Priced): readonly DocumentProblem[] {
  const costed: Costed[] = [];
  const problems: DocumentProblem[] = [];
  for (const rule of rules) {
    const bounds = priced.bounds.get(rule.action);
    if (bounds === undefined || !isWrite(rule.tier) || rule.spec.free) continue;
    const least = bounds.leastCost(rule.constraints, priced.table);
    if (least === "unpriced") {
      const message = `never decides: price version ${priced.table.version} has no price for anything that it allows`;
      problems.push(warningAt(document, rule.path, message));
      continue;
    }
    costed.push({ rule, leastMicros: least });
    const dearest = tooDear(priced.budget, least);
    if (dearest !== null) {
      const message = `never runs: the cheapest request that it allows costs ${formatUsd(least)}, more than ${dearest}`;
      problems.push(warningAt(document, rule.path, message));
    }
  }
  return [...problems, ...priced.caps.flatMap((cap) => capProblems(document, cap, costed))];
}

/** The tenant's cap that it cannot fit, in words; null where it fits all. */
function tooDear(budget: CompiledPolicy["budget"], least: Micros): string | null {
  const gross = grossCapOf(budget);
  if (least > budget.dailyCapMicros) return `daily_limit_usd of ${formatUsd(budget.dailyCapMicros)}`;
  if (least > budget.monthlyCapMicros) return `monthly_limit_usd of ${formatUsd(budget.monthlyCapMicros)}`;
  return least > gross ? `gross_daily_limit_usd of ${formatUsd(gross)}` : null;
}

/** Caps inside the tenant's that no paid request fits, of all that the policy allows, or of the cap's own action. */
function capProblems(document: Document, cap: WrittenCap, costed: readonly Costed[]): readonly DocumentProblem[] {
  const own = costed.filter(({ rule }) => cap.kind !== "action" || rule.action === cap.name);
  if (own.length === 0) return [];
  const least = Math.min(...own.map(({ leastMicros }) => leastMicros));
  const limits = [
    ["daily_limit_usd", cap.dailyCapMicros],
    ["monthly_limit_usd", cap.monthlyCapMicros],
  ] as const;
  return limits.flatMap(([key, limit]) => {
    // Nothing at all is a way to say that somebody spends nothing; of an action it contradicts the entry that allows it.
    if (limit === null || least <= limit || (limit === 0 && cap.kind !== "action")) return [];
    const message = `nothing fits: the cheapest request that the policy allows costs ${formatUsd(least)}`;
    return [warningAt(document, ["budget", "per", cap.kind, cap.name, key], message)];
  });
}
