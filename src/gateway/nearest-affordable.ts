import type { CostOutcome, MatchedOperation } from "../catalogue/types.ts";
import type { CompiledPolicy } from "../policy/types.ts";
import type { Nearest, Refusal, WindowShortage } from "../refusal.ts";
import type { EpochMs, Facts, Micros } from "../vocabulary.ts";
import { nearestCounted } from "./aggregated.ts";
import type { Judgement } from "./judge.ts";
import type { TenantContext } from "./tenant-context.ts";

/** A request as it was judged, and how another size of it would be priced. */
export type Sized = {
  readonly facts: Facts;
  /** The cost of the same request with other facts, at the same prices. */
  readonly costOf: (facts: Facts) => CostOutcome;
};

type Priced = Extract<CostOutcome, { readonly kind: "priced" }>;

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
  now: EpochMs,
): Refusal {
  if (refusal.kind === "aggregate-exceeded" && judgement !== null) {
    const nearest = nearestCounted(refusal, operation, judgement.facts.facts, context.policy, now);
    return { ...refusal, nearest };
  }
  if (refusal.kind !== "budget-exceeded" || judgement === null) return refusal;
  const room = Math.min(...refusal.windows.map(roomIn));
  if (room <= 0) return refusal;
  // Of a change of something that runs only the growth is asked for: what is paid for already comes on top of the room.
  const asked = Math.max(...refusal.windows.map((window) => window.requested_micros));
  const paid = judgement.cost.kind === "priced" ? Math.max(0, judgement.cost.ceilingMicros - asked) : 0;
  const sized = { facts: judgement.facts.facts, costOf: judgement.costOf };
  const nearest = nearestThat(
    ({ ceilingMicros }) => ceilingMicros <= room + paid,
    operation,
    sized,
    context.policy,
    now,
  );
  return { ...refusal, nearest };
}

const roomIn = (window: WindowShortage): Micros => window.cap_micros - window.settled_micros - window.held_micros;

/** The request with one number made smaller, as little as possible, so that its cost `fits`; null where none does. */
export function nearestThat(
  fits: (cost: Priced) => boolean,
  operation: MatchedOperation,
  { facts, costOf }: Sized,
  policy: CompiledPolicy,
  now: EpochMs,
): Nearest | null {
  const pricedAs = (changed: Facts): Priced | null => {
    const cost = costOf(changed);
    return cost.kind === "priced" && fits(cost) ? cost : null;
  };
  const candidates = Object.entries(facts).flatMap(([name, value]) => {
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 2) return [];
    const most = largestWithin(value - 1, (smaller) => pricedAs({ ...facts, [name]: smaller }) !== null);
    if (most === null) return [];
    const changed = { ...facts, [name]: most };
    const floor = operation.floor(changed);
    const verdict = policy.evaluate({ action: operation.action, facts: changed, missing: [], floor, now });
    if (verdict.kind !== "matched") return [];
    return [{ name, most, price: pricedAs(changed)?.ceilingMicros ?? 0, tier: verdict.tier }];
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
