import type { ActionBounds } from "../../catalogue/bounds.ts";
import { constraintTarget } from "../../catalogue/constraints.ts";
import type { CompiledPrices, PriceTable } from "../../catalogue/prices.ts";
import type { Range } from "../../catalogue/ranges.ts";
import type { DocumentProblem } from "../../platform/document.ts";
import type { ParsedDocument } from "../../platform/yaml-document.ts";
import type { EpochMs, Fact } from "../../vocabulary.ts";
import { warningAt } from "./lint.ts";
import { lintCosts } from "./lint-costs.ts";
import type { PolicyDocument } from "../policy-schema.ts";
import type { Rule } from "../rules.ts";
import type { WrittenCap } from "../scope-caps.ts";
import { didYouMean } from "../suggest.ts";
import type { CompiledPolicy } from "../types.ts";

/** What only an author's check looks at: what the catalogue's requests can be at all, and what they cost at this moment. */
export type Advice = {
  readonly bounds: ReadonlyMap<string, ActionBounds>;
  /** Null: nothing is known of prices. */
  readonly prices: CompiledPrices | null;
  readonly now: EpochMs;
};

type Document = ParsedDocument<PolicyDocument>;
type Money = { readonly budget: CompiledPolicy["budget"]; readonly caps: readonly WrittenCap[] };

/** Warnings about entries that no request can meet, constraints that all requests meet, and caps that nothing allowed can fit. */
export function lintBounds(
  document: Document,
  rules: readonly Rule[],
  money: Money,
  { bounds, prices, now }: Advice,
): readonly DocumentProblem[] {
  const table: PriceTable | null = prices?.at(now) ?? null;
  const impossible = rules.flatMap((rule) => {
    const own = bounds.get(rule.action);
    return own === undefined ? [] : constraintProblems(document, rule, own);
  });
  const hopeless = new Set(impossible.filter(({ isNever }) => isNever).map(({ rule }) => rule));
  const possible = rules.filter((rule) => !hopeless.has(rule));
  return [
    ...impossible.map(({ problem }) => problem),
    ...(table === null ? [] : lintCosts(document, possible, { ...money, bounds, table })),
  ];
}

/** `isNever`: no request of the catalogue meets the entry. */
type Found = { readonly rule: Rule; readonly problem: DocumentProblem; readonly isNever: boolean };

function constraintProblems(document: Document, rule: Rule, bounds: ActionBounds): readonly Found[] {
  const found = Object.entries(rule.constraints).flatMap(([name, limit]): readonly Found[] => {
    const { kind, fact } = constraintTarget(name, limit);
    const range = bounds.facts.get(fact);
    if (range === undefined) return [];
    const place = [...rule.path, rule.action, name];
    if (typeof limit === "number") {
      const said = saidOfNumber(kind, limit, fact, range);
      return said === null ? [] : [{ rule, problem: warningAt(document, place, said.message), isNever: said.isNever }];
    }
    return unknownWords(limit, fact, range).map(({ message, index }) => ({
      rule,
      problem: warningAt(document, index === null ? place : [...place, index], message),
      isNever: false,
    }));
  });
  if (bounds.mayHold(rule.constraints)) return found;
  const problem = warningAt(document, rule.path, "never holds: the catalogue has no request that meets all of it");
  return found.length > 0 ? found.map((one) => ({ ...one, isNever: true })) : [{ rule, problem, isNever: true }];
}

function saidOfNumber(
  kind: ReturnType<typeof constraintTarget>["kind"],
  limit: number,
  fact: string,
  { least, most }: Range,
): { readonly message: string; readonly isNever: boolean } | null {
  if (least > most) return null;
  if (kind !== "min" && limit < least) return { message: `never holds: ${fact} is at least ${least}`, isNever: true };
  if (kind !== "max" && limit > most) return { message: `never holds: ${fact} is at most ${most}`, isNever: true };
  if (kind === "max" && limit > most)
    return { message: `never matters: the catalogue takes ${fact} up to ${most}`, isNever: false };
  return kind === "min" && limit < least
    ? { message: `never matters: the catalogue takes ${fact} from ${least}`, isNever: false }
    : null;
}

/** Texts that no request can have. */
function unknownWords(
  limit: Exclude<Fact, number>,
  fact: string,
  { words }: Range,
): readonly { readonly message: string; readonly index: number | null }[] {
  if (words === null || words.size === 0 || typeof limit === "boolean") return [];
  const values = typeof limit === "string" ? [limit] : limit;
  return values.flatMap((value, index) =>
    words.has(value)
      ? []
      : [
          {
            message: `the catalogue has no ${fact} ${JSON.stringify(value)}${didYouMean(value, words)}`,
            index: typeof limit === "string" ? null : index,
          },
        ],
  );
}
