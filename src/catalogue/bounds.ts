import type { Micros } from "../vocabulary.ts";
import type { Constraints } from "./constraints.ts";
import type { CatalogueDocument, CostDocument, RouteDocument } from "./document-schema.ts";
import type { PriceTable } from "./prices.ts";
import { ANYTHING, isEmpty, narrowed, rangeOf, union, type Range, type RangeScope } from "./ranges.ts";

/** What requests of one action can be at all, from the document alone: for whoever checks a policy, never for a decision. */
export type ActionBounds = {
  /** By fact: all values that some request can have. */
  readonly facts: ReadonlyMap<string, Range>;
  /** Whether some request may meet these constraints. True where it cannot be told. */
  readonly mayHold: (constraints: Constraints) => boolean;
  /**
   * What the cheapest request under these constraints costs at least; `unpriced`: none of them has a price in this table. 0 where it
   * cannot be told, and for changes, which ask for their growth alone.
   */
  readonly leastCost: (constraints: Constraints, table: PriceTable) => Micros | "unpriced";
};

/** Bounds of every action that has routes. */
export function boundsOf(document: CatalogueDocument): ReadonlyMap<string, ActionBounds> {
  return new Map(
    [...Map.groupBy(document.routes, ({ action }) => action)].map(([action, routes]) => [
      action,
      actionBounds(routes, document.tables),
    ]),
  );
}

function actionBounds(routes: readonly RouteDocument[], tables: RangeScope["tables"]): ActionBounds {
  const scopes = (constraints: Constraints): readonly (readonly [RouteDocument, RangeScope])[] =>
    routes.flatMap((route) => {
      const scope = scopeOf(route, tables, constraints);
      return scope === null ? [] : [[route, scope] as const];
    });
  const facts = new Map<string, Range>();
  for (const [, scope] of scopes({}))
    for (const [name, range] of scope.facts) {
      const known = facts.get(name);
      facts.set(name, known === undefined ? range : union(known, range));
    }
  return {
    facts,
    mayHold: (constraints) => scopes(constraints).length > 0,
    leastCost: (constraints, table) => {
      const costs = scopes(constraints).map(([route, scope]) => leastOf(route.cost ?? "none", scope, table));
      const priced = costs.filter((cost) => cost !== "unpriced");
      return costs.length > 0 && priced.length === 0 ? "unpriced" : Math.min(...priced, Number.MAX_SAFE_INTEGER);
    },
  };
}

/** The ranges of a route's facts under the constraints; null where no request of it meets them. */
function scopeOf(route: RouteDocument, tables: RangeScope["tables"], constraints: Constraints): RangeScope | null {
  const facts = new Map<string, Range>();
  const scope: RangeScope = { body: route.body, tables, facts };
  for (const [name, expression] of Object.entries(route.facts ?? {})) {
    const range = narrowed(rangeOf(expression, scope), name, constraints);
    if (isEmpty(range)) return null;
    facts.set(name, range);
  }
  return scope;
}

function leastOf(cost: CostDocument, scope: RangeScope, table: PriceTable): Micros | "unpriced" {
  // What a change costs is taken off by what the thing costs already.
  if (cost === "none" || cost.current !== undefined) return 0;
  let least = 0;
  for (const charge of cost.charges) {
    const quantity = rangeOf(charge.quantity, scope).least;
    const unit = "rate" in charge ? leastUnit(table, charge.rate, rangeOf(charge.key, scope)) : 0;
    if (unit === null) return "unpriced";
    if (quantity > 0 && Number.isFinite(quantity)) least += Math.ceil((unit * quantity) / (charge.per ?? 1));
  }
  return Number.isSafeInteger(least) ? least : 0;
}

/** The lowest price of the rate for a key that it can be; null where none of them has one. */
function leastUnit(table: PriceTable, rate: string, { words }: Range = ANYTHING): Micros | null {
  const keys = words === null ? table.keysOf(rate) : [...words];
  const prices = keys.flatMap((key) => table.unitMicros(rate, key) ?? []);
  return prices.length === 0 ? null : Math.min(...prices);
}
