import type { EpochMs, Facts } from "../vocabulary.ts";
import { compileCost, type CostRule } from "./cost.ts";
import type { CatalogueDocument, RouteDocument } from "./document-schema.ts";
import { baseType } from "./facts.ts";
import type { Tables } from "./expression-context.ts";
import type { CompiledPrices } from "./prices.ts";
import { EMPTY_SCOPE } from "./scope.ts";
import type { CostOutcome } from "./types.ts";

/** What a request of an action costs by its facts alone; null where its routes read anything else, or do not agree. */
export type CostOfFacts = (action: string, facts: Facts, prices: CompiledPrices, now: EpochMs) => CostOutcome | null;

/** Sources of expressions that a request's facts do not replace. */
const OTHER_SOURCES: ReadonlySet<string> = new Set(["body", "path", "query", "header", "look_up", "response"]);

/**
 * Builds the look-up of prices for requests of which nothing but their facts is known any more. The document has been compiled, so
 * it has no mistakes to report. Rules are made when they are first asked for.
 */
export function compileCostOfFacts(document: CatalogueDocument, tables: Tables): CostOfFacts {
  const known = new Map<string, readonly CostRule[] | null>();
  const rulesOf = (action: string): readonly CostRule[] | null => {
    const found = known.get(action);
    if (found !== undefined) return found;
    const routes = document.routes.filter((route) => route.action === action);
    const rules = routes.every(readsFactsAlone) ? routes.map((route) => ruleOf(document, tables, route)) : null;
    known.set(action, rules);
    return rules;
  };
  return (action, facts, prices, now) => {
    const outcomes = rulesOf(action)?.map((rule) => rule({ ...EMPTY_SCOPE, facts }, prices, now)) ?? [];
    const [first] = outcomes;
    return first !== undefined && outcomes.every((other) => amountOf(other) === amountOf(first)) ? first : null;
  };
}

const amountOf = (cost: CostOutcome): number | null =>
  cost.kind === "priced" ? cost.ceilingMicros : cost.kind === "none" ? 0 : null;

function readsFactsAlone({ cost = "none" }: RouteDocument): boolean {
  if (cost === "none") return true;
  return cost.current === undefined && !names(cost.charges);
}

/** Whether any object in it has a member that is another source. Names of the document's own are values, never members, here. */
function names(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  return Object.entries(value).some(([name, inner]) => OTHER_SOURCES.has(name) || names(inner));
}

function ruleOf(document: CatalogueDocument, tables: Tables, route: RouteDocument): CostRule {
  const declared = Object.entries(document.actions[route.action]?.facts ?? {});
  return compileCost(route.cost ?? "none", [], {
    report: () => undefined,
    tables,
    params: new Set(),
    query: new Set(),
    headers: new Set(),
    lookUps: new Set(),
    facts: new Map(declared.map(([name, type]) => [name, baseType(type)])),
    body: null,
    response: false,
    item: false,
    barred: null,
  });
}
