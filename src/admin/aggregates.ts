import type { ScopeCount } from "../ledger/aggregates/aggregate-report.ts";
import type { JsonObject } from "../platform/json.ts";
import type { Aggregate } from "../policy/types.ts";
import { unknownQuery } from "./body.ts";
import { json, refuse, type AdminAnswer, type AdminCall, type AdminRoute } from "./call.ts";
import { seesAllMoney } from "./money.ts";

/** How much of what many requests may add up to is used. */
export const aggregateRoutes: readonly AdminRoute[] = [
  { method: "GET", path: "/_gate/v1/aggregates", roles: null, handle: show },
];

/** The tenant's sums and those of labels are everybody's to see; of principals the caller's own, and for people with a role all. */
async function show(call: AdminCall): Promise<AdminAnswer> {
  const unknown = unknownQuery(call.strict, []);
  if (unknown !== null) return refuse(unknown);
  const { aggregates } = call.context.policy;
  const own = seesAllMoney(call) ? null : call.principal.subject;
  const counts = aggregates.length === 0 ? [] : await call.ledger.aggregateReport([...aggregates], own);
  return json({ aggregates: aggregates.map((aggregate, index) => aggregateJson(aggregate, counts[index] ?? [])) });
}

const aggregateJson = (
  { name, measure, max, over, isShadow }: Aggregate,
  scopes: readonly ScopeCount[],
): JsonObject => ({
  name,
  of: measure.of,
  per: typeof measure.per === "string" ? measure.per : { fact: measure.per.fact },
  within: measure.within,
  actions: measure.actions === null ? null : [...measure.actions],
  max,
  over,
  mode: isShadow ? "shadow" : "enforce",
  scopes: scopes.map(({ scope, current }) => ({ scope, current, left: Math.max(0, max - current) })),
});
