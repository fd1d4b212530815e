import { usd } from "../platform/money.ts";
import type { CostOutcome } from "../catalogue/types.ts";
import type { Violation } from "../refusal.ts";
import type { GateHeaders } from "../strict-request.ts";

/** The caller's own bounds; null where it states none. */
export type CallerLimits = Pick<GateHeaders, "maxCostMicros" | "maxRunMs">;

const MS_PER_HOUR = 3_600_000;

/**
 * What a request breaks of its caller's own bounds (`Gate-Max-Cost`, `Gate-Max-Hours`): nothing where it keeps them. They
 * change neither price nor hold. What costs nothing, or has no run time, has nothing that they could bind.
 */
export function brokenLimits(limits: CallerLimits, cost: CostOutcome): readonly Violation[] {
  if (cost.kind !== "priced") return [];
  const { maxCostMicros, maxRunMs } = limits;
  const broken: Violation[] = [];
  if (maxCostMicros !== null && cost.ceilingMicros > maxCostMicros)
    broken.push({ constraint: "max_cost_usd", limit: usd(maxCostMicros), actual: usd(cost.ceilingMicros) });
  if (maxRunMs !== null && cost.durationMs !== null && cost.durationMs > maxRunMs)
    broken.push({ constraint: "max_hours", limit: maxRunMs / MS_PER_HOUR, actual: cost.durationMs / MS_PER_HOUR });
  return broken;
}

/** Names the headers whose bounds are broken, as the rule that refuses. */
export function callersRule(broken: readonly Violation[]): string {
  const headers = broken.map(({ constraint }) => (constraint === "max_hours" ? "Gate-Max-Hours" : "Gate-Max-Cost"));
  return `${headers.join(" and ")} of the caller`;
}
