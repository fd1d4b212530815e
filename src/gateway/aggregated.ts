import type { MatchedOperation } from "../catalogue/types.ts";
import { scopeOf } from "../ledger/aggregates/aggregate-parts.ts";
import { ruleOf } from "../ledger/aggregates/aggregates.ts";
import type { AskedAggregate, Tally } from "../ledger/contract.ts";
import { COUNTED_WORDS, MOST_COUNTED } from "../policy/aggregates.ts";
import type { Aggregate, CompiledPolicy } from "../policy/types.ts";
import type { Nearest, Refusal } from "../refusal.ts";
import type { EpochMs, Facts, Tier } from "../vocabulary.ts";
import type { Trail } from "./trail.ts";

/** What a request counts of this: null where its facts do not say. Not known is never zero, and nothing gives back by being less. */
function amountOf({ measure: { of } }: Aggregate, facts: Facts): number | null {
  if (COUNTED_WORDS.some((word) => word === of)) return 1;
  const fact = Object.hasOwn(facts, of) ? facts[of] : undefined;
  return typeof fact === "number" && Number.isSafeInteger(fact) && fact >= 0 ? Math.min(fact, MOST_COUNTED) : null;
}

/** What a request would have to say to be counted; empty where it says all of it. */
export const uncounted = (policy: CompiledPolicy, action: string, facts: Facts): readonly string[] =>
  policy
    .aggregatesOf(action)
    .flatMap((aggregate) =>
      amountOf(aggregate, facts) === null ? [`${aggregate.measure.of}: aggregate ${aggregate.name} counts it`] : [],
    );

/** Whether people may be asked about a request of tier 2 because of what others have asked for. */
export const mayLift = (policy: CompiledPolicy, action: string, tier: Tier): boolean =>
  tier === 2 && policy.aggregatesOf(action).some(({ over, isShadow }) => over === "approve" && !isShadow);

/** The limits that count a request, with what it brings to each. `facts`: redacted, so that a label is the same in every record. */
export const askedAggregates = (
  policy: CompiledPolicy,
  action: string,
  principal: string,
  facts: Facts,
): readonly AskedAggregate[] =>
  policy.aggregatesOf(action).map((aggregate) => {
    const { per } = aggregate.measure;
    const label = typeof per === "string" || !Object.hasOwn(facts, per.fact) ? undefined : facts[per.fact];
    return {
      ...aggregate,
      scope: scopeOf(per, principal, typeof label === "string" ? label : null),
      amount: amountOf(aggregate, facts) ?? MOST_COUNTED,
    };
  });

/**
 * Notes what the aggregates made of a request: the tier that it was lifted to, which of them refused it, and what those in shadow
 * would have said.
 */
export function noteTally(
  trail: Trail,
  { tally, refusal }: { readonly tally?: Tally | undefined; readonly refusal?: Refusal },
): void {
  if (refusal?.kind === "aggregate-exceeded") trail.rule = ruleOf({ name: refusal.aggregate });
  if (tally === undefined) return;
  trail.shadow = [...trail.shadow, ...tally.shadow];
  if (tally.lifted === null) return;
  trail.tier = tally.lifted.tier;
  trail.rule = tally.lifted.rule;
}

/** The same request with as much of what is counted as there is room for; null where that would be none, or is not allowed. */
export function nearestCounted(
  refusal: Extract<Refusal, { kind: "aggregate-exceeded" }>,
  operation: MatchedOperation,
  facts: Facts,
  policy: CompiledPolicy,
  now: EpochMs,
): Nearest | null {
  const actual = Object.hasOwn(facts, refusal.of) ? facts[refusal.of] : undefined;
  const over = refusal.current + refusal.requested - refusal.limit;
  if (typeof actual !== "number" || over >= refusal.requested || actual - over < 1) return null;
  const changed = { ...facts, [refusal.of]: actual - over };
  const floor = operation.floor(changed);
  const verdict = policy.evaluate({ action: operation.action, facts: changed, missing: [], floor, now });
  return verdict.kind === "matched" ? { tier: verdict.tier, facts: { [refusal.of]: actual - over } } : null;
}
