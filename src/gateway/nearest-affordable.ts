import type { MatchedOperation } from "../catalogue/types.ts";
import type { Nearest, Refusal, WindowShortage } from "../refusal.ts";
import type { Facts, Micros } from "../vocabulary.ts";
import type { Judgement } from "./judge.ts";
import type { TenantContext } from "./tenant-context.ts";

/**
 * Adds to a budget refusal the nearest request that would fit: one number of it made smaller (fewer GPUs, fewer hours), as
 * little as possible. Priced by the same catalogue rule and judged by the same policy as the request itself, so it names its
 * tier. Null where no smaller number fits; then `resets_at` says when there is room again. Other refusals pass unchanged.
 */
export function withNearest(
  refusal: Refusal,
  operation: MatchedOperation,
  judgement: Judgement | null,
  context: TenantContext,
): Refusal {
  if (refusal.kind !== "budget-exceeded" || judgement === null) return refusal;
  const room = Math.min(...refusal.windows.map(roomIn));
  return room <= 0 ? refusal : { ...refusal, nearest: nearestWithin(room, operation, judgement, context) };
}

const roomIn = (window: WindowShortage): Micros => window.cap_micros - window.settled_micros - window.held_micros;

function nearestWithin(
  room: Micros,
  operation: MatchedOperation,
  judgement: Judgement,
  context: TenantContext,
): Nearest | null {
  const { facts } = judgement.facts;
  const priceOf = (changed: Facts): Micros | null => {
    const cost = operation.cost(changed, judgement.lookedUp, context.prices);
    return cost.kind === "priced" ? cost.ceilingMicros : null;
  };
  const candidates = Object.entries(facts).flatMap(([name, value]) => {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 2) return [];
    const most = largestWithin(value - 1, (smaller) => {
      const price = priceOf({ ...facts, [name]: smaller });
      return price !== null && price <= room;
    });
    if (most === null) return [];
    const changed = { ...facts, [name]: most };
    const floor = operation.floor(changed);
    const verdict = context.policy.evaluate({ action: operation.action, facts: changed, missing: [], floor });
    if (verdict.kind !== "matched") return [];
    return [{ name, most, price: priceOf(changed) ?? 0, tier: verdict.tier }];
  });
  // Whichever keeps most of what was asked for.
  const [best] = candidates.toSorted((a, b) => b.price - a.price || a.name.localeCompare(b.name));
  return best === undefined ? null : { tier: best.tier, facts: { [best.name]: best.most } };
}

/** The largest whole number from 1 to `top` that `fits`, null where 1 does not. Prices grow with what is asked for. */
function largestWithin(top: number, fits: (value: number) => boolean): number | null {
  if (!fits(1)) return null;
  let [low, high] = [1, top];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
